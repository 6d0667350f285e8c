"""content.pdf: objects, script, embedded files, hidden streams."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import Found, members, problems
from eicar import EICAR
from lazaretto.content import pdf
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.model import Reason


def stream(number: int, dictionary: bytes, data: bytes) -> bytes:
    return b"%d 0 obj\n<<%s/Length %d>>stream\n%s\nendstream\nendobj\n" % (number, dictionary, len(data), data)


def named(type_id: str, data: bytes, name: str) -> list[Found]:
    return [member for member in members(type_id, data) if member.names == (name,)]


def objects(data: bytes) -> bytes:
    return named("pdf", data, "pdf-objects")[0].data


CATALOG = b"%PDF-1.7\n1 0 obj\n<</Type/Catalog/OpenAction 4 0 R>>\nendobj\n"
SCRIPT = b"app.alert\\(1\\);"
EMBED = (
    CATALOG
    + b"4 0 obj\n<</Type/Filespec/F(eicar.com)/UF(\xfe\xff\0e\0.\0c\0o\0m)/EF<</F 5 0 R>>>>\nendobj\n"
    + stream(5, b"/Type/EmbeddedFile/Subtype/application#2Foctet-stream/Filter/FlateDecode", zlib.compress(EICAR))
    + b"trailer\n<</Root 1 0 R>>\n%%EOF\n"
)


@pytest.mark.parametrize("prefix", [b"", b"junk " * 300, b"("])
@pytest.mark.parametrize("suffix", [b"", b"\ntrailing"])
def test_embedded_file(prefix: bytes, suffix: bytes) -> None:
    (found,) = [member for member in members("pdf", prefix + EMBED + suffix) if member.is_file]
    assert (found.names, found.data, found.media_type) == (("eicar.com", "e.com"), EICAR, "application/octet-stream")


@pytest.mark.parametrize(
    "data",
    [
        EMBED.replace(b"/Length 76", b"/Length 5"),
        EMBED.replace(b"/Type/EmbeddedFile", b""),  # only referred to
        EMBED.replace(b"/EF<</F 5 0 R>>", b""),  # only declared
        EMBED.replace(b"/EmbeddedFile", b"/Embedded#46ile").replace(b"/FlateDecode", b"/F#6cateDecode"),
        EMBED.replace(b"/Filter/FlateDecode", b"/Filter[/FlateDecode]"),
        EMBED.replace(b"/Filter/FlateDecode", b"/Filter 9 0 R"),
        EMBED.replace(b"/Filter/FlateDecode", b"/Filter[]"),
        EMBED.replace(b"/Filter/FlateDecode", b"/Filter/Unknown/Filter/Fl"),
        EMBED.replace(b">>stream\n", b">>%comment\nstream\r\n"),
        EMBED.replace(b"/Type/EmbeddedFile", b"/Type/EmbeddedFile/Subtype/Image"),
        EMBED[: EMBED.index(b"endstream")],
    ],
)
def test_embedded_file_in_disguise(data: bytes) -> None:
    assert any(member.data.rstrip() == EICAR for member in members("pdf", data) if member.is_file)


@pytest.mark.parametrize(
    ("action", "script"),
    [
        (b"<</S/JavaScript/JS(app.alert\\(1\\);)>>", b"app.alert(1);"),
        (b"<</S/J#61vaScript/J#53(a(b)c)>>", b"a(b)c"),
        (b"<</S/JavaScript/JS<6170702e>>>", b"app."),
        (b"<</S/JavaScript/JS<FEFF00610028>>>", b"a("),
        (b"<</S/JavaScript/JS(\xfe\xff\0a\0b)>>", b"ab"),
        (b"<</S %c\n /JavaScript % (\n /JS\n(\\141\\\nb)>>", b"ab"),
    ],
)
def test_script_in_strings(action: bytes, script: bytes) -> None:
    data = CATALOG + b"4 0 obj\n" + action + b"\nendobj\n"
    assert [member.data for member in named("pdf", data, "javascript")] == [script]
    text = objects(data)
    assert b"/S /JavaScript" in text
    assert b"/OpenAction 4 0 R" in text


def test_script_in_a_stream() -> None:
    data = CATALOG + b"4 0 obj<</S/JavaScript/JS 7 0 R>>endobj\n" + stream(7, b"/Filter/Fl", zlib.compress(b"evil()"))
    assert [member.data for member in named("pdf", data, "javascript")] == [b"evil()"]


@pytest.mark.parametrize("filters", [b"/Filter/FlateDecode", b"/Filter[/AHx/Fl]"])
def test_objects_in_object_streams(filters: bytes) -> None:
    inside = b"4 0 6 11 " + b"(unclosed  " + b"<</S/JavaScript/JS(evil\\(\\))>>"
    packed = zlib.compress(inside)
    if b"AHx" in filters:
        packed = packed.hex().encode() + b">"
    data = CATALOG + stream(9, b"/Type/ObjStm/N 2/First 9" + filters, packed)
    assert b"/S /JavaScript" in objects(data)
    assert [member.data for member in named("pdf", data, "javascript")] == [b"evil()"]


def test_object_stream_with_predictor() -> None:
    inside = b"4 0 << /S /Launch /Win << /F (cmd.exe) >> >>"
    rows = b"".join(b"\0" + inside[at : at + 5] for at in range(0, len(inside), 5))
    filters = b"/Type/ObjStm/N 1/First 4/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 5>>"
    assert b"/S /Launch" in objects(CATALOG + stream(9, filters, zlib.compress(rows)))


def test_objects_inside_a_stream_are_read() -> None:
    hidden = b"8 0 obj\n<</S/Launch/F(cmd.exe)>>\nendobj"
    assert b"/S /Launch" in objects(CATALOG + stream(5, b"", b"BT " + hidden))


def test_strings_do_not_hide_what_follows() -> None:
    data = CATALOG + b"5 0 obj (never closed\n6 0 obj <</Title(endobj stream)/A#41 7 0 R>> endobj"
    assert b"/AA 7 0 R" in objects(data)


def test_streams_that_look_like_files_and_all_others() -> None:
    data = (
        CATALOG
        + stream(5, b"/Filter/FlateDecode", zlib.compress(b"MZ program"))
        + stream(6, b"/Filter/FlateDecode", zlib.compress(b"BT (page) Tj"))
        + stream(7, b"/Subtype/Image/Filter/DCTDecode", b"\xff\xd8 picture")
        + stream(8, b"/Length1 5/Filter/FlateDecode", zlib.compress(b"font"))
        + stream(9, b"/Filter/FlateDecode", zlib.compress(b"<?xpacket"))
    )
    found = members("pdf", data)
    assert [member.data for member in found if member.names == ()] == [b"MZ program"]
    assert found[-1].names == ("pdf-streams",)
    assert found[-1].data == b"BT (page) Tj\n<?xpacket\n"


def test_damaged_stream_gives_its_prefix() -> None:
    packed = zlib.compress(EICAR + bytes(range(256)))
    data = CATALOG + stream(5, b"/Type/EmbeddedFile/Filter/FlateDecode", packed[:-12] + b"\xff" * 12)
    assert any(EICAR in member.data for member in members("pdf", data) if member.is_file)


@pytest.mark.parametrize("trailer", [b"trailer<</Root 1 0 R/Encrypt 9 0 R>>", b"trailer <</Encr#79pt<</Filter/Standard>>>>"])
def test_encrypted(trailer: bytes) -> None:
    assert [(p.name, p.reason) for p in problems("pdf", EMBED + trailer)] == [("pdf.encrypted", Reason.ENCRYPTED)]
    assert problems("pdf", EMBED) == []


def test_notes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_NOTES", 3)
    data = CATALOG + b"".join(b"%d 0 obj<</JS(x%d)>>endobj\n" % (number, number) for number in range(9))
    assert [(p.name, p.reason) for p in problems("pdf", data)] == [("pdf.notes", Reason.LIMIT)]


def test_object_streams_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_OBJECT_STREAM", 100)
    data = CATALOG + stream(5, b"/Type/ObjStm/N 1/First 4/Filter/Fl", zlib.compress(bytes(9999)))
    assert [(p.name, p.reason) for p in problems("pdf", data)] == [("pdf.object-stream", Reason.LIMIT)]


def test_bombs_are_limited() -> None:
    data = CATALOG + stream(5, b"/Type/EmbeddedFile/Filter[/Fl/Fl]", zlib.compress(zlib.compress(bytes(4 << 20))))
    with pytest.raises(LimitExceeded):
        members("pdf", data, Limits(max_member_bytes=1 << 20))


def test_overlapping_streams_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        members("pdf", b"1 0 obj<<>>stream\n" * 1000 + b"endstream")


PIECES = b"1 0 obj|<<|>>|(|)|\\|stream\n|endstream|/JS|/Filter|/LZW|/EF|<41|>|%|#4|5 0 R|/Predictor 12|/Type/ObjStm|\n|\0".split(b"|")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.integers(0, len(EMBED)))
def test_never_raises(parts: list[bytes], at: int) -> None:
    try:
        members("pdf", EMBED[:at] + b"".join(parts) + EMBED[at:])
    except LimitExceeded:
        pass  # of streams that overlap
