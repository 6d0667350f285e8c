"""Transfer encodings: nothing raises, chunking changes nothing, spans lie inside, what anomalies promise holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

from lazaretto.errors import LimitExceeded
from lazaretto.mime import transfer
from lazaretto.mime.source import Source
from lazaretto.model import Span

ENCODINGS = ("", "base64", "quoted-printable", "uuencode", "yenc", "binhex", "gzip64")
MAX_PRODUCED = 1 << 22  # bytes looked at of each reading


class _Chunked(Source):
    """Gives small chunks, so that borders fall everywhere."""

    __slots__ = ()

    def chunks(self, span: Span | None = None, size: int = 0) -> Iterator[bytes]:
        return super().chunks(span, size or 61)


def _some(chunks: Iterator[bytes]) -> bytes:
    produced = bytearray()
    for chunk in chunks:
        produced += chunk
        if len(produced) > MAX_PRODUCED:
            break
    return bytes(produced[:MAX_PRODUCED])


def target(data: bytes) -> None:
    whole, small, span = Source(data), _Chunked(data), Span(0, len(data))
    for encoding in ENCODINGS:
        usual = _some(transfer.decode(whole, span, encoding))
        assert usual == _some(transfer.decode(small, span, encoding)), encoding
        names = transfer.anomalies(whole, span, encoding)
        assert names == transfer.anomalies(small, span, encoding), encoding
        try:
            for (label, one), (same, other) in zip(
                transfer.readings(whole, span, encoding), transfer.readings(small, span, encoding), strict=True
            ):
                assert names, "a clean body has one reading"
                assert label == same
                assert _some(one) == _some(other), label
        except LimitExceeded:
            pass
    try:
        for block in islice(transfer.find_encoded(whole), 200):
            assert 0 <= block.span.start < block.span.stop <= len(data)
            _some(block.chunks())
    except LimitExceeded:
        pass


SEEDS = [
    b"VGhpcyBpcyBhIHRlc3QgZmlsZSB0aGF0IGlz\r\nIGxvbmcgZW5vdWdoLg==\r\n-- \r\nlist footer_x\r\n",
    b"VGhpcyBp=cyBh#IHRl\r\n\r\nc3Q-_\0gZmls==ZSB0\r\n",
    b"soft=\r\nbreak =3D=3d =\t\r\n==41 =4 =XY\r\r\n=\0\r\nend=",
    b"text\r\nbegin 644 a.exe\r\n#86)C\r\nMlower\r\n#86)C\r\n`\r\nend\r\n",
    b"begin-base64 644 a.exe\r\nVGhpcyBpcyBh\r\n====\r\n",
    b"=ybegin part=1 line=128 size=9 name=a.exe\r\n=ypart begin=1 end=9\r\n\x8b\x8c=}\x8d\r\n=yend size=9\r\n",
    b'(This file must be converted with BinHex 4.0)\r\n\r\n:"@%ZCAKP!&4&@&4dG(Kd!*!&FJ#3"PJe6b&3*8""8&XdA&"D@$8d+&"H+6G$3bN\r\n!!!:\r\n',
    b"H4sIAAAAAAACA0tMSk5JTQMAFFjG2gYAAAA=",
]

if __name__ == "__main__":
    target(sys.stdin.buffer.read())
