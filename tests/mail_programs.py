"""Real mail programs that deliver through a scan-mail of the test's own: procmail, maildrop, Dovecot's Sieve.

    site = mail_programs.site(tmp_path, {"SCANMAIL_BANLIST": r"\\.scr$"})
    delivery = mail_programs.procmail(site, site.here(recipes()["plain"]), message)

Recipes come from docs/scan-mail.md, character by character; what is replaced are the
directories of the installation (Site.here).  Each program gets a configuration with
nothing in it but where the mail goes.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import peers
import programs
import wrappings
from eicar import EICAR

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "scan-mail.md"
PREFIX = "/usr/local/f-prot"  # as the manual has it
NOTHING: Mapping[str, str] = {}
_UNPRIVILEGED = 65534
_PATIENCE_S = 60.0


class Site(NamedTuple):
    """An installation of scan-mail under `root`, as the manual knows it under PREFIX."""

    root: Path

    @property
    def program(self) -> Path:
        return self.root / "tools" / "scan-mail.pl"

    @property
    def backup(self) -> Path:
        return self.root / "backup"

    @property
    def saved(self) -> Path:
        return self.root / "quarantine"

    def here(self, recipe: str) -> str:
        """A recipe with the directories of this site."""
        return recipe.replace(PREFIX, str(self.root)).replace("/var/tmp", str(self.root))

    def log(self) -> list[str]:
        """The final lines of all messages so far, in whatever log they ended up."""
        return [line for file in self.root.glob("*.log") for line in file.read_text().splitlines() if "outcome=" in line]

    def journal(self) -> list[str]:
        """What scan-mail's wrapper wrote: "start PID" and, unless it was replaced by the program, "end PID"."""
        file = self.root / "journal"
        return file.read_text().splitlines() if file.exists() else []

    def saved_files(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted(self.saved.rglob("*")) if file.is_file()]

    def backups(self) -> list[Path]:
        return sorted(file for file in self.backup.glob("[0-9][0-9][0-9][0-9]/*") if file.is_file())

    def failed(self) -> list[Path]:
        return sorted(self.backup.glob("FAILED.*"))


def site(root: Path, variables: Mapping[str, str] = NOTHING, *, watched: bool = False) -> Site:
    """Install scan-mail under `root` with an f-prot.conf of these variables.

    watched: the journal has the end of each run, too; then the program is a child of its wrapper.
    """
    made = Site(root)
    for folder in (made.program.parent, made.backup, root / "home", *(root / "inbox" / name for name in ("new", "cur", "tmp"))):
        folder.mkdir(parents=True, exist_ok=True)
    configure(made, variables)
    environment = {
        **programs.environment(root / "home"),
        "SCANMAIL_CONFIG": str(root / "f-prot.conf"),
        "XDG_STATE_HOME": str(root / "state"),
        "LAZARETTO_STATE_DIR": str(root / "state"),
    }
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    code = f"import sys; sys.argv[0] = {str(made.program)!r}; from lazaretto.cli.scan_mail import main; sys.exit(main())"
    run = f'env -i {settings} {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"'
    journal = shlex.quote(str(root / "journal"))
    lines = ["#!/bin/sh", f"echo start $$ >>{journal}"]
    lines += [run, "status=$?", f"echo end $$ >>{journal}", "exit $status"] if watched else [f"exec {run}"]
    made.program.write_text("\n".join([*lines, ""]))
    made.program.chmod(0o755)
    short = made.program.with_name("scan-mail")
    if not short.exists():
        short.symlink_to(made.program.name)
    return made


def configure(site: Site, variables: Mapping[str, str]) -> None:
    """Write f-prot.conf anew."""
    places = {"SCANMAIL_BACKUPDIR": str(site.backup), "SCANMAIL_QUARANTINEDIR": str(site.saved)}
    usual = {**places, "SCANMAIL_ENGINES": "yara", "SCANMAIL_LOGHOST": "-"}
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in {**usual, **variables}.items())
    (site.root / "f-prot.conf").write_text(text)


# -- recipes -----------------------------------------------------------------------------------------------------

_BLOCK = re.compile(r"^<!-- recipe: ([a-z-]+) -->\n+((?:(?:    .*)?\n)+)", re.MULTILINE)


def recipes() -> dict[str, str]:
    """The indented blocks of docs/scan-mail.md that a comment `recipe: NAME` announces, by name."""
    found = {name: textwrap.dedent(block).strip("\n") + "\n" for name, block in _BLOCK.findall(PAGE.read_text(encoding="utf-8"))}
    assert found
    return found


def as_printed(recipe: str) -> str:
    """A recipe as the manual has the one with the lock file: it forgot the pipe sign."""
    return recipe.replace("| ", "")


# -- messages ----------------------------------------------------------------------------------------------------


def mail(content: bytes, name: str) -> bytes:
    """A mail with one attachment, as a UNIX mail system hands it over: lines end in LF, the last one is empty."""
    return wrappings.attach(content, name).replace(b"\r\n", b"\n") + b"\n"


def posted(message: bytes) -> bytes:
    """The message with a line "From " on top, as a mail system gives it to procmail."""
    return b"From sender@example.org  Sun Nov 22 10:00:00 2026\n" + message


CLEAN = mail(b"nothing to see here", "notes.txt")
INFECTED = mail(EICAR, "notes.txt")
LISTS = {"SCANMAIL_BANLIST": r"\.scr$", "SCANMAIL_STOPLIST": r"\.exe$;\.vbs$"}
# A message, the attachment that has to go (with LISTS), and whether it is to be kept in a file.
CASES = {
    "infected": (INFECTED, EICAR, False),
    "banned": (mail(b"MZ but harmless", "holiday.scr"), b"MZ but harmless", False),
    "stopped": (mail(b"Rem harmless", "script.vbs"), b"Rem harmless", True),
}

_FIELD = re.compile(rb"^X-Antivirus: Scanned by .*\n(?=\n)", re.MULTILINE)  # the last field of the header


def without_field(delivered: bytes) -> bytes:
    """The message without our X-Antivirus field, which must be there, at the end of the header."""
    header, _, body = delivered.partition(b"\n\n")
    assert _FIELD.search(header + b"\n\n"), header
    return _FIELD.sub(b"", header + b"\n\n") + body


def assert_unchanged(delivered: list[bytes], message: bytes) -> None:
    """One message, as it came, but for one X-Antivirus field at the end of its header."""
    (one,) = delivered
    assert without_field(one) == message


def assert_without(delivered: list[bytes], content: bytes) -> None:
    """One message, with the attachment gone, everything else there, and a text that says so."""
    (one,) = delivered
    assert not carries(one, content)
    assert content not in one
    rest = without_field(one)
    assert b"See attachment." in rest
    assert b"removed" in rest


def carries(delivered: bytes, content: bytes) -> bool:
    """Is this attachment, as `mail` encodes it, still in there?"""
    return wrappings.b64(content).replace(b"\r\n", b"\n") in delivered.replace(b"\r\n", b"\n")


# -- programs ----------------------------------------------------------------------------------------------------


class Delivery(NamedTuple):
    """What a delivery program did: its exit status, the messages in the mailbox."""

    status: int
    inbox: list[bytes]


def _start(site: Site, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    """A program that waits for its message; what it and its children say goes to NAME.log."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(site.root / "home"), "USER": "user"}
    with (site.root / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, cwd="/")


def hand_over(process: subprocess.Popen[bytes], message: bytes) -> None:
    """Give a program its message without waiting for what it does with it."""
    assert process.stdin is not None
    with process.stdin as stdin:
        stdin.write(message)


def ended(process: subprocess.Popen[bytes]) -> int:
    """Exit status of a program that has its message."""
    try:
        return process.wait(_PATIENCE_S)
    finally:
        process.kill()
        process.wait()


@contextmanager
def started(process: subprocess.Popen[bytes], message: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """A program with its message; it does not outlive the block."""
    try:
        hand_over(process, message)
        yield process
    finally:
        process.kill()
        process.wait()


def maildir(path: Path) -> list[bytes]:
    """The messages of a Maildir, which may be absent."""
    return [file.read_bytes() for sub in ("new", "cur") for file in sorted((path / sub).glob("*"))]


def procmailrc(site: Site, recipe: str) -> Path:
    """A procmailrc that delivers to the Maildir `site.root`/inbox behind `recipe`, which is put in as it is."""
    rc = site.root / "procmailrc"
    # LOCKSLEEP: twenty deliveries that look every 8 s would take a minute.
    prelude = {"MAILDIR": site.root, "DEFAULT": f"{site.root}/inbox/", "LOGFILE": site.root / "procmail.log", "SHELL": "/bin/sh"}
    rc.write_text("".join(f"{name}={value}\n" for name, value in prelude.items()) + "LOCKSLEEP=1\n\n" + recipe)
    rc.chmod(0o600)
    return rc


def start_procmail(site: Site, recipe: str, *options: str) -> subprocess.Popen[bytes]:
    return _start(site, "procmail", [peers.require("procmail"), *options, str(procmailrc(site, recipe))])


def procmail(site: Site, recipe: str, message: bytes, *options: str) -> Delivery:
    """Deliver as /etc/procmailrc does; without an option -m, as a user's ~/.procmailrc."""
    with started(start_procmail(site, recipe, *options), posted(message)) as process:
        return Delivery(ended(process), inbox(site))


def inbox(site: Site) -> list[bytes]:
    """The messages in the mailbox."""
    return maildir(site.root / "inbox")


def start_maildrop(site: Site, recipe: str) -> subprocess.Popen[bytes]:
    """A maildrop that waits for its message; `recipe` is the filter file, behind the lines that say where things are."""
    file = site.root / "mailfilter"
    file.write_text(
        f'PATH="{site.program.parent}:$PATH"\nSHELL="/bin/sh"\nDEFAULT="{site.root}/inbox"\n{recipe}',
    )
    file.chmod(0o600)  # maildrop insists
    return _start(site, "maildrop", [peers.require("maildrop"), str(file)])


def maildrop(site: Site, recipe: str, message: bytes) -> Delivery:
    with started(start_maildrop(site, recipe), message) as process:
        return Delivery(ended(process), inbox(site))


class Dovecot:
    """Dovecot's delivery agent with a private configuration, for the user who runs the tests.

    It refuses to deliver for root.  Then it runs as a user without a name who may
    read root's files, for Python and this checkout may be where only root may look.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        agent = Path("/usr/lib/dovecot/dovecot-lda")
        if not agent.exists():
            peers.missing("dovecot-lda is not installed")
        if not Path("/usr/lib/dovecot/modules/sieve/lib90_sieve_extprograms_plugin.so").exists():
            peers.missing("dovecot-sieve is not installed")
        version = subprocess.run([peers.require("dovecot"), "--version"], capture_output=True, text=True, check=True).stdout
        if not version.startswith("2.3."):
            import pytest

            pytest.skip(f"this configuration is for Dovecot 2.3, not {version.split()[0]}")
        self.command = [*_as_user(), str(agent), "-c", str(site.root / "dovecot.conf"), "-e"]
        self.maildir = site.root / "maildir"

    def configure(self, script: str) -> None:
        root = self.site.root
        for name in ("run", "maildir"):
            (root / name).mkdir(exist_ok=True)
            if os.geteuid() == 0:
                os.chown(root / name, _UNPRIVILEGED, _UNPRIVILEGED)
        (root / "filter.sieve").write_text(script)
        (root / "dovecot.conf").write_text(
            textwrap.dedent(f"""\
                base_dir = {root}/run
                state_dir = {root}/run
                log_path = {root}/dovecot.log
                mail_location = maildir:{self.maildir}
                mail_home = {root}/home
                protocol lda {{
                  mail_plugins = sieve
                }}
                plugin {{
                  sieve = file:{root}/filter.sieve
                  sieve_plugins = sieve_extprograms
                  sieve_extensions = +vnd.dovecot.filter
                  sieve_filter_bin_dir = {self.site.program.parent}
                  sieve_filter_exec_timeout = 120s
                }}
                """)
        )

    def start(self, script: str) -> subprocess.Popen[bytes]:
        self.configure(script)
        return _start(self.site, "lda", self.command)

    def deliver(self, script: str, message: bytes) -> Delivery:
        with started(self.start(script), message) as process:
            return Delivery(ended(process), self.messages())

    def messages(self, folder: str = "") -> list[bytes]:
        """What is in INBOX, or in another folder."""
        return maildir(self.maildir / f".{folder}" if folder else self.maildir)


def _as_user() -> Sequence[str]:
    """What to put before a command that refuses to be run by root."""
    if os.geteuid() != 0:
        return ()
    setpriv = peers.require("setpriv")
    identity = [f"--reuid={_UNPRIVILEGED}", f"--regid={_UNPRIVILEGED}", "--clear-groups"]
    prefix = [setpriv, *identity, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    tried = subprocess.run([*prefix, sys.executable, "-c", ""], capture_output=True, text=True, check=False)
    if tried.returncode:
        peers.missing(f"setpriv cannot hand on CAP_DAC_OVERRIDE here: {tried.stderr.strip()}")
    return prefix


# -- interruption ------------------------------------------------------------------------------------------------


class Silence:
    """An engine's address where somebody listens and never answers: whoever asks there is in the middle of a scan."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(_PATIENCE_S)
        self.spec = f"clamd:127.0.0.1:{self.listener.getsockname()[1]}"
        self.callers: list[socket.socket] = []

    def wait(self) -> None:
        """Until somebody has connected and asked."""
        caller, _ = self.listener.accept()
        self.callers.append(caller)
        caller.settimeout(_PATIENCE_S)
        assert caller.recv(1), "the scanner hung up before it asked"

    def close(self) -> None:
        for sock in (*self.callers, self.listener):
            sock.close()


@contextmanager
def silence() -> Iterator[Silence]:
    made = Silence()
    try:
        yield made
    finally:
        made.close()


def kill_scanner(site: Site, number: int) -> None:
    """Send a signal to the scan-mail that started last."""
    started = [line for line in site.journal() if line.startswith("start ")]
    os.kill(int(started[-1].split()[1]), number)
