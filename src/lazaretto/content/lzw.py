"""compress (.Z): LZW with codes of 9 to 16 bits.

Unlzw has the same face as codec.Stream: iterate once, then look at `ended`,
`used`, `error`.  The format has no end mark and no checksum: it ends with the
input, and a code that cannot be is the only sign of damage.

Strings are kept as chains of (prefix, last byte); only short ones also as bytes.
Whole strings would take 2 GiB for a table built from one repeated letter.

Limits:  65,536 entries, SHORT bytes each; output in pieces of about CHUNK.
Errors:  none raised of its own; see `error`.
See:     compress(1); the header is 1F 9D, then maximum code width | 0x80 for block mode
"""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto.content.codec import Feed
from lazaretto.mime.source import CHUNK

SHORT = 64
CLEAR = 256


class Unlzw:
    """One stream, header included."""

    __slots__ = ("_feed", "ended", "error", "too_large", "used")

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.ended = False
        self.used = 0
        self.error = ""
        self.too_large = False

    def __iter__(self) -> Iterator[bytes]:
        pieces = self._feed()
        pending = bytearray()
        for piece in pieces:
            pending += piece
            if len(pending) >= 3:
                break
        if len(pending) < 3 or pending[:2] != b"\x1f\x9d":
            self.error = "no compress header"
            return
        widest, block_mode = pending[2] & 0x1F, bool(pending[2] & 0x80)
        if not 9 <= widest <= 16:
            self.error = f"codes of {widest} bits"
            return
        self.used = 3
        del pending[:3]

        prefix = [0] * (1 << widest)
        last = bytearray(range(256)) + bytearray((1 << widest) - 256)
        text: list[bytes | None] = [bytes((i,)) for i in range(256)] + [None] * ((1 << widest) - 256)
        first_free = CLEAR + 1 if block_mode else CLEAR
        free, width, previous, first = first_free, 9, -1, 0
        out = bytearray()
        pos = 0
        more = True
        while more or len(pending) - pos >= 2:
            # codes come in groups of eight, `width` bytes; a change of width begins a new group
            while more and len(pending) - pos < width:
                piece = next(pieces, b"")
                if not piece:
                    more = False
                else:
                    del pending[:pos]
                    pos = 0
                    pending += piece
            group = pending[pos : pos + width]
            bits, count = int.from_bytes(group, "little"), len(group) * 8 // width
            if not count:
                break
            pos += len(group)
            self.used += len(group)
            for _ in range(count):
                code = bits & ((1 << width) - 1)
                bits >>= width
                if code == CLEAR and block_mode:
                    free, width, previous = first_free, 9, -1
                    break
                if previous < 0:
                    if code > 255:
                        self.error = "first code is no byte"
                        yield bytes(out)
                        return
                    previous = first = code
                    out.append(code)
                    continue
                if code > free or (code == free and free >= 1 << widest):
                    self.error = "code before its entry"
                    yield bytes(out)
                    return
                at = previous if code == free else code
                string = text[at]
                if string is None:
                    chain = bytearray()
                    while (string := text[at]) is None:
                        chain.append(last[at])
                        at = prefix[at]
                    chain.reverse()
                    string = string + chain
                first = string[0]
                if code == free:
                    string += bytes((first,))
                out += string
                if free < 1 << widest:
                    prefix[free] = previous
                    last[free] = first
                    known = text[previous]
                    text[free] = known + bytes((first,)) if known is not None and len(known) < SHORT else None
                    free += 1
                previous = code
                if free > (1 << width) - 1 and width < widest:
                    # the writer filled its group with nothing before it widened
                    width += 1
                    break
            if len(out) >= CHUNK:
                yield bytes(out)
                out.clear()
        if out:
            yield bytes(out)
        self.ended = True
