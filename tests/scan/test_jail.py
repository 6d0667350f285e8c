"""A walker in a child: same members as without, and nothing of what kills the child reaches the parent."""

from __future__ import annotations

import faulthandler
import os
import signal
import struct
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest

import unpacking
from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT, Meter
from lazaretto.model import Reason
from lazaretto.scan import jail


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Children crash on purpose here; their tracebacks are no news."""
    was = faulthandler.is_enabled()
    faulthandler.disable()
    yield
    if was:
        faulthandler.enable()


def collected(inner: jail.Walk, meter: Meter | None = None) -> list[object]:
    """Members with their data and how they ended, and problems."""
    found: list[object] = []
    for member in jail.walk("cab", inner, meter or Meter()):
        if isinstance(member, Problem):
            found.append(member)
            continue
        data, end = b"", ""
        try:
            for chunk in member.chunks:
                data += chunk
        except BrokenMember as broken:
            end = f"{broken.name}: {broken.detail} ({broken.reason.value})"
        found.append((member.names, data, end, member.is_file, member.media_type))
    return found


def test_members_and_problems_come_through() -> None:
    odd = ("a.txt", "b\udcff.txt", "c\0\n\xff.txt", "")

    def broken() -> Iterator[bytes]:
        yield b"prefix"
        raise BrokenMember("x.crc", "wrong", Reason.ENCRYPTED)

    def inner() -> Iterator[Member | Problem]:
        yield Problem("x.remark", "detail")
        yield Member(odd, [b"one", b"", b"two" * (1 << 19)], media_type="text/plain")
        yield Member(("second",), broken(), is_file=False)
        yield Problem("x.locked", "", Reason.ENCRYPTED)

    assert collected(inner) == [
        Problem("x.remark", "detail"),
        (odd, b"one" + b"two" * (1 << 19), "", True, "text/plain"),
        (("second",), b"prefix", "x.crc: wrong (encrypted)", False, ""),
        Problem("x.locked", "", Reason.ENCRYPTED),
    ]


def _die(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_a_broken_archive(number: signal.Signals) -> None:
    def inner() -> Iterator[Member | Problem]:
        yield Member(("a",), [b"whole"])
        _die(number)
        yield Member(("b",), [])

    members = collected(inner)
    assert members[0] == (("a",), b"whole", "", True, "")
    assert isinstance(members[1], Problem)
    assert members[1][::2] == ("cab.crashed", Reason.BROKEN)


def test_a_crash_within_a_member_keeps_what_came_before() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"prefix"
        _die(signal.SIGSEGV)

    found = collected(lambda: iter([Member(("a",), chunks())]))
    assert found[0] == (("a",), b"prefix", "cab.crashed: the unpacker did not survive this archive (broken)", True, "")


def test_any_exception_is_a_crash() -> None:
    def inner() -> Iterator[Member | Problem]:
        raise ZeroDivisionError
        yield

    assert [type(found) for found in collected(inner)] == [Problem]


def test_a_child_that_never_ends_meets_the_deadline() -> None:
    def inner() -> Iterator[Member | Problem]:
        while True:
            signal.pause()
        yield

    with pytest.raises(LimitExceeded) as caught:
        collected(inner, Meter(deadline=time.monotonic() + 0.05, clock=time.monotonic))
    assert caught.value.limit == "max_scan_s"


def test_memory_is_limited() -> None:
    def inner() -> Iterator[Member | Problem]:
        bytearray(jail.MEMORY_BYTES * 2)
        yield Member((), [])

    assert [type(found) for found in collected(inner)] == [Problem]


def test_files_cannot_be_written(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "file")

    def inner() -> Iterator[Member | Problem]:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        with open(path, "wb", buffering=0) as file:
            file.write(b"x")
        yield Member((), [])

    collected(inner)
    assert not os.path.exists(path) or os.path.getsize(path) == 0


@pytest.mark.parametrize(("limit", "members"), [("max_members", 3), ("max_unpacked_bytes", 1)])
def test_the_parents_meter_counts(limit: str, members: int) -> None:
    limits = DEFAULT._replace(max_members=2, max_unpacked_bytes=10)
    with pytest.raises(LimitExceeded) as caught:
        collected(lambda: iter([Member((), [b"x" * (11 if members == 1 else 1)]) for _ in range(members)]), Meter(limits))
    assert caught.value.limit == limit


def test_limits_of_the_child_are_told() -> None:
    def inner() -> Iterator[Member | Problem]:
        raise LimitExceeded("max_ratio", "1 from 2")
        yield

    with pytest.raises(LimitExceeded, match="1 from 2"):
        collected(inner)


def test_an_abandoned_walk_leaves_no_child() -> None:
    walk = jail.walk("7z", lambda: iter([Member(("a",), [b"x"]), Member(("b",), [b"y"])]), Meter())
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(
    "frames", [b"", b"\0", b"\x09\0\0\0\0", b"\0\xff\xff\xff\xff", b"\1\0\0\0\1x", b"\0\0\0\0\2ab", b"\4\0\0\0\0", b"\5\0\0\0\0"]
)
def test_nonsense_from_the_child(frames: bytes) -> None:
    """A child that was taken over may say anything; the parent ends with members, problems, or a limit."""
    reader, writer = os.pipe()
    os.write(writer, frames)
    os.close(writer)
    try:
        for member in jail._Parent("cab", reader, Meter()).members():
            if isinstance(member, Member):
                with pytest.raises(BrokenMember):
                    list(member.chunks)
    except LimitExceeded:
        pass
    finally:
        os.close(reader)


@pytest.mark.parametrize("name", ["cab_lzx_oob.cab", "cab_skip_malformed.cab", "xar_doublelink.xar"])
def test_archives_that_break_libarchive(name: str) -> None:
    """Known to crash libarchive 3.6.2, or to keep it busy for ever: the process lives, and something is said."""
    from lazaretto.content import archive
    from lazaretto.mime.source import Source

    source = Source(unpacking.sample(f"read_format_{name}"))
    meter = Meter(DEFAULT._replace(max_unpack_s=1))
    kind = name.rpartition(".")[2]
    found = collected(lambda: archive.walk(kind, source, meter), meter)
    assert any(isinstance(one, Problem) or (isinstance(one, tuple) and one[2]) for one in found)


# -- what goes over the pipe, in one process


def said(*frames: bytes) -> list[object]:
    """What the parent makes of these frames: members with their data and end, problems, the limit that ended all."""
    found: list[object] = []
    with tempfile.TemporaryFile() as file:
        file.write(b"".join(frames))
        file.flush()
        file.seek(0)
        try:
            for one in jail._Parent("cab", file.fileno(), Meter()).members():
                if isinstance(one, Problem):
                    found.append(one)
                    continue
                data, end = b"", ""
                try:
                    for chunk in one.chunks:
                        data += chunk
                except BrokenMember as broken:
                    end = f"{broken.name}: {broken.detail} ({broken.reason.value})"
                found.append((one.names, data, end, one.is_file, one.media_type))
        except LimitExceeded as limit:
            found.append(f"{limit.limit}: {limit.detail}")
    return found


def frame(kind: int, *texts: bytes, size: int = -1) -> bytes:
    body = b"".join(struct.pack("!I", len(text)) + text for text in texts)
    return struct.pack("!BI", kind, len(body) if size < 0 else size) + body


def data(chunk: bytes) -> bytes:
    return struct.pack("!BI", jail._DATA, len(chunk)) + chunk


DONE, END = frame(jail._DONE), frame(jail._END)
A = frame(jail._MEMBER, b"file", b"text/plain", b"a", b"b")
CRASHED = Problem("cab.crashed", "the unpacker did not survive this archive", Reason.BROKEN)
CUT_OFF = "cab.crashed: the unpacker did not survive this archive (broken)"


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ((DONE,), []),
        ((DONE, A), []),  # nothing after the end is heard
        ((A, END, DONE), [(("a", "b"), b"", "", True, "text/plain")]),
        ((A, data(b"x"), data(b""), data(b"yz"), END, DONE), [(("a", "b"), b"xyz", "", True, "text/plain")]),
        ((frame(jail._MEMBER, b"", b""), END, DONE), [((), b"", "", False, "")]),
        ((frame(jail._MEMBER), END, DONE), [((), b"", "", False, "")]),
        ((frame(jail._MEMBER, b"FILE", b"", b"\xff\0"), END, DONE), [(("\udcff\0",), b"", "", False, "")]),
        ((A, data(b"x"), frame(jail._BROKEN, b"n", b"d", b"limit"), DONE), [(("a", "b"), b"x", "n: d (limit)", True, "text/plain")]),
        ((A, frame(jail._BROKEN, b"n", b"d", b"no reason"), DONE), [(("a", "b"), b"", "n: d (broken)", True, "text/plain")]),
        ((A, data(b"x"), frame(jail._LIMIT, b"max_ratio", b"1"), DONE), ["max_ratio: 1"]),
        ((A, data(b"x"), DONE), [(("a", "b"), b"x", CUT_OFF, True, "text/plain"), CRASHED]),
        ((A, A, END, DONE), [(("a", "b"), b"", CUT_OFF, True, "text/plain"), CRASHED]),
        ((A, END, END, DONE), [(("a", "b"), b"", "", True, "text/plain"), CRASHED]),
        ((frame(jail._PROBLEM, b"n", b"d", b"encrypted"), DONE), [Problem("n", "d", Reason.ENCRYPTED)]),
        ((frame(jail._PROBLEM, b"n", b"d", b""), DONE), [Problem("n", "d", None)]),
        ((frame(jail._PROBLEM, b"n"), DONE), [Problem("n", "", None)]),
        ((frame(jail._PROBLEM, b"n", b"d", b"broken", b"more"), DONE), [Problem("n", "d", Reason.BROKEN)]),
        ((frame(jail._LIMIT, b"max_members", b"2"), DONE), ["max_members: 2"]),
        ((data(b"x"), DONE), [CRASHED]),
        ((b"",), [CRASHED]),
        ((DONE[:4],), [CRASHED]),
        ((frame(99), DONE), [CRASHED]),
        ((frame(jail._PROBLEM, b"n", size=9), DONE[:3]), [CRASHED]),  # cut
        ((frame(jail._PROBLEM, size=jail._MAX_FRAME + 1) + bytes(jail._MAX_FRAME + 1), DONE), [CRASHED]),  # too large
    ],
)
def test_what_a_child_may_say(frames: tuple[bytes, ...], expected: list[object]) -> None:
    assert said(*frames) == expected


def sent(*calls: Callable[[jail._Sender], None]) -> bytes:
    with tempfile.TemporaryFile() as file:
        sender = jail._Sender(file.fileno())
        for call in calls:
            call(sender)
        file.seek(0)
        return file.read()


def test_frames_of_texts() -> None:
    assert sent(lambda sender: sender.texts(jail._DONE)) == b"\x06\0\0\0\0"
    assert sent(lambda sender: sender.texts(jail._MEMBER, "a", "", "\u00fc\udcff")) == frame(jail._MEMBER, b"a", b"", b"\xc3\xbc\xff")
    assert sent(lambda sender: sender.texts(jail._PROBLEM, "x" * 5000)) == frame(jail._PROBLEM, b"x" * 4096)
    assert sent(lambda sender: sender.texts(jail._MEMBER, *"x" * 99)) == frame(jail._MEMBER, *[b"x"] * 64)


@pytest.mark.parametrize("size", [0, 1, jail._MAX_FRAME - 1, jail._MAX_FRAME, jail._MAX_FRAME + 1, 3 * jail._MAX_FRAME])
def test_frames_of_data(size: int) -> None:
    whole = bytes(number % 251 for number in range(1000)) * (size // 1000 + 1)
    frames = sent(lambda sender: sender.data(whole[:size]))
    assert len(frames) == size + 5 * -(-size // jail._MAX_FRAME)
    assert said(A, frames, END, DONE) == [(("a", "b"), whole[:size], "", True, "text/plain")]


def test_a_pipe_that_takes_little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    def write(fd: int, view: memoryview) -> int:
        assert fd == 99
        taken.append(bytes(view[:3]))
        return len(taken[-1])

    monkeypatch.setattr(os, "write", write)
    jail._Sender(99).texts(jail._PROBLEM, "name", "detail", "")
    monkeypatch.undo()
    assert b"".join(taken) == frame(jail._PROBLEM, b"name", b"detail", b"")


@pytest.mark.parametrize(
    ("body", "count", "texts"),
    [
        (b"", 0, []),
        (b"", 2, ["", ""]),
        (b"\0\0\0\1a", 0, ["a"]),
        (b"\0\0\0\1a\0\0\0\0", 0, ["a", ""]),
        (b"\0\0\0\1a\0\0\0\2bc", 1, ["a"]),
        (b"\0\0\0\1a", 3, ["a", "", ""]),
        (b"\0\0\0\5ab", 0, ["ab"]),  # cut off
        (b"\xff\xff\xff\xffab", 0, ["ab"]),
        (b"\0\0\0", 0, []),
        (b"\0\0\0\2\xff\0", 0, ["\udcff\0"]),
    ],
)
def test_texts_of_a_frame(body: bytes, count: int, texts: list[str]) -> None:
    assert jail._texts(body, count) == texts


def test_reasons() -> None:
    assert [jail._reason(reason.value) for reason in Reason] == list(Reason)
    assert jail._reason("") is jail._reason("BROKEN") is None


def test_no_process_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(OSError, match="no more processes"):
        list(jail.walk("cab", lambda: iter([]), Meter()))
