"""Signatures: what stands at offset 0 of each binary format.

    signature(head)   by a fixed string; "zip" and "ole" want a closer look
    shape(head)       by a pattern, for starts that are short or ambiguous

Asked in this order, since a fixed string is the surer sign.  Text is known by
content.markup, what stands elsewhere by content.sniff.

Limits:  shape looks at 64 bytes at most.
Errors:  none.
See:     each format's specification; APPNOTE 4.3.7 (zip), RFC 1952 s2.3 (gzip), RFC 8878 s3.1 (zstd),
         RFC 5652 s3 (CMS), [MS-ONESTORE] 2.3.1 (OneNote), [MS-SHLLINK] 2.1 (shortcuts)
"""

from __future__ import annotations

import re

from lazaretto import regex

_START: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # empty
    (b"PK\x07\x08PK\x03\x04", "zip"),  # first volume
    (b"PK00PK\x03\x04", "zip"),
    (b"%PDF-", "pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x7fELF", "elf"),
    (b"\xfe\xed\xfa\xce", "macho"),
    (b"\xfe\xed\xfa\xcf", "macho"),
    (b"\xce\xfa\xed\xfe", "macho"),
    (b"\xcf\xfa\xed\xfe", "macho"),
    (b"\xca\xfe\xba\xbf", "macho"),
    (b"dex\n0", "dex"),
    (b"\0asm", "wasm"),
    (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", "lnk"),
    (b"ITSF", "chm"),
    (b"?_\x03\0", "hlp"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"RE~^", "rar"),  # before version 1.5
    (b"MSCF\0\0\0\0", "cab"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),  # legacy frame
    (b"LZIP", "lzip"),
    (b"LRZI\0", "lrzip"),
    (b"\x89LZO\0\r\n\x1a\n", "lzop"),
    (b"!<arch>\n", "ar"),
    (b"!<thin>\n", "ar"),
    (b"070701", "cpio"),
    (b"070702", "cpio"),
    (b"070707", "cpio"),
    (b"070727", "cpio"),  # afio, for large files
    (b"\xed\xab\xee\xdb", "rpm"),
    (b"xar!", "xar"),
    (b"vhdxfile", "vhdx"),
    (b"conectix", "vhd"),
    (b"MSWIM\0\0\0", "wim"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "onenote"),
    (b"\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f", "onenote"),
    (b"\x78\x9f\x3e\x22", "tnef"),
    (b"\0\x01\0\0Standard Jet DB", "access"),
    (b"\0\x01\0\0Standard ACE DB", "access"),
    (b"!BDN", "pst"),
    (b"\x09\0\x04\0", "biff"),
    (b"\x09\x02\x06\0", "biff"),
    (b"\x09\x04\x06\0", "biff"),
    (b"\x09\x08\x08\0", "biff"),
    (b"\x09\x08\x10\0", "biff"),
    (b"\xc5\xd0\xd3\xc6", "postscript"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"8BPS\0", "psd"),
    (b"\xd7\xcd\xc6\x9a", "wmf"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"AT&TFORM", "djvu"),
    (b"ID3", "mp3"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"#!AMR", "amr"),
    (b".snd\0\0", "au"),
    (b"MThd\0\0\0\x06", "midi"),
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\0\0\x01\xba", "mpeg"),
    (b"\0\0\x01\xb3", "mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"FLV\x01", "flv"),
    (b"wOFF", "woff"),
    (b"wOF2", "woff"),
    (b"OTTO\0", "sfnt"),
    (b"ttcf\0", "sfnt"),
    (b"true\0", "sfnt"),
    (b"SQLite format 3\0", "sqlite"),
)

# Short or ambiguous starts: a pattern over the first 64 bytes says more.  (place, what stands there in whatever the pattern matches, ...)
_SHAPE: tuple[tuple[int, bytes, re.Pattern[bytes], str], ...] = tuple(
    (place, fixed, regex.compile(pattern, re.DOTALL), type_id)
    for place, fixed, pattern, type_id in (
        (0, b"\x1f\x8b\x08", rb"\x1f\x8b\x08[\x00-\x1f]", "gzip"),
        (0, b"BZh", rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "bzip2"),
        (0, b"\x1f\x9d", rb"\x1f\x9d[\x09-\x10\x89-\x90]", "compress"),
        # lc/lp/pb, dictionary of 2^n or 3*2^n from 4 KiB up, size unknown or below 2^40, first byte of the range coder
        (
            13,
            b"\0",
            rb"[\x00-\xe0](?:\0[\x10\x18\x20\x30\x40\x60\x80\xc0]\0\0|\0\0[\x01-\xff]\0|\0\0\0[\x01-\x80])(?:\xff{8}|.{5}\0\0\0)\0",
            "lzma",
        ),
        (7, b"**ACE**", rb".{7}\*\*ACE\*\*", "ace"),
        (0, b"`\xea", rb"`\xea[\x1e-\xff][\x00-\x0a][\x1e-\xff].{5}\x02", "arj"),
        (2, b"-", rb"(?:[\x14-\xff].|\x04\0)-(?:lh[0-9a-z]|lz[45s]|pm[0-2])-", "lha"),
        (0, b"ZOO ", rb"ZOO [^\0]{0,15}.{1,16}?\xdc\xa7\xc4\xfd", "zoo"),
        (0, b"\x1a", rb"\x1a[\x01-\x0b](?=[!-~]{1,12}\0)[^\0]{1,12}\0", "arc"),
        (0, b"S", rb"SIT[!D25].{6}rLau|StuffIt \(c\)1997-", "sit"),
        (
            0,
            b"\xc7\x71",
            rb"\xc7\x71.{4}(?:[\x20-\xff][\x11-\xc1]|[\x11-\xc1][\x00-\xff]).{12}(?:[\x01-\xff]\0|\0[\x01-\xff]|[\x00-\xff][\x00-\x03])",
            "cpio",
        ),
        (
            0,
            b"\x71\xc7",
            rb"\x71\xc7.{4}(?:[\x20-\xff][\x11-\xc1]|[\x11-\xc1][\x00-\xff]).{12}(?:[\x01-\xff]\0|\0[\x01-\xff]|[\x00-\xff][\x00-\x03])",
            "cpio",
        ),
        (1, b"WS", rb"[FCZ]WS[\x01-\x40].{3}[\x00-\x0f]", "swf"),
        (0, b"RIFF", rb"RIFF.{4}WEBP", "webp"),
        (0, b"RIFF", rb"RIFF.{4}WAVE", "wav"),
        (0, b"RIFF", rb"RIFF.{4}AVI ", "avi"),
        (0, b"FORM", rb"FORM.{4}AIF[FC]", "aiff"),
        (4, b"ftyp", rb".{4}ftyp(?:hei[cfxms]|hev[cx]|mif1|msf1|avi[fs])", "heif"),
        (4, b"ftyp", rb".{4}ftyp", "mp4"),
        (0, b"\0\0", rb"\0\0[\x01\x02]\0[\x01-\x40]\0.{3}\0", "ico"),
        (0, b"BM", rb"BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "bmp"),
        (0, b"\x01\0\0\0", rb"\x01\0\0\0.{36} EMF", "emf"),
        (0, b"\x01\0\x09\0\0", rb"\x01\0\x09\0\0[\x01\x03]", "wmf"),
        (0, b"\0\x01\0\0\0", rb"\0\x01\0\0\0[\x01-\x60].{6}[ -~]{4}", "sfnt"),
        (0, b"\xff", rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef][^\xff]", "mp3"),
        (0, b"\xff", rb"\xff[\xf0\xf1\xf8\xf9][\x40-\x7f].{3}", "aac"),
        # OpenPGP, binary: a compressed packet, of unknown length as GnuPG writes it or of a known one, and its algorithm
        (0, b"\xa3", rb"\xa3(?:\x01|\x02[\x08-\x78][^\0]|\x03BZh)", "pgp-message"),
        (0, b"\xc8", rb"\xc8(?:[\x02-\xbf]|[\xc0-\xdf].|[\xe0-\xfe]|\xff.{4})(?:\x02[\x08-\x78][^\0]|\x03BZh)", "pgp-message"),
        # ContentInfo { pkcs7 signed, enveloped ... data (1.2.840.113549.1.7.x) or compressed data }, DER or BER length
        (
            0,
            b"0",
            rb"0(?:\x80|[\x00-\x7f]|\x81.|\x82..|\x83...|\x84....)\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x01-\x06]|\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01[\x09\x17])",
            "p7m",
        ),
    )
)


def signature(head: bytes) -> str:
    """The type id whose signature `head` starts with, or ""."""
    for magic, type_id in _START:
        if head.startswith(magic):
            return type_id
    return ""


def shape(head: bytes) -> str:
    """The type id whose pattern fits the start of `head`, or ""."""
    for place, fixed, pattern, type_id in _SHAPE:
        if head.startswith(fixed, place) and pattern.match(head):
            return type_id
    return ""
