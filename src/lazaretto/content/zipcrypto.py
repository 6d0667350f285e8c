"""Traditional PKWARE encryption of zip members: weak, and what everybody can open.

Pure Python: about 2 MB/s.  The feed behind it looks at the clock.

See:     APPNOTE s6.1
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

HEADER = 12  # random bytes before the data; the last one checks the password


@cache  # built when the first password is tried, not at import
def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ 0xEDB88320 if value & 1 else value >> 1
        return value

    return tuple(entry(i) for i in range(256))


class Keys:
    """The state of one decryption."""

    __slots__ = ("k0", "k1", "k2")

    def __init__(self, password: bytes) -> None:
        self.k0, self.k1, self.k2 = 0x12345678, 0x23456789, 0x34567890
        table = _table()
        for byte in password:
            self.k0 = self.k0 >> 8 ^ table[(self.k0 ^ byte) & 0xFF]
            self.k1 = ((self.k1 + (self.k0 & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
            self.k2 = self.k2 >> 8 ^ table[(self.k2 ^ self.k1 >> 24) & 0xFF]

    def decrypt(self, data: bytes) -> bytes:
        """The next bytes in clear."""
        table, k0, k1, k2 = _table(), self.k0, self.k1, self.k2
        out = bytearray()
        for byte in data:
            k = k2 | 2
            byte ^= (k * (k ^ 1)) >> 8 & 0xFF
            out.append(byte)
            k0 = k0 >> 8 ^ table[(k0 ^ byte) & 0xFF]
            k1 = ((k1 + (k0 & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
            k2 = k2 >> 8 ^ table[(k2 ^ k1 >> 24) & 0xFF]
        self.k0, self.k1, self.k2 = k0, k1, k2
        return bytes(out)


def opens(password: bytes, header: bytes, checks: tuple[int, ...]) -> bool:
    """Whether `password` may be right: one wrong password in 256 passes too.

    checks: the bytes that the last one of the header may be, once decrypted.
    """
    return len(header) == HEADER and Keys(password).decrypt(header)[-1] in checks


def decrypt(password: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The data in clear, without the header; `pieces` begin with the header."""
    keys = Keys(password)
    skip = HEADER
    for piece in pieces:
        clear = keys.decrypt(piece)
        if skip:
            clear, skip = clear[skip:], max(skip - len(clear), 0)
        if clear:
            yield clear
