"""Content put back into a part: encoded as the part says, in lines as long as it had.

    encode(chunks, "base64", b"\\r\\n", 76)

Only the encodings of RFC 2045.  The result can be no delimiter, no mbox line and
no SMTP dot: base64 has no such characters, quoted-printable quotes them.  What
needs no encoding is passed as it is; whoever puts it into a multipart has to
look whether the parts are still where they were.

Limits:  memory for one line of quoted-printable.
Errors:  none; `None` for an encoding that is not of RFC 2045.
See:     RFC 2045 s6.7, s6.8; mime/transfer.py for the way back
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator

MAX_LINE = 76  # RFC 2045 s6.8

_IDENTITY = frozenset(("7bit", "8bit", "binary", ""))
_RISKY = (b"-", b".", b"From ")  # delimiter, SMTP's dot, mbox


def encode(chunks: Iterable[bytes], encoding: str, eol: bytes, line: int = MAX_LINE) -> Iterator[bytes] | None:
    """`chunks` in `encoding` (lower case), without a line end at the end of base64.

    `line` is the wanted length of a line of base64: its next smaller multiple of four, at most MAX_LINE.
    """
    if encoding in _IDENTITY:
        return iter(chunks)
    if encoding == "base64":
        return _base64(chunks, eol, min(max(line, 4), MAX_LINE) // 4 * 3)
    if encoding == "quoted-printable":
        return _quoted_printable(chunks, eol)
    return None


def _base64(chunks: Iterable[bytes], eol: bytes, step: int) -> Iterator[bytes]:
    pending = bytearray()
    first = True
    for chunk in chunks:
        pending += chunk
        whole = len(pending) // step * step
        if whole == len(pending):
            whole -= step  # the last line gets no line end, and this may be it
        if whole > 0:
            yield (b"" if first else eol) + _lines(bytes(pending[:whole]), eol, step)
            first = False
            del pending[:whole]
    if pending:
        yield (b"" if first else eol) + _lines(bytes(pending), eol, step)


def _lines(data: bytes, eol: bytes, step: int) -> bytes:
    return eol.join(binascii.b2a_base64(data[at : at + step], newline=False) for at in range(0, len(data), step))


def _quoted_printable(chunks: Iterable[bytes], eol: bytes) -> Iterator[bytes]:
    """Line ends like those of the message stay line ends; all others are data."""
    pending = bytearray()
    for chunk in chunks:
        searched = max(len(pending) - len(eol) + 1, 0)
        pending += chunk
        end = pending.rfind(eol, searched)
        if end >= 0:
            lines = bytes(pending[:end]).split(eol)
            del pending[: end + len(eol)]
            yield b"".join(_quoted_line(line, eol) + eol for line in lines)
    if pending:
        yield _quoted_line(bytes(pending), eol)


def _quoted_line(line: bytes, eol: bytes) -> bytes:
    lines = binascii.b2a_qp(line, istext=False).split(b"=\n")
    return (b"=" + eol).join(piece for one in lines for piece in _harmless(one))


def _harmless(line: bytes) -> Iterator[bytes]:
    """A line of at most 76 characters, or two, that begins like nothing that somebody obeys."""
    while line.startswith(_RISKY):
        line = b"=%02X" % line[0] + line[1:]
        if len(line) < MAX_LINE:
            break
        yield line[:3]
        line = line[3:]
    yield line
