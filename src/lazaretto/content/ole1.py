r"""OLE 1.0 objects: what \objdata of RTF and Ole10Native streams hold.

An embedded object names its class and carries its native data; the class
"Package" is a file that somebody dragged into a document, with its name.

Limits:  names of at most MAX_NAME bytes.
Errors:  none raised: None if the bytes are not such a structure.
See:     [MS-OLEDS] s2.2.4 (ObjectHeader), s2.2.5 (EmbeddedObject), s2.3.6 (Ole10Native)
"""

from __future__ import annotations

from typing import NamedTuple

MAX_NAME = 1024
EMBEDDED = 2
_LINK = 1


class OleObject(NamedTuple):
    """One object; its native data are data[start:stop] of what was parsed."""

    class_name: bytes
    topic: bytes  # of a link: the file it names
    start: int
    stop: int


class Package(NamedTuple):
    """A file in a package; its content is data[start:stop] of what was parsed."""

    names: tuple[str, ...]
    start: int
    stop: int


def parse_object(data: bytes | bytearray) -> OleObject | None:
    """The OLE 1.0 object at the beginning of `data`."""
    if len(data) < 12:
        return None
    format_id = int.from_bytes(data[4:8], "little")
    if format_id not in (_LINK, EMBEDDED):
        return None
    position = 8
    fields: list[bytes] = []
    for _ in range(3):
        if position + 4 > len(data):
            return None
        length = int.from_bytes(data[position : position + 4], "little")
        if length > MAX_NAME:
            return None
        fields.append(bytes(data[position + 4 : position + 4 + length]).rstrip(b"\0"))
        position += 4 + length
    if format_id == _LINK or position + 4 > len(data):
        return OleObject(fields[0], fields[1], len(data), len(data))
    size = int.from_bytes(data[position : position + 4], "little")
    start = position + 4
    # quirk: the size lies in exploits; Word reads on as long as there is anything
    return OleObject(fields[0], fields[1], start, start + size if 0 < size <= len(data) - start else len(data))


def parse_package(data: bytes | bytearray, start: int, stop: int) -> Package | None:
    """The package whose structure begins at data[start], behind any size field.

    `data` may be only the head of what ends at `stop`.
    """
    position = start
    if int.from_bytes(data[position : position + 2], "little") != 2:
        return None
    position += 2
    names: dict[str, None] = {}
    for number in range(3):  # label, file name, then 8 bytes and the path it was dropped at
        if number == 2:
            position += 8  # two flags and the length of the path, which ends with NUL anyway
        end = data.find(b"\0", position, min(position + MAX_NAME, stop))
        if end < 0:
            return None
        name = _base_name(bytes(data[position:end]))
        if name:
            names[name] = None
        position = end + 1
    if position + 4 > min(len(data), stop):
        return None
    size = int.from_bytes(data[position : position + 4], "little")
    position += 4
    return Package(tuple(names), position, min(position + size, stop) if size else stop)


def _base_name(path: bytes) -> str:
    return path.replace(b"\\", b"/").rpartition(b"/")[2].decode("utf-8", "replace")
