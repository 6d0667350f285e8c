"""What is told of things that are taken out."""

from __future__ import annotations

from lazaretto.sanitize import disarmed
from lazaretto.sanitize.disarmed import Found, Removed


def test_each_thing_once_in_order_and_readable() -> None:
    found = Found()
    assert not found
    found.add("a.b", "x\ny\t z\x00")
    found.add("a.b", "x y z")
    found.add("a.c", "w" * 500)
    assert found
    assert found.removed() == (Removed("a.b", "x y z"), Removed("a.c", "w" * disarmed.MAX_DETAIL))


def test_not_more_than_some() -> None:
    found = Found()
    for number in range(disarmed.MAX_REMOVED + 5):
        found.add("a.b", str(number))
    assert len(found.removed()) == disarmed.MAX_REMOVED
