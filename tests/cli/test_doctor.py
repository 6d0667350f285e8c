"""`lazaretto doctor`: what it sees, what it says to do, and how it ends."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eicar import EICAR
from lazaretto.cli import doctor, setup_postfix
from lazaretto.cli.doctor import age_days, judge, messages
from lazaretto.cli.postfix_audit import FAIL, OK, WARN
from lazaretto.engines.base import EngineInfo
from lazaretto.engines.yara import Yara
from lazaretto.mime.source import Source
from lazaretto.policy.config import parse
from lazaretto.scan import assemble
from lazaretto.scan.report import outcome
from mail_server_double import MailServerDouble
from peers import require

Run = Callable[..., tuple[int, list[dict[str, str]]]]
KEYWORDS = b"250-filter.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 XFORWARD NAME ADDR\r\n"
FULL = {b"EHLO": KEYWORDS, b"LHLO": KEYWORDS}


@pytest.fixture
def place() -> Iterator[Path]:
    directory = tempfile.mkdtemp()  # short, and open to others, as /tmp is
    yield Path(directory)
    shutil.rmtree(directory)


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit status and checks."""

    def go(*args: str, text: str = "", postconf: str = "") -> tuple[int, list[dict[str, str]]]:
        (place / "c.toml").write_text(text)
        own = ["--config", str(place / "c.toml"), "--state-dir", str(place), "--timeout-s", "5", "--postconf", postconf, "--json"]
        status = doctor.run([*own, *args])
        out, err = capsys.readouterr()
        assert err == ""
        checks = [json.loads(line) for line in out.splitlines()]
        worst = max((OK, WARN, FAIL).index(check["level"]) for check in checks)
        assert status == worst
        return status, checks

    return go


def about(checks: list[dict[str, str]], what: str) -> list[tuple[str, str]]:
    return [(check["level"], check["text"]) for check in checks if check["about"] == what]


def smtp(listen: MailServerDouble, hop: MailServerDouble) -> str:
    return f"[smtp]\nlisten = ['{listen.address}']\nnext_hop = '{hop.address}'\n"


# -- this program


def test_without_mail_servers(run: Run, place: Path) -> None:
    status, checks = run("--engine", "yara")
    assert about(checks, "configuration") == [(OK, str(place / "c.toml"))]
    assert about(checks, "engine yara")[0][0] == OK
    assert about(checks, "quarantine") == [(OK, f"{place}/quarantine (it will be made)")]
    assert status == 0


def test_a_wrong_configuration(run: Run) -> None:
    status, checks = run(text="[smtp]\nlisten = 5\n")
    assert (status, len(checks)) == (2, 1)
    assert "smtp.listen: expected" in checks[0]["text"]


@pytest.mark.parametrize(("required", "level"), [("true", FAIL), ("false", WARN)])
def test_an_engine_that_does_not_answer(run: Run, required: str, level: str) -> None:
    _, checks = run(text=f"[engines.yara]\n[engines.clamd]\naddresses = ['unix:/no/such']\nrequired = {required}\n")
    assert [found[0] for found in about(checks, "engine clamd")] == [level]
    assert "/no/such" in about(checks, "engine clamd")[0][1]


def test_nothing_that_scans(run: Run) -> None:
    assert about(run("--engine", "none")[1], "engines") == [(WARN, "nothing looks for malware")]


def test_an_engine_that_there_is_not(run: Run) -> None:
    assert about(run("--engine", "nobody")[1], "engines")[0][0] == FAIL


NOW = time.mktime((2026, 3, 11, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("signatures", "days"),
    [
        ("27900/Wed Mar  4 12:00:00 2026", 7),
        ("27900/Wed Mar 11 11:00:00 2026", 0.04),
        ("27900/Wed Mar 18 12:00:00 2026", 0),
        ("2026-03-01 of something", 10.5),
        ("21 rules", 0),
        ("2026-99-99", 0),
        ("", 0),
    ],
)
def test_the_age_of_signatures(signatures: str, days: float) -> None:
    assert age_days(signatures, NOW) == pytest.approx(days, abs=0.1)


def test_old_signatures(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Yara, "info", lambda _engine, _timeout_s: EngineInfo("Y", "2001-01-01"))
    level, text = about(run("--engine", "yara")[1], "engine yara")[0]
    assert level == WARN
    assert "days old" in text


def test_directories_that_cannot_be_written_to(run: Run, place: Path) -> None:
    (place / "file").touch()
    text = f"[filter]\nspool_directory = '{place}/file'\n[quarantine]\ndirectory = '{place}/file/q'\n"
    text += f"[backup]\nmode = 'all'\ndirectory = '{place}/b'\n"
    status, checks = run(text=text)
    assert status == 2
    assert about(checks, "spool") == [(FAIL, f"{place}/file cannot be written to by this user")]
    assert about(checks, "quarantine") == [(FAIL, f"{place}/file cannot be written to by this user")]
    assert about(checks, "backup") == [(OK, f"{place}/b (it will be made)")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_directories_of_somebody_else(run: Run, place: Path) -> None:
    text = f"[process]\nuser = 'nobody'\n[filter]\nspool_directory = '{place}/spool'\n[quarantine]\nenabled = false\n"
    (place / "spool").mkdir()
    place.chmod(0o755)
    assert about(run(text=text)[1], "spool") == [(FAIL, f"{place}/spool cannot be written to by nobody")]
    (place / "spool").chmod(0o777)
    assert about(run(text=text)[1], "spool") == [(OK, f"{place}/spool")]


def test_a_user_that_there_is_not(run: Run) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    assert about(run(text="[process]\nuser = 'no-such-user'\n")[1], "user")[0][0] == FAIL


# -- who answers


def test_all_answer(run: Run) -> None:
    with MailServerDouble(FULL) as filter_, MailServerDouble(FULL) as hop:
        status, checks = run("--engine", "yara", text=smtp(filter_, hop))
    assert about(checks, "Lazaretto") == [(OK, f"{filter_.address} answers: 220 double.example ESMTP")]
    assert about(checks, "next hop") == [(OK, f"{hop.address} answers: 220 double.example ESMTP")]
    assert about(checks, "EHLO") == [(OK, "8BITMIME DSN SMTPUTF8 XFORWARD")]
    assert status == 0


def test_lmtp(run: Run) -> None:
    with MailServerDouble(FULL) as filter_, MailServerDouble(FULL) as hop:
        run(text=smtp(filter_, hop) + "protocol = 'lmtp'\nnext_hop_protocol = 'smtp'\n")
    assert filter_.commands[0] == b"LHLO localhost"
    assert hop.commands[0] == b"EHLO localhost"


@pytest.mark.parametrize("greeting", [b"421 busy\r\n", b"nonsense\r\n", b"(hang up)"])
def test_one_that_is_not_well(run: Run, greeting: bytes) -> None:
    with MailServerDouble(FULL, greeting=greeting) as filter_, MailServerDouble(FULL) as hop:
        _, checks = run(text=smtp(filter_, hop))
    assert [level for level, _ in about(checks, "Lazaretto")] == [FAIL]
    assert about(checks, "EHLO") == []


def test_nobody_at_the_next_hop(run: Run, place: Path) -> None:
    with MailServerDouble(FULL) as filter_:
        _, checks = run(text=f"[smtp]\nlisten = ['{filter_.address}']\nnext_hop = 'unix:{place}/none'\n")
    assert about(checks, "next hop")[0][0] == FAIL


def test_what_is_not_announced(run: Run) -> None:
    with MailServerDouble() as filter_, MailServerDouble() as hop:
        _, checks = run(text=smtp(filter_, hop))
    advice = [check["advice"] for check in checks if check["about"] == "EHLO"]
    assert advice[0] == "[smtp] trusted"
    assert "smtpd_authorized_xforward_hosts" in advice[1]
    assert advice[2] == "for the smtpd in front: smtpd_discard_ehlo_keywords = smtputf8, dsn, silent-discard"


def test_a_next_hop_that_takes_us_for_the_client(run: Run) -> None:
    with MailServerDouble(FULL) as filter_, MailServerDouble() as hop:
        _, checks = run(text=smtp(filter_, hop))
        assert about(checks, "EHLO")[0] == (WARN, "the next hop does not announce XFORWARD: it takes Lazaretto for the client")
        _, checks = run(text=smtp(filter_, hop) + "next_hop_protocol = 'lmtp'\n")
        assert [level for level, _ in about(checks, "EHLO")] == [OK], "LMTP servers have no use for it"


# -- Postfix


def configured(place: Path, postconf: str, wiring: str, filter_: MailServerDouble, hop: MailServerDouble) -> str:
    etc = place / "etc"
    etc.mkdir()
    (etc / "main.cf").write_text("compatibility_level = 3.6\nmyhostname = mail.example\n")
    (etc / "master.cf").write_text("smtp inet n - y - - smtpd\n")
    args = [wiring, "--apply", "--postfix-config", str(etc), "--postconf", postconf, "--listen", filter_.address, "--next-hop", hop.address]
    assert setup_postfix.run(args) == 0
    return str(etc)


@pytest.mark.parametrize("wiring", ["before-queue", "after-queue"])
def test_a_postfix_that_was_set_up(run: Run, place: Path, capsys: pytest.CaptureFixture[str], wiring: str) -> None:
    postconf = require("postconf")
    with MailServerDouble(FULL) as front, MailServerDouble(FULL) as filter_, MailServerDouble(FULL) as hop:
        etc = configured(place, postconf, wiring, filter_, hop)
        capsys.readouterr()
        text = smtp(filter_, hop) + "end_of_data_timeout_s = 300.0\n"
        status, checks = run("--engine", "yara", "--postfix-config", etc, "--through", front.address, text=text, postconf=postconf)
    assert [check for check in checks if check["level"] != OK] == []
    assert (status, len(front.commands)) == (0, 2 if wiring == "before-queue" else 0)
    assert len(about(checks, "wiring")) == 1


def test_a_front_that_announces_more(run: Run, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    postconf = require("postconf")
    announced = KEYWORDS.replace(b"250-DSN", b"250-CHUNKING\r\n250-DSN")
    fewer = KEYWORDS.replace(b"250-DSN\r\n", b"")
    with MailServerDouble({b"EHLO": announced}) as front, MailServerDouble({b"EHLO": fewer}) as filter_, MailServerDouble(FULL) as hop:
        etc = configured(place, postconf, "before-queue", filter_, hop)
        capsys.readouterr()
        _, checks = run("--postfix-config", etc, "--through", front.address, text=smtp(filter_, hop), postconf=postconf)
    wrong = [check for check in checks if check["about"] == "EHLO"]
    assert wrong[0]["text"] == "the server in front announces, and Lazaretto does not: DSN CHUNKING"
    assert wrong[0]["advice"].endswith("smtpd_discard_ehlo_keywords = dsn, chunking, silent-discard")


def test_a_filter_with_the_name_of_postfix(run: Run, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    postconf = require("postconf")
    with MailServerDouble(FULL, greeting=b"220 Mail.Example ESMTP\r\n") as filter_, MailServerDouble(FULL) as hop:
        etc = configured(place, postconf, "after-queue", filter_, hop)
        capsys.readouterr()
        _, checks = run("--postfix-config", etc, text=smtp(filter_, hop), postconf=postconf)
    assert about(checks, "Lazaretto")[0][0] == WARN


def test_no_postfix(run: Run, place: Path) -> None:
    assert about(run("--engine", "yara", postconf="/no/postconf")[1], "postfix")[0][0] == WARN
    postconf = require("postconf")
    assert about(run("--postfix-config", str(place), postconf=postconf)[1], "postfix")[0][0] == FAIL


# -- mail


def test_the_messages_are_what_they_say(place: Path) -> None:
    made = messages("", "a@b.example", "token")
    scanner = assemble.scanner(parse([("c", "[quarantine]\nenabled = false\n")]), ["yara"], str(place))
    found = {name: outcome(scanner.scan(Source(content))) for name, content in made.items()}
    scanner.close()
    assert found == {"clean message": "clean", "EICAR": "cleaned"}
    assert all(b"\nSubject: lazaretto doctor token: " in content for content in made.values())
    assert all(EICAR not in content and b"\n" not in content.replace(b"\r\n", b"") for content in made.values())


def test_what_came_back(run: Run) -> None:
    with MailServerDouble(FULL, refused=base64.b64encode(EICAR)) as front:
        _, checks = run("--engine", "yara", "--send", "--to", "a@b.example", "--from", "me@b.example", "--through", front.address)
    assert about(checks, "clean message") == [(OK, "end of data: 250 2.0.0 taken")]
    assert about(checks, "EICAR") == [(OK, "end of data: 550 5.7.1 malware")]
    assert front.commands[:5] == [b"EHLO localhost", b"QUIT", b"EHLO localhost", b"MAIL FROM:<me@b.example>", b"RCPT TO:<a@b.example>"]


def test_a_server_that_is_not_there(run: Run) -> None:
    status, checks = run("--engine", "yara", "--send", "--to", "a@b", "--through", "unix:/no/such")
    assert status == 2
    assert [level for level, _ in about(checks, "clean message") + about(checks, "EICAR")] == [FAIL, FAIL]


@pytest.mark.parametrize(
    ("message", "step", "code", "level"),
    [
        ("clean message", "end of data", 250, OK),
        ("clean message", "end of data", 451, FAIL),
        ("clean message", "end of data", 554, FAIL),
        ("clean message", "RCPT", 550, FAIL),
        ("EICAR", "end of data", 250, OK),
        ("EICAR", "end of data", 451, FAIL),
        ("EICAR", "end of data", 554, OK),
        ("EICAR", "RCPT", 550, FAIL),
    ],
)
def test_the_judgement(message: str, step: str, code: int, level: str) -> None:
    check = judge(message, step, code, "text", "token")
    assert (check.level, check.about, check.text) == (level, message, "text")
    assert check.advice


def test_as_text(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "c.toml").write_text("")
    assert doctor.run(["--config", str(place / "c.toml"), "--state-dir", str(place), "--postconf", "", "--engine", "none"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"OK    configuration: {place}/c.toml"
    assert "WARN  engines: nothing looks for malware" in lines
    assert lines[lines.index("WARN  engines: nothing looks for malware") + 1].startswith("      -> ")


def test_a_wrong_command_line() -> None:
    with pytest.raises(SystemExit) as ended:
        doctor.run(["--send"])
    assert ended.value.code == 2  # main makes 64 of it
