"""Content-Transfer-Encodings: the usual reading, what is wrong, other readings.

The usual reading is what most clients make of a body.  When `anomalies` is
empty there is no other; when not, `readings` gives all the others that some
client may make of it, and the union is what gets scanned.

Known, in lower case: "", "7bit", "8bit", "binary" (as it is), "base64",
"quoted-printable", the uuencode and yEnc names, "binhex" and its names, "gzip64"
(base64 of gzip, which early Eudora and Mailtool wrote).  Whatever else is read
as it is, RFC 2045 s6.4; which encodings a malformed field may mean is not
decided here.

Limits:  streams, holds some chunks of 256 KiB; output is the caller's to meter.
         max_encoded_blocks for encodings that stand inside text.
Errors:  LimitExceeded("max_encoded_blocks") from `readings` and `find_encoded`.
See:     RFC 2045 s6; mime/b64.py, qp.py, uuencode.py, yenc.py, binhex.py
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from lazaretto import regex
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime.encoded import Encoded
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Span

Chunks = Iterator[bytes]
__all__ = ["Encoded", "anomalies", "decode", "find_encoded", "readings"]

_UUENCODE = "uuencode:decode uuencode:anomalies uuencode:readings"
_YENC = "yenc:decode yenc:anomalies yenc:readings"
_BINHEX = "binhex:decode binhex:anomalies binhex:readings"
# encoding -> module:function in this room for each of decode, anomalies, readings; imported when used
_CODECS = {
    "base64": "b64:decode b64:anomalies b64_readings:readings",
    "quoted-printable": "qp:decode qp:anomalies qp:readings",
    **dict.fromkeys(("uuencode", "x-uuencode", "x-uue", "uue", "x-uu"), _UUENCODE),
    **dict.fromkeys(("yenc", "x-yenc"), _YENC),
    **dict.fromkeys(("binhex", "mac-binhex40", "x-binhex"), _BINHEX),
    **dict.fromkeys(("gzip64", "x-gzip64"), "transfer:_gzip64 transfer:_gzip64_anomalies transfer:_gzip64_readings"),
}


# Patterns, because that search is twice as fast as bytes.find for two or three bytes.
_YBEGIN, _LF_COLON, _CR_COLON = regex.compile(rb"=ybegin"), regex.compile(rb"\n:"), regex.compile(rb"\r:")


@cache
def _function(encoding: str, which: int) -> Any:
    module, _, name = _CODECS[encoding].split()[which].partition(":")
    return getattr(import_module("lazaretto.mime." + module), name)


def is_known(encoding: str) -> bool:
    """Does `decode` decode it, or give the bytes as they are because nobody knows it?"""
    return encoding in _CODECS


def decode(source: Source, span: Span, encoding: str) -> Chunks:
    """The usual reading of the body at `span`, in chunks that may be empty."""
    chunks: Chunks = _function(encoding, 0)(source, span) if encoding in _CODECS else source.chunks(span)
    return chunks


def anomalies(source: Source, span: Span, encoding: str) -> tuple[str, ...]:
    """What decoders of this encoding disagree on in this body: "base64.junk"; () for a clean one."""
    names: tuple[str, ...] = _function(encoding, 1)(source, span) if encoding in _CODECS else ()
    return names


def readings(source: Source, span: Span, encoding: str) -> Iterator[tuple[str, Chunks]]:
    """Every other reading of an anomalous body: label and chunks; none for a clean one."""
    others: Iterator[tuple[str, Chunks]] = _function(encoding, 2)(source, span) if encoding in _CODECS else iter(())
    return others


def find_encoded(source: Source, span: Span | None = None, limits: Limits = DEFAULT) -> Iterator[Encoded]:
    """All readings of all uuencode, begin-base64, yEnc and BinHex blocks in any text."""
    start, stop = span if span is not None else (0, source.size)
    data = source.data
    # Each kind of block begins with one of these; hardly any mail has one, and then needs no finder.
    if data.find(b"begin", start, stop) >= 0:
        from lazaretto.mime.uuencode import find_uuencode

        yield from find_uuencode(source, span, limits)
    if _YBEGIN.search(data, start, stop):
        from lazaretto.mime.yenc import find_yenc

        yield from find_yenc(source, span, limits)
    if data[start : min(start + 1, stop)] == b":" or _LF_COLON.search(data, start, stop) or _CR_COLON.search(data, start, stop):
        from lazaretto.mime.binhex import find_binhex

        yield from find_binhex(source, span, limits)


# -- gzip64


def _gzip64(source: Source, span: Span) -> Chunks:
    from lazaretto.mime import b64

    return _gunzip(b64.decode(source, span))


def _gzip64_anomalies(source: Source, span: Span) -> tuple[str, ...]:
    from lazaretto.mime import b64

    start = b"".join(b64.decode(source, Span(span.start, min(span.start + 64, span.stop))))
    names = () if start.startswith(b"\x1f\x8b") else ("gzip64.not-gzip",)
    return b64.anomalies(source, span) + names


def _gzip64_readings(source: Source, span: Span) -> Iterator[tuple[str, Chunks]]:
    from lazaretto.mime import b64, b64_readings

    if not _gzip64_anomalies(source, span):
        return
    yield "gzip64.base64", b64.decode(source, span)
    for label, start in b64_readings.choices(source, span):
        yield "gzip64." + label, _gunzip(start())
        yield label, start()


def _gunzip(packed: Chunks) -> Chunks:
    """All members, as far as they go; what follows the last one is dropped."""
    import zlib

    inflate = zlib.decompressobj(31)
    for piece in packed:
        while piece:
            if inflate.eof:
                inflate = zlib.decompressobj(31)
            before = inflate.copy()
            try:
                yield inflate.decompress(piece, CHUNK)
            except zlib.error:
                # zlib keeps what it had unpacked in a call that fails: ask again in small steps.
                try:
                    for at in range(len(piece)):
                        yield before.decompress(piece[at : at + 1])
                except zlib.error:
                    return
            piece = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    try:
        while not inflate.eof and (rest := inflate.decompress(b"", CHUNK)):
            yield rest
    except zlib.error:
        return
