"""Quoted-printable: decoding, anomalies, other readings.

`decode` gives the usual reading, in one pass: "=XX" is a byte in either case of
hex digits, "=" and blanks before a line end (LF or CRLF) or at the very end is
a soft break, any other "=" stays as it is, nothing else changes.  Decoders
differ on the rest, and `anomalies` names what they differ on:

    qp.bad-escape   "=" followed by neither two hex digits nor a line end
    qp.soft-break   a soft break with blanks or NUL before the line end, with a lone CR as line end, or before an empty line
    qp.bare-cr      CR without LF after it (CRCRLF counts)
    qp.nul          NUL

Limits:  holds one chunk and at most 64 KiB of an unfinished soft break.
Errors:  none.
See:     RFC 2045 s6.7
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Callable, Iterable, Iterator

from lazaretto import regex
from lazaretto.mime.source import Source
from lazaretto.model import Span

_HEX = rb"[0-9A-Fa-f]"
_BAD = regex.compile(rb"=(?!" + _HEX + rb"{2})")
_ODD = regex.compile(rb"=(?!" + _HEX + rb"{2}|\r?\n)")
_SOFT_WITH_BLANKS = regex.compile(rb"=[ \t]+(?=\r?\n)")
_UNFINISHED = regex.compile(rb"=(?:" + _HEX + rb"?|[ \t]*\r?)")
_DANGLING = regex.compile(rb"=[ \t]*\r?")

_BARE_CR = regex.compile(rb"\r(?!\n)")
_ODD_SOFT = regex.compile(rb"=(?:[ \t\0\x0b\x0c]+(?:[\r\n]|\Z)|\r(?!\n)|\r?\n[\r\n])")
_BAD_ESCAPE = regex.compile(rb"=(?!" + _HEX + rb"{2}|[ \t\0]*(?:[\r\n]|\Z))")

_HOLD = 1 << 16
_EQUALS = ord("=")

Stage = Callable[[Iterable[bytes]], Iterator[bytes]]


def decode(source: Source, span: Span) -> Iterator[bytes]:
    """The usual reading of the body at `span`, in chunks of at most one source chunk, perhaps empty."""
    held = b""
    for piece in source.chunks(span):
        piece = held + piece
        keep = _from_last_equals(piece, _UNFINISHED)
        held = piece[keep:]
        yield _plain(piece[:keep])
    if not _DANGLING.fullmatch(held):
        yield _plain(held)


def _plain(piece: bytes) -> bytes:
    # a2b_qp alone would swallow the text after "=" CR up to the next LF and read "==" as "=":
    # so it gets to see only escapes that it cannot misread.
    if _ODD.search(piece):
        piece = _ODD.sub(b"=3D", _SOFT_WITH_BLANKS.sub(b"=", piece))
    return a2b_qp(piece)


def _from_last_equals(piece: bytes, unfinished: re.Pattern[bytes]) -> int:
    """Where the rest of `piece` has to wait for more: at its last "=" if what follows is unfinished."""
    at = piece.rfind(b"=", max(0, len(piece) - _HOLD))
    return at if at >= 0 and unfinished.fullmatch(piece, at) else len(piece)


def anomalies(source: Source, span: Span) -> tuple[str, ...]:
    """What decoders will disagree on, () for a clean body."""
    data, (start, stop) = source.data, span
    names = []
    if _BAD_ESCAPE.search(data, start, stop):
        names.append("qp.bad-escape")
    if _ODD_SOFT.search(data, start, stop):
        names.append("qp.soft-break")
    if data.find(b"\r", start, stop) >= 0 and _BARE_CR.search(data, start, stop):
        names.append("qp.bare-cr")
    if data.find(b"\0", start, stop) >= 0:
        names.append("qp.nul")
    return tuple(names)


# -- other readings: chains of stages, each a stream transformer that works as if it saw the whole body at once


def _soft_breaks(pattern: bytes, unfinished: bytes, dangling: bytes) -> Stage:
    """Remove soft breaks.

    A piece ends before its last "=" if `unfinished` is all that follows there;
    `dangling` is removed from the end of the body too.
    """
    whole, waiting, last = re.compile(pattern), re.compile(unfinished), re.compile(pattern + b"|" + dangling)

    def run(chunks: Iterable[bytes]) -> Iterator[bytes]:
        held = b""
        for piece in chunks:
            piece = held + piece
            keep = _from_last_equals(piece, waiting)
            held = piece[keep:]
            yield whole.sub(b"", piece[:keep])
        yield last.sub(b"", held)

    return run


def _escapes(pattern: re.Pattern[bytes], by: bytes) -> Stage:
    """Replace a pattern that starts with "=" and sees at most two bytes after it."""

    def run(chunks: Iterable[bytes]) -> Iterator[bytes]:
        held = b""
        for piece in chunks:
            piece = held + piece
            keep = _after_whole_escape(piece)
            held = piece[keep:]
            yield pattern.sub(by, piece[:keep])
        yield pattern.sub(by, held)

    return run


def _after_whole_escape(piece: bytes) -> int:
    """A place near the end that no pattern above straddles.

    That is after two bytes that are not "=", or between another byte and "=";
    in a long run of "=" any even distance from its start, leaving two.
    """
    for at in range(len(piece), max(len(piece) - 64, 1), -1):
        if piece[at - 1] != _EQUALS and (piece[at - 2] != _EQUALS or piece[at : at + 1] == b"="):
            return at
    stop = len(piece) if piece.endswith(b"=") else max(len(piece) - 1, 0)
    run = stop - len(piece[:stop].rstrip(b"="))
    return stop - run + max(run - 2, 0) // 2 * 2


def _hex(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return (a2b_qp(piece) for piece in _escapes(_BAD, b"=3D")(chunks))


def _deletion(chars: bytes) -> Stage:
    return lambda chunks: (piece.translate(None, chars) for piece in chunks)


def _crcrlf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in chunks:
        piece = held + piece
        keep = len(piece) - 2 if piece.endswith(b"\r\r") else len(piece) - piece.endswith(b"\r")
        held = piece[keep:]
        yield piece[:keep].replace(b"\r\r\n", b"\r\n")
    yield held


join_soft_breaks: Stage = _soft_breaks(rb"=[ \t\0\x0b\x0c]*(?:\r\n|\n|\r)", rb"=[ \t\0\x0b\x0c]*\r?", rb"=[ \t\0\x0b\x0c]*\Z")
_join_empty_lines: Stage = _soft_breaks(rb"=[ \t]*[\r\n]+", rb"=[ \t]*[\r\n]*", rb"=[ \t]*\Z")

_TREATMENTS: tuple[tuple[str, tuple[Stage, ...]], ...] = (
    ("soft-breaks-first", (join_soft_breaks,)),
    ("soft-breaks-eat-lines", (_join_empty_lines,)),
    ("one-line", (join_soft_breaks, _deletion(b"\r\n"))),
)
_BAD_TREATMENTS: tuple[tuple[str, tuple[Stage, ...]], ...] = (
    ("drop-equals", (join_soft_breaks, _escapes(_BAD, b""))),
    ("drop-one-digit", (join_soft_breaks, _escapes(regex.compile(rb"=" + _HEX + rb"(?!" + _HEX + rb")"), b""))),
    ("drop-one", (join_soft_breaks, _escapes(regex.compile(_BAD.pattern + rb"[^=]"), b""))),
    ("drop-two", (join_soft_breaks, _escapes(regex.compile(_BAD.pattern + rb"[^=]{2}"), b""))),
    ("double-equals", (join_soft_breaks, _escapes(regex.compile(rb"=="), b"=3D"))),
    ("double-equals-letter", (join_soft_breaks, _escapes(regex.compile(rb"==[a-z]"), b"="))),
)


def readings(source: Source, span: Span) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Every other reading of an anomalous body: label and chunks; none for a clean one."""
    names = anomalies(source, span)
    if not names:
        return
    prefixes: list[tuple[str, tuple[Stage, ...]]] = [("", ())]
    if "qp.nul" in names:
        prefixes.append(("nul-removed.", (_deletion(b"\0"),)))
    if "qp.bare-cr" in names:
        prefixes += [(label + "crcrlf.", (*stages, _crcrlf)) for label, stages in prefixes]
    treatments = _TREATMENTS
    if "qp.bad-escape" in names or "qp.nul" in names or "qp.bare-cr" in names:
        treatments += _BAD_TREATMENTS
    for label, before in prefixes:
        for treatment, stages in treatments:
            chunks = source.chunks(span)
            for stage in (*before, *stages, _hex):
                chunks = stage(chunks)
            yield f"qp.{label}{treatment}", chunks
