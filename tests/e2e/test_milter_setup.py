"""Our milter in a real Postfix and a real Sendmail, set up as `lazaretto setup` does it, and looked at by `lazaretto doctor`.

Clean mail and infected mail go through; without the milter, mail waits, whatever main.cf says for other Milters; smtpd and cleanup within
chroot find the socket; only the recipients of {FP_SCANONLY} are scanned; and the doctor finds all well, and each thing that is not.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import peers
import wrappings
from eicar import EICAR
from lazaretto.cli import doctor, sendmail, setup_postfix, setup_sendmail
from lazaretto.cli.postfix_audit import FAIL, OK, WARN
from lazaretto.cli.postfix_milter import split_item
from postfix import Postfix
from sendmail import Sendmail
from serving import eventually
from smtp_service import Service
from smtp_session import SENDER, Session, attempt
from smtp_sink import Sink

CLEAN = wrappings.attach(b"nothing to see here", "notes.txt") + b"\r\n"
INFECTED = wrappings.attach(EICAR, "notes.txt") + b"\r\n"
STATUS = b"X-Lazaretto-Status: "
SCANNED, OTHER = b"<scanned@example.org>", b"<other@example.org>"
SCAN_ONLY = r"^scanned@example\.org$"
_MILTER = "import sys; from lazaretto.cli.milter import run; sys.exit(run(sys.argv[1:]))"
Doctor = Callable[..., list[dict[str, str]]]


class Milter(Service):
    """The milter as a process of its own; `listen` is where: a port, or the socket that is given."""

    def __init__(self, path: str = "") -> None:
        super().__init__("127.0.0.1:1", engine="yara")
        self.listen = f"unix:{path}" if path else self.tcp
        self.settings = {"milter.listen": [self.listen], "milter.socket_mode": "0666", "process.scanners": 2}
        self.configure()
        self.command = [sys.executable, "-c", _MILTER, *self.command[3:]]


@contextmanager
def postfix_site(milter: Milter, sink: Sink, *args: str, chroot: bool = False, **main: str) -> Iterator[Postfix]:
    """A Postfix that `lazaretto setup postfix milter --apply` has wired; with `chroot`, as Debian runs smtpd and cleanup."""
    postfix = Postfix(next_hop=sink.address, main=main)
    if chroot:
        postfix.master = postfix.master.replace("inet n - n - - smtpd", "inet n - y - - smtpd").replace(
            "n - n - 0 cleanup", "n - y - 0 cleanup"
        )
    with postfix:
        setup = ["milter", *args, "--apply", "--postfix-config", str(postfix.root / "config"), "--postconf", peers.require("postconf")]
        assert setup_postfix.run(setup) == 0
        os.utime(postfix.root / "config" / "main.cf", (0, 0))  # Postfix waits for young files to settle
        postfix.run(postfix.binary, "reload")
        eventually(lambda: send(postfix.smtp, CLEAN) == 250 and STATUS in arrived(sink), "a Postfix that knows its new lines")
        yield postfix


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as made:
        yield made


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """What the doctor says: all of its checks."""

    def go(milter: Milter, *args: str) -> list[dict[str, str]]:
        capsys.readouterr()
        own = ["--config", str(milter.configuration), "--state-dir", str(milter.state), "--engine", "yara", "--json"]
        doctor.run([*own, *args])
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return go


def send(address: str, message: bytes, *recipients: bytes) -> int:
    """The code of the reply to the message."""
    with Session(address) as client:
        client.greet()
        return client.deliver(message, SENDER, recipients or (SCANNED,)).code


def refused(address: str) -> int | None:
    """The code with which a clean message is not taken; None if it is."""
    outcome = attempt(address, CLEAN)
    assert outcome.answer is not None
    return None if outcome.answer.positive else outcome.answer.code


def texts(checks: list[dict[str, str]], *levels: str) -> list[str]:
    return [check["text"] for check in checks if check["level"] in levels]


def arrived(sink: Sink) -> bytes:
    """The one message that there is; then it is gone."""
    eventually(lambda: bool(sink.messages), "the message")
    (message,) = sink.messages
    sink.clear()
    return bytes(message.data)


def through(address: str, sink: Sink) -> None:
    """Clean mail arrives, infected mail without what it had."""
    assert send(address, CLEAN) == 250
    assert STATUS + b"clean" in arrived(sink)
    assert send(address, INFECTED) == 250
    cleaned = arrived(sink)
    assert STATUS + b"cleaned" in cleaned
    assert b"WDVPIVAl" not in cleaned  # EICAR in base64


# -- Postfix ---------------------------------------------------------------------------------------------------------


def test_postfix(sink: Sink, examine: Doctor) -> None:
    with Milter() as milter, postfix_site(milter, sink, "--listen", milter.listen) as postfix:
        through(postfix.smtp, sink)
        postfix.sendmail(CLEAN.replace(b"\r\n", b"\n"), "a@example.org", "b@example.org")
        assert STATUS + b"clean" in arrived(sink)
        own = ["--postfix-config", str(postfix.root / "config"), "--postconf", peers.require("postconf")]
        checks = examine(milter, *own, "--send", "--to", "doctor@example.org", "--through", postfix.smtp)
        assert texts(checks, FAIL) == []
        found = {check["about"]: (check["level"], check["text"]) for check in checks}
        assert found["milter, clean message"] == (OK, "end: accept, adds X-Lazaretto-Status")
        assert found["milter, EICAR"][0] == OK
        assert "replaces the body" in found["milter, EICAR"][1]
        assert found["clean message"][0] == found["EICAR"][0] == OK
        assert f"{milter.listen} answers: milter protocol 6" in texts(checks, OK)
        assert postfix.trouble() == []


def test_what_others_say_of_milters_does_not_count(sink: Sink, examine: Doctor) -> None:
    """milter_default_action = accept, as many a guide has it: while ours is gone, mail waits all the same."""
    with (
        Milter() as milter,
        postfix_site(milter, sink, "--listen", milter.listen, milter_default_action="accept") as postfix,
    ):
        own = ["--postfix-config", str(postfix.root / "config"), "--postconf", peers.require("postconf")]
        assert texts(examine(milter, *own), FAIL) == []
        milter.stop(signal.SIGTERM)
        assert refused(postfix.smtp) == 451
        assert sink.messages == []
        assert any("does not answer as a milter" in text for text in texts(examine(milter, *own), FAIL))
        # Outside the braces it does count: the doctor says so, and is right.
        value = f"smtpd_milters=inet:{milter.listen}"
        postfix.run(peers.require("postconf"), "-e", value, "non_smtpd_milters=$smtpd_milters")
        os.utime(postfix.root / "config" / "main.cf", (0, 0))
        postfix.run(postfix.binary, "reload")
        assert any("mail passes unscanned" in text for text in texts(examine(milter, *own), FAIL))
        eventually(lambda: refused(postfix.smtp) is None, "mail that nobody has scanned")
        assert STATUS not in arrived(sink)


def test_within_chroot(sink: Sink, examine: Doctor) -> None:
    """The socket is below the queue directory, and has one name for everybody."""
    folder = Path("/tmp") / f"lz-queue-{os.getpid()}"
    path = str(folder / "l" / "s")
    (folder / "l").mkdir(parents=True)
    try:
        with (
            Milter(path) as milter,
            postfix_site(milter, sink, "--listen", milter.listen, chroot=True, queue_directory=str(folder)) as postfix,
        ):
            through(postfix.smtp, sink)
            config = str(postfix.root / "config")
            value = postfix.run(peers.require("postconf"), "-c", config, "-h", "smtpd_milters").stdout.strip()
            assert split_item(value)[0] == "unix:l/s"
            master = postfix.run(peers.require("postconf"), "-c", config, "-M").stdout
            assert [line.split()[4] for line in master.splitlines() if line.endswith((" smtpd", " cleanup"))] == ["y", "y"]
            checks = examine(milter, "--postfix-config", config, "--postconf", peers.require("postconf"))
            assert texts(checks, FAIL) == []
            assert f"Postfix may connect to unix:{path} as postfix" in texts(checks, OK)
            outside = ["milter", "--listen", "unix:/run/elsewhere", "--apply", "--postfix-config", config]
            assert setup_postfix.run([*outside, "--postconf", peers.require("postconf")]) == 1
    finally:
        shutil.rmtree(folder)


def test_only_some_recipients_of_postfix(sink: Sink) -> None:
    with (
        Milter() as milter,
        postfix_site(milter, sink, "--listen", milter.listen, "--scan-only", SCAN_ONLY) as postfix,
    ):
        assert only_some(postfix.smtp, sink) == [True, False, True]
        assert postfix.trouble() == []


def only_some(address: str, sink: Sink) -> list[bool]:
    """Is it scanned for the one that matches, for another, for both?"""
    found = []
    for recipients in ((SCANNED,), (OTHER,), (OTHER, SCANNED)):
        assert send(address, CLEAN, *recipients) == 250
        found.append(STATUS in arrived(sink))
    return found


# -- Sendmail --------------------------------------------------------------------------------------------------------


@contextmanager
def sendmail_site(milter: Milter, sink: Sink, folder: Path, *args: str) -> Iterator[Sendmail]:
    """A Sendmail whose sendmail.mc has the lines of `lazaretto setup sendmail --apply`."""
    site = Sendmail(next_hop=sink.address)
    (folder / "sendmail.mc").write_text(site.text)
    assert setup_sendmail.run(["--apply", "--file", str(folder / "sendmail.mc"), "--listen", milter.listen, *args]) == 0
    site.text = (folder / "sendmail.mc").read_text()
    with site:
        yield site


def test_sendmail(sink: Sink, examine: Doctor, tmp_path: Path) -> None:
    with Milter() as milter, sendmail_site(milter, sink, tmp_path) as site:
        through(site.smtp, sink)
        own = ["--postconf", "", "--sendmail-cf", str(site.root / "t.cf")]
        checks = examine(milter, *own, "--send", "--to", "doctor@example.org", "--through", site.smtp)
        assert texts(checks, FAIL, WARN) == []
        assert {"milter, EICAR", "EICAR", "macros", "time-outs"} <= {check["about"] for check in checks}
        eventually(lambda: len(sink.messages) == 2, "what the doctor has sent")  # Sendmail delivers when it has answered
        milter.stop(signal.SIGTERM)
        sink.clear()
        assert refused(site.smtp) == 451
        assert sink.messages == []


def test_a_sendmail_that_fails_open(sink: Sink, examine: Doctor, tmp_path: Path) -> None:
    """Without F=, mail does pass: what the doctor calls a failure is one."""
    with Milter() as milter:
        site = Sendmail(next_hop=sink.address, settings=sendmail.mc_text(sendmail.lines(milter.listen)).replace("F=T, ", "").rstrip("\n"))
        with site:
            checks = examine(milter, "--postconf", "", "--sendmail-cf", str(site.root / "t.cf"))
            assert texts(checks, FAIL) == ["Xlazaretto: mail passes unscanned while Lazaretto does not answer (no F=)"]
            milter.stop(signal.SIGTERM)
            assert send(site.smtp, CLEAN) == 250
            assert STATUS not in arrived(sink)


def test_only_some_recipients_of_sendmail(sink: Sink, tmp_path: Path) -> None:
    with Milter() as milter, sendmail_site(milter, sink, tmp_path, "--scan-only", SCAN_ONLY) as site:
        assert only_some(site.smtp, sink) == [True, False, True]


def test_the_lines_of_sendmail_cf(sink: Sink, tmp_path: Path) -> None:
    """Behind all that m4 has made, they count as well."""
    with Milter() as milter, Sendmail(next_hop=sink.address) as plain:
        site = Sendmail(next_hop=sink.address)
        file = tmp_path / "sendmail.cf"
        shutil.copy(plain.root / "t.cf", file)
        assert setup_sendmail.run(["--apply", "--file", str(file), "--listen", milter.listen]) == 0
        configure = site.configure

        def with_ours() -> None:
            configure()
            made = (site.root / "t.cf").read_text()
            lines = file.read_text()
            (site.root / "t.cf").write_text(made + lines[lines.index("# BEGIN lazaretto") :])

        site.configure = with_ours  # type: ignore[method-assign]
        with site:
            through(site.smtp, sink)
