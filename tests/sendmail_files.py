"""Sendmail as its packages have it, unpacked beside a machine's own mail server: m4, the files of its configuration, the program.

See scripts/debian-unpack: what is missing there, or a Sendmail that is installed, ends the test as peers.missing() says.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import peers

_PLACES = (Path("/usr/share/sendmail/cf"), peers.UNPACKED / "usr/share/sendmail/cf")

# A configuration as a site has it: other things before our lines, and a section at the end that m4 diverts.
HEAD = """\
VERSIONID(`test')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `sendmail.example')dnl
"""
TAIL = """\
MAILER(`local')dnl
MAILER(`smtp')dnl
LOCAL_CONFIG
D{Other}value
"""


def library() -> Path:
    """The folder of Sendmail's m4 files."""
    return next((place for place in _PLACES if (place / "m4/cf.m4").exists()), None) or peers.missing("sendmail-cf is not unpacked")


def cf_of(mc: str, folder: Path) -> str:
    """The sendmail.cf that m4 makes of it."""
    (folder / "test.mc").write_text(f"include(`{library()}/m4/cf.m4')dnl\n{mc}")
    command = [peers.require("m4"), f"-D_CF_DIR_={library()}/", str(folder / "test.mc")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=library())
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def understood(cf: str, folder: Path, mode: str = "-bt", said: str = "/quit\n") -> str:
    """What the real Sendmail says of the configuration: each filter's time-outs, each list of macros, complaints."""
    program, environment = peers.unpacked("usr/libexec/sendmail/sendmail", folder, "smmta", "smmsp")
    (folder / "test.cf").write_text(cf)
    (folder / "queue").mkdir(exist_ok=True, mode=0o700)
    (folder / "switch").write_text("hosts files\n")
    (folder / "hosts").write_text("127.0.0.1 sendmail.example localhost\n")
    # It waits for a minute where its name has no dot.
    environment |= {"NSS_WRAPPER_HOSTS": str(folder / "hosts"), "NSS_WRAPPER_HOSTNAME": "sendmail.example"}
    options = [f"-OQueueDirectory={folder}/queue", f"-OServiceSwitchFile={folder}/switch"]
    command = [program, "-C", str(folder / "test.cf"), *options, mode, "-d64.5"]
    done = subprocess.run(command, env=environment, input=said, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr
