"""content.pgp: packets and armour."""

from __future__ import annotations

import base64
import bz2
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import members, problems
from eicar import EICAR
from lazaretto.content import pgp
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.model import Reason


def new(tag: int, body: bytes) -> bytes:
    """A packet in the new format, by the shortest length."""
    size = len(body)
    if size < 192:
        length = bytes((size,))
    elif size < 8384:
        length = bytes((((size - 192) >> 8) + 192, (size - 192) & 255))
    else:
        length = b"\xff" + size.to_bytes(4, "big")
    return bytes((0xC0 | tag,)) + length + body


def partial(tag: int, body: bytes) -> bytes:
    """The same in pieces of two bytes."""
    pieces = [body[at : at + 2] for at in range(0, len(body) - len(body) % 2, 2)]
    return (
        bytes((0xC0 | tag,)) + b"".join(b"\xe1" + piece for piece in pieces) + bytes((len(body) % 2,)) + body[len(body) - len(body) % 2 :]
    )


def old(tag: int, body: bytes) -> bytes:
    return bytes((0x80 | tag << 2 | 1,)) + len(body).to_bytes(2, "big") + body


def indeterminate(tag: int, body: bytes) -> bytes:
    return bytes((0x80 | tag << 2 | 3,)) + body


def literal(data: bytes, name: bytes = b"eicar.com") -> bytes:
    return b"b" + bytes((len(name),)) + name + bytes(4) + data


def armour(data: bytes, headers: bytes = b"Version: x\n", checksum: bytes = b"=AbCd\n") -> bytes:
    return b"-----BEGIN PGP MESSAGE-----\n" + headers + b"\n" + base64.encodebytes(data) + checksum + b"-----END PGP MESSAGE-----\n"


@pytest.mark.parametrize("form", [new, partial, old, indeterminate])
def test_literal(form: object) -> None:
    data = {new: new, partial: partial, old: old, indeterminate: indeterminate}[form](11, literal(EICAR))  # type: ignore[index]
    for variant in (
        data,
        armour(data),
        armour(data, b"", b""),
        armour(data).replace(b"\n", b"\r\n"),
        b"Hi,\n" + armour(data, b"My-Own: header\nComment:\n"),
    ):
        (found,) = members("pgp-message", variant)
        assert (found.names, found.is_file) == (("eicar.com",), True)
        assert found.data == EICAR


def test_name_for_the_screen_is_none() -> None:
    (found,) = members("pgp-message", new(11, literal(b"x", b"_CONSOLE")))
    assert (found.names, found.is_file) == ((), False)


@pytest.mark.parametrize(
    ("algorithm", "pack"),
    [(b"\0", bytes), (b"\1", lambda data: zlib.compress(data)[2:-4]), (b"\2", zlib.compress), (b"\3", bz2.compress)],
    ids=["none", "zip", "zlib", "bzip2"],
)
def test_compressed_and_signed(algorithm: bytes, pack: object) -> None:
    inner = new(4, b"\3" + bytes(12)) + new(11, literal(EICAR)) + new(2, bytes(40))
    data = old(8, algorithm + pack(inner))  # type: ignore[operator]
    for variant in (data, armour(data), indeterminate(8, data[3:])):
        assert [member.data for member in members("pgp-message", variant)] == [EICAR]


def test_several_messages_in_text() -> None:
    text = b"one\n" + armour(new(11, literal(b"a"))) + b"two\n" + armour(new(11, literal(b"b")))[:-20]
    assert [member.data for member in members("text", text)] == [b"a", b"b"]


@pytest.mark.parametrize("tag", [1, 3, 9, 18, 20])
def test_encrypted(tag: int) -> None:
    assert [(p.name, p.reason) for p in problems("pgp-message", armour(new(tag, bytes(30))))] == [("pgp.encrypted", Reason.ENCRYPTED)]


def test_unreadable_counts_as_encrypted() -> None:
    assert [p.reason for p in problems("pgp-message", armour(b"\x2c\x1e\xe6"))] == [Reason.ENCRYPTED]


@pytest.mark.parametrize("kind", [b"SIGNATURE", b"PUBLIC KEY BLOCK", b"SIGNED MESSAGE"])
def test_other_armour_is_left_alone(kind: bytes) -> None:
    text = armour(new(2, bytes(20))).replace(b"MESSAGE", kind)
    assert (members("text", text), problems("text", text)) == ([], [])


def test_nesting_is_limited() -> None:
    data = new(11, literal(EICAR))
    for _ in range(pgp.MAX_LEVELS + 1):
        data = new(8, b"\2" + zlib.compress(data))
    assert [(p.name, p.reason) for p in problems("pgp-message", data)] == [("pgp.nesting", Reason.LIMIT)]


def test_packed_size_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgp, "MAX_COMPRESSED", 5)
    assert [p.name for p in problems("pgp-message", new(8, b"\2" + zlib.compress(b"x" * 99)))] == ["pgp.size"]


def test_unknown_compression() -> None:
    assert [(p.name, p.reason) for p in problems("pgp-message", new(8, b"\x09abc"))] == [("pgp.unsupported", Reason.UNSUPPORTED)]


def test_bombs_are_limited() -> None:
    data = new(8, b"\2" + zlib.compress(new(11, literal(bytes(1 << 20)))))
    with pytest.raises(LimitExceeded):
        members("pgp-message", data, Limits(max_member_bytes=1 << 18))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 100))
def test_never_raises(noise: bytes, at: int) -> None:
    data = new(8, b"\2" + zlib.compress(new(11, literal(EICAR))))
    for variant in (data[:at] + noise + data[at:], b"\xcb" + noise, armour(noise), armour(data)[:at] + noise):
        members("pgp-message", variant)
