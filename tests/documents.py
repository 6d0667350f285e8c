"""For tests of documents: opens everything inside everything as the scan does, and builds small files."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto.content import document
from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.content.sniff import sniff
from lazaretto.limits import Limits, Meter
from lazaretto.mime.source import Source


class Found(NamedTuple):
    names: tuple[str, ...]
    data: bytes
    is_file: bool
    media_type: str


def read(walk: Iterator[Member | Problem]) -> tuple[list[Found], list[Problem]]:
    """All members with their bytes, and all problems."""
    found: list[Found] = []
    trouble: list[Problem] = []
    for member in walk:
        if isinstance(member, Problem):
            trouble.append(member)
            continue
        data = bytearray()
        try:
            for chunk in member.chunks:
                data += chunk
        except BrokenMember:
            pass
        found.append(Found(member.names, bytes(data), member.is_file, member.media_type))
    return found, trouble


def members(type_id: str, data: bytes, limits: Limits | None = None) -> list[Found]:
    return read(document.walk(type_id, Source(data), Meter(limits or Limits())))[0]


def problems(type_id: str, data: bytes) -> list[Problem]:
    return read(document.walk(type_id, Source(data), Meter()))[1]


def facts(type_id: str, data: bytes) -> list[str]:
    """The lines of all texts of facts."""
    return [line for member in members(type_id, data) if member.names == ("facts",) for line in member.data.decode().splitlines()]


def everything(data: bytes, type_id: str = "", depth: int = 0) -> Iterator[bytes]:
    """`data` and all that is inside, however deep."""
    yield data
    if depth > 10:
        return
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from everything(archive.read(name), depth=depth + 1)
    for member in members(type_id or sniff(Source(data)), data):
        yield from everything(member.data, depth=depth + 1)


def reaches(data: bytes, marker: bytes, type_id: str = "") -> bool:
    return any(marker in piece for piece in everything(data, type_id))


# -- builders


def zip_file(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def vba_compress(text: bytes) -> bytes:
    """A VBA compressed container of literals only."""
    out = bytearray(b"\x01")
    for start in range(0, len(text), 4000):
        chunk = text[start : start + 4000]
        body = bytearray()
        for at in range(0, len(chunk), 8):
            body += b"\x00" + chunk[at : at + 8]
        out += struct.pack("<H", 0xB000 | (len(body) + 2 - 3)) + body
    return bytes(out)


def vba_dir(modules: dict[str, int]) -> bytes:
    """A dir stream: module name -> offset of its source."""

    def record(kind: int, value: bytes) -> bytes:
        return struct.pack("<HI", kind, len(value)) + value

    out = record(0x0001, b"\1\0\0\0") + record(0x0003, b"\xe4\x04") + struct.pack("<HIIH", 0x0009, 4, 1, 2)
    for name, offset in modules.items():
        raw = name.encode("cp1252", "replace")
        out += record(0x0019, raw) + record(0x001A, raw) + record(0x0032, name.encode("utf-16-le"))
        out += record(0x0031, struct.pack("<I", offset)) + struct.pack("<HI", 0x002B, 0)
    return out


def vba_project(modules: dict[str, bytes], prefix: str = "", code: bytes = b"\xca\xfe" * 20) -> dict[str, bytes]:
    """Streams of a macro project, for compound_file."""
    streams = {f"{prefix}VBA/dir": vba_compress(vba_dir(dict.fromkeys(modules, len(code))))}
    for name, text in modules.items():
        streams[f"{prefix}VBA/{name}"] = code + vba_compress(text)
    return streams


_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def compound_file(streams: dict[str, bytes]) -> bytes:
    """A compound file with these streams; "/" in a name makes storages."""
    children: dict[str, list[str]] = {"": []}
    for path in streams:
        parts = path.split("/")
        for depth in range(len(parts)):
            parent, node = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
            if node not in children.setdefault(parent, []):
                children[parent].append(node)
    order = ["", *dict.fromkeys(node for nodes in children.values() for node in nodes)]
    number = {node: at for at, node in enumerate(order)}
    sectors: list[bytes] = []
    table: list[int] = []

    def store(data: bytes) -> int:
        if not data:
            return _END
        first = len(sectors)
        count = -(-len(data) // 512)
        for at in range(count):
            sectors.append(data[at * 512 : at * 512 + 512].ljust(512, b"\0"))
            table.append(first + at + 1 if at + 1 < count else _END)
        return first

    mini = bytearray()
    mini_table: list[int] = []
    starts: dict[str, int] = {}
    for path, data in streams.items():
        if len(data) >= 4096:
            starts[path] = store(data)
            continue
        starts[path] = len(mini) // 64 if data else _END
        for at in range(0, len(data), 64):
            mini += data[at : at + 64].ljust(64, b"\0")
            mini_table.append(len(mini_table) + 1 if at + 64 < len(data) else _END)
    mini_first = store(bytes(mini))
    mini_fat_data = b"".join(struct.pack("<I", entry) for entry in mini_table)
    mini_fat = store(mini_fat_data + b"\xff" * (-len(mini_fat_data) % 512))
    directory = bytearray()
    for node in order:
        siblings = children["/".join(node.split("/")[:-1])] if node else [""]
        at = siblings.index(node)
        right = number[siblings[at + 1]] if at + 1 < len(siblings) else _FREE
        child = number[children[node][0]] if children.get(node) else _FREE
        name = ("Root Entry" if not node else node.split("/")[-1]).encode("utf-16-le") + b"\0\0"
        kind = 5 if not node else 2 if node in streams else 1
        start = mini_first if not node else starts.get(node, 0)
        size = len(mini) if not node else len(streams.get(node, b""))
        directory += name.ljust(64, b"\0") + struct.pack("<HBBIII16xI16xIQ", len(name), kind, 1, _FREE, right, child, 0, start, size)
    directory_first = store(bytes(directory) + b"\0" * (-len(directory) % 512))
    fat_count = 1
    while (len(table) + fat_count) * 4 > fat_count * 512:
        fat_count += 1
    fat_sectors = list(range(len(sectors), len(sectors) + fat_count))
    table += [_FAT] * fat_count
    fat = b"".join(struct.pack("<I", entry) for entry in table).ljust(fat_count * 512, b"\xff")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 62, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIIII", 0, fat_count, directory_first, 0, 4096, mini_fat, int(bool(mini_table)), _END, 0, fat_sectors[0])
    header = header[:-4] + b"".join(struct.pack("<I", sector) for sector in fat_sectors)
    return header.ljust(512, b"\xff") + b"".join(sectors) + fat


def ole_package(name: bytes, content: bytes) -> bytes:
    """The structure in which a package keeps a file, without a size before it."""
    path = b"C:\\Temp\\" + name + b"\0"
    head = struct.pack("<H", 2) + name + b"\0" + path + b"\0\0\3\0" + struct.pack("<I", len(path)) + path
    return head + struct.pack("<I", len(content)) + content


def ole1_object(class_name: bytes, native: bytes) -> bytes:
    def text(value: bytes) -> bytes:
        return struct.pack("<I", len(value) + 1) + value + b"\0" if value else struct.pack("<I", 0)

    return struct.pack("<II", 0x501, 2) + text(class_name) + text(b"") + text(b"") + struct.pack("<I", len(native)) + native


def tnef_attribute(level: int, number: int, value: bytes) -> bytes:
    return struct.pack("<BII", level, number, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def tnef_file(*attributes: bytes) -> bytes:
    return b"\x78\x9f\x3e\x22\x01\x00" + tnef_attribute(1, 0x00089006, struct.pack("<I", 0x10000)) + b"".join(attributes)


def mapi_properties(*properties: tuple[int, int, bytes]) -> bytes:
    """(number, type, value) each; types of variable length only."""
    out = struct.pack("<I", len(properties))
    for number, kind, value in properties:
        out += struct.pack("<HHII", kind, number, 1, len(value)) + value.ljust(len(value) + -len(value) % 4, b"\0")
    return out
