"""Parcels: whole, with their descriptors, and nothing but values."""

from __future__ import annotations

import os
import pickle
import resource
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.model import Disposition, Edit, Envelope, Finding, Kind, Reason, Report, Span, Treatment, Verdict
from lazaretto.scan import parcels
from lazaretto.scan.parcels import INLINE_BYTES, MAX_DESCRIPTORS, ParcelError

REPORT = Report(
    "id",
    (Finding("yara", Kind.MALWARE, "Evil", (1, 2), "d", Reason.LIMIT, ("1", "a.zip")),),
    Verdict(Disposition.REJECT, (((1,), Treatment.REPLACE),), True, ((b"X-A", b"b"),), "rule", "text", ((2,),)),
    (Edit(Span(1, 2), b"data"),),
    1.5,
    (("yara", ""),),
)
VALUES = [None, True, 1, -1.5, b"bytes", "text", (1, (2, 3)), [1], {"a": {1}}, REPORT, Envelope(b"a@b", (b"c", b"\xff"), "::1", b"h", "q")]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    before = set(os.listdir("/proc/self/fd"))
    ours, theirs = parcels.pair()
    with ours, theirs:
        yield ours, theirs
    assert set(os.listdir("/proc/self/fd")) == before


Ends = tuple[socket.socket, socket.socket]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_arrive(ends: Ends, value: object) -> None:
    parcels.send(ends[0], value)
    assert parcels.receive(ends[1]) == (value, [])


@given(st.lists(st.integers(0, 3 * INLINE_BYTES), max_size=4))
def test_whole_and_one_after_the_other(sizes: list[int]) -> None:
    ours, theirs = parcels.pair()
    with ours, theirs:
        for size in sizes:
            parcels.send(ours, b"x" * size)
            assert parcels.receive(theirs) == (b"x" * size, [])
        ours.close()
        assert parcels.receive(theirs) is None


@pytest.mark.parametrize("size", [INLINE_BYTES - 100, INLINE_BYTES, INLINE_BYTES + 1, 5_000_000])
def test_large_ones_with_descriptors(ends: Ends, size: int) -> None:
    reader, writer = os.pipe()
    parcels.send(ends[0], os.urandom(1) * size, [writer])
    os.close(writer)
    parcel = parcels.receive(ends[1])
    assert parcel is not None
    value, (fd,) = parcel
    assert (len(value), set(value)) == (size, {value[0]})
    assert not os.get_inheritable(fd)
    os.write(fd, b"it works")
    os.close(fd)
    assert os.read(reader, 100) == b"it works"
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_as_many_descriptors_as_allowed(ends: Ends) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for value in ("small", "x" * INLINE_BYTES):
        parcels.send(ends[0], value, [null] * MAX_DESCRIPTORS)
        parcel = parcels.receive(ends[1])
        assert parcel is not None
        assert (parcel[0], len(parcel[1])) == (value, MAX_DESCRIPTORS)
        parcels.close(parcel[1])
    with pytest.raises(ParcelError):
        parcels.send(ends[0], "", [null] * (MAX_DESCRIPTORS + 1))
    os.close(null)


def test_lost_descriptors_are_noticed(ends: Ends) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    parcels.send(ends[0], "value", [null] * 5)
    os.close(null)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (null + 2, limits[1]))  # null was the lowest free: two are left
        with pytest.raises(ParcelError, match="too many open files"):
            parcels.receive(ends[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


class Other:
    """Not one of our nouns."""


class Call:
    """What a process that somebody has taken over would send."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("true",)


@pytest.mark.parametrize("value", [Other(), Call(), os.getpid, Path("x"), ParcelError])
@pytest.mark.parametrize("padding", [0, INLINE_BYTES])
def test_no_code_is_found(ends: Ends, value: object, padding: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    parcels.send(ends[0], (value, b"x" * padding), [null])
    os.close(null)
    with pytest.raises(ParcelError, match="none of our nouns"):
        parcels.receive(ends[1])


@pytest.mark.parametrize("record", [b"I", b"I\x80", b"F", b"Fx", b"X", b"I" + pickle.dumps(1)[:-1], b"x" * (INLINE_BYTES + 2)])
def test_no_parcel(ends: Ends, record: bytes) -> None:
    ends[0].sendmsg([record])
    with pytest.raises(ParcelError):
        parcels.receive(ends[1])


@pytest.mark.parametrize("content", [b"", b"junk"])
def test_no_parcel_in_a_file(ends: Ends, content: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        socket.send_fds(ends[0], [b"F"], [file.fileno()])
        with pytest.raises(ParcelError):
            parcels.receive(ends[1])


def test_no_parcel_in_what_is_no_file(ends: Ends) -> None:
    socket.send_fds(ends[0], [b"F"], [ends[0].fileno()])
    with pytest.raises(ParcelError):
        parcels.receive(ends[1])


def test_nothing_yet(ends: Ends) -> None:
    ends[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        parcels.receive(ends[1])


def test_nobody_there(ends: Ends) -> None:
    ends[1].close()
    with pytest.raises(ConnectionError):
        parcels.send(ends[0], "x")


def test_no_room_for_the_file(ends: Ends, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot create a spool file"):
        parcels.send(ends[0], b"x" * INLINE_BYTES, directory=str(tmp_path / "missing"))
    parcels.send(ends[0], "next")
    assert parcels.receive(ends[1]) == ("next", [])


def test_a_mapped_file_needs_no_descriptor() -> None:
    with parcels.in_file([b"con", b"tent"]) as (fd, size):
        source = parcels.mapped(fd)
        assert (size, os.get_inheritable(fd)) == (7, False)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(fd, b"x")
    assert source.fd is None
    assert b"".join(source.chunks()) == b"content"


class _AsOldPythonsDo:
    """Pickles into a call of getattr, as Python 3.11 to 3.11.3 write a member of an Enum."""

    def __init__(self, of: object, name: str) -> None:
        self.of, self.name = of, name

    def __reduce__(self) -> tuple[object, tuple[object, str]]:
        return getattr, (self.of, self.name)


def test_members_of_enumerations_as_older_pythons_write_them(ends: Ends) -> None:
    parcels.send(ends[0], [_AsOldPythonsDo(Kind, "MALWARE")])
    assert parcels.receive(ends[1]) == ([Kind.MALWARE], [])


@pytest.mark.parametrize(("of", "name"), [(Finding, "__init__"), (Kind, "__class__"), (Kind, "mro"), ("text", "join")])
def test_nothing_else_is_got_in_that_way(ends: Ends, of: object, name: str) -> None:
    parcels.send(ends[0], [_AsOldPythonsDo(of, name)])
    with pytest.raises(parcels.ParcelError):
        parcels.receive(ends[1])
