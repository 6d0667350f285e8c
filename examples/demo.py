"""An infected message goes through the filter: what came out, and why.  Run by `make demo`.

The virus is EICAR, the harmless file that every scanner reports, put together
here at run time, inside a zip inside a message that somebody forwarded.
Everything shown is the output of the `lazaretto` commands themselves.
"""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

EICAR = b"".join((b"X5O!P%@AP[4\\PZX54(P^)", b"7CC)7}$EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!", b"$H+H*"))


def message() -> bytes:
    """A forwarded mail with a zip attachment; the text around it is honest."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("invoice.txt", EICAR)
    zipped = base64.encodebytes(archive.getvalue()).decode().rstrip("\n")
    lines = f"""\
From: Ada <ada@example.org>
To: Bob <bob@example.net>
Subject: Fwd: your invoice
Date: Mon, 16 Nov 2026 09:12:43 +0100
Message-ID: <demo@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: text/plain; charset=utf-8

Bob, is this one for you?
--outer
Content-Type: message/rfc822

From: Mallory <mallory@example.com>
To: Ada <ada@example.org>
Subject: your invoice
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="inner"

--inner
Content-Type: text/plain

Please find the invoice attached.
--inner
Content-Type: application/zip; name="invoice.zip"
Content-Disposition: attachment; filename="invoice.zip"
Content-Transfer-Encoding: base64

{zipped}
--inner--

--outer--
"""
    return lines.replace("\n", "\r\n").encode()


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-I", "-m", "lazaretto", *arguments], input=stdin, capture_output=True, check=False)


def show(title: str, text: bytes) -> None:
    print(f"\n== {title}\n\n{text.decode(errors='replace').rstrip()}", flush=True)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="lazaretto-demo-") as folder:
        before, after = Path(folder, "before.eml"), Path(folder, "after.eml")
        # The defaults, whatever this machine has configured.
        options = ("--config", os.devnull, "--state-dir", f"{folder}/state", "--engine", "yara")
        before.write_bytes(message())
        show("the message as it came: lazaretto explain before.eml", run("explain", *options, str(before)).stdout)
        filtered = run("filter", *options, stdin=before.read_bytes())
        after.write_bytes(filtered.stdout)
        show(f"lazaretto filter < before.eml > after.eml    (exit status {filtered.returncode}, its log line:)", filtered.stderr)
        if filtered.returncode:
            return 1
        show("the message as it goes on: after.eml", filtered.stdout)
        show("and how it reads: lazaretto explain after.eml", run("explain", *options, str(after)).stdout)
        kept = [os.path.join(path, name) for path, _, names in os.walk(f"{folder}/state") for name in names if name.endswith(".eml")]
        same = [name for name in kept if Path(name).read_bytes() == before.read_bytes()]
        stopped = EICAR not in filtered.stdout and b"invoice.zip" in before.read_bytes() and filtered.stdout != before.read_bytes()
        print(f"\nThe original, byte for byte, is in the quarantine: {'yes' if same else 'NO'}")
        print("The text of both mails is unchanged, the zip is gone." if stopped else "NOT STOPPED")
        return int(not (stopped and same))


if __name__ == "__main__":
    sys.exit(main())
