"""One sample for each binary type, and near misses that must not match."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content.signatures import _SHAPE, shape, signature
from lazaretto.content.types import TYPES

PAD = bytes(64)

SIGNATURES = [
    ("zip", b"PK\x03\x04"),
    ("zip", b"PK\x05\x06"),
    ("pdf", b"%PDF-1.4"),
    ("ole", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("png", b"\x89PNG\r\n\x1a\n"),
    ("jpeg", b"\xff\xd8\xff\xe0"),
    ("gif", b"GIF89a"),
    ("elf", b"\x7fELF"),
    ("macho", b"\xcf\xfa\xed\xfe"),
    ("dex", b"dex\n035\0"),
    ("wasm", b"\0asm\x01"),
    ("lnk", b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F"),
    ("chm", b"ITSF\x03"),
    ("hlp", b"?_\x03\0"),
    ("7z", b"7z\xbc\xaf\x27\x1c"),
    ("rar", b"Rar!\x1a\x07\0"),
    ("rar", b"Rar!\x1a\x07\x01\0"),
    ("cab", b"MSCF\0\0\0\0"),
    ("xz", lzma.compress(b"")),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("lz4", b"\x04\x22\x4d\x18"),
    ("lzip", b"LZIP\x01"),
    ("lrzip", b"LRZI\0"),
    ("lzop", b"\x89LZO\0\r\n\x1a\n"),
    ("ar", b"!<arch>\n"),
    ("cpio", b"070701"),
    ("rpm", b"\xed\xab\xee\xdb"),
    ("xar", b"xar!"),
    ("vhdx", b"vhdxfile"),
    ("vhd", b"conectix"),
    ("wim", b"MSWIM\0\0\0"),
    ("onenote", bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")),
    ("tnef", b"\x78\x9f\x3e\x22"),
    ("access", b"\0\x01\0\0Standard Jet DB"),
    ("pst", b"!BDN"),
    ("biff", b"\x09\x08\x10\0"),
    ("postscript", b"\xc5\xd0\xd3\xc6"),
    ("tiff", b"II*\0"),
    ("psd", b"8BPS\0"),
    ("wmf", b"\xd7\xcd\xc6\x9a"),
    ("jp2", b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("djvu", b"AT&TFORM"),
    ("mp3", b"ID3\x03"),
    ("ogg", b"OggS"),
    ("flac", b"fLaC"),
    ("amr", b"#!AMR\n"),
    ("au", b".snd\0\0"),
    ("midi", b"MThd\0\0\0\x06"),
    ("matroska", b"\x1a\x45\xdf\xa3"),
    ("mpeg", b"\0\0\x01\xba"),
    ("asf", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("flv", b"FLV\x01"),
    ("woff", b"wOF2"),
    ("sfnt", b"OTTO\0"),
    ("sqlite", b"SQLite format 3\0"),
]

SHAPES = [
    ("gzip", gzip.compress(b"x", mtime=0)),
    ("bzip2", bz2.compress(b"x")),
    ("bzip2", bz2.compress(b"")),
    ("compress", b"\x1f\x9d\x90"),
    ("lzma", lzma.compress(b"some text", format=lzma.FORMAT_ALONE)),
    ("lzma", b"\x5d" + struct.pack("<LQ", 1 << 16, 12345) + b"\0rest"),
    ("ace", b"\x12\x34\x31\0\0\0\x90**ACE**"),
    ("arj", b"`\xea" + struct.pack("<H", 34) + b"\x1e\x0b\x01\x0b\x10\0\x02"),
    ("lha", b"\x24\x99-lh5-"),
    ("lha", b"\x04\0-lh7-"),
    ("zoo", b"ZOO 2.10 Archive.\x1a\0\0\xdc\xa7\xc4\xfd"),
    ("arc", b"\x1a\x08README.TXT\0"),
    ("sit", b"SIT!\0\x01\0\0\0\x20rLau"),
    ("sit", b"StuffIt (c)1997-2001"),
    ("cpio", struct.pack("<13H", 0o070707, 1, 2, 0o100644, 0, 0, 1, 0, 0, 0, 6, 0, 5)),
    ("cpio", struct.pack(">13H", 0o070707, 1, 2, 0o100644, 0, 0, 1, 0, 0, 0, 6, 0, 5)),
    ("swf", b"CWS\x0a\0\x10\0\0"),
    ("webp", b"RIFF\x10\0\0\0WEBPVP8 "),
    ("wav", b"RIFF\x10\0\0\0WAVEfmt "),
    ("avi", b"RIFF\x10\0\0\0AVI LIST"),
    ("aiff", b"FORM\0\0\0\x10AIFF"),
    ("heif", b"\0\0\0\x18ftypheic"),
    ("mp4", b"\0\0\0\x18ftypisom"),
    ("ico", b"\0\0\x01\0\x02\0\x20\x20\0\0"),
    ("bmp", b"BM\x76\x02\0\0\0\0\0\0\x76\0\0\0\x28\0\0\0"),
    ("emf", b"\x01\0\0\0" + bytes(36) + b" EMF"),
    ("wmf", b"\x01\0\x09\0\0\x03"),
    ("sfnt", b"\0\x01\0\0\0\x0f\0\x80\0\x03\0\x70DSIG"),
    ("mp3", b"\xff\xfb\x90\x64"),
    ("aac", b"\xff\xf1\x50\x80\x02\x1f"),
    ("p7m", b"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80"),
    ("p7m", b"0\x82\x06\xb9\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"),
    ("p7m", b"0\x81\xb9\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09"),
]


@pytest.mark.parametrize(("type_id", "start"), SIGNATURES)
def test_signature(type_id: str, start: bytes) -> None:
    assert signature(start + PAD) == type_id
    assert signature(b"x" + start + PAD) == ""


@pytest.mark.parametrize(("type_id", "start"), SHAPES)
def test_shape(type_id: str, start: bytes) -> None:
    assert signature(start + PAD) == ""
    assert shape(start + PAD) == type_id
    assert shape(b"\x7f\x7f" + start + PAD) == ""


@pytest.mark.parametrize(
    "start",
    [
        b"\x1f\x8b\x08\xff",  # reserved gzip flags
        b"BZh9 is a word",
        b"BMW is a car, and this is prose about it",
        b"RIFF sounds like a riff",
        b"ZOO visit tomorrow at noon, bring the children along",
        b"\x5d" + struct.pack("<LQ", 12345, 77) + b"\0",  # no power of two
        b"-lh5- with nothing before it",
        b"FWS: forwarded message",
        b"0\x82\x06\xb9\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01",  # an RSA key
        b"\xff\xfe<\0h\0",  # UTF-16, no MP3
        bytes(64),
        b"",
    ],
)
def test_near_misses(start: bytes) -> None:
    assert (signature(start), shape(start)) == ("", "")


@given(st.binary(max_size=128))
def test_any_bytes(data: bytes) -> None:
    assert signature(data) in TYPES.keys() | {""}
    assert shape(data) in TYPES.keys() | {""}


@given(st.data())
def test_the_fixed_piece_is_in_whatever_the_pattern_matches(data: st.DataObject) -> None:
    for place, fixed, pattern, type_id in _SHAPE:
        found = data.draw(st.from_regex(re.compile(pattern.pattern, re.DOTALL)))
        start = pattern.match(found)
        assert start is None or found.startswith(fixed, place), type_id
