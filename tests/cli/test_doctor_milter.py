"""`lazaretto doctor` about milters: who asks, whether he may connect, what answers, and what it would do with mail."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sendmail_files
from eicar import EICAR
from lazaretto.cli import doctor, sendmail, setup_postfix
from lazaretto.cli.doctor_milter import connect_as, judge, run_as, unsafe
from lazaretto.cli.milter_dialogue import Outcome
from lazaretto.cli.postfix_audit import FAIL, OK, WARN
from lazaretto.cli.sendmail_config import read_cf
from listening import HANG_UP
from mail_server_double import MailServerDouble
from milter_filter_double import MilterFilterDouble
from peers import missing, require
from postfix_files import MAIN, MASTER

Run = Callable[..., list[dict[str, str]]]
CF = "".join(f"O Milter.macros.{stage}={', '.join(names)}\n" for stage, names in sendmail.MACROS.items())


@pytest.fixture
def place() -> Iterator[Path]:
    directory = tempfile.mkdtemp()  # short, and open to others, as /tmp is
    yield Path(directory)
    shutil.rmtree(directory)


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """The checks about milters."""

    def go(text: str, *args: str, postconf: str = "", cf: str = "") -> list[dict[str, str]]:
        (place / "c.toml").write_text(text)
        own = ["--config", str(place / "c.toml"), "--state-dir", str(place), "--timeout-s", "5", "--engine", "yara", "--json"]
        doctor.run([*own, "--postconf", postconf, "--sendmail-cf", cf, *args])
        out, err = capsys.readouterr()
        assert err == ""
        checks = [json.loads(line) for line in out.splitlines()]
        return [check for check in checks if check["about"] in ("milter", "Lazaretto", "sendmail", "macros", "wiring", "listen")] + [
            check for check in checks if check["about"].startswith("milter,")
        ]

    return go


def listens(*milters: MilterFilterDouble) -> str:
    return f"[milter]\nlisten = {[milter.address for milter in milters]}\n"


def texts(checks: list[dict[str, str]], level: str) -> list[str]:
    return [check["text"] for check in checks if check["level"] == level]


# -- what answers


def test_a_milter_that_answers(run: Run) -> None:
    with MilterFilterDouble() as one, MilterFilterDouble(version=2) as two:
        checks = run(listens(one, two))
    assert texts(checks, OK) == [f"{one.address} answers: milter protocol 6", f"{two.address} answers: milter protocol 2"]
    assert texts(checks, WARN) == ["nothing is known of a mail system that asks"]


def test_another_milter(run: Run) -> None:
    with MilterFilterDouble(actions=1) as other:
        checks = run(listens(other))
    assert "it does not want to change messages" in texts(checks, WARN)[1]


def test_what_is_no_milter(run: Run, place: Path) -> None:
    with MailServerDouble() as server, MilterFilterDouble(greeting=HANG_UP) as dumb:
        checks = run(f"[milter]\nlisten = ['{server.address}', '{dumb.address}', 'unix:{place}/none']\n")
    failed = texts(checks, FAIL)
    assert "SMTP" in failed[0]
    assert "hangs up" in failed[1]
    assert "No such file" in failed[-1]


def test_one_that_everybody_can_reach(run: Run) -> None:
    with MilterFilterDouble() as milter:
        everywhere = milter.address.replace("127.0.0.1", "0.0.0.0")
        checks = run(f"[milter]\nlisten = ['{everywhere}']\n")
    assert f"{everywhere} can be reached from other machines, and the protocol asks nobody who he is" in texts(checks, WARN)
    assert f"{everywhere} answers: milter protocol 6" in texts(checks, OK)


def test_an_address_that_no_mail_system_can_be_told(run: Run) -> None:
    checks = run("[milter]\nlisten = ['unix:/with blanks/s']\n")
    assert texts(checks, FAIL)[-1].startswith("[milter] listen: expected HOST:PORT")


def test_without_a_milter_nothing_is_said(run: Run) -> None:
    assert run("") == []


# -- Postfix


@pytest.fixture
def etc(place: Path) -> Path:
    etc = place / "etc"
    etc.mkdir()
    (etc / "main.cf").write_text(MAIN + f"queue_directory = {place}\n")
    (etc / "master.cf").write_text(MASTER)
    return etc


def configure(etc: Path, *args: str) -> None:
    command = [*args, "--apply", "--postfix-config", str(etc), "--postconf", require("postconf")]
    assert setup_postfix.run(command) == 0


def test_a_postfix_that_was_set_up(run: Run, etc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with MilterFilterDouble() as milter:
        configure(etc, "milter", "--listen", milter.address)
        capsys.readouterr()
        checks = run(listens(milter), "--postfix-config", str(etc), postconf=require("postconf"))
    assert texts(checks, WARN) + texts(checks, FAIL) == []
    assert f"smtpd_milters of smtp/inet: Postfix asks {milter.address}" in texts(checks, OK)
    assert f"{milter.address} answers: milter protocol 6" in texts(checks, OK)


def test_a_socket_below_the_queue_directory(run: Run, etc: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named from within, found from without; who may connect is what the socket and its directory say."""
    (place / "l").mkdir()
    place.chmod(0o755)
    with MilterFilterDouble(path=place / "l" / "s") as milter:
        configure(etc, "milter", "--listen", milter.address)
        capsys.readouterr()
        os.chmod(place / "l" / "s", 0o600)
        arguments = (listens(milter), "--postfix-config", str(etc))
        closed = run(*arguments, postconf=require("postconf"))
        os.chmod(place / "l" / "s", 0o666)
        opened = run(*arguments, postconf=require("postconf"))
    assert texts(opened, FAIL) + texts(opened, WARN) == []
    if os.geteuid() == 0:
        assert texts(closed, FAIL) == ["Postfix connects as postfix, and cannot: Permission denied"]
        assert f"Postfix may connect to {milter.address} as postfix" in texts(opened, OK)


def test_a_postfix_that_asks_somebody_else(run: Run, etc: Path) -> None:
    with MilterFilterDouble() as milter:
        checks = run(listens(milter), "--postfix-config", str(etc), postconf=require("postconf"))
    assert texts(checks, FAIL) == [f"no mail comes to Lazaretto at {milter.address}: no Milter"]


def test_scanned_twice(run: Run, etc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with MilterFilterDouble() as milter:
        configure(etc, "after-queue")
        extra = f"smtpd_milters = inet:{milter.address}\nnon_smtpd_milters = $smtpd_milters\n"
        (etc / "main.cf").write_text((etc / "main.cf").read_text() + extra)
        os.utime(etc / "main.cf", (0, 0))
        capsys.readouterr()
        text = listens(milter) + "[smtp]\nlisten = ['127.0.0.1:10025']\n"
        checks = run(text, "--postfix-config", str(etc), postconf=require("postconf"))
    assert "mail is scanned twice: content_filter leads to Lazaretto, too" in texts(checks, WARN)


# -- Sendmail


def test_a_sendmail_that_was_set_up(run: Run, place: Path) -> None:
    with MilterFilterDouble() as milter:
        (place / "s.cf").write_text(CF + sendmail.cf_text(sendmail.lines(milter.address)))
        checks = run(listens(milter), cf=str(place / "s.cf"))
    assert texts(checks, WARN) + texts(checks, FAIL) == []
    assert any(text.startswith("Xlazaretto: Sendmail asks inet:") for text in texts(checks, OK))


def test_a_sendmail_that_fails_open(run: Run, place: Path) -> None:
    with MilterFilterDouble() as milter:
        (place / "s.cf").write_text(CF + sendmail.cf_text(sendmail.lines(milter.address)).replace("F=T, ", ""))
        checks = run(listens(milter), cf=str(place / "s.cf"))
    assert texts(checks, FAIL) == ["Xlazaretto: mail passes unscanned while Lazaretto does not answer (no F=)"]


def test_no_sendmail(run: Run, place: Path) -> None:
    with MilterFilterDouble() as milter:
        assert texts(run(listens(milter), cf=str(place / "none")), FAIL) == [f"{place}/none is not there"]
        assert "Is a directory" in texts(run(listens(milter), cf=str(place)), FAIL)[0]


def test_of_two_the_one_that_asks(run: Run, place: Path, etc: Path) -> None:
    """A sendmail.cf beside Postfix, or the reverse: who asks us is looked at."""
    with MilterFilterDouble() as milter:
        (place / "s.cf").write_text(CF + sendmail.cf_text(sendmail.lines(milter.address)))
        checks = run(listens(milter), "--postfix-config", str(etc), postconf=require("postconf"), cf=str(place / "s.cf"))
        (place / "s.cf").write_text(CF)
        neither = run(listens(milter), "--postfix-config", str(etc), postconf=require("postconf"), cf=str(place / "s.cf"))
    assert texts(checks, FAIL) == []
    assert len(texts(neither, FAIL)) == 2


def test_whom_sendmail_is() -> None:
    assert run_as(read_cf("")) == "root"
    assert run_as(read_cf("O RunAsUser=smmsp:smmsp\n")) == "smmsp"


@pytest.mark.parametrize(("mode", "blame"), [(0o755, ""), (0o750, ""), (0o775, ""), (0o1777, ""), (0o775, "GroupWritableDirPathSafe")])
def test_what_sendmail_calls_unsafe(mode: int, blame: str, place: Path) -> None:
    """The same as the real one does."""
    if os.geteuid() != 0 or not os.path.isdir("/run"):
        missing("only root has directories that nobody else can write to")
    folder = Path(tempfile.mkdtemp(prefix="lz-", dir="/run"))
    try:
        folder.chmod(mode)
        more = f"define(`confDONT_BLAME_SENDMAIL', `{blame}')dnl\n" * bool(blame)
        lines = sendmail.mc_text(sendmail.lines(f"unix:{folder}/s"))
        cf = sendmail_files.cf_of(sendmail_files.HEAD + more + "MAILER(`smtp')dnl\n" + lines, place)
        with MilterFilterDouble(path=folder / "s"):
            said = sendmail_files.understood(cf, place, "-bs", "QUIT\n")
        found = [check.text for check in unsafe(f"{folder}/s", read_cf(cf))]
    finally:
        shutil.rmtree(folder)
    assert ("unsafe" in said) != ("220 sendmail.example" in said)
    assert ("unsafe" in said) == bool(found) == (mode & 0o22 != 0 and not blame), said
    assert all(f"may write to {folder}" in text for text in found)


def test_an_unsafe_socket_is_said(run: Run, place: Path) -> None:
    (place / "d").mkdir(mode=0o700)
    (place / "d").chmod(0o777)
    with MilterFilterDouble(path=place / "d" / "s") as milter:
        (place / "s.cf").write_text(CF + sendmail.cf_text(sendmail.lines(milter.address)))
        checks = run(listens(milter), cf=str(place / "s.cf"))
    assert texts(checks, FAIL) == [f"Sendmail calls {place}/d/s unsafe and does not connect: others than its owner may write to {place}/d"]


# -- mail


def test_what_it_would_do_with_mail(run: Run) -> None:
    mark = base64.b64encode(EICAR)[:40]
    with MilterFilterDouble(mark=mark) as milter:
        checks = run(listens(milter), "--send", "--to", "a@b.example", "--through", "unix:/no/such")
    assert [(check["about"], check["level"], check["text"]) for check in checks if check["about"].startswith("milter,")] == [
        ("milter, clean message", OK, "end: accept"),
        ("milter, EICAR", OK, "end: accept, adds X-Y, replaces the body"),
    ]
    assert b"R<a@b.example>\0" in milter.commands


def test_one_that_breaks_off(run: Run) -> None:
    with MilterFilterDouble(end=[HANG_UP]) as milter:
        checks = run(listens(milter), "--send", "--to", "a@b.example", "--through", "unix:/no/such")
    assert [check["level"] for check in checks if check["about"].startswith("milter,")] == [FAIL, FAIL]


BODY = ("replaces the body",)


@pytest.mark.parametrize(
    ("message", "outcome", "level"),
    [
        ("clean message", Outcome("end", "accept"), OK),
        ("clean message", Outcome("end", "accept", "", ("adds X-Virus-Scanned",)), OK),
        ("clean message", Outcome("mail", "accept"), OK),
        ("clean message", Outcome("end", "accept", "", BODY), FAIL),
        ("clean message", Outcome("end", "tempfail"), FAIL),
        ("clean message", Outcome("end", "reject"), FAIL),
        ("clean message", Outcome("end", "reply", "451 4.3.0 later"), FAIL),
        ("EICAR", Outcome("end", "accept", "", BODY), OK),
        ("EICAR", Outcome("end", "accept", "", ("has it held",)), OK),
        ("EICAR", Outcome("end", "reject"), OK),
        ("EICAR", Outcome("end", "discard"), OK),
        ("EICAR", Outcome("end", "reply", "554 5.7.1 no"), OK),
        ("EICAR", Outcome("end", "reply", "451 4.7.1 later"), FAIL),
        ("EICAR", Outcome("end", "accept", "", ("adds X-Virus-Scanned",)), FAIL),
        ("EICAR", Outcome("end", "shutdown"), FAIL),
    ],
)
def test_the_judgement(message: str, outcome: Outcome, level: str) -> None:
    check = judge(message, outcome)
    assert (check.level, check.about) == (level, f"milter, {message}")
    assert bool(check.advice) == (level == FAIL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_connecting_as_somebody_else(place: Path) -> None:
    place.chmod(0o755)
    with MilterFilterDouble(path=place / "s"):
        os.chmod(place / "s", 0o600)
        assert connect_as("nobody", f"{place}/s") == 13
        assert connect_as("root", f"{place}/s") == 0
        os.chmod(place / "s", 0o666)
        assert connect_as("nobody", f"{place}/s") == 0
    assert connect_as("nobody", f"{place}/none") == 2
