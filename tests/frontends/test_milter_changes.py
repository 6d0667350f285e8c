"""Edits as requests of the milter protocol: an MTA that carries them out has the mail that we meant."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazaretto.frontends.milter_changes import Changes, Unsayable, changes
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Edit, Span
from lazaretto.wire.milter import Actions
from lazaretto.wire.milter_replies import replace_body
from milter_double import Held, divided, unpack

MESSAGE = b"From: a\r\nX: 1\r\nx: 2\r\nSubject: long\r\n text\r\nX: 3\r\n\r\nbody\r\n"


def spans(message: bytes) -> list[Span]:
    result: list[Span] = []
    at = 0
    for name, value in divided(message)[0]:
        size = len(name) + 1 + len(value) + 2
        result.append(Span(at, at + size))
        at += size
    return result


def wanted(message: bytes, *edits: Edit, leading_space: bool = True) -> Changes:
    return changes(Source(message), edits, spans(message), leading_space=leading_space)


def packets(made: Changes) -> list[tuple[str, bytes]]:
    body = [*replace_body(made.body)] if made.body is not None else []
    return [*unpack(bytearray(b"".join([*made.header, *body])))]


def carried_out(message: bytes, said: Sequence[tuple[str, bytes]], *, ghosts: bool = False, leading_space: bool = True) -> bytes:
    held = Held(message, ghosts=ghosts, leading_space=leading_space)
    for letter, data in said:
        held.apply(letter, data)
    return held.message


def rendered(message: bytes, edits: Sequence[Edit]) -> bytes:
    return b"".join(render(Source(message), edits))


def test_nothing_to_say() -> None:
    made = wanted(MESSAGE)
    assert (made.header, made.body, made.needs) == ((), None, Actions(0))


def test_a_field_on_top_and_forged_ones_gone() -> None:
    at = MESSAGE.index(b"X: 3")
    made = wanted(MESSAGE, Edit(Span(0, 0), b"X: clean\r\n"), Edit(Span(9, 15), b""), Edit(Span(at, at + 6), b""))
    assert packets(made) == [
        ("m", b"\0\0\0\x03X\0\0"),  # from the last to the first
        ("m", b"\0\0\0\x01X\0\0"),
        ("i", b"\0\0\0\0X\0 clean\0"),
    ]
    assert made.needs == Actions.ADD_HEADERS | Actions.CHANGE_HEADERS


def test_the_same_field_on_top_leaves_the_others_alone() -> None:
    """One that stands at the end already, as another one of us has written it."""
    message = b"From: a\r\nTo: b\r\nX: clean\r\n\r\n"
    made = wanted(message, Edit(Span(0, 0), b"X: clean\r\n"), Edit(Span(16, 26), b""))
    assert packets(made) == [("m", b"\0\0\0\x01X\0\0"), ("i", b"\0\0\0\0X\0 clean\0")]


def test_several_on_top_keep_their_order() -> None:
    made = wanted(MESSAGE, Edit(Span(0, 0), b"A: 1\r\nB: 2\r\n"))
    assert packets(made) == [("i", b"\0\0\0\0B\0 2\0"), ("i", b"\0\0\0\0A\0 1\0")]


def test_fields_at_the_end_of_the_header() -> None:
    at = MESSAGE.index(b"\r\n\r\n") + 2
    made = wanted(MESSAGE, Edit(Span(at, at), b"A: 1\r\nB: folded\r\n here\r\n"))
    assert packets(made) == [("h", b"A\0 1\0"), ("h", b"B\0 folded\n here\0")]
    assert made.body is None


def test_in_the_middle() -> None:
    made = wanted(MESSAGE, Edit(Span(9, 9), b"A: 1\r\n"), Edit(Span(0, 0), b"Z: 0\r\n"))
    assert packets(made) == [("i", b"\0\0\0\x01A\0 1\0"), ("i", b"\0\0\0\0Z\0 0\0")]


def test_one_for_another_of_the_same_name_is_a_change() -> None:
    at = MESSAGE.index(b"Subject")
    made = wanted(MESSAGE, Edit(Span(at, MESSAGE.index(b"X: 3")), b"Subject: other\r\n"))
    assert packets(made) == [("m", b"\0\0\0\x01Subject\0 other\0")]
    assert made.needs == Actions.CHANGE_HEADERS


def test_a_part_of_a_field() -> None:
    at = MESSAGE.index(b"long")
    assert packets(wanted(MESSAGE, Edit(Span(at, at + 4), b"short"))) == [("m", b"\0\0\0\x01Subject\0 short\n text\0")]


def test_only_the_body() -> None:
    at = MESSAGE.index(b"body")
    made = wanted(MESSAGE, Edit(Span(at, at + 4), b"other"))
    assert made.needs == Actions.CHANGE_BODY
    assert packets(made) == [("b", b"other\r\n")]


def test_an_empty_body_is_one_empty_piece() -> None:
    at = MESSAGE.index(b"body")
    assert packets(wanted(MESSAGE, Edit(Span(at, len(MESSAGE)), b""))) == [("b", b"")]


def test_a_large_body_in_pieces() -> None:
    at = MESSAGE.index(b"body")
    said = packets(wanted(MESSAGE, Edit(Span(at, at + 4), Source(b"0123456789" * 20_000))))
    assert [len(data) for _, data in said] == [65535, 65535, 65535, 3397]
    assert carried_out(MESSAGE, said) == rendered(MESSAGE, [Edit(Span(at, at + 4), b"0123456789" * 20_000)])


def test_the_whole_message() -> None:
    new = b"X-Status: gone\r\nFrom: a\r\nSubject: long\r\n text\r\nContent-Type: text/plain\r\n\r\ngone\r\n"
    edit = Edit(Span(0, len(MESSAGE)), new)
    said = packets(wanted(MESSAGE, edit))
    assert carried_out(MESSAGE, said) == carried_out(MESSAGE, said, ghosts=True) == new
    assert "".join(letter for letter, _ in said) == "mmmhib"


def test_nothing_of_the_old_header_stays() -> None:
    new = b"Subject: gone\r\n\r\nx\r\n"
    message = b"From: a\r\n\r\nbody\r\n"
    said = packets(wanted(message, Edit(Span(0, len(message)), new)))
    assert carried_out(message, said) == new
    assert "".join(letter for letter, _ in said) == "mhb"


def test_no_header_at_all() -> None:
    message = b"\r\nbody\r\n"
    said = packets(wanted(message, Edit(Span(0, 0), b"A: 1\r\n")))
    assert carried_out(message, said) == b"A: 1\r\n" + message


def test_without_the_leading_space() -> None:
    made = wanted(MESSAGE, Edit(Span(0, 0), b"A: 1\r\n"), leading_space=False)
    assert packets(made) == [("i", b"\0\0\0\0A\x001\0")]


@pytest.mark.parametrize("junk", [b"no field\r\n", b"NUL: a\0b\r\n", b"CR: a\rb\r\n", b": no name\r\n"])
def test_what_cannot_be_said(junk: bytes) -> None:
    with pytest.raises(Unsayable):
        wanted(MESSAGE, Edit(Span(0, 0), junk))


def test_a_change_must_not_delete() -> None:
    with pytest.raises(Unsayable, match="without a value"):
        wanted(MESSAGE, Edit(Span(0, 9), b"From:\r\n"))


def test_odd_fields_that_stay_do_not_matter() -> None:
    """An MTA may hold what no RFC allows."""
    message = b"From: a\r\n: odd\r\nA\0B: 1\r\n\r\nx"
    said = packets(wanted(message, Edit(Span(0, 0), b"A: 1\r\n")))
    assert said == [("i", b"\0\0\0\0A\0 1\0")]
    with pytest.raises(Unsayable):
        wanted(message, Edit(Span(9, 15), b""))


@pytest.mark.parametrize("new", [b"A: " + b"x" * 5000 + b"\r\n\r\ny", b"x" * 5000])
def test_a_header_that_is_too_large(new: bytes) -> None:
    message = b"From: a\r\n\r\nx"
    with pytest.raises(Unsayable):
        changes(Source(message), [Edit(Span(0, len(message)), new)], spans(message), leading_space=True, max_header_bytes=2000)


def test_many_fields_take_no_long_time() -> None:
    """Quadratic would be 10^8 steps."""
    message = b"".join(b"X: %d\r\n" % (number % 7) for number in range(10_000)) + b"\r\nbody"
    where = spans(message)
    edits = [Edit(span, b"") for span in where[::2]] + [Edit(Span(0, 0), b"X: 1\r\n")]
    made = changes(Source(message), edits, where, leading_space=True)
    assert carried_out(message, packets(made)) == rendered(message, edits)


NAMES = st.sampled_from([b"A", b"a", b"B", b"Long-Name", b"X"])
VALUES = st.sampled_from([b" 1", b" 2", b"", b" folded\r\n more", b"none", b"  two"])
FIELDS = st.builds(lambda name, value: name + b":" + value + b"\r\n", NAMES, VALUES)


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, list[Edit]]:
    """A message, and edits that respect the borders of fields in its header, or replace it all."""
    fields = draw(st.lists(FIELDS, max_size=8))
    body = draw(st.binary(max_size=20))
    message = b"".join(fields) + b"\r\n" + body
    if draw(st.booleans()) and draw(st.booleans()):
        new = b"".join(draw(st.lists(FIELDS, max_size=8))) + b"\r\n" + draw(st.binary(max_size=20))
        return message, [Edit(Span(0, len(message)), new)]
    edits = []
    at = 0
    for field in fields:
        match draw(st.sampled_from(["stay", "stay", "go", "insert", "replace"])):
            case "go":
                edits.append(Edit(Span(at, at + len(field)), b""))
            case "insert":
                edits.append(Edit(Span(at, at), draw(FIELDS)))
            case "replace":
                edits.append(Edit(Span(at, at + len(field)), draw(FIELDS)))
        at += len(field)
    if draw(st.booleans()):
        edits.append(Edit(Span(at, at), draw(FIELDS)))
    if draw(st.booleans()):
        edits.append(Edit(Span(at + 2, len(message)), draw(st.binary(max_size=9))))
    return message, edits


@given(edited(), st.booleans())
@example((b"A: 1\r\n\r\n", [Edit(Span(0, 6), b"A:\r\n")]), False)
def test_the_mta_has_what_we_meant(case: tuple[bytes, list[Edit]], ghosts: bool) -> None:
    message, edits = case
    try:
        said = packets(wanted(message, *edits))
    except Unsayable:
        assert any(b":\r\n" in edit.data for edit in edits if isinstance(edit.data, bytes))
        return
    assert carried_out(message, said, ghosts=ghosts) == rendered(message, edits)
