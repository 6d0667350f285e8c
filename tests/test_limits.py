"""Limits: each is sane, each is read by some reader; the meter stops before a chunk too many is passed on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT, Limits, Meter

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "lazaretto"


def test_defaults_are_positive_and_ordered() -> None:
    assert all(value > 0 for value in DEFAULT)
    assert DEFAULT.max_field_bytes <= DEFAULT.max_header_bytes <= DEFAULT.max_message_bytes
    assert DEFAULT.max_member_bytes <= DEFAULT.max_unpacked_bytes


@pytest.mark.parametrize("name", Limits._fields)
def test_every_limit_is_read_somewhere(name: str) -> None:
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    # Once declared, and at least once used: a cap that nobody reads protects nobody.
    assert sum(source.count(f".{name}") for source in sources) >= 1


@pytest.mark.parametrize("name", Limits._fields)
def test_every_limit_gives_its_reason(name: str) -> None:
    text = (PACKAGE / "limits.py").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.strip().startswith(f"{name}:"))
    assert len(line.partition("#")[2].strip()) > 10


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_deadline() -> None:
    clock = Clock()
    meter = Meter(deadline=5.0, clock=clock)
    meter.tick()
    clock.now = 5.0
    meter.tick()
    clock.now = 5.1
    with pytest.raises(LimitExceeded) as caught:
        meter.tick()
    assert caught.value.limit == "max_scan_s"
    with pytest.raises(LimitExceeded):
        meter.member()
    with pytest.raises(LimitExceeded):
        list(meter.unpack([b"x"], 1))


def test_members() -> None:
    meter = Meter(Limits(max_members=3))
    for _ in range(3):
        meter.member()
    with pytest.raises(LimitExceeded) as caught:
        meter.member()
    assert caught.value.limit == "max_members"


@pytest.mark.parametrize(
    ("limits", "sizes", "packed", "broken"),
    [
        (Limits(max_member_bytes=10), [5, 5], 10, None),
        (Limits(max_member_bytes=10), [5, 6], 11, "max_member_bytes"),
        (Limits(max_unpacked_bytes=10), [11], 11, "max_unpacked_bytes"),
        (Limits(max_ratio=10, ratio_floor_bytes=100), [100], 1, None),  # under the floor nothing is asked
        (Limits(max_ratio=10, ratio_floor_bytes=100), [101], 1, "max_ratio"),
        (Limits(max_ratio=10, ratio_floor_bytes=100), [1000], 100, None),
        (Limits(max_ratio=10, ratio_floor_bytes=100), [101], 0, "max_ratio"),  # a container that claims to hold nothing
    ],
)
def test_unpack(limits: Limits, sizes: list[int], packed: int, broken: str | None) -> None:
    meter = Meter(limits)
    chunks = meter.unpack((bytes(size) for size in sizes), packed)
    if broken is None:
        assert [len(chunk) for chunk in chunks] == sizes
        return
    assert [len(next(chunks)) for _ in sizes[:-1]] == sizes[:-1]
    with pytest.raises(LimitExceeded) as caught:
        next(chunks)  # the chunk that crosses the limit is not passed on
    assert caught.value.limit == broken


def test_unpacked_is_counted_over_all_members() -> None:
    meter = Meter(Limits(max_unpacked_bytes=10))
    assert list(meter.unpack([b"12345"], 5)) == [b"12345"]
    assert list(meter.unpack([b"12345"], 5)) == [b"12345"]
    with pytest.raises(LimitExceeded):
        list(meter.unpack([b"1"], 5))


def test_unpack_reads_no_further_than_the_limit() -> None:
    taken = []

    def bomb() -> Iterator[bytes]:
        for number in range(1000):
            taken.append(number)
            yield bytes(1000)

    with pytest.raises(LimitExceeded):
        list(Meter(Limits(max_member_bytes=2500)).unpack(bomb(), 10))
    assert taken == [0, 1, 2]


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(0, 2000))
def test_unpack_is_identity_under_the_limits(chunks: list[bytes], packed: int) -> None:
    meter = Meter()
    assert list(meter.unpack(chunks, packed)) == chunks
    assert meter.unpacked == sum(map(len, chunks))


def test_ratio_of_all_members_to_the_message() -> None:
    """Many small members, none of which is conspicuous alone."""
    limits = DEFAULT._replace(ratio_floor_bytes=1000, max_ratio=10)
    meter = Meter(limits, message_bytes=500)
    for _ in range(10):  # 5000 bytes: ten times the message
        assert b"".join(meter.unpack([b"x" * 500], 500)) == b"x" * 500
    with pytest.raises(LimitExceeded) as caught:
        list(meter.unpack([b"x"], 500))
    assert caught.value.limit == "max_ratio"
    assert "from a message of 500" in str(caught.value)
