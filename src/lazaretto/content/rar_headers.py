"""What RAR headers say that libarchive does not tell: part of a set, encrypted.

Limits:  MAX_BLOCKS headers, of 1 MiB at most.
Errors:  none raised; headers that make no sense end the walk.
See:     https://www.rarlab.com/technote.htm (RAR 5); its predecessor for 1.5 to 4
"""

from __future__ import annotations

from typing import NamedTuple

from lazaretto.mime.source import Source

MAX_BLOCKS = 10_000
_MAIN4, _FILE4 = 0x73, 0x74
_MAIN5, _FILE5, _SERVICE5, _ENCRYPTION5 = 1, 2, 3, 4


class RarInfo(NamedTuple):
    volume: bool  # one of several files that belong together
    encrypted: bool  # headers, or at least one member


def read_rar(source: Source, start: int) -> RarInfo:
    """What the headers of the archive at `start` say."""
    head = source.read_at(start, 8)
    if head[:7] == b"Rar!\x1a\x07\x00":
        return _read_4(source, start + 7)
    if head == b"Rar!\x1a\x07\x01\x00":
        return _read_5(source, start + 8)
    return RarInfo(False, False)


def _read_4(source: Source, pos: int) -> RarInfo:
    volume = encrypted = False
    for _ in range(MAX_BLOCKS):
        head = source.read_at(pos, 11)
        if len(head) < 7:
            break
        kind, flags, size = head[2], int.from_bytes(head[3:5], "little"), int.from_bytes(head[5:7], "little")
        if kind == _MAIN4:
            volume = bool(flags & 1)
            encrypted = bool(flags & 0x80)
        elif kind == _FILE4:
            encrypted = encrypted or bool(flags & 4)
        if encrypted or size < 7:
            break
        pos += size
        if flags & 0x8000 or kind == _FILE4:
            pos += int.from_bytes(head[7:11], "little")
    return RarInfo(volume, encrypted)


def _read_5(source: Source, pos: int) -> RarInfo:
    volume = False
    for _ in range(MAX_BLOCKS):
        size, at = _number(source.read_at(pos + 4, 10), 0)
        block = source.read_at(pos + 4 + at, min(size, 1 << 20))
        if at < 0 or len(block) < max(size, 2):
            break
        kind, at = _number(block, 0)
        flags, at = _number(block, at)
        extra = data = 0
        if flags & 1:
            extra, at = _number(block, at)
        if flags & 2:
            data, at = _number(block, at)
        if at < 0:
            break
        if kind == _MAIN5:
            volume = bool(_number(block, at)[0] & 1)
        elif kind == _ENCRYPTION5 or (kind in (_FILE5, _SERVICE5) and _has_record(block[len(block) - min(extra, len(block)) :], 1)):
            return RarInfo(volume, True)
        pos += 4 + _number(source.read_at(pos + 4, 10), 0)[1] + size + data
    return RarInfo(volume, False)


def _has_record(extra: bytes, wanted: int) -> bool:
    """Whether the extra area of a header holds a record of that type: 1 is encryption."""
    at = 0
    while 0 <= at < len(extra):
        size, at = _number(extra, at)
        if at < 0 or not size:
            return False
        if _number(extra, at)[0] == wanted:
            return True
        at += size
    return False


def _number(data: bytes, at: int) -> tuple[int, int]:
    """(variable-length integer, where it ends); the end is -1 if there is none."""
    value = 0
    if at < 0:
        return 0, -1
    for i, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * i
        if not byte & 0x80:
            return value, at + i + 1
    return 0, -1
