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
from lazaretto.mime.source import CHUNK, Source
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


# -- BER by hand


@pytest.mark.parametrize(
    ("before", "found"),
    [
        # what stands between the version and the content, is the content found behind it
        (b"", True),
        (der(0x31, b"") * 3, True),
        (der(0x31, b"\x05\0" * 100), True),
        (ber(0x31, b""), True),
        (ber(0x31, b"\x05\0"), True),
        (ber(0x31, ber(0x30, b"\x05\0") + b"\x05\0"), True),  # an indefinite length inside another
        (ber(0x31, ber(0x30, ber(0x30, b"")) * 2), True),
        (der(0x30, ID_DATA), True),  # a type without content
        (der(0x30, ID_DATA + b"\x05\0"), True),
        (der(0x30, b""), True),
        (b"\x31\x81\0", True),  # a length longer than it has to be
        (b"\x31\x88" + bytes(8), True),
        (b"\x31\x80\x05\0", False),  # indefinite and never closed
        (b"\x31\x80", False),
        (b"\x31\x84\xff\xff\xff\xff", False),
        (b"\x31\xff", False),
        (b"\0\0", False),  # an end mark
    ],
)
def test_what_stands_before_the_content(before: bytes, found: bool) -> None:
    body = b"\x02\x01\x01" + before + der(0x30, ID_DATA + der(0xA0, der(0x04, ENTITY)))
    data = der(0x30, pkcs7(2) + der(0xA0, der(0x30, body)))
    assert [member.data for member in members("p7m", data)] == ([ENTITY] if found else [])
    assert [problem.name for problem in problems("p7m", data)] == ([] if found else ["smime.broken"])


@pytest.mark.parametrize(
    ("octets", "content"),
    [
        (der(0x04, ENTITY), ENTITY),
        (b"\x04\x80" + ENTITY, ENTITY),  # a string cannot be of indefinite length: all there is
        (der(0x24, CHUNKED), ENTITY),
        (ber(0x24, CHUNKED), ENTITY),
        (b"\x24\x80" + CHUNKED, ENTITY),  # never closed
        (der(0x24, ber(0x24, CHUNKED)), ENTITY),
        (der(0x24, der(0x04, b"") * 9 + CHUNKED), ENTITY),
        (der(0x24, b""), b""),
        (ber(0x24, b""), b""),
        (der(0x30, ENTITY), ENTITY),  # PKCS #7 1.5: anything may be the content
        (der(0x24, der(0x04, ENTITY[:9]) + b"\x04\x7f" + ENTITY[9:]), ENTITY),  # a part that reaches over the end
        (der(0x24, b"\x24\x04\x04\x06ABCDEF" + der(0x04, b"GH")), b"ABCDEFGH"),  # nor is anything read twice then
        (der(0x24, der(0x0C, ENTITY)), ENTITY),  # the wrong kind of string
    ],
)
def test_strings_however_they_are_cut(octets: bytes, content: bytes) -> None:
    data = der(0x30, pkcs7(2) + der(0xA0, der(0x30, b"\x02\x01\x01" + der(0x30, ID_DATA + der(0xA0, octets)))))
    (found,) = members("p7m", data)
    assert found.data == content


def test_large_strings_come_in_chunks() -> None:
    parts = [bytes((number,)) * 1000 for number in range(200)] * 4
    octets = b"\x24\x80" + b"".join(der(0x04, part) for part in parts) + b"\0\0"
    source = Source(octets)
    chunks = list(cms._octets(source, cms._Element(0x24, 2, None)))
    assert b"".join(chunks) == b"".join(parts)
    assert [CHUNK <= len(chunk) < CHUNK + 1000 for chunk in chunks[:-1]] == [True] * (len(chunks) - 1)
    assert len(chunks) == 4
    whole = Source(b"\x04" + bytes(3 * CHUNK))
    assert [len(chunk) for chunk in cms._octets(whole, cms._Element(0x04, 1, None))] == [CHUNK] * 3


@pytest.mark.parametrize(
    ("data", "element"),
    [
        (b"", None),
        (b"\x30", None),
        (b"\x30\0", (0x30, 2, 2)),
        (b"\x30\x02ab", (0x30, 2, 4)),
        (b"\x30\x7fab", (0x30, 2, 4)),  # cut
        (b"\x30\x80ab", (0x30, 2, None)),
        (b"\x30\x81\x02ab", (0x30, 3, 5)),
        (b"\x30\x82\0\x01ab", (0x30, 4, 5)),
        (b"\x30\x88" + bytes(7) + b"\1ab", (0x30, 10, 11)),
        (b"\x30\x88" + b"\xff" * 8 + b"ab", (0x30, 10, 12)),
        (b"\x30\x82\0", None),
        (b"\x30\xff", None),
    ],
)
def test_read_element(data: bytes, element: tuple[int, int, int | None] | None) -> None:
    assert cms._read(Source(data), 0, len(data)) == element
    assert cms._read(Source(data), 0, 0) is None


def test_elements_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(elements: int) -> int:
        inside = ber(0x31, b"\x05\0" * elements) + der(0x30, ID_DATA + der(0xA0, der(0x04, ENTITY)))
        return len(members("p7m", der(0x30, pkcs7(2) + der(0xA0, der(0x30, b"\x02\x01\x01" + inside)))))

    monkeypatch.setattr(cms, "MAX_ELEMENTS", 20)
    assert (found(19), found(20)) == (1, 0)


@pytest.mark.parametrize(
    "armoured",
    [
        b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n",  # no structure inside
        b"-----BEGIN PKCS7-----\n",
        b"-----BEGIN CMS-----",
        b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(FORMS["der"]) + b"-----END X509 CRL-----\n",
    ],
)
def test_armour_of_nothing(armoured: bytes) -> None:
    assert members("p7m", armoured) == []
    assert problems("p7m", armoured) == []


@pytest.mark.parametrize("label", [b"PKCS7", b"PKCS #7 SIGNED DATA", b"PKCS7 SIGNED DATA", b"CMS", b"SMIME"])
def test_labels_of_armour(label: bytes) -> None:
    text = b"-----BEGIN %s-----\n%s" % (label, base64.encodebytes(FORMS["der"]))
    for form in (text, text + b"-----END %s-----\n" % label, b"-----BEGIN X-----\n-----END X-----\n" + text):
        assert [member.data for member in members("text", form)] == [ENTITY]
    both = text + b"-----END-----\n"
    assert [member.data for member in members("text", both * 2)] == [ENTITY] * 2


def test_a_binary_structure_that_speaks_of_armour() -> None:
    entity = b"X-Note: -----BEGIN ME-----\r\n" + ENTITY
    assert [member.data for member in members("p7m", signed("der", der(0x04, entity)))] == [entity]


@pytest.mark.parametrize(
    "before",
    [
        b"we wrote -----BEGIN and then\n",
        b"-----BEGIN PKCS7-----\nnever ended\n",
        b"-----BEGIN CMS-----\n" * 3,
        b"-----END CMS-----\n",
        b"-----BEGIN PGP MESSAGE-----\n",
    ],
)
def test_armour_after_armour_that_is_none(before: bytes) -> None:
    armoured = b"-----BEGIN PKCS7-----\n" + base64.encodebytes(FORMS["der"]) + b"-----END PKCS7-----\n"
    assert ENTITY in [member.data for member in members("text", before + armoured)]


@pytest.mark.parametrize("zeros", [1, 7, 9, 30, 120])
def test_lengths_with_leading_zeros(zeros: int) -> None:
    """OpenSSL 3.0 reads them, X.690 s8.1.3.5 allows them."""

    def long(tag: int, content: bytes) -> bytes:
        size = bytes(zeros) + len(content).to_bytes(2, "big")
        return bytes((tag, 0x80 | len(size))) + size + content

    body = b"\x02\x01\x01" + long(0x31, b"") + long(0x30, ID_DATA + long(0xA0, long(0x04, ENTITY)))
    data = long(0x30, pkcs7(2) + long(0xA0, long(0x30, body)))
    assert [member.data for member in members("p7m", data)] == [ENTITY]
