"""One door to all encodings: names, identity, gzip64, and everything that stands inside a text."""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from binascii import b2a_uu

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evasion_corpus as evasion
from chunked import Chunked
from eicar import EICAR
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT
from lazaretto.mime import transfer
from lazaretto.mime.source import CHUNK, Source

UU = b"begin 644 a.exe\r\n" + b2a_uu(EICAR[:45]) + b2a_uu(EICAR[45:]) + b"`\nend\n"
YENC = b"=ybegin line=128 size=68 name=b.exe\r\n" + bytes(char + 42 for char in EICAR) + b"\r\n=yend size=68\r\n"


def decode(body: bytes, encoding: str, piece: int = 1 << 18) -> bytes:
    source = Chunked(body, piece)
    return b"".join(transfer.decode(source, source.all, encoding))


def readings(body: bytes, encoding: str, piece: int = 1 << 18) -> dict[str, bytes]:
    source = Chunked(body, piece)
    return {label: b"".join(chunks) for label, chunks in transfer.readings(source, source.all, encoding)}


def anomalies(body: bytes, encoding: str) -> tuple[str, ...]:
    source = Source(body)
    return transfer.anomalies(source, Chunked(body, 1).all, encoding)


@pytest.mark.parametrize("encoding", ["", "7bit", "8bit", "binary", "no-such-encoding"])
def test_identity(encoding: str) -> None:
    body = b"=41 TWFu\r\n\0\xff"
    assert decode(body, encoding, 3) == body
    assert anomalies(body, encoding) == ()
    assert readings(body, encoding) == {}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("base64", base64.encodebytes(EICAR)),
        ("quoted-printable", EICAR),
        *((name, UU) for name in ("x-uuencode", "x-uue", "uuencode", "uue", "x-uu")),
        *((name, YENC) for name in ("x-yenc", "yenc")),
        *((name, base64.b64encode(gzip.compress(EICAR))) for name in ("gzip64", "x-gzip64")),
    ],
)
def test_names(encoding: str, body: bytes) -> None:
    assert decode(body, encoding, 7) == EICAR
    assert anomalies(body, encoding) == ()
    assert readings(body, encoding) == {}


@pytest.mark.parametrize("encoding", ["binhex", "x-binhex", "mac-binhex40"])
def test_binhex_names(encoding: str) -> None:
    assert anomalies(b"text", encoding) == ("binhex.no-begin",)


@given(st.binary(max_size=200), st.sampled_from(["base64", "quoted-printable", "uuencode", "yenc", "binhex", "gzip64"]), st.integers(1, 30))
def test_never_raises(body: bytes, encoding: str, piece: int) -> None:
    assert decode(body, encoding, piece) == decode(body, encoding)
    assert bool(readings(body, encoding, piece)) <= bool(anomalies(body, encoding))


def test_gzip64() -> None:
    members = gzip.compress(EICAR[:30]) + gzip.compress(EICAR[30:])
    assert decode(base64.b64encode(members + b"trailing"), "gzip64", 5) == EICAR
    # Cut short: what there is.
    assert decode(base64.b64encode(gzip.compress(EICAR)[:-8]), "gzip64") == EICAR
    # A wrong checksum at the very end does not lose what was unpacked before it.
    assert decode(base64.b64encode(gzip.compress(EICAR)[:-8] + bytes(8)), "gzip64") == EICAR
    assert anomalies(base64.b64encode(EICAR), "gzip64") == ("gzip64.not-gzip",)
    assert readings(base64.b64encode(EICAR), "gzip64") == {"gzip64.base64": EICAR}
    junk = base64.b64encode(gzip.compress(EICAR))
    assert EICAR in readings(b"ab!\r\n" + junk, "gzip64").values()


def test_gzip64_chunks_are_bounded() -> None:
    source = Chunked(base64.b64encode(zlib.compress(bytes(20 * CHUNK), wbits=31)), CHUNK)
    sizes = [len(chunk) for chunk in transfer.decode(source, source.all, "gzip64")]
    assert sum(sizes) == 20 * CHUNK
    assert max(sizes) <= CHUNK


def test_find_encoded() -> None:
    text = b"Hello\r\n" + UU + b"text\r\n" + YENC + b"begin-base64 644 c.exe\r\n" + base64.encodebytes(EICAR) + b"====\r\nbye\r\n"
    found = {(block.kind, block.name): b"".join(block.chunks()) for block in transfer.find_encoded(Source(text))}
    assert found == {("uuencode", b"a.exe"): EICAR, ("yenc", b"b.exe"): EICAR, ("begin-base64", b"c.exe"): EICAR}


def test_find_encoded_keeps_to_the_span() -> None:
    source = Chunked(UU + UU, 100)
    span = source.all._replace(start=len(UU))
    assert [block.span for block in transfer.find_encoded(source, span)] == [span]


def test_find_encoded_limit() -> None:
    with pytest.raises(LimitExceeded):
        list(transfer.find_encoded(Source(UU * 3), limits=DEFAULT._replace(max_encoded_blocks=2)))


@pytest.mark.skipif(not evasion.available(), reason=evasion.MISSING)
def test_corpus_of_legacy_encodings() -> None:
    cases = [meta for meta in evasion.cases("evasion") if meta["family"] == "legacy-encoding" and not meta["payload"].endswith("zip")]
    assert cases
    for meta in cases:
        message = evasion.originals(meta)[0]
        contents = [b"".join(block.chunks()) for block in transfer.find_encoded(Source(message))]
        for encoding, body in re.findall(rb"(?i)transfer-encoding: ?([-\w]+)[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n(.*)", message, re.DOTALL):
            text = decode(body, encoding.decode().lower())
            contents += [text, *(b"".join(block.chunks()) for block in transfer.find_encoded(Source(text)))]
        markers = [marker.encode("latin-1") for marker in meta["markers"]]
        assert any(marker in content for content in contents for marker in markers), meta["id"]


@pytest.mark.parametrize("piece", [1, 7, CHUNK])
@pytest.mark.parametrize("cut", [0, 9, 10, 40, 150, 300])
def test_gzip64_cut_anywhere_gives_what_zlib_gives(cut: int, piece: int) -> None:
    packed = gzip.compress(bytes(number * 7919 % 251 for number in range(3000)), mtime=0)[:cut]
    assert decode(base64.b64encode(packed), "gzip64", piece) == zlib.decompressobj(31).decompress(packed)


@pytest.mark.parametrize("piece", [1, 100, CHUNK])
def test_gzip64_damaged_in_the_middle_keeps_what_came_before(piece: int) -> None:
    content = bytes(number * 7919 % 251 for number in range(3000))
    packed = gzip.compress(content[:1000], mtime=0) + gzip.compress(content[1000:], mtime=0)[:10] + b"\x07" + bytes(50)
    assert decode(base64.b64encode(packed), "gzip64", piece) == content[:1000]


def bits(*fields: tuple[int, int]) -> str:
    """(value, width) each, lowest bit first, as deflate has its numbers."""
    return "".join(f"{value:0{width}b}"[::-1] for value, width in fields)


# What follows the last match of a stream.
BROKEN = "11" + bits((0, 1), (3, 2))  # end of block, then a block of the type that there is not
CUT = "10"  # one more literal


@pytest.mark.parametrize("tail", [BROKEN, CUT], ids=["broken", "cut"])
def test_gzip64_that_ends_in_what_zlib_holds_back(tail: str) -> None:
    """All input is taken when a chunk is full: the rest of the match, and what is wrong behind it, come without any."""
    # Dynamic Huffman codes: 0 -> "10", 256 -> "11", 285 (258 bytes) -> "0"; distance 1 -> "0".
    lengths = [2, *[0] * 255, 2, *[0] * 28, 1, 1]
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    body = bits((0, 1), (2, 2), (29, 5), (0, 5), (14, 4)) + "".join(bits(({0: 1, 1: 2, 2: 2}.get(symbol, 0), 3)) for symbol in order)
    body += "".join(("0", "10", "11")[length] for length in lengths)
    matches = CHUNK // 258 + 1
    zeros = next(zeros for zeros in range(1, 5) if (len(body) + 2 * zeros + 2 * matches) % 8 in (1, 2, 3))
    body += "10" * zeros + "00" * matches + tail
    literals = -len(body) % 8 // 2  # in the rest of the last byte
    body += "10" * literals + "1" * (len(body) % 2)
    packed = b"\x1f\x8b\x08" + bytes(7) + bytes(int(body[at : at + 8][::-1], 2) for at in range(0, len(body), 8))
    whole = zeros + 258 * matches + 1 + literals
    assert CHUNK < whole < CHUNK + 300
    assert decode(base64.b64encode(packed), "gzip64") == bytes(whole if tail == CUT else CHUNK)
