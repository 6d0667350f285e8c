"""A walker in a child: same members as without, and nothing of what kills the child reaches the parent."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from collections.abc import Iterator

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
