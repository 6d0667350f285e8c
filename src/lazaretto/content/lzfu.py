"""Compressed RTF, the bodies of Outlook messages (PidTagRtfCompressed).

Limits:  at most MAX_RUN bytes for each two of input, so at most 8:1.
Errors:  none raised: a damaged stream gives what came before the damage, and
         sizes and CRC in the header are not believed.
See:     [MS-OXRTFCP] s2.1.3 (format), s2.2 (dictionary)
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_RUN = 17
_RING = 4096
_PIECE = 1 << 16
_COMPRESSED = b"LZFu"
_PLAIN = b"MELA"
# What the dictionary holds before the first byte.  [MS-OXRTFCP] s2.2.2.1
_PRIMED = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbolArial"
    rb"Times New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


def decompress(data: bytes) -> Iterator[bytes]:
    """The RTF that `data`, with its header of 16 bytes, stands for, in pieces."""
    kind = data[8:12]
    if kind == _PLAIN:
        yield data[16:]
        return
    if kind != _COMPRESSED:
        return
    ring = bytearray(_PRIMED.ljust(_RING, b"\0"))
    write = len(_PRIMED)
    out = bytearray()
    position = 16
    size = len(data)
    while position < size:
        flags = data[position]
        position += 1
        for bit in range(8):
            if not flags >> bit & 1:
                if position >= size:
                    break
                byte = data[position]
                position += 1
                ring[write] = byte
                out.append(byte)
                write = (write + 1) % _RING
                continue
            if position + 2 > size:
                position = size
                break
            token = data[position] << 8 | data[position + 1]
            position += 2
            read = token >> 4
            if read == write:  # the end mark  s2.1.3.1.4
                yield bytes(out)
                return
            for _ in range((token & 15) + 2):
                byte = ring[read]
                read = (read + 1) % _RING
                ring[write] = byte
                out.append(byte)
                write = (write + 1) % _RING
        if len(out) >= _PIECE:
            yield bytes(out)
            out.clear()
    yield bytes(out)
