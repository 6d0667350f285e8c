"""Base64: decoding and anomalies.  The other readings are in mime/b64_readings.py.

`decode` gives the usual reading: bytes outside the alphabet are skipped, each
run of "=" ends a stream and the next one starts afresh (concatenated streams),
an unfinished quad gives the whole bytes that are in it.

`anomalies` names what decoders disagree on.  Line ends, blanks at line ends and
blank lines around the text are no anomalies.

    base64.junk            bytes outside the alphabet, blanks inside a line
    base64.nul             NUL, as in UTF-16
    base64.bare-cr         CR without LF after it
    base64.padding-inside  more base64 after "="
    base64.text-after-end  other text after the final "=", such as the footer of a mailing list
    base64.length          the final quad is not complete, or has too many "="
    base64.split-quad      a quad continues on the next line
    base64.blank-line      a blank line in the middle
    base64.long-line       a line of more than 998 characters

Limits:  holds one chunk.
Errors:  none.
See:     RFC 2045 s6.8, RFC 4648 s3.3, RFC 5322 s2.1.1

binascii treats "=" inside its input differently from one Python version to the
next, so it is never shown one.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.mime.source import Source
from lazaretto.model import Span

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
PADS = regex.compile(rb"=+")

_JUNK_AND_LF = bytes(c for c in range(256) if c not in ALPHABET)
JUNK = _JUNK_AND_LF.replace(b"=", b"")  # all but alphabet and "="
JUNK_AND_PAD = _JUNK_AND_LF
_NOT_LETTER_NOR_LF = _JUNK_AND_LF.replace(b"\n", b"")
_USUAL = ALPHABET + b"=\r\n"
_INNER_BLANK = regex.compile(rb"[ \t](?<=[A-Za-z0-9+/=].)[ \t]*[A-Za-z0-9+/=]")
_BARE_CR = regex.compile(rb"\r(?!\n)")
_MAX_LINE = 998  # RFC 5322 s2.1.1
_LONG = 4096  # letters that are clean: nobody takes their first line for junk


def decode(source: Source, span: Span) -> Iterator[bytes]:
    """The usual reading of the body at `span`, in chunks of at most one source chunk, perhaps empty."""
    return streams(letters(source.chunks(span)))


def letters(chunks: Iterable[bytes], junk: bytes = JUNK) -> Iterator[bytes]:
    """The chunks without junk: alphabet and "=", or with JUNK_AND_PAD the alphabet alone."""
    return (chunk.translate(None, junk) for chunk in chunks)


def whole_bytes(text: bytes) -> bytes:
    """Decode alphabet characters of any number; bits that make no whole byte are dropped."""
    text = text[: len(text) - (len(text) % 4 == 1)]
    fill = -len(text) % 4
    decoded = a2b_base64(text + b"AA"[:fill])
    return decoded[: len(decoded) - fill]


def streams(chars: Iterable[bytes]) -> Iterator[bytes]:
    """Decode chunks of alphabet and "=": each run of "=" ends a stream, the next starts at a new quad."""
    held = b""
    for piece in chars:
        piece = held + piece
        decoded = []
        last = piece
        if b"=" in piece:
            *ended, last = piece.split(b"=")
            decoded = [whole_bytes(text) for text in ended if len(text) > 1]
        stop = len(last) // 4 * 4
        decoded.append(a2b_base64(last[:stop]))
        held = last[stop:]
        yield b"".join(decoded)
    yield whole_bytes(held)


class Facts(NamedTuple):
    """What one look at a body tells; readings that cannot differ are left out by it."""

    anomalies: tuple[str, ...]
    junk: frozenset[int]  # bytes that are neither alphabet, "=", CR, LF, nor a blank at a line end
    ragged: bool  # some line but the last does not end a quad, or we cannot tell
    padding_inside: bool  # alphabet characters follow a "="
    footer: bool  # nothing is wrong but text after the proper end of a long body


class _Head:
    """What is known about the text up to the first "=", and how it was gathered."""

    def __init__(self) -> None:
        self.junk: set[int] = set()
        self.letters = 0
        self.ragged = self.blank_line = self.bare_cr = False
        self.longest = 0
        self._line = 0  # letters of the line that is still open
        self._previous = 0  # letters of the line before, 0 for none: the last line may be ragged, so judge late
        self._gap = False  # a blank line came after text

    def add(self, chunk: bytes) -> None:
        unusual = chunk.translate(None, _USUAL)
        if unusual:
            self.junk.update(unusual)
        lengths = list(map(len, chunk.translate(None, _NOT_LETTER_NOR_LF).split(b"\n")))
        self.letters += sum(lengths)
        lengths[0] += self._line
        self._line = lengths.pop()
        if not lengths:
            return
        different = set(lengths)
        self.longest = max(self.longest, *different)
        if 0 in different:
            self._blank_lines(lengths)
            lengths = [length for length in lengths if length]
            if not lengths:
                return
        elif self._gap:
            self.blank_line = True
        if self._previous % 4 or any(length % 4 for length in set(lengths[:-1])):
            self.ragged = True
        self._previous = lengths[-1]

    def _blank_lines(self, lengths: list[int]) -> None:
        seen = self._previous > 0
        for length in lengths:
            if length:
                self.blank_line |= self._gap
                seen = True
            elif seen:
                self._gap = True

    def close(self, padded: bool) -> None:
        self.longest = max(self.longest, self._line)
        if self._line and self._gap:
            self.blank_line = True
        if self._previous % 4 and (self._line or padded):
            self.ragged = True


def look(source: Source, span: Span) -> Facts:
    """Gather the facts in one pass over the body at `span`."""
    data, (start, stop) = source.data, span
    pad = data.find(b"=", start, stop)
    head_stop = pad if pad >= 0 else stop
    head = _Head()
    for chunk in source.chunks(Span(start, head_stop)):
        head.add(chunk)
    head.close(padded=pad >= 0)
    head.bare_cr = _BARE_CR.search(data, start, head_stop) is not None

    tail_junk: set[int] = set()
    pads = tail_letters = first_pads = 0
    if pad >= 0:
        run = PADS.match(data, pad, stop)
        first_pads = run.end() - pad if run else 0
        for chunk in source.chunks(Span(pad, stop)):
            tail_junk.update(chunk.translate(None, _USUAL))
            pads += chunk.count(b"=")
            tail_letters += len(chunk.translate(None, JUNK_AND_PAD))

    need = -head.letters % 4
    junk = head.junk | tail_junk
    if junk & set(b" \t") and not _INNER_BLANK.search(data, start, stop):
        for known in (junk, head.junk, tail_junk):
            known -= set(b" \t")
    inside = tail_letters > 0
    text_after = inside and bool(tail_junk)
    names = []
    if junk - {0} and (head.junk - {0} or not text_after):
        names.append("base64.junk")
    if 0 in junk:
        names.append("base64.nul")
    if head.bare_cr:
        names.append("base64.bare-cr")
    if inside:
        names.append("base64.text-after-end" if text_after else "base64.padding-inside")
    wrong_length = need == 3 or (pads != need if not inside else first_pads != need)
    if wrong_length:
        names.append("base64.length")
    if head.ragged:
        names.append("base64.split-quad")
    if head.blank_line:
        names.append("base64.blank-line")
    if head.longest > _MAX_LINE:
        names.append("base64.long-line")
    ragged = head.ragged or head.bare_cr or bool(junk) or inside
    footer = (
        text_after
        and head.letters >= _LONG
        and not (head.junk or head.ragged or head.bare_cr or head.blank_line or wrong_length or 0 in tail_junk)
    )
    return Facts(tuple(names), frozenset(junk), ragged, inside, footer)


def anomalies(source: Source, span: Span) -> tuple[str, ...]:
    """What decoders will disagree on, () for a clean body."""
    return look(source, span).anomalies
