"""What a filter tells the MTA, byte for byte, and what cannot be said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.wire import milter_replies as say
from lazaretto.wire.milter import MAX_CHUNK_BYTES, Actions, Steps
from milter_double import unpack


def test_negotiated() -> None:
    assert say.negotiated(6, Actions.CHANGE_BODY, Steps.NR_BODY) == b"\0\0\0\x0dO\0\0\0\x06\0\0\0\x02\0\x08\0\0"
    assert say.negotiated(6, Actions(0), Steps(0), ((5, b"i"),)).endswith(b"\0\0\0\x05i\0")


@pytest.mark.parametrize(("code", "enhanced", "lines", "data"), [
    (554, "5.7.1", ["Refused"], b"y554 5.7.1 Refused\0"),
    (451, "4.7.1", ["a", "b", "c"], b"y451-4.7.1 a\r\n451-4.7.1 b\r\n451 4.7.1 c\0"),
    (550, "", ["no code"], b"y550 no code\0"),
    (550, "5.1.1", ["100% of %s"], b"y550 5.1.1 100%% of %%s\0"),
    (550, "5.1.1", ["ä"], b"y550 5.1.1 ?\0"),
])  # fmt: skip
def test_reply_codes(code: int, enhanced: str, lines: list[str], data: bytes) -> None:
    packet = say.reply_code(code, enhanced, lines)
    assert packet == len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(("code", "enhanced", "lines"), [
    (250, "2.0.0", ["ok"]), (354, "", ["go"]), (600, "", ["x"]), (450, "5.7.1", ["x"]), (550, "4.7.1", ["x"]), (550, "5.7.1", []),
    (550, "5.7.1", ["x"] * 33), (550, "5.7.1", ["a\r\n250 ok"]), (550, "5.7.1", ["a\0b"]),
])  # fmt: skip
def test_no_replies(code: int, enhanced: str, lines: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        say.reply_code(code, enhanced, lines)


def test_long_texts_are_cut() -> None:
    assert len(say.reply_code(550, "5.7.1", ["x" * 5000])) == 5 + 10 + say.MAX_REPLY_LINE + 1


def test_header_fields() -> None:
    assert say.add_header(b"X", b" a\n b") == b"\0\0\0\x09hX\0 a\n b\0"
    assert say.insert_header(1, b"X", b"a") == b"\0\0\0\x09i\0\0\0\x01X\0a\0"
    assert say.change_header(2, b"X", b"a") == b"\0\0\0\x09m\0\0\0\x02X\0a\0"
    assert say.change_header(2, b"X", b"") == b"\0\0\0\x08m\0\0\0\x02X\0\0"


@pytest.mark.parametrize("wrong", [
    lambda: say.add_header(b"", b"x"), lambda: say.add_header(b"a:b", b"x"), lambda: say.add_header(b"a\n", b"x"),
    lambda: say.add_header(b"a\0", b"x"), lambda: say.add_header(b"a", b"x\0"), lambda: say.insert_header(0, b"a", b"x\r\n y"),
    lambda: say.change_header(0, b"a", b"x"), lambda: say.add_recipient(b"a\0"),
])  # fmt: skip
def test_what_cannot_be_said(wrong: Callable[[], bytes]) -> None:
    with pytest.raises(ValueError, match=r"."):
        wrong()


def test_envelope() -> None:
    assert say.add_recipient(b"<a@b>") == b"\0\0\0\x07+<a@b>\0"
    assert say.delete_recipient(b"<a@b>") == b"\0\0\0\x07-<a@b>\0"
    assert say.change_sender(b"<>") == b"\0\0\0\x04e<>\0"
    assert say.change_sender(b"<>", b"A=B") == b"\0\0\0\x08e<>\0A=B\0"


def test_quarantine() -> None:
    assert say.quarantine("why\n\xe4") == b"\0\0\0\x07qwhy??\0"


@given(st.lists(st.one_of(st.binary(max_size=10), st.integers(1, 200_000).map(lambda size: b"x" * size)), max_size=5))
def test_bodies(chunks: list[bytes]) -> None:
    packets = list(say.replace_body(chunks))
    found = [*unpack(bytearray(b"".join(packets)))]
    assert b"".join(data for _, data in found) == b"".join(chunks)
    assert [letter for letter, _ in found] == ["b"] * len(packets)
    assert all(len(data) == MAX_CHUNK_BYTES for _, data in found[:-1])
    assert len(found) == max(-(-sum(map(len, chunks)) // MAX_CHUNK_BYTES), 1)
