"""What every child would load and compile anew is loaded before the fork.

The filter loads nothing before it is needed (docs/architecture.md "Start-up"); a server is the
opposite case. A few small mails, of the kinds that most mail is of, go through the scanner before
the first client comes, which halves what a small message costs.

Only the engine for names and types takes part: others may have something that does not survive a
fork, such as the clock of YARA-X, which is a thread, or a session with a daemon.

Errors:  none; what is wrong here is wrong with every message, and said there.
See:     server.py
"""

from __future__ import annotations

import os

from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Envelope
from lazaretto.scan import report as reporting
from lazaretto.scan.job import Scanner
from lazaretto.store.spool import Spool

_HEAD = b"From: <a@example.org>\r\nTo: b@example.org\r\nSubject: =?utf-8?Q?J=C3=B6rg?=\r\nMIME-Version: 1.0\r\n"
_PLAIN = b'Content-Type: text/plain; charset="utf-8"\r\n\r\nHello, see http://example.org/ =\r\n'
_HTML = (
    b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html><body><p class=3Dx>Hello</p></body></html>\r\n"
)
_FILE = (
    b"Content-Type: application/octet-stream; name=a.txt\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="a.txt"\r\n\r\nSGVsbG8sIHdvcmxkLg==\r\n'
)


def _multipart(subtype: bytes, *parts: bytes) -> bytes:
    body = b"".join(b"--=_b\r\n" + part for part in parts)
    return b"Content-Type: multipart/" + subtype + b'; boundary="=_b"\r\n\r\n' + body + b"--=_b--\r\n"


MESSAGES = (_HEAD + _PLAIN, _HEAD + _multipart(b"alternative", _PLAIN, _HTML), _HEAD + _multipart(b"mixed", _PLAIN, _FILE))


def warm(scanner: Scanner) -> None:
    """Use what `scanner` uses.  Nothing is kept anywhere."""
    engines = [engine for engine in scanner.engines if engine.name == "attachments"]
    like = Scanner(
        scanner.policy,
        engines,
        scanner.notices,
        scanner.limits,
        spool_directory=scanner.spool_directory,
        host=scanner.host,
        closing=scanner.closing,
    )
    try:
        for message in MESSAGES:
            with Spool(scanner.spool_directory, scanner.limits.spool_memory_bytes) as spool:
                source = Source(message)
                report = like.scan(source, dry_run=True, spool=spool)
                for _ in render(source, report.edits):
                    pass
                reporting.final_line(report, Envelope())
    except Exception:  # noqa: BLE001 - see Errors
        pass


def threads() -> int:
    """How many threads this process has; 1 where that cannot be seen."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1
