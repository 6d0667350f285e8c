"""Base64: every reading of an anomalous body other than the usual one.

Decoders were seen to stop at "=", to ignore it, to take each quad or each line
by itself, to drop lines with foreign characters, to start after some junk, to
end at a blank line, to know the URL-safe alphabet, to drop NULs.  A reading here
is a choice of text (which characters count) and of what "=" does to it.

Limits:  streams; holds one chunk.  A body costs about twenty passes, sixty if it
         has NULs and "-" or "_" too; those that cannot differ are left out.
         max_reading_bytes is the caller's to enforce.
Errors:  none.
See:     mime/b64.py; RFC 4648 s5 for the URL-safe alphabet
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Iterator
from functools import partial

from lazaretto import regex
from lazaretto.mime.b64 import ALPHABET, JUNK, JUNK_AND_PAD, PADS, Facts, letters, look, streams, whole_bytes
from lazaretto.mime.encoded import batched, cut
from lazaretto.mime.qp import join_soft_breaks
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Span

Chunks = Iterator[bytes]
Clean = Callable[[bytes], bytes]  # what is done to the raw bytes first
Choice = tuple[str, Callable[[], Chunks]]

_LINE = regex.compile(rb"[^\r\n]+")
_COMMENT = regex.compile(rb"#[^\r\n]*")
_EOL = regex.compile(rb"[\r\n]")
_FROM_URLSAFE = bytes.maketrans(b"-_", b"+/")
_EOL_AS_PAD = bytes.maketrans(b"\r\n", b"==")
_JUNK_IN_LINES = bytes(c for c in range(256) if c not in ALPHABET + b"\r\n")
_LEGAL = ALPHABET + b"="


def readings(source: Source, span: Span) -> Iterator[tuple[str, Chunks]]:
    """Every other plausible reading: label and chunks (perhaps empty); none for a clean body."""
    return ((label, start()) for label, start in choices(source, span))


def choices(source: Source, span: Span) -> Iterator[Choice]:
    """The same, each as a function that starts the stream of chunks anew."""
    facts = look(source, span)
    if not facts.anomalies:
        return
    yield from _all(source, span, facts, "base64.", lambda raw: raw)
    if 0 in facts.junk:
        yield from _all(source, span, facts, "base64.nul-removed.", lambda raw: raw.translate(None, b"\0"))
    if facts.junk & set(b"-_"):
        yield from _all(source, span, facts, "base64.url-safe.", lambda raw: raw.translate(_FROM_URLSAFE, b"\0"))


def _all(source: Source, span: Span, facts: Facts, prefix: str, clean: Clean) -> Iterator[Choice]:
    def raw(part: Span = span) -> Chunks:
        return map(clean, source.chunks(part))

    def padded() -> Chunks:
        return letters(raw())

    def unpadded() -> Chunks:
        return letters(raw(), JUNK_AND_PAD)

    if prefix != "base64.":
        yield prefix + "streams", lambda: streams(padded())
    if facts.padding_inside:
        yield prefix + "stop-at-pad", lambda: streams(_until_pad(padded()))
        yield prefix + "ignore-pad", lambda: streams(unpadded())
        yield prefix + "quads", lambda: _quads(padded(), joined=False)
        yield prefix + "quads-joined", lambda: _quads(padded(), joined=True)
        yield prefix + "pad-as-zero", lambda: streams(_zeros(padded()))
        yield prefix + "soft-breaks", lambda: streams(letters(join_soft_breaks(raw())))
    for label, text in _texts(source, span, facts, clean, raw):
        yield prefix + label, partial(_decoded, text, JUNK_AND_PAD)
        if facts.padding_inside:
            yield prefix + label + ".streams", partial(_decoded, text, JUNK)
    if facts.ragged:
        yield prefix + "lines", lambda: streams(_lines_as_streams(raw()))
    if not facts.footer:
        for skip in (1, 2, 3):
            yield f"{prefix}skip-{skip}-characters", partial(_skip_characters, unpadded, skip)


def _decoded(text: Callable[[], Chunks], junk: bytes) -> Chunks:
    return streams(letters(text(), junk))


def _skip_characters(text: Callable[[], Chunks], count: int) -> Chunks:
    return streams(cut(text(), count))


def _texts(source: Source, span: Span, facts: Facts, clean: Clean, raw: Callable[..., Chunks]) -> Iterator[Choice]:
    """Choices of which characters count."""
    if facts.ragged:
        yield "legal-lines", lambda: batched(_legal_lines(source, span, clean, quads=False))
        yield "quads-of-legal-lines", lambda: batched(_legal_lines(source, span, clean, quads=True))
        yield "first-quad-of-lines", lambda: batched(_first_quads(source, span, clean))
    for name, token in (("blank-line", b"\r\n\r\n"), ("blank-line-lf", b"\n\n"), ("dashes", b"--")):
        if _contains(raw(), token):
            yield "before-" + name, partial(_before, raw, token)
            yield "after-" + name, partial(_after, raw, token)
    if ord("#") in facts.junk:
        yield "no-comments", lambda: _uncommented(raw())
    if facts.ragged and not facts.footer:
        for skip in (1, 2):
            yield f"skip-{skip}-lines", partial(raw, _skip_lines(source, span, clean, skip))


# -- what "=" does


def _until_pad(text: Chunks) -> Chunks:
    for piece in text:
        at = piece.find(b"=")
        if at >= 0:
            yield piece[:at]
            return
        yield piece


def _zeros(text: Chunks) -> Chunks:
    """Each "=" but the final ones as "A"."""
    held = 0
    for piece in text:
        inner = piece.rstrip(b"=")
        if inner:
            while held:
                yield b"A" * min(held, CHUNK)
                held -= min(held, CHUNK)
            yield inner.replace(b"=", b"A")
        held += len(piece) - len(inner)


def _quads(text: Chunks, joined: bool) -> Chunks:
    """Four characters at a time, "=" counted: what precedes "=" counts, or (joined) all but the "="."""
    held = b""
    for piece in text:
        piece = held + piece
        stop = len(piece) // 4 * 4
        held = piece[stop:]
        yield b"".join(_quads_of(piece[:stop], joined))
    yield b"".join(_quads_of(held, joined))


def _quads_of(piece: bytes, joined: bool) -> Iterator[bytes]:
    at = 0
    for pads in PADS.finditer(piece):
        if pads.end() <= at:
            continue
        # Of a run, the first and the last quad may hold letters; those between do not.
        first, last = pads.start() // 4 * 4, (pads.end() - 1) // 4 * 4
        for quad in (first, last) if first != last else (first,):
            if quad >= at:
                yield a2b_base64(piece[at:quad]) if quad == first else b""
                four = piece[quad : quad + 4]
                yield whole_bytes(four.replace(b"=", b"") if joined else four[: four.find(b"=")])
                at = quad + 4
    yield whole_bytes(piece[at:])


# -- which text counts


def _lines_as_streams(raw: Chunks) -> Chunks:
    """Each line decoded by itself: a line end acts as "=" does, "=" is ignored."""
    return (chunk.translate(_EOL_AS_PAD, _JUNK_IN_LINES) for chunk in raw)


def _before(raw: Callable[[], Chunks], token: bytes) -> Chunks:
    held = b""
    for chunk in raw():
        chunk = held + chunk
        at = chunk.find(token)
        if at >= 0:
            yield chunk[:at]
            return
        keep = max(len(chunk) - len(token) + 1, 0)
        held = chunk[keep:]
        yield chunk[:keep]
    yield held


def _after(raw: Callable[[], Chunks], token: bytes) -> Chunks:
    held: bytes | None = b""
    for chunk in raw():
        if held is None:
            yield chunk
            continue
        chunk = held + chunk
        at = chunk.find(token)
        held = None if at >= 0 else chunk[max(len(chunk) - len(token) + 1, 0) :]
        if at >= 0:
            yield chunk[at + len(token) :]


def _contains(chunks: Chunks, token: bytes) -> bool:
    held = b""
    for chunk in chunks:
        chunk = held + chunk
        if token in chunk:
            return True
        held = chunk[max(len(chunk) - len(token) + 1, 0) :]
    return False


def _uncommented(chunks: Chunks) -> Chunks:
    """Without "#" and the rest of its line."""
    inside = False
    for chunk in chunks:
        if inside:
            eol = _EOL.search(chunk)
            if eol is None:
                continue
            chunk = chunk[eol.start() :]
        inside = chunk.rfind(b"#") > max(chunk.rfind(b"\r"), chunk.rfind(b"\n"))
        yield _COMMENT.sub(b"", chunk)


def _line_pieces(source: Source, start: int, stop: int, clean: Clean) -> list[bytes] | Chunks:
    if stop - start <= CHUNK:
        return [clean(source.data[start:stop]).strip()]
    # A line as long as this is read in chunks; blanks are stripped within its first and last one.
    first, last = source.data[start : start + CHUNK], source.data[stop - CHUNK : stop]
    start += len(first) - len(first.lstrip())
    stop -= len(last) - len(last.rstrip())
    return map(clean, source.chunks(Span(start, stop)))


def _legal_lines(source: Source, span: Span, clean: Clean, quads: bool) -> Iterator[bytes]:
    """The lines with nothing but alphabet and "=", or of each the first 4 * k characters."""
    for line in _LINE.finditer(source.data, span.start, span.stop):
        start, stop = line.span()
        size = 0
        for piece in _line_pieces(source, start, stop, clean):
            if piece.translate(None, _LEGAL):
                break
            size += len(piece)
        else:
            yield from cut(_line_pieces(source, start, stop, clean), 0, size // 4 * 4 if quads else size)


def _first_quads(source: Source, span: Span, clean: Clean) -> Iterator[bytes]:
    for line in _LINE.finditer(source.data, span.start, span.stop):
        start, stop = line.span()
        yield clean(source.data[start : min(stop, start + 1024)])[:4]


def _skip_lines(source: Source, span: Span, clean: Clean, count: int) -> Span:
    """What follows the first `count` lines that are not blank."""
    for line in _LINE.finditer(source.data, span.start, span.stop):
        start, stop = line.span()
        if stop - start > CHUNK or clean(source.data[start:stop]).strip():
            count -= 1
            if not count:
                return Span(stop, span.stop)
    return Span(span.stop, span.stop)
