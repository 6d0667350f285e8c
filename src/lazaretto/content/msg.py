"""Outlook messages (.msg): attachments and bodies from the streams of a compound file.

Properties are streams named __substg1.0_ with the number and type of the
property; each attachment is a storage, an attached message a storage in it.
All are found by their paths, however deep.

Limits:  the meter's; names of at most MAX_NAME bytes.
Errors:  none raised, LimitExceeded from the meter passes.
See:     [MS-OXMSG] s2.1, s2.2; [MS-OXPROPS] for the numbers
"""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto.content import lzfu
from lazaretto.content.cfb import CompoundFile, Stream
from lazaretto.content.container import Member
from lazaretto.limits import MIB, Meter

MAX_NAME = 2048
MAX_RTF = 32 * MIB  # compressed; larger bodies are unheard of
PROPERTY = "__substg1.0_"
_ATTACHMENT = "__attach_version1.0"
_DATA = "37010102"  # PidTagAttachDataBinary
_NAMES = ("3707", "3704", "3001")  # long file name, short one, display name
_MIME_TAG = "370e"
_TEXT, _RTF, _HTML = "1000", "1009", "1013"


def is_message(file: CompoundFile) -> bool:
    return any(stream.name.startswith(PROPERTY) for stream in file.streams)


def walk(file: CompoundFile, meter: Meter) -> Iterator[Member]:
    """Attachments as files, bodies as text."""
    storages: dict[tuple[str, ...], dict[str, Stream]] = {}
    for stream in file.streams:
        if stream.name.lower().startswith(PROPERTY):
            storages.setdefault(stream.path[:-1], {})[stream.name.lower()[len(PROPERTY) :]] = stream
    for path, properties in storages.items():
        if path and path[-1].lower().startswith(_ATTACHMENT):
            if _DATA in properties:
                data = properties[_DATA]
                names = dict.fromkeys(text for name in _NAMES if (text := _text(file, properties, name)))
                meter.member()
                chunks = meter.unpack(file.chunks(data), data.size)
                yield Member(tuple(names), chunks, media_type=_text(file, properties, _MIME_TAG).lower())
            continue
        for kind, media_type in ((_TEXT, "text/plain"), (_HTML, "text/html"), (_RTF, "text/rtf")):
            for suffix in ("001f", "001e", "0102"):
                if (body := properties.get(kind + suffix)) is None:
                    continue
                meter.member()
                chunks = file.chunks(body)
                if kind == _RTF:
                    chunks = lzfu.decompress(file.read(body, MAX_RTF))
                yield Member(("body",), meter.unpack(chunks, body.size), is_file=False, media_type=media_type)


def _text(file: CompoundFile, properties: dict[str, Stream], number: str) -> str:
    wide = properties.get(number + "001f")
    if wide:
        return file.read(wide, MAX_NAME).decode("utf-16-le", "replace").rstrip("\0")
    narrow = properties.get(number + "001e")
    return file.read(narrow, MAX_NAME).decode("utf-8", "replace").rstrip("\0") if narrow else ""
