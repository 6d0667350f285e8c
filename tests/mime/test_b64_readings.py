"""Other readings of base64: whatever the independent oracle can read from a damaged body, one of ours can, too."""

from __future__ import annotations

import base64
import io
import re
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evasion_corpus as evasion
from chunked import Chunked
from eicar import EICAR
from lazaretto.mime import b64, b64_readings

JUNK = [
    *(b"=", b"==", b"\r\n", b"\n", b"\0", b"!", b"-", b"--", b"#", b"# c", b" ", b"X", b"QQ==", b"A"),
    *(b"begin-base64 644 x\r\n", b"=\r\n", b"\r\n\r\n", b"\n\n", b"_", b"Header: x\r\n", b"\r\n-- \r\nlist_footer\r\n"),
]
MISSING = not evasion.available()
ORACLE = evasion.oracle() if evasion.available() else None  # at import: it changes the recursion limit, which Hypothesis watches


def readings(body: bytes, piece: int = 1 << 18) -> dict[str, bytes]:
    source = Chunked(body, piece)
    return {label: b"".join(chunks) for label, chunks in b64_readings.readings(source, source.all)}


def usual(body: bytes) -> bytes:
    source = Chunked(body, 1 << 18)
    return b"".join(b64.decode(source, source.all))


TEXT = base64.b64encode(EICAR)


@pytest.mark.parametrize(
    ("body", "label"),
    [
        (b"".join(base64.b64encode(EICAR[at : at + 1])[:2] + b"=x" for at in range(68)), "quads"),
        (b"=".join(TEXT[at : at + 3] for at in range(0, len(TEXT), 3)), "ignore-pad"),
        (TEXT.replace(b"=", b"") + b"\r\n=\r\nX" * 3, "stop-at-pad"),
        (b"\r\n".join(TEXT[at : at + 4] + b"X" for at in range(0, len(TEXT), 4)), "lines"),
        (b"\r\n".join(TEXT[at : at + 4] + b"Xyz." for at in range(0, len(TEXT), 4)), "first-quad-of-lines"),
        (b"=\r\n".join(TEXT[at : at + 5] for at in range(0, len(TEXT), 5)), "soft-breaks"),
        (b"ab!\r\n" + TEXT, "skip-1-lines"),
        (b"ab!\r\nab!\r\n" + TEXT, "skip-2-lines"),
        (b"abc!" + TEXT, "skip-3-characters"),
        (b"# comment xy\r\n" + TEXT[:40] + b"# more\r\n" + TEXT[40:], "no-comments"),
        (TEXT[:40] + b"\r\nnot this.\r\n" + TEXT[40:], "legal-lines"),
        (TEXT + b"\r\n\r\nab!\r\n", "before-blank-line"),
        (b"ab!\r\n\r\n" + TEXT, "after-blank-line"),
        (b"ab!\n\n" + TEXT, "after-blank-line-lf"),
        (b"ab--" + TEXT, "after-dashes"),
        (TEXT + b"--ab", "before-dashes"),
        (b"ab!\0\r\n\0\r\n\0" + TEXT, "nul-removed.after-blank-line"),
    ],
)
def test_each_reading_finds_what_it_is_for(body: bytes, label: str) -> None:
    found = {key.removeprefix("base64.") for key, content in readings(body).items() if EICAR in content}
    assert label in found


def test_url_safe_alphabet() -> None:
    data = b"\xfb\xff\xbf" * 20
    body = base64.urlsafe_b64encode(data)
    assert usual(body) != data
    assert readings(body)["base64.url-safe.streams"] == data


def test_pad_as_zero() -> None:
    assert readings(b"TWFuTW==TWFu==")["base64.pad-as-zero"] == base64.b64decode(b"TWFuTWAATWFu")


def test_quads() -> None:
    found = readings(b"AB=CDEFGHI=J====QUJD=A")
    quads = [b"AB=C", b"DEFG", b"HI=J", b"====", b"QUJD", b"=A"]
    assert found["base64.quads"] == b"".join(b64.whole_bytes(quad.partition(b"=")[0]) for quad in quads)
    assert found["base64.quads-joined"] == b"".join(b64.whole_bytes(quad.replace(b"=", b"")) for quad in quads)


def test_clean_body_has_none() -> None:
    assert readings(base64.encodebytes(EICAR * 30)) == {}


def test_list_footer_costs_few_readings() -> None:
    # Nobody skips lines of a clean head, however the tail looks.
    labels = readings(base64.encodebytes(b"x" * 4000) + b"list footer\r\n")
    assert "base64.stop-at-pad" in labels
    assert not any("skip" in label for label in labels)


@given(st.text("QUJD=-_#! \r\n\0", max_size=60).map(str.encode), st.integers(1, 9))
def test_chunking_changes_nothing(body: bytes, piece: int) -> None:
    assert readings(body, piece) == readings(body)


def test_long_lines_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"  " + TEXT[:41] + b" \r\nbad. \r\n" + TEXT[41:] + b"!\r\nQQ\r\n"
    expected = readings(body)
    monkeypatch.setattr(b64_readings, "CHUNK", 16)
    assert readings(body) == expected


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from([b"", b"MZ", b"PKx"])) + EICAR + draw(st.binary(max_size=2))
    cut = draw(st.integers(0, len(data)))
    width = draw(st.sampled_from([1, 3, 4, 5, 8, 20, 76, 1000]))
    end = draw(st.sampled_from([b"\r\n", b"\n", b"\r", b" \r\n", b"\r\r\n"]))
    body = b""
    for part in (data[:cut], data[cut:]):
        text = base64.b64encode(part)
        body += b"".join(text[at : at + width] + end for at in range(0, len(text), width))
    for at, junk in draw(st.lists(st.tuples(st.integers(0, len(body)), st.sampled_from(JUNK)), max_size=3)):
        body = body[:at] + junk + body[at:]
    change = draw(st.sampled_from(["", "", "utf-16", "url-safe", "between"]))
    if change == "utf-16":
        body = re.sub(rb"(.)", rb"\1\0", body, flags=re.DOTALL)
    elif change == "url-safe":
        body = body.replace(b"+", b"-").replace(b"/", b"_")
    elif change == "between":
        step = draw(st.integers(1, 9))
        body = draw(st.sampled_from(JUNK)).join(body[at : at + step] for at in range(0, len(body), step))
    return body


@pytest.mark.skipif(MISSING, reason=evasion.MISSING)
@given(damaged())
def test_covers_the_oracle(body: bytes) -> None:
    assert ORACLE is not None
    if any(EICAR in variant for variant in ORACLE.b64_variants(body)):
        assert EICAR in usual(body) or any(EICAR in content for content in readings(body, 1000).values())


def _marked(content: bytes, markers: list[bytes]) -> bool:
    if any(marker in content for marker in markers):
        return True
    if not content.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return any(marker in archive.read(name) for name in archive.namelist() for marker in markers)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
        return False


@pytest.mark.skipif(MISSING, reason=evasion.MISSING)
def test_covers_the_corpus() -> None:
    cases = [meta for meta in evasion.cases("evasion") if meta["family"] == "base64-body"]
    assert cases
    for meta in cases:
        message = evasion.originals(meta)[0]
        body = re.split(rb"(?i)transfer-encoding: base64[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n", message, maxsplit=1)[1]
        body = re.split(rb"[\r\n]\0?--foo", body)[0]
        markers = [marker.encode("latin-1") for marker in meta["markers"]]
        assert any(_marked(content, markers) for content in [usual(body), *readings(body).values()]), meta["id"]
