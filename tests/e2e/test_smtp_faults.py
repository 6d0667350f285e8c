"""docs/smtp-faults.md, cell by cell: what a client sees when the next hop misbehaves or a process is killed.

Whatever happens, the client hears 2xx only for a message that the next hop has taken, all of it; and when it is over, no
process, no file and no descriptor is left, and the next message goes through.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import peers
import smtp_session
from doubles import ClamdDouble
from listening import HANG_UP, SILENCE
from serving import eventually
from smtp_service import Service, alive, descriptors, kill
from smtp_session import RECIPIENT, SENDER, Answer, Closed, Outcome, Session, attempt, listens, stuffed
from smtp_sink import Sink

PAGE = Path(__file__).resolve().parents[2] / "docs" / "smtp-faults.md"
# More than a socket takes at once, so that its middle is a state of its own.
MESSAGE = b"Subject: a long one\r\n\r\n" + b"One of many lines, all alike.\r\n" * 20_000
OTHER = MESSAGE + b"And another.\r\n"  # what was scanned once is known
TIMES: dict[str, Any] = {"smtp.next_hop_timeout_s": 0.3, "smtp.end_of_data_timeout_s": 0.3, "smtp.next_hop_connect_timeout_s": 0.3}


class Cell(NamedTuple):
    row: str
    column: str
    expected: str


def cells(heading: str) -> list[Cell]:
    """The table below a heading of the page."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    return [Cell(row[0], re.sub("`", "", name), cell) for row in rows[2:] for name, cell in zip(rows[0][1:], row[1:], strict=True)]


def named(cell: Cell) -> str:
    return f"{cell.row}-{cell.column}".replace(" ", "-")


# -- the next hop misbehaves --------------------------------------------------------------------------------------

REPLIES = {
    "4xx": b"451 4.3.0 Later\r\n",
    "5xx": b"554 5.7.1 Never\r\n",
    "421 and hangs up": b"421 4.3.2 Closing\r\n" + HANG_UP,
    "hangs up": HANG_UP,
    "says nothing": SILENCE,
    "something else": b"hello there\r\n",
}
SWITCHES = {
    "4xx": ("-b", "451 4.3.0 Later", "-r"),
    "5xx": ("-B", "554 5.7.1 Never", "-f"),
    "421 and hangs up": ("-Q",),
    "hangs up": ("-q",),
}
HOP_CELLS = cells("The next hop misbehaves")


@pytest.fixture(scope="module")
def tolerant() -> Iterator[tuple[Service, Path]]:
    """A proxy, and where its next hop has to listen."""
    with Service("unix:/nowhere", **TIMES) as proxy:
        pass
    path = proxy.folder / "hop"
    proxy.folder.mkdir()
    proxy.configure(smtp__next_hop=f"unix:{path}")
    with proxy:
        yield proxy, path
        assert proxy.log.count(" event=crash") == 0, proxy.log
        assert proxy.stop() == 0
        assert proxy.family() == []


_times = itertools.count()


def once_more(proxy: Service, path: Path, before: list[str]) -> None:
    """With an honest next hop, the next message goes through; then the worker has nothing open that it had not before.

    When this message has its line, so have all before it.
    """
    path.unlink(missing_ok=True)
    sender = f"once-more-{next(_times)}@example.org"
    with Sink(path) as sink:
        assert str(attempt(proxy.address, MESSAGE, b"<" + sender.encode() + b">")) == "250 END"
        assert [one.data for one in sink.messages] == [MESSAGE]
    eventually(lambda: f"from={sender}" in proxy.log, "the line")
    eventually(lambda: descriptors(proxy.workers[0]) == before, "the end of all connections")
    assert proxy.leftovers() == []


@pytest.fixture
def before(tolerant: tuple[Service, Path]) -> list[str]:
    """What the worker has open between two messages."""
    proxy, path = tolerant
    path.unlink(missing_ok=True)
    return descriptors(proxy.workers[0])


@pytest.mark.parametrize("cell", HOP_CELLS, ids=named)
def test_next_hop_misbehaves(cell: Cell, tolerant: tuple[Service, Path], before: list[str]) -> None:
    proxy, path = tolerant
    lines = len(proxy.final_lines())
    with Sink(path) as sink:
        sink.twist = lambda step, _line, honest: REPLIES[cell.column] if step == cell.row else honest
        outcome = attempt(proxy.address, MESSAGE)
        assert str(outcome) == cell.expected
        assert [one.data for one in sink.messages] == ([MESSAGE] if str(outcome) == "250 END" else [])
        assert all(begun.data != MESSAGE or cell.row == "END" for begun in sink.begun)
    eventually(lambda: len(proxy.final_lines()) == lines + (cell.expected.split()[1] in ("RCPT", "END")), "a final line for each message")
    once_more(proxy, path, before)


@pytest.mark.parametrize("cell", [cell for cell in HOP_CELLS if cell.column in SWITCHES and cell.row != "CONTENT"], ids=named)
def test_real_next_hop_misbehaves(cell: Cell, tolerant: tuple[Service, Path], before: list[str]) -> None:
    """The same with smtp-sink."""
    proxy, path = tolerant
    command = [peers.require("smtp-sink"), *SWITCHES[cell.column], "." if cell.row == "END" else cell.row]
    with subprocess.Popen([*command, *(("-u", "nobody") if os.geteuid() == 0 else ()), f"unix:{path}", "10"]) as sink:
        try:
            eventually(lambda: listens(f"unix:{path}"), "smtp-sink")
            path.chmod(0o666)
            assert str(attempt(proxy.address, MESSAGE)) == cell.expected
        finally:
            sink.kill()
    once_more(proxy, path, before)


def test_no_next_hop(tolerant: tuple[Service, Path], before: list[str]) -> None:
    proxy, path = tolerant
    assert str(attempt(proxy.address, MESSAGE)) == "421 EHLO"
    once_more(proxy, path, before)


# -- a process is killed ------------------------------------------------------------------------------------------


class Site:
    """A proxy between a client and a next hop, with an engine, each of which can be held and killed."""

    def __init__(self, folder: Path) -> None:
        self.hold = ""  # "scanning", "delivering"
        self.held = threading.Event()
        self.release = threading.Event()
        self.sink = Sink()
        self.port = self.sink.listener.getsockname()
        self.sink.twist = lambda step, _line, honest: self.stop_at("delivering", honest) if step == "END" else honest
        self.socket = folder / "engine"
        self.start_engine()
        self.proxy = Service(self.sink.address, engine=f"clamd:{self.socket}", process__scanners=1)

    def start_engine(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.engine = ClamdDouble(self.socket)
        self.engine.twist = lambda command, honest: self.stop_at("scanning", honest) if command in ("zFILDES", "zINSTREAM") else honest

    def restart_next_hop(self) -> None:
        self.sink = Sink(listener=socket.create_server(self.port))

    def stop_at(self, state: str, honest: bytes) -> bytes:
        if self.hold == state:
            self.held.set()
            self.release.wait(smtp_session.PATIENCE_S)
        return honest

    def close(self) -> None:
        self.release.set()
        self.proxy.close()
        self.engine.close()
        self.sink.close()

    def strike(self, victim: str) -> None:
        proxy = self.proxy
        pids = {"scan processes": proxy.scanners, "worker": proxy.workers, "supervisor": [proxy.supervisor.pid]}.get(victim, [])
        if victim == "engine":
            self.engine.close()
        elif victim == "next hop":
            self.sink.close()
        elif victim == "next hop, restarted":
            self.sink.close()
            self.restart_next_hop()
        else:
            assert pids
            for pid in pids:
                kill(pid)
        if victim == "supervisor":
            assert proxy.supervisor.wait(smtp_session.PATIENCE_S) == -signal.SIGKILL
            eventually(lambda: "event=orphan" in proxy.log, "the worker's notice")
        eventually(lambda: not any(map(alive, pids)), "the end of the victim")

    def mend(self, victim: str) -> list[bytes]:
        """Start what does not start itself; the messages that the next hop had taken."""
        eventually(lambda: self.sink.idle, "the end of all that the next hop is told")
        taken = [one.data for one in self.sink.messages]
        if victim == "engine":
            self.start_engine()
        elif victim == "next hop":
            self.restart_next_hop()
        elif victim == "supervisor":
            eventually(lambda: self.proxy.family() == [], "the end of all that the supervisor had")
            self.proxy.start()
        self.sink.clear()
        self.hold = ""
        return taken


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    try:
        made.proxy.start()
        yield made
    finally:
        made.close()


HALF = len(MESSAGE) // 2
STATES: tuple[tuple[str, str, Callable[[Session], Answer]], ...] = (
    ("connected", "EHLO", lambda client: client.say(b"EHLO client.example")),
    ("EHLO", "MAIL", lambda client: client.say(b"MAIL FROM:" + SENDER)),
    ("MAIL", "RCPT", lambda client: client.say(b"RCPT TO:" + RECIPIENT)),
    ("RCPT", "DATA", lambda client: client.say(b"DATA")),
)


def deliver(site: Site, state: str, victim: str) -> Outcome:
    """Deliver MESSAGE; when `state` is reached, `victim` is killed."""
    struck = False

    def reached(name: str) -> None:
        nonlocal struck
        if name == state:
            struck = True
            site.strike(victim)
            site.release.set()

    site.hold = state
    step = "CONNECT"
    try:
        with Session(site.proxy.address) as client:
            answer = client.answer()
            for name, step, say in STATES:
                reached(name)
                answer = say(client)
                if not answer.positive:
                    return Outcome(step, answer)
            step = "END"
            client.send(MESSAGE[:HALF])
            reached("content")
            client.send(stuffed(MESSAGE)[HALF:])
            if state in ("scanning", "delivering"):
                assert site.held.wait(smtp_session.PATIENCE_S)
                reached(state)
            assert struck
            return Outcome(step, client.answer())
    except Closed:
        return Outcome(step, None)


@pytest.mark.parametrize("cell", cells("A process is killed"), ids=named)
def test_process_is_killed(cell: Cell, site: Site) -> None:
    proxy = site.proxy
    assert str(attempt(proxy.address, OTHER)) == "250 END"
    site.sink.clear()
    outcome = deliver(site, cell.row, cell.column)
    assert (str(outcome) if outcome.answer else "closed") == cell.expected
    taken = site.mend(cell.column)
    assert taken in ([], [MESSAGE])  # never another one, such as half of it
    if cell.expected == "250 END":
        assert taken == [MESSAGE]
    elif cell.row != "delivering":
        assert taken == []

    def again() -> bool:
        return str(attempt(proxy.address, MESSAGE)) == "250 END"

    eventually(again, "a proxy that works again")
    assert [one.data for one in site.sink.messages] == [MESSAGE]
    assert proxy.leftovers() == []
    assert proxy.stop() == 0
    assert proxy.family() == []


def test_who_takes_the_place_of_a_supervisor(site: Site) -> None:
    """A supervisor is killed and another one started while the first one's worker still has a message."""
    proxy = site.proxy
    site.hold = "delivering"
    with Session(proxy.address) as client:
        client.greet()
        client.begin()
        client.send(stuffed(MESSAGE))
        assert site.held.wait(smtp_session.PATIENCE_S)
        old = proxy.workers
        site.strike("supervisor")
        proxy.start()
        assert all(map(alive, old))
        site.release.set()
        assert client.answer().code == 250
        assert client.answer().code == 421  # it may go on with the other one
    assert str(attempt(proxy.address, OTHER)) == "250 END"
    assert [one.data for one in site.sink.messages] == [MESSAGE, OTHER]
    eventually(lambda: not any(map(alive, old)), "the end of the old worker")
    assert proxy.stop() == 0
    assert proxy.family() == []
