from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import LocalProtocolError
from lazaretto.mime import smuggling
from lazaretto.mime.source import Source
from lazaretto.wire.smtp_data import Stuffer, Unstuffer
from lenient_receiver import end_of_data, ends_early

PIECES = st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"..", b"\0", b"a", b"\r\n.", b"\r\n.\r\n", b"\n.\n"]), max_size=12).map(
    b"".join
)


class Read(NamedTuple):
    content: bytes
    ended: bool
    marks: tuple[bool, bool, bool, bool]  # suspicious, bare_cr, bare_lf, nul
    rest: bytes


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


def unstuff(wire: bytes, size: int = 1 << 20, end_of_data: str = "reject", stray: str = "pass") -> Read:
    unstuffer = Unstuffer(end_of_data, stray)
    content = rest = b""
    for piece in pieces(wire, size):
        if unstuffer.ended:
            rest += piece
        else:
            content += unstuffer.feed(piece)
            rest = unstuffer.rest
    marks = (unstuffer.suspicious, unstuffer.bare_cr, unstuffer.bare_lf, unstuffer.nul)
    return Read(content, unstuffer.ended, marks, rest)


def stuff(content: bytes, size: int = 1 << 20) -> tuple[bytes, bool]:
    stuffer = Stuffer()
    wire = b"".join(stuffer.feed(piece) for piece in pieces(content, size)) + stuffer.finish()
    return wire, stuffer.suspicious


def words(alphabet: bytes, longest: int) -> Iterator[bytes]:
    for length in range(longest + 1):
        yield from map(bytes, itertools.product(alphabet, repeat=length))


@pytest.mark.parametrize(
    ("wire", "content", "rest"),
    [
        (b".\r\n", b"", b""),
        (b".\r\nQUIT\r\n", b"", b"QUIT\r\n"),
        (b"\r\n.\r\n", b"\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b"...\r\n.\r\n", b"..\r\n", b""),
        (b"a\r\n..\r\n..b\r\n.\r\n", b"a\r\n.\r\n.b\r\n", b""),
        (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n", b""),  # badly stuffed: the dot goes, as RFC 5321 says
        (b"a.\r\n.\r\n", b"a.\r\n", b""),
        (b"a\r\n.\r\n.\r\n", b"a\r\n", b".\r\n"),
        (b"\r\r\n.\r\n", b"\r\r\n", b""),
        (b"a\n..\n\r\n.\r\n", b"a\n..\n\r\n", b""),
        (b"\xff\x80\x00\r\n.\r\n", b"\xff\x80\x00\r\n", b""),
        (b"x" * 5000 + b"\r\n.\r\n", b"x" * 5000 + b"\r\n", b""),
    ],
)
def test_content(wire: bytes, content: bytes, rest: bytes) -> None:
    for size in (1, 2, 3, 4, 5, 10_000):
        read = unstuff(wire, size)
        assert (read.content, read.ended, read.rest) == (content, True, rest)
        assert not read.marks[0]


# What some server takes for an end; the first column stands for "text" + it + "more", the second for the normalised content.
VARIANTS = [
    (b"\n.\n", b"\n..\n"),
    (b"\n.\r\n", b"\n..\r\n"),
    (b"\r\n.\n", b"\r\n..\n"),
    (b"\r.\r", b"\r..\r"),
    (b"\r.\r\n", b"\r..\r\n"),
    (b"\r\n.\r", b"\r\n..\r"),
    (b"\r\n.\r\r\n", b"\r\n..\r\r\n"),
    (b"\r.\n", b"\r..\n"),
    (b"\n.\r", b"\n..\r"),
    (b"\n\r.\r\n", b"\n\r..\r\n"),
    (b"\n\n.\n\n", b"\n\n..\n\n"),
    (b"\r\n\0.\r\n", b"\r\n\0..\r\n"),
    (b"\r\n.\0\r\n", b"\r\n..\0\r\n"),
    (b"\r\n\0\0\0.\0\0\r\n", b"\r\n\0\0\0..\0\0\r\n"),
    (b"\n\0.\0\n", b"\n\0..\0\n"),
    (b"\r\n.\0.\r\n", b"\r\n..\0.\r\n"),
]


@pytest.mark.parametrize(("variant", "normalised"), VARIANTS)
def test_smuggling(variant: bytes, normalised: bytes) -> None:
    wire = b"text" + variant + b"MAIL FROM:<evil@a>\r\n.\r\n"
    assert ends_early(wire) or b".\0." in wire
    for size in (1, 2, 3, 4, 5, 10_000):
        read = unstuff(wire, size)
        assert read.ended
        assert read.rest == b""
        assert read.marks[0]
        read = unstuff(wire, size, "normalise")
        assert read.content == b"text" + normalised + b"MAIL FROM:<evil@a>\r\n"
        sent, suspicious = stuff(read.content, size)
        assert not ends_early(sent)
        assert not suspicious
        read = unstuff(wire, size, "normalise", "normalise")
        assert read.content.replace(b"\r\n\r\n", b"\r\n").startswith(b"text\r\n.")
        assert b"\0" not in read.content
        assert not set(read.content.replace(b"\r\n", b"")) & set(b"\r\n")
        assert not ends_early(stuff(read.content, size)[0])


@pytest.mark.parametrize("variant", [variant for variant, _ in VARIANTS])
@pytest.mark.parametrize("stray", ["pass", "normalise"])
def test_what_is_normalised_is_no_attempt_to_the_scanner(variant: bytes, stray: str) -> None:
    """Else a clean message would be replaced by a notice after all.  Before, it is one, but for those with NULs."""
    head, command = b"Subject: x\r\n\r\ntext", b"MAIL FROM:<evil@a>\r\n"
    assert smuggling.attempt(Source(head + variant + command)) >= 0 or b"\0" in variant or variant == b"\n\n.\n\n"
    for size in (1, 2, 3, 10_000):
        content = unstuff(head + variant + command + b".\r\n", size, "normalise", stray).content
        assert content.endswith(command)
        assert smuggling.attempt(Source(content)) == -1


@pytest.mark.parametrize("variant", [variant for variant, _ in VARIANTS])
def test_smuggling_in_the_first_line(variant: bytes) -> None:
    """The line end before it is that of the DATA command."""
    first = variant.lstrip(b"\r\n")
    if variant.startswith(b"\r\n") and not variant.startswith(b"\r\n.\r\n"):
        for size in (1, 10_000):
            assert unstuff(first + b"x\r\n.\r\n", size).marks[0]


@pytest.mark.parametrize(
    ("wire", "marks"),
    [
        (b"a\r\n", (False, False, False)),
        (b"a\rb\r\n", (True, False, False)),
        (b"a\nb\r\n", (False, True, False)),
        (b"a\0b\r\n", (False, False, True)),
        (b"a\r\r\n", (True, False, False)),
        (b"a\n\r\n", (False, True, False)),
        (b"a\n\rb\r\n", (True, True, False)),
        (b"a\r\n\rb\r\n\n\0\r\n", (True, True, True)),
        (b"\n\r\n", (False, True, False)),
        (b"\ra\r\n", (True, False, False)),
    ],
)
def test_stray(wire: bytes, marks: tuple[bool, bool, bool]) -> None:
    for size in (1, 2, 3, 10_000):
        for stray in ("pass", "reject"):
            read = unstuff(wire + b".\r\n", size, stray=stray)
            assert read.content == wire
            assert read.marks == (False, *marks)
        read = unstuff(wire + b".\r\n", size, stray="normalise")
        assert read.marks == (False, *marks)
        assert read.content == wire.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n").replace(b"\0", b"")


def test_every_short_word_is_stuffed_safely() -> None:
    for content in words(b"\r\n.a\0", 6):
        wire, suspicious = stuff(content)
        assert stuff(content, 1) == (wire, suspicious)
        assert not ends_early(wire)
        read = unstuff(wire + b"REST")
        assert read.ended
        assert read.rest == b"REST"
        assert not read.marks[0]
        if not suspicious:
            assert read.content == content + (b"" if content.endswith(b"\r\n") or not content else b"\r\n")


@pytest.mark.parametrize("end_of_data", ["reject", "normalise"])
@pytest.mark.parametrize("stray", ["pass", "normalise"])
def test_every_short_word_is_read_safely(end_of_data: str, stray: str) -> None:
    for word in words(b"\r\n.a\0", 5):
        wire = word + b"\r\n.\r\n"
        read = unstuff(wire, 1 << 20, end_of_data, stray)
        assert unstuff(wire, 1, end_of_data, stray) == read
        assert read.ended
        used = wire[: len(wire) - len(read.rest)]
        assert (b"\r\n" + used).find(b"\r\n.\r\n") == len(used) - 3
        assert read.marks[0] or not ends_early(used)
        sent, suspicious = stuff(read.content)
        assert not ends_early(sent)
        if not read.marks[0]:
            assert not suspicious
            if stray == "pass" and (b"\r\n" + used).count(b"\r\n.") == (b"\r\n" + used).count(b"\r\n..") + 1:  # properly stuffed
                assert sent == used


@given(PIECES, st.integers(1, 7), st.sampled_from(["reject", "normalise"]), st.sampled_from(["pass", "normalise", "reject"]))
def test_splits_change_nothing(wire: bytes, size: int, end_of_data: str, stray: str) -> None:
    wire += b"\r\n.\r\n"
    assert unstuff(wire, size, end_of_data, stray) == unstuff(wire, 1 << 20, end_of_data, stray)
    assert stuff(wire, size) == stuff(wire)


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a\n", b"a\n\r\n.\r\n"),
        (b"a\r", b"a\r\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"\r\n.a\r\n", b"\r\n..a\r\n.\r\n"),
        (b"\n.", b"\n..\r\n.\r\n"),
        (b"\n.\r", b"\n..\r\r\n.\r\n"),
        (b"a\r\n\0", b"a\r\n\0\r\n.\r\n"),
        (b"a\r\n\0.", b"a\r\n\0..\r\n.\r\n"),
        (b"\n.a", b"\n.a\r\n.\r\n"),
    ],
)
def test_stuffing(content: bytes, wire: bytes) -> None:
    for size in (1, 2, 3, 100):
        assert stuff(content, size)[0] == wire


def test_an_edit_may_make_a_lone_dot() -> None:
    """Each half is harmless; the Stuffer sees what they are together."""
    stuffer = Stuffer()
    wire = stuffer.feed(b"first\n") + stuffer.feed(b".\r\nMAIL FROM:<a@b>\r\n") + stuffer.finish()
    assert wire == b"first\n..\r\nMAIL FROM:<a@b>\r\n.\r\n"
    assert stuffer.suspicious


def test_nothing_after_the_end() -> None:
    unstuffer = Unstuffer()
    assert unstuffer.feed(b"a\r\n.\r\nb") == b"a\r\n"
    with pytest.raises(LocalProtocolError):
        unstuffer.feed(b"c")
    stuffer = Stuffer()
    stuffer.finish()
    for call in (stuffer.finish, lambda: stuffer.feed(b"x")):
        with pytest.raises(LocalProtocolError):
            call()


def test_feeding_nothing() -> None:
    unstuffer, stuffer = Unstuffer(), Stuffer()
    content = wire = b""
    for data in (b"a\r", b"\n", b".", b"\r", b"\n"):
        content += unstuffer.feed(b"") + unstuffer.feed(data)
        wire += stuffer.feed(b"") + stuffer.feed(data)
    assert unstuffer.ended
    assert content == b"a\r\n"
    assert wire + stuffer.finish() == b"a\r\n..\r\n.\r\n"


@pytest.mark.parametrize("make", [Unstuffer, lambda: Unstuffer("normalise", "normalise"), Stuffer])
@pytest.mark.parametrize("unit", [b"\0", b"\n", b"\r", b".", b"\r\n", b"\n.", b"\r\n..", b"\r\0", b"\0.", b"\n\0."])
def test_at_most_four_bytes_are_held_back(make: Callable[[], Unstuffer | Stuffer], unit: bytes) -> None:
    machine = make()
    for _ in range(20):
        machine.feed(unit * 3000)
        assert len(machine._held) <= 4


def test_clean_content_is_not_copied() -> None:
    unstuffer, stuffer = Unstuffer(), Stuffer()
    unstuffer.feed(b"a")
    stuffer.feed(b"a")
    chunk = b"line\r\n" * 1000 + b"b"
    assert unstuffer.feed(chunk) is chunk
    assert stuffer.feed(chunk) is chunk


def test_the_double_sees_what_it_should() -> None:
    assert end_of_data(b"a\n.\nb\r\n.\r\n", drop_nul=False) == 4
    assert end_of_data(b"a\r\n\0.\r\nb", drop_nul=True) == 6
    assert end_of_data(b"a\r\n..\r\n", drop_nul=True) == -1
    assert not ends_early(b"a\r\n..\r\n.\r\n")
