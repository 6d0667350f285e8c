"""content.cms: S/MIME without a key."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import members, problems
from eicar import EICAR
from lazaretto.content import cms
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.model import Reason

ENTITY = b"Content-Type: application/octet-stream; name=eicar.com\r\n\r\n" + EICAR + b"\r\n"
ID_DATA = bytes.fromhex("06092a864886f70d010701")
ID_COMPRESSED = bytes.fromhex("060b2a864886f70d0109100109")
CASES = Path(__file__).parents[3] / "shared/corpus/evasion/cases"


def pkcs7(number: int) -> bytes:
    return bytes.fromhex("06092a864886f70d0107") + bytes((number,))


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes((size,)) if size < 128 else bytes((0x82,)) + size.to_bytes(2, "big")
    return bytes((tag,)) + length + content


def ber(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x80)) + content + b"\0\0"


def signed(wrap: object, octets: bytes, kind: bytes = ID_DATA) -> bytes:
    enc = ber if wrap == "ber" else der
    encapsulated = enc(0x30, kind + enc(0xA0, octets))
    body = enc(0x30, b"\x02\x01\x01" + der(0x31, der(0x30, bytes.fromhex("0609608648016503040201"))) + encapsulated + der(0x31, b""))
    return enc(0x30, pkcs7(2) + enc(0xA0, body))


CHUNKED = b"".join(der(0x04, ENTITY[at : at + 7]) for at in range(0, len(ENTITY), 7))
NESTED = der(0x24, CHUNKED[: CHUNKED.index(b"\x04", 9)]) + ber(0x24, CHUNKED[CHUNKED.index(b"\x04", 9) :])
FORMS = {
    "der": signed("der", der(0x04, ENTITY)),
    "ber": signed("ber", der(0x04, ENTITY)),
    "chunked": signed("ber", ber(0x24, CHUNKED)),
    "chunked definite": signed("der", der(0x24, CHUNKED)),
    "chunks in chunks": signed("ber", ber(0x24, NESTED)),
}


@pytest.mark.parametrize("name", FORMS)
def test_signed(name: str) -> None:
    data = FORMS[name]
    armoured = b"-----BEGIN PKCS7-----\n" + base64.encodebytes(data) + b"-----END PKCS7-----\n"
    for form in (data, data + b"trailing", b"junk" + data, base64.encodebytes(data), armoured, b"Text.\n" + armoured + b"more"):
        (found,) = members("p7m", form)
        assert (found.data, found.media_type, found.is_file) == (ENTITY, "message/rfc822", False)


def test_armour_in_text() -> None:
    text = b"Hello\n-----BEGIN CMS-----\n" + base64.encodebytes(FORMS["der"]) + b"-----END CMS-----\n"
    assert [member.data for member in members("text", text)] == [ENTITY]
    assert members("pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") == []
    assert problems("pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") == []


def test_cut_content_is_given() -> None:
    (found,) = members("p7m", FORMS["der"][:150])
    assert ENTITY.startswith(found.data)
    assert len(found.data) > 50


def test_compressed() -> None:
    packed = zlib.compress(ENTITY)
    body = der(
        0x30, b"\x02\x01\x00" + der(0x30, bytes.fromhex("060b2a864886f70d0109100308")) + der(0x30, ID_DATA + der(0xA0, der(0x04, packed)))
    )
    (found,) = members("p7m", der(0x30, ID_COMPRESSED + der(0xA0, body)))
    assert (found.data, found.media_type) == (ENTITY, "message/rfc822")


def test_content_that_is_no_entity_is_left_to_the_caller() -> None:
    (found,) = members("p7m", signed("der", der(0x04, b"MZ program")))
    assert (found.data, found.media_type) == (b"MZ program", "")


def test_detached_signature() -> None:
    encapsulated = der(0x30, ID_DATA)
    data = der(0x30, pkcs7(2) + der(0xA0, der(0x30, b"\x02\x01\x01" + der(0x31, b"") + encapsulated)))
    assert members("p7m", data) == []
    assert problems("p7m", data) == []


@pytest.mark.parametrize(
    "kind",
    [pkcs7(3), pkcs7(4), pkcs7(6), bytes.fromhex("060b2a864886f70d0109100117")],
    ids=["enveloped", "both", "encrypted", "auth-enveloped"],
)
def test_encrypted(kind: bytes) -> None:
    data = der(0x30, kind + der(0xA0, der(0x30, b"\x02\x01\x00")))
    assert [(p.name, p.reason) for p in problems("p7m", data)] == [("smime.encrypted", Reason.ENCRYPTED)]


@pytest.mark.parametrize("data", [b"", b"nothing", der(0x30, pkcs7(2)), der(0x30, pkcs7(2) + b"\xa0")])
def test_broken(data: bytes) -> None:
    assert [(p.name, p.reason) for p in problems("p7m", data)] == [("smime.broken", Reason.BROKEN)]


def test_depth_is_limited() -> None:
    deep = der(0x04, ENTITY)
    for _ in range(cms.MAX_DEPTH + 5):
        deep = ber(0x24, deep)
    (found,) = members("p7m", signed("ber", deep))
    assert found.data != ENTITY
    assert EICAR in found.data


def test_bombs_are_limited() -> None:
    packed = zlib.compress(bytes(1 << 20))
    body = der(0x30, b"\x02\x01\x00" + der(0x30, ID_DATA + der(0xA0, der(0x04, packed))))
    with pytest.raises(LimitExceeded):
        members("p7m", der(0x30, ID_COMPRESSED + der(0xA0, body)), Limits(max_member_bytes=1 << 18))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FORMS)), st.integers(0, 300), st.binary(max_size=20))
def test_never_raises(name: str, at: int, noise: bytes) -> None:
    data = FORMS[name]
    members("p7m", data[:at] + noise + data[at + len(noise) :])
    members("p7m", data[:at])


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared corpus")
def test_evasion_case() -> None:
    body = (CASES / "J-p7m.eml").read_bytes().split(b"\r\n\r\n", 1)[1]
    (found,) = members("p7m", base64.b64decode(body))
    assert base64.b64decode(found.data.split(b"\r\n\r\n", 1)[1]) == EICAR
