"""Content encoded anew, so that every client decodes the same.

    recoded(source, part, eol, sink)    the content of a leaf as base64 or quoted-printable
    unwrapped(source, part, eol, sink)  a message or multipart without the encoding that it must not have
    encoding(source, part)              how the content is encoded, where the field says nothing that is known

What is written is the primary reading: what most clients make of the body.  Text stays quoted-printable, so that it can be read in
the raw message, unless its first lines could be taken for a header, or it has stray CRs, which decoders of quoted-printable mend.

Limits:  memory for one chunk; the results go where `sink` puts them.
Errors:  None for content that has no single form: text around a uuencoded file would be lost, a file that is compressed as well
         would be blown up.
See:     mime/transfer.py, mime/compose.py; RFC 2045 s6
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from lazaretto.mime import compose, fields, scanner, transfer
from lazaretto.mime.line_ends import line_end_trouble
from lazaretto.mime.source import Sink, Source
from lazaretto.model import Part

_COMPRESSING = frozenset(("gzip64", "x-gzip64", "binhex", "mac-binhex40", "x-binhex"))  # a thousand bytes for one
# Whoever decodes only the file drops these.
_LOSSY = frozenset(("text-around", "several-blocks", "parts", "doubtful-end"))
_HEAD = 1 << 12


def encoding(source: Source, part: Part) -> str:
    """The transfer encoding of the content.

    Of an encoding that nobody knows: the one that it resembles ("base-64"), if the body is flawless in it; else none, as
    RFC 2045 s6.4 has it.
    """
    if part.encoding in scanner.IDENTITY or transfer.is_known(part.encoding):
        return part.encoding
    from lazaretto.mime import readings

    values = [field.value for field in part.fields if field.name == "content-transfer-encoding"][:1]
    for likely in readings.encodings(values):
        if not transfer.anomalies(source, part.body, likely):
            return likely
    return ""


def content(source: Source, part: Part) -> Iterator[bytes]:
    """What the leaf holds, decoded; as it is, if it is compressed, too."""
    how = encoding(source, part)
    return transfer.decode(source, part.body, "" if how in _COMPRESSING else how)


def recoded(source: Source, part: Part, eol: bytes, sink: Sink) -> tuple[str, Source] | None:
    """(base64 or quoted-printable, the new body) of a leaf."""
    how = encoding(source, part)
    if how in _COMPRESSING or any(name.partition(".")[2] in _LOSSY for name in transfer.anomalies(source, part.body, how)):
        return None
    target = "quoted-printable" if how == "quoted-printable" else "base64"
    if part.media_type.startswith("text/") and how in scanner.IDENTITY and not any(line_end_trouble(source, part.body)):
        target = "quoted-printable"
    if target == "quoted-printable":
        head = b"".join(itertools.islice(content(source, part), 1))[:_HEAD]
        if fields.field_follows(head, 0):
            target = "base64"
    pieces = compose.encode(content(source, part), target, eol)
    assert pieces is not None, "both are of RFC 2045"
    if target == "base64" and part.body.stop > part.body.start and source.read_at(part.body.stop - 1, 1) == b"\n":
        pieces = itertools.chain(pieces, (eol,))
    return target, sink(pieces)


def unwrapped(source: Source, part: Part, eol: bytes, sink: Sink) -> tuple[str, Source]:
    """(7bit or 8bit, the decoded body) of a message or multipart, with the line ends of the outer message."""
    body = sink(_with_line_ends(content(source, part), eol))
    eight = any(not chunk.isascii() for chunk in body.chunks())
    return "8bit" if eight else "7bit", body


def _with_line_ends(chunks: Iterable[bytes], eol: bytes) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        data = held + chunk
        held = b"\r" if data.endswith(b"\r") else b""
        yield data[: len(data) - len(held)].replace(b"\r\n", b"\n").replace(b"\n", eol)
    yield held
