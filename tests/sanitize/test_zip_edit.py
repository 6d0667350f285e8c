"""Members taken out and exchanged; the others and their headers are where they were; a zip with two readings is refused."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disarming import unpacked
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits, Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize.disarmed import Refused
from lazaretto.sanitize.zip_edit import Archive

PARTS = {"a.txt": b"hello " * 40, "b/c.bin": bytes(range(256)), "d.txt": b""}


class _Stream(io.RawIOBase):
    """Cannot seek: zipfile then writes sizes behind the data."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def packed(parts: dict[str, bytes] = PARTS, method: int = zipfile.ZIP_DEFLATED, late: bool = False, comment: bytes = b"") -> bytes:
    out: io.BytesIO | _Stream = _Stream() if late else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.comment = comment
        for name, data in parts.items():
            archive.writestr(name, data)
    return bytes(out.data) if isinstance(out, _Stream) else out.getvalue()


def archive(data: bytes, limits: Limits | None = None) -> Archive:
    return Archive(Source(data), Meter(limits or Limits()))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_reading_and_nothing_to_do(method: int, late: bool) -> None:
    data = packed(method=method, late=late, comment=b"")
    of = archive(data)
    assert of.names == tuple(PARTS)
    assert {name: of.read(name) for name in of.names} == PARTS
    assert of.head("b/c.bin")[:3] == b"\0\1\2"
    assert of.rebuild({}) == data


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_changes(method: int, late: bool) -> None:
    data = packed(method=method, late=late)
    new = archive(data).rebuild({"a.txt": None, "d.txt": b"new"}, {"d.txt": "e.txt"})
    assert unpacked(new) == {"b/c.bin": PARTS["b/c.bin"], "e.txt": b"new"}
    assert archive(new).names == ("b/c.bin", "e.txt")


def test_a_new_name_has_the_length_of_the_old_one() -> None:
    with pytest.raises(ValueError, match="same length"):
        archive(packed()).rebuild({}, {"d.txt": "longer.txt"})


def _patched(old: bytes, new: bytes, count: int = 1) -> bytes:
    data = packed()
    assert old in data
    return data.replace(old, new, count)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x" + packed(), "zip.prefix"),
        (packed() + b"x", "zip.suffix"),
        (packed() + packed(), "more than one reading"),
        (_patched(b"a.txt", b"x.txt"), "zip.name-mismatch"),
        (_patched(b"a.txt", b"D.TXT", 2), "zip.duplicate-name"),
        (_patched(b"b/c.bin", b"../.bin", 2), "more than one reading"),
        (_patched(b"b/c.bin", b"b\\c.bin", 2), "more than one reading"),
        (_patched(b"b/c.bin", b"b/c.\xfcin", 2), "more than one reading"),
        (packed({"\u00fc" + "x" * 300: b""}).replace(b"\xc3\xbc", b"\xc3\x28"), "more than one reading"),
        (packed(method=zipfile.ZIP_BZIP2), "packed or encrypted"),
        (b"no zip", "more than one reading"),
        (b"PK\x05\x06" + bytes(18), "more than one reading"),
    ],
)
def test_what_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        archive(data)


def test_bytes_that_belong_to_nothing() -> None:
    data = packed()
    directory = data.index(b"PK\x01\x02")
    end = bytearray(data[data.index(b"PK\x05\x06") :])
    end[16:20] = (directory + 4).to_bytes(4, "little")
    with pytest.raises(Refused, match="belong to nothing"):
        archive(data[:directory] + b"junk" + data[directory:-22] + bytes(end))


def test_damaged_members() -> None:
    stored = packed(method=zipfile.ZIP_STORED)
    with pytest.raises(Refused, match="not what its header says"):
        archive(stored.replace(b"hello", b"hallo", 1)).read("a.txt")
    data = bytearray(packed())
    start = data.index(b"a.txt") + 5
    data[start : start + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(Refused, match="damaged"):
        archive(bytes(data)).read("a.txt")
    with pytest.raises(Refused, match="damaged"):
        archive(bytes(data)).head("a.txt")


def test_the_meter() -> None:
    with pytest.raises(LimitExceeded):
        archive(packed(), Limits(max_member_bytes=100)).read("a.txt")


@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_whatever_is_accepted_is_read_alike_by_another_reader(at: int, noise: bytes) -> None:
    data = packed()
    at %= len(data)
    data = data[:at] + noise + data[at + len(noise) :]
    try:
        of = archive(data)
        mine = {name: of.read(name) for name in of.names}
    except Refused:
        return
    assert unpacked(data) == mine
    assert unpacked(of.rebuild({"a.txt": b"x"} if "a.txt" in mine else {})) == mine | ({"a.txt": b"x"} if "a.txt" in mine else {})
