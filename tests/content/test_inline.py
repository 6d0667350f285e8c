"""content.inline: data: URIs and encoded strings."""

from __future__ import annotations

import base64
import zlib
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import read
from lazaretto.content import inline
from lazaretto.limits import Meter
from lazaretto.mime import source

PAYLOAD = bytes(range(256)) * 2
B64 = base64.b64encode(PAYLOAD)


def strings(text: bytes) -> list[bytes]:
    return [b"".join(found.chunks()) for found in inline.strings(text)]


def uris(text: bytes) -> list[bytes]:
    return [b"".join(found.chunks()) for found in inline.data_uris(text)]


@given(st.binary(max_size=500), st.sampled_from([b"\r\n", b"", b" ", b"\n\t"]), st.integers(1, 80), st.booleans())
def test_base64_round_trip(data: bytes, separator: bytes, width: int, safe: bool) -> None:
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(data)
    folded = separator.join(text[at : at + width] for at in range(0, len(text), width))
    assert inline.decode_base64(folded) == data
    assert inline.decode_base64(folded.rstrip(b"=")) == data


@given(st.binary(max_size=300), st.integers(4, 9))
def test_pieces_do_not_depend_on_the_chunks(data: bytes, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inline, "CHUNK", chunk)
        for decode, text in (
            (inline.base64_pieces, base64.b64encode(data)),
            (inline.hex_pieces, data.hex().encode()),
            (inline.percent_pieces, quote_from_bytes(data, safe="").encode()),
            (inline.number_pieces, ",".join(map(str, data)).encode()),
        ):
            assert b"".join(decode(text, ((0, len(text)),))) == data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'<a href="data:a/b;base64,' + B64 + b'">', PAYLOAD),
        (b"<a href='DATA:a/b;charset=x;BASE64," + B64 + b"'>", PAYLOAD),
        (b"<a href=data:;base64," + B64 + b" x>", PAYLOAD),
        (b'<a href=" data:a/b; base64,' + B64[:9] + b"\r\n\t" + B64[9:] + b'">', PAYLOAD),
        (b"url(data:a/b;base64," + B64 + b") y", PAYLOAD),
        (b'"data:text/html,%3Cscript>a b%3C/script>"', b"<script>a b</script>"),
        (b'"data:,plain"', b"plain"),
        (b'"data:a/b;base64,' + B64, PAYLOAD),  # never closed
    ],
)
def test_data_uri(text: bytes, expected: bytes) -> None:
    assert uris(text) == [expected]


def test_data_uri_details() -> None:
    text = b'x <img src="data:Image/PNG;base64,AAAA">'
    (found,) = inline.data_uris(text)
    assert (found.media_type, found.start, text[found.stop :]) == ("image/png", text.index(b"data:"), b'">')


@pytest.mark.parametrize("text", [b"the data: nothing", b"data:" * 50, b"metadata: a, b?"])
def test_no_data_uri(text: bytes) -> None:
    assert all(len(found) < 10 for found in uris(text))


@pytest.mark.parametrize(
    "text",
    [
        b'var b="' + B64 + b'";go()',
        b"var b='" + b"\\\n".join(B64[at : at + 76] for at in range(0, len(B64), 76)) + b"';",
        b'b = "' + b'" +\n  "'.join(B64[at : at + 60] for at in range(0, len(B64), 60)) + b'";',
        b"<x>\r\n" + b"\r\n".join(B64[at : at + 64] for at in range(0, len(B64), 64)) + b"\r\n</x>",
        b"<p id=" + base64.b64encode(b"PK\x03\x04" + PAYLOAD) + b">",
        b'h("' + PAYLOAD.hex().encode() + b'")',
        b"new Uint8Array([" + ",".join(map(str, PAYLOAD)).encode() + b"])",
        b"[" + ", ".join(map(hex, PAYLOAD)).encode() + b"]",
        b'unescape("' + b"".join(b"%%%02x" % byte for byte in PAYLOAD) + b'")',
        b'"' + b"".join(b"\\x%02X" % byte for byte in PAYLOAD) + b'"',
    ],
    ids=["plain", "continued", "joined", "lines", "unquoted", "hex", "numbers", "hex-numbers", "percent", "escapes"],
)
def test_strings(text: bytes) -> None:
    assert any(PAYLOAD in found for found in strings(text))


@pytest.mark.parametrize(
    "text",
    [
        b"short: " + B64[:39] + b"!",
        b'<a href="https://a.example/track?u=' + b"Zm9vYmFy" * 9 + b'">',  # decodes to nothing known
        b"words " * 500,
        b'"data:a/b;base64,' + B64 + b'"',  # data_uris has it
    ],
)
def test_no_strings(text: bytes) -> None:
    assert strings(text) == []


@given(st.binary(max_size=400), st.integers(50, 90))
def test_runs_do_not_depend_on_the_chunks(noise: bytes, chunk: int) -> None:
    text = noise + b"!" + b"A" * 45 + b"!" + noise + b"!" + b"B" * 200
    expected = list(inline._runs(text, inline._DIGITS, 40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inline, "CHUNK", chunk)
        assert list(inline._runs(text, inline._DIGITS, 40)) == expected
    assert (len(noise) + 1, len(noise) + 46) in expected
    assert expected[-1][1] == len(text)


def test_active_mime_is_opened() -> None:
    blob = b"ActiveMime" + b"\0\0\xf0\1" + bytes(36) + zlib.compress(b"an OLE file" * 50)
    (found,) = inline.strings(b'"' + base64.b64encode(blob) + b'"')
    plain, opened = read(found.members((), Meter(), is_file=False))[0]
    assert (plain.data, opened.data) == (blob, b"an OLE file" * 50)


@given(
    st.lists(st.sampled_from([b"data:", b"%41" * 41, b"1," * 45, b"A" * 41, b'"+"', b"=", b"\\x41" * 41, b",", b'"', b"\0"]), max_size=12)
)
def test_never_raises(parts: list[bytes]) -> None:
    text = b"".join(parts)
    strings(text)
    uris(text)


def test_find_all() -> None:
    assert list(inline.find_all(b"DaTa: data: dat", b"data:")) == [0, 6]
    assert list(inline.find_all(b"x" * (source.CHUNK - 2) + b"data:", b"data:")) == [source.CHUNK - 2]


FILE = b"MZ" + bytes(range(250, 256)) + b"payload!!"
F64 = base64.b64encode(FILE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (F64.replace(b"=", b"%3D"), FILE),
        (F64.replace(b"=", b"%3d"), FILE),
        (F64.replace(b"+", b"%2B").replace(b"/", b"%2f"), FILE),
        (F64.replace(b"+", b"%2D").replace(b"/", b"%5F"), FILE),  # the other alphabet
        (b"".join(b"%%%02x" % char for char in F64), FILE),
        (b"".join(b"%%%02X" % char if at % 3 else bytes((char,)) for at, char in enumerate(F64)), FILE),
        (b"%0D%0A".join(F64[at : at + 5] for at in range(0, len(F64), 5)), FILE),
        (b"%20" + F64 + b"%00", FILE),
        (F64 + b"%", FILE),  # no escape, and no letter
        (b"QUJD%", b"ABC"),
        (b"QUI%3D", b"AB"),
        (b"QQ%3D%3D", b"A"),
        (b"Q%3D%3D%3D", b""),
        (b"%51%55%4a%44%52", b"ABC"),  # a lonely letter at the end
        (b"%25" + b"QUJD", b"ABC"),  # resolved once
        (b"%zzQUJD", b"\xcf\x34\x14\x24"),  # two letters
    ],
)
def test_escapes_in_base64(text: bytes, expected: bytes) -> None:
    assert b"".join(inline.percent_base64_pieces(text, ((0, len(text)),))) == expected
    assert uris(b'<a href="data:a/b;base64,' + text + b'">') == [expected]


def test_base64_without_escapes_is_read_without_them() -> None:
    assert inline._base64_of(b"QUJD%3D", 0, 4) is inline.base64_pieces
    assert inline._base64_of(b"QUJD%3D", 0, 5) is inline.percent_base64_pieces
    assert uris(b'"data:a/b;base64,QUJD" "%3D"') == [b"ABC"]


@given(st.binary(max_size=300), st.integers(4, 9), st.integers(1, 5))
def test_escapes_in_base64_do_not_depend_on_the_chunks(data: bytes, chunk: int, every: int) -> None:
    text = b"".join(b"%%%02x" % char if at % every == 0 else bytes((char,)) for at, char in enumerate(base64.b64encode(data)))
    half = len(text) // 3
    while text[half : half + 1] not in (b"%", b""):
        half += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inline, "CHUNK", chunk)
        assert b"".join(inline.percent_base64_pieces(text, ((0, half), (half, len(text))))) == data


def test_what_is_no_escape_of_a_data_uri() -> None:
    assert uris(b'"data:a/b;base64%2CQUJD"') == []  # the comma has to be one
    (found,) = inline.data_uris(b'"data:a/b%3Bbase64,QUJD"')
    assert (b"".join(found.chunks()), found.media_type) == (b"QUJD", "a/b%3bbase64")
