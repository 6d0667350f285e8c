"""What a client of the scan server gets to see, and what is logged: a conversation over a pair of sockets."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import obedient
import scanners
import wrappings
from eicar import EICAR
from lazaretto.frontends import conversation
from lazaretto.frontends.conversation import Conversation, Served
from lazaretto.limits import DEFAULT
from lazaretto.mime.source import Source
from lazaretto.model import Envelope, Report
from lazaretto.policy.config import parse
from lazaretto.scan.job import Scanner
from lazaretto.store.spool import Spool

CLEAN = wrappings.single(b"Content-Type: text/plain\r\n", b"hello\r\n")
INFECTED = wrappings.attach(EICAR, "a.txt")
ANNOUNCED = b"X-Lazaretto-Status: clean\r\n"
RULES = """
[[rule]]
name = "no"
action = "reject"
text = "not with us"
finding = "Refused"
[[rule]]
name = "away"
action = "discard"
finding = "Dropped"
"""


class Board:
    """What the parent would see."""

    def __init__(self) -> None:
        self.deadlines: list[float] = []
        self.messages: list[bool] = []

    def until(self, deadline: float) -> None:
        self.deadlines.append(deadline)

    def in_hand(self, message: bool) -> None:
        self.messages.append(message)


class Desk:
    """A server's side with a scanner, and the client's end of the pair."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scanner = scanners.make(folder, [*scanners.embedded(), obedient.Obedient()], parse([("rules", RULES)]).policy)
        self.lines: list[tuple[str, int]] = []
        self.board = Board()
        self.timeout_s = 20.0
        self.uid: int | None = None
        self.infile, self.outfile = folder / "in", folder / "out"
        self.infile.write_bytes(CLEAN)
        self.outfile.write_bytes(b"old")

    def talk(self, data: bytes, *, close: bool = True, hear: Callable[[socket.socket], bytes] | None = None) -> tuple[bytes, bool]:
        """All that the server answers to `data`, and whether the client might go on.  `close`: it does not."""
        here, there = socket.socketpair()
        heard: list[bytes] = []

        def client() -> None:
            with here:
                try:
                    here.sendall(data)
                    if close:
                        here.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                heard.append((hear or everything)(here))

        thread = threading.Thread(target=client)
        thread.start()
        with there:
            served = Served(self.scanner, lambda text, level: self.lines.append((text, level)))
            kept = Conversation(there, served, [str(self.folder)], self.timeout_s, self.board, self.uid).run()
        thread.join()
        return heard[0], kept

    def files(self) -> bytes:
        return b"SCAN %s %s\n" % (os.fsencode(self.infile), os.fsencode(self.outfile))

    @property
    def line(self) -> str:
        """The one line."""
        assert len(self.lines) == 1
        return self.lines[0][0]


def everything(sock: socket.socket) -> bytes:
    pieces = []
    try:
        while piece := sock.recv(1 << 16):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def stream(message: bytes, attributes: bytes = b"") -> bytes:
    return b"STREAM %d%s\n%s" % (len(message), attributes, message)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    before = len(os.listdir("/proc/self/fd"))
    yield Desk(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_ping_and_quit(desk: Desk) -> None:
    assert desk.talk(b"PING\n\nping\r\n") == (b"0 PONG\n0 PONG\n", True)
    assert desk.talk(b"PING\nQUIT\nPING\n") == (b"0 PONG\n", False)
    assert desk.lines == []


def test_clean_files(desk: Desk) -> None:
    assert desk.talk(desk.files()) == (b"0 unchanged\n", True)
    assert desk.outfile.read_bytes() == ANNOUNCED + CLEAN
    assert desk.infile.read_bytes() == CLEAN
    assert re.match("lazaretto: outcome=clean id=", desk.line)
    assert desk.lines[0][1] == 6
    assert desk.board.messages == [True, False]


def test_infected_files(desk: Desk) -> None:
    desk.infile.write_bytes(INFECTED)
    desk.outfile.chmod(0o604)
    assert desk.talk(desk.files()) == (b"1 modified\n", True)
    output = desk.outfile.read_bytes()
    assert output.startswith(b"X-Lazaretto-Status: cleaned")
    assert wrappings.b64(EICAR)[:60] not in output
    assert desk.outfile.stat().st_mode & 0o777 == 0o604
    assert desk.lines[0][1] == 4


@pytest.mark.parametrize("form", [b"%s %s\n", b"%s\n%s\n", b" %s\t%s \r\n", b"%s\r\n%s\r\n", b"scan %s %s id=Q7\n"])
def test_forms(desk: Desk, form: bytes) -> None:
    assert desk.talk(form % (os.fsencode(desk.infile), os.fsencode(desk.outfile))) == (b"0 unchanged\n", True)
    assert desk.outfile.read_bytes() == ANNOUNCED + CLEAN


def test_stream(desk: Desk) -> None:
    output = ANNOUNCED + CLEAN
    answer = b"0 %d unchanged\n%s" % (len(output), output)
    assert desk.talk(stream(CLEAN)) == (answer, True)
    assert desk.talk(stream(CLEAN) + b"PING\n" + stream(CLEAN)) == (answer + b"0 PONG\n" + answer, True)
    assert len(desk.lines) == 3


def test_size_of_a_stream_is_that_of_what_follows(desk: Desk) -> None:
    answer, kept = desk.talk(stream(INFECTED))
    head, _, output = answer.partition(b"\n")
    assert head == b"1 %d modified" % len(output)
    assert output.startswith(b"X-Lazaretto-Status: cleaned")
    assert kept


def test_empty_stream(desk: Desk) -> None:
    assert desk.talk(stream(b"") + b"PING\n") == (b"0 0 unchanged\n0 PONG\n", True)


def test_large_stream_goes_through_a_file(desk: Desk) -> None:
    message = CLEAN + b"0123456789abcdef\r\n" * 100_000
    answer, kept = desk.talk(stream(message))
    assert answer == b"0 %d unchanged\n" % (len(ANNOUNCED) + len(message)) + ANNOUNCED + message
    assert kept


def test_envelope_is_logged(desk: Desk) -> None:
    desk.talk(stream(CLEAN, b" from= to=a%40b to=c id=4F2K1 client=192.0.2.1"))
    assert " queue_id=4F2K1 from=<> to=a@b,c client=192.0.2.1 " in desk.line


@pytest.mark.parametrize(
    ("order", "code", "text", "outcome"),
    [
        ("find Refused", 4, "not with us", "rejected"),
        ("find Dropped", 5, "discarded", "discarded"),
        ("fail", 2, "Message could not be checked, try again later", "deferred"),
    ],
)
def test_no_output(desk: Desk, order: str, code: int, text: str, outcome: str) -> None:
    message = obedient.message(order)
    assert desk.talk(stream(message)) == (f"{code} 0 {text}\n".encode(), True)
    desk.infile.write_bytes(message)
    assert desk.talk(desk.files()) == (f"{code} {text}\n".encode(), True)
    assert desk.outfile.read_bytes() == b"old"
    assert [outcome in line for line, _ in desk.lines] == [True, True]


# -- what clients do wrong


def test_nonsense_is_answered_and_ends_it(desk: Desk) -> None:
    answer, kept = desk.talk(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"x" * 500_000)
    assert answer == b"3 bad request: expected SCAN, STREAM, PING, QUIT or two absolute paths\n"
    assert not kept
    assert desk.line.startswith("lazaretto: event=bad-request error=")


def test_bad_stream_is_answered_in_the_form_of_streams(desk: Desk) -> None:
    assert desk.talk(b"STREAM x\n") == (b"3 0 bad request: expected STREAM size\n", False)


def test_refused_files(desk: Desk) -> None:
    (desk.folder / "link").symlink_to("/etc/shadow")
    for infile in (desk.folder / "link", "/etc/shadow"):
        answer, kept = desk.talk(f"SCAN {infile} {desk.outfile}\nPING\n".encode())
        assert re.fullmatch(rb"3 [^\n]*(symbolic link|not below a directory)[^\n]*\n0 PONG\n", answer)
        assert kept
    assert desk.outfile.read_bytes() == b"old"
    assert all(re.match(r'lazaretto: outcome=deferred rule=system error="refused: ', line) and level == 4 for line, level in desk.lines)
    assert len(desk.lines) == 2


def test_files_of_another_user(desk: Desk) -> None:
    desk.uid = os.getuid() + 1
    assert desk.talk(desk.files()) == (b"3 the files belong to another user\n", True)


def test_too_large_a_stream_is_not_read(desk: Desk) -> None:
    desk.scanner.limits = DEFAULT._replace(max_message_bytes=1000)
    answer, kept = desk.talk(stream(b"x" * 5_000_000))
    assert (answer, kept) == (b"2 0 max_message_bytes reached: more than 1000 bytes\n", False)


def test_too_large_a_file(desk: Desk) -> None:
    desk.scanner.limits = DEFAULT._replace(max_message_bytes=10)
    answer, kept = desk.talk(desk.files())
    assert answer.startswith(b"2 max_message_bytes reached: more than 10 bytes")
    assert kept
    assert desk.outfile.read_bytes() == b"old"
    assert "outcome=deferred rule=system" in desk.line


@pytest.mark.parametrize("part", [b"PI", b"/only/one\n", b"STREAM"])
def test_half_a_request(desk: Desk, part: bytes) -> None:
    assert desk.talk(part) == (b"", False)
    desk.timeout_s = 0.05
    assert desk.talk(part, close=False) == (b"2 the request did not arrive in time\n", False)
    assert desk.lines == []


def test_half_a_message(desk: Desk) -> None:
    """It was announced, so it has its line; nothing of it counts."""
    half = stream(CLEAN)[:-3]
    assert desk.talk(half) == (b"2 0 the client hung up within a request\n", False)
    assert "outcome=deferred rule=system" in desk.line
    assert "hung up within a request" in desk.line
    desk.lines.clear()
    desk.timeout_s = 0.05
    assert desk.talk(half, close=False) == (b"2 0 the request did not arrive in time\n", False)
    assert "did not arrive in time" in desk.line


def test_nothing_at_all(desk: Desk) -> None:
    assert desk.talk(b"") == (b"", False)
    assert desk.lines == []


def test_client_that_does_not_wait_for_the_answer(desk: Desk) -> None:
    desk.talk(stream(CLEAN * 20_000), hear=lambda sock: b"")
    assert "outcome=deferred" in desk.line
    assert "client does not take the answer" in desk.line


def test_client_that_does_not_read_the_answer(desk: Desk) -> None:
    done = threading.Event()
    desk.timeout_s = 0.3
    original = desk.board.in_hand

    def in_hand(message: bool) -> None:
        original(message)
        if not message:
            done.set()

    desk.board.in_hand = in_hand  # type: ignore[method-assign]
    _, kept = desk.talk(stream(CLEAN * 20_000), hear=lambda sock: b"%d" % done.wait(20))
    assert not kept
    assert "client does not take the answer: timed out" in desk.line


# -- what goes wrong here


def test_full_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if os.readlink(f"/proc/self/fd/{fd}") == str(desk.outfile):
            raise OSError(28, "No space left on device")
        return real(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        answer, kept = desk.talk(desk.files())
    assert (answer, kept) == (b"2 cannot write the output file: No space left on device\n", True)
    assert desk.outfile.read_bytes() == b""
    assert 'outcome=deferred rule=system error="cannot write the output file' in desk.line


def test_spool_that_cannot_be_written_ends_the_connection(desk: Desk) -> None:
    desk.scanner.spool_directory = str(desk.folder / "nowhere")
    answer, kept = desk.talk(stream(CLEAN + b"x" * 5_000_000))
    assert re.fullmatch(rb"2 0 cannot create a spool file in [^\n]*\n", answer)
    assert not kept  # where the next request begins, is not known


def test_a_bug_is_one_message_s_failure(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(self: Scanner, source: Source, envelope: Envelope = Envelope(), *, dry_run: bool = False, spool: Spool | None = None) -> Report:
        raise ZeroDivisionError("oh")

    with monkeypatch.context() as patch:
        patch.setattr(Scanner, "scan", bug)
        answer, kept = desk.talk(stream(CLEAN) + b"PING\n")
    assert re.fullmatch(rb"2 0 internal error, please report: ZeroDivisionError: oh[^\n]*\n0 PONG\n", answer)
    assert kept
    assert "internal error" in desk.line
    assert desk.lines[0][1] == 3


def test_a_failure_within_the_answer_breaks_it_off(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second answer after half of the first would be taken for the rest of the message."""

    def breaks(_source: Source, _edits: object) -> Iterator[bytes]:
        yield b"first"
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(conversation, "render", breaks)
        answer, kept = desk.talk(stream(CLEAN))
    assert answer == b"0 %d unchanged\nfirst" % (len(ANNOUNCED) + len(CLEAN))
    assert not kept
    assert 'outcome=deferred rule=system error="Input/output error"' in desk.line


def test_the_line_comes_behind_the_answer_and_the_flush(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real_fsync, real_send = os.fsync, Conversation._send

    def fsync(fd: int) -> None:
        order.append("flush")
        real_fsync(fd)

    def send(self: Conversation, chunks: object) -> None:
        order.append("answer")
        real_send(self, chunks)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        patch.setattr(Conversation, "_send", send)
        desk.lines = Recorder(order)
        desk.talk(desk.files())
    assert order == ["flush", "answer", "log"]


class Recorder(list[tuple[str, int]]):
    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self.order = order

    def append(self, line: tuple[str, int]) -> None:
        self.order.append("log")
        super().append(line)
