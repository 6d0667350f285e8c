"""Our milter is killed, all of it or a part, at each step of a message, behind Postfix and Sendmail.

The mail server has been told what then: the message is refused for now.  Nothing passes unscanned, nothing is lost, and when the
milter is there again, the sender's next try arrives, once.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import wrappings
from doubles import HANG_UP, ClamdDouble
from milter_program import MilterProgram
from milter_relay import Relay
from milter_site import CLEAN, SERVERS, Site, milter_site
from postfix import Postfix
from serving import eventually
from smtp_service import alive, kill
from smtp_session import RECIPIENT, Session, attempt

# Large enough for several pieces of body, before and after.
INFECTED = wrappings.attach(b"EVIL", "notes.txt", body=b"A line of the text that stays.\r\n" * 5_000) + b"\r\n"


class Step(NamedTuple):
    """The packet at which it happens: who sends it, its letter, and whether a whole message has come before."""

    name: str
    side: str
    codes: bytes
    at_end: bool = False


PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocols" / "milter.md"
STEPS = (
    Step("offer", "mta", b"O"),
    Step("options", "milter", b"O"),
    Step("connect", "mta", b"C"),
    Step("helo", "mta", b"H"),
    Step("mail", "mta", b"M"),
    Step("mail-answered", "milter", b"c"),
    Step("rcpt", "mta", b"R"),
    Step("header", "mta", b"L"),
    Step("body", "mta", b"B"),
    Step("end", "mta", b"E"),
    Step("header-inserted", "milter", b"i"),
    Step("body-replaced", "milter", b"b"),
    Step("verdict", "milter", b"acrtdy", at_end=True),
)


def cells() -> dict[str, dict[str, str]]:
    """The table of the page: what the client hears, by step and server."""
    section = PAGE.read_text(encoding="utf-8").split("## The milter is killed\n", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    return {row[0]: dict(zip(rows[0][2:], row[2:], strict=True)) for row in rows[2:]}


CELLS = cells()


class Attacked:
    """A site whose milter can be killed at any step."""

    def __init__(self, site: Site, relay: Relay, engine: ClamdDouble) -> None:
        self.site, self.relay, self.engine = site, relay, engine
        self.milter = site.milter

    def kill(self) -> None:
        """All of it, at once."""
        family = self.milter.family()
        assert family
        for pid in family:
            kill(pid)
        self.milter.supervisor.wait(30)
        eventually(lambda: not any(map(alive, family)), "its end")

    def works_again(self) -> None:
        """The message that was refused arrives, cleaned, and nothing else does."""
        eventually(lambda: str(attempt(self.site.address, INFECTED)) == "250 END", "a milter that works again")
        (one,) = self.site.arrived()
        assert b"This part of the message was removed" in one.data
        assert b"A line of the text that stays." in one.data
        assert b"RVZJTA" not in one.data  # EVIL
        self.site.nothing_waits()
        eventually(lambda: self.milter.leftovers() == [], "the end of all files")


@pytest.fixture(scope="module", params=SERVERS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with (
        ClamdDouble(tmp_path_factory.mktemp("engine") / "s") as engine,
        MilterProgram(engine=f"clamd:{engine.address.removeprefix('unix:')}") as milter,
        Relay(milter.listen) as relay,
        milter_site(request.param, milter=milter, through=relay.listen) as site,
    ):
        yield Attacked(site, relay, engine)


@pytest.fixture
def attacked(running: Attacked) -> Attacked:
    running.site.sink.clear()
    running.engine.twist = lambda _command, honest: honest
    if running.milter.supervisor.poll() is not None:
        running.milter.start()  # a test before has failed
    return running


def test_the_page_has_all_steps() -> None:
    assert list(CELLS) == [step.name for step in STEPS]
    assert all(outcome.startswith("4") for row in CELLS.values() for outcome in row.values())


@pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])
def test_killed(step: Step, attacked: Attacked) -> None:
    site = attacked.site
    copies: list[bytes] = []

    def strike() -> None:
        copies.extend(file.read_bytes() for file in attacked.milter.state.rglob("*.eml"))
        attacked.kill()

    shutil.rmtree(attacked.milter.state / "quarantine", ignore_errors=True)
    attacked.relay.strike(step.side, step.codes, strike, at_end=step.at_end)
    outcome = attempt(site.address, INFECTED)
    assert attacked.relay.struck.wait(30), outcome
    assert str(outcome) == CELLS[step.name][type(site.server).__name__]
    assert site.sink.messages == []
    assert site.server.queue() == []
    # R6: before anything is taken out, the original is on disk.
    taken_out = step.side == "milter" and (step.at_end or step.codes in (b"i", b"b"))
    assert [copy.endswith(INFECTED) or INFECTED.endswith(copy[-1000:]) for copy in copies] == [True] * taken_out
    attacked.milter.start()
    attacked.works_again()


@pytest.mark.parametrize("victim", ["all", "worker", "scan process"])
def test_killed_while_scanning(victim: str, attacked: Attacked) -> None:
    milter = attacked.milter
    scanned = 0

    def strike(command: str, honest: bytes) -> bytes:
        nonlocal scanned
        if command in ("zFILDES", "zINSTREAM"):
            scanned += 1
            if scanned == 1:
                pids = {"worker": milter.workers, "scan process": milter.scanners}.get(victim, [])
                if victim == "all":
                    attacked.kill()
                for pid in pids:
                    kill(pid)
                eventually(lambda: not any(map(alive, pids)), "the end of the victim")
        return honest

    attacked.engine.twist = strike
    outcome = attempt(attacked.site.address, INFECTED)
    assert scanned
    assert outcome.answer is not None
    assert (outcome.step, outcome.answer.code) == ("END", 451)
    assert attacked.site.sink.messages == []
    if victim == "all":
        milter.start()
    attacked.works_again()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_signal_while_scanning(number: signal.Signals, attacked: Attacked) -> None:
    """The message that is there is finished, under the configuration that it began with; after TERM, no other is begun."""
    milter, site = attacked.milter, attacked.site
    scanned = 0

    def strike(command: str, honest: bytes) -> bytes:
        nonlocal scanned
        if command in ("zFILDES", "zINSTREAM"):
            scanned += 1
            if scanned == 1:
                milter.supervisor.send_signal(number)
                if number == signal.SIGTERM:
                    eventually(lambda: not milter.listen.listens(), "the end of listening")
                else:
                    eventually(lambda: milter.log.count("event=reload ") > reloads, "the new configuration")
        return honest

    reloads = milter.log.count("event=reload ")
    attacked.engine.twist = strike
    with Session(site.address) as client:
        client.greet()
        assert client.deliver(INFECTED).code == 250
        site.arrived()
        site.sink.clear()
        client.say(b"QUIT")
    assert scanned
    if number == signal.SIGTERM:
        assert milter.supervisor.wait(30) == 0
        milter.start()
    attacked.works_again()


def test_engine_goes_away(attacked: Attacked) -> None:
    """The answer is a temporary failure, and the session goes on."""
    engine = attacked.engine
    with Session(attacked.site.address) as client:
        client.greet()
        engine.twist = lambda _command, _honest: HANG_UP
        answer = client.deliver(INFECTED)
        assert answer.code == 451
        engine.twist = lambda _command, honest: honest
        assert client.deliver(INFECTED).code == 250
    (one,) = attacked.site.arrived()
    assert b"This part of the message was removed" in one.data


def test_sessions_go_on(attacked: Attacked) -> None:
    """All scan processes are killed between two messages of a session: it does not notice."""
    site = attacked.site
    with Session(site.address) as client:
        client.greet()
        assert client.deliver(CLEAN).code == 250
        site.arrived()
        assert client.say(b"MAIL FROM:<other@example.org>").code == 250
        scanners = attacked.milter.scanners
        assert scanners
        for pid in scanners:
            kill(pid)
        eventually(lambda: not any(map(alive, scanners)), "their end")
        assert client.say(b"RCPT TO:" + RECIPIENT).code == 250
        assert client.say(b"DATA").code == 354
        client.send(CLEAN + b".\r\n")
        assert client.answer().code in (250, 451)  # 451 if it was given to one before it was known to be dead
        assert client.deliver(CLEAN).code == 250
    site.nothing_waits()
    site.sink.clear()
    attacked.works_again()


@pytest.mark.parametrize("running", ["postfix"], indirect=True)
def test_local_mail_waits(attacked: Attacked) -> None:
    """What sendmail(1) has taken stays, and arrives when the milter is back."""
    site = attacked.site
    server = site.server
    assert isinstance(server, Postfix)
    attacked.kill()
    before = server.log().count("milter")
    server.sendmail(INFECTED.replace(b"\r\n", b"\n"), "sender@example.org", "recipient@example.org")
    eventually(lambda: server.log().count("milter") > before, "a complaint about the milter")
    assert site.sink.messages == []
    attacked.milter.start()
    (one,) = site.arrived()
    assert b"This part of the message was removed" in one.data
    site.nothing_waits()
