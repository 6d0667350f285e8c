"""Every name that some client gives to an attachment.

    names(content_types, content_dispositions, extra)    from the fields, the usual client's first
    implied_name(media_type)                             what Windows would call a nameless part of a dangerous type

Names are as they stand in the mail: paths, trailing dots, bidirectional marks and streams (`a.js::$DATA`) are for the name
policy to judge.

Limits:  MAX_NAMES names.
Errors:  none.
See:     RFC 2183 s2.3; RFC 2045 s5; params.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import structured

MAX_NAMES = 128
_KEYS = ("filename", "name")
_NAMELESS: list[tuple[str, ...]] = [(), ()]
_FIELDS_OF_A_KIND = 8  # duplicates beyond are not worth the time; the header has its anomaly

_EXTENSIONS = {
    "application/bat": "bat",
    "application/hta": "hta",
    "application/java-archive": "jar",
    "application/javascript": "js",
    "application/ecmascript": "js",
    "application/vnd.microsoft.portable-executable": "exe",
    "application/x-bat": "bat",
    "application/x-dosexec": "exe",
    "application/x-exe": "exe",
    "application/x-iso9660-image": "iso",
    "application/x-java-archive": "jar",
    "application/x-javascript": "js",
    "application/x-ms-installer": "msi",
    "application/x-ms-shortcut": "lnk",
    "application/x-msdos-program": "exe",
    "application/x-msdownload": "exe",
    "application/x-msi": "msi",
    "application/x-vbs": "vbs",
    "text/ecmascript": "js",
    "text/javascript": "js",
    "text/jscript": "js",
    "text/scriptlet": "sct",
    "text/vbs": "vbs",
    "text/vbscript": "vbs",
    "text/x-javascript": "js",
}


def names(
    content_types: Sequence[bytes], content_dispositions: Sequence[bytes], extra: Sequence[str] = (), limits: Limits = DEFAULT
) -> tuple[str, ...]:
    """Every reading of every `filename` and `name` in these raw field values, then `extra` (names found elsewhere: a begin line).

    First what the usual client shows: filename of the disposition, else name of the type.
    """
    dispositions = [_readings(value, limits) for value in content_dispositions[:_FIELDS_OF_A_KIND]]
    types = [_readings(value, limits) for value in content_types[:_FIELDS_OF_A_KIND]]
    if not extra and all(field is _NAMELESS for field in (*dispositions, *types)):
        return ()
    found = [field[0] for field in dispositions] + [field[1] for field in types]
    found += [field[1] for field in dispositions] + [field[0] for field in types]
    # Each source's usual reading goes before any source's odd ones: the cap must not cut off a whole field.
    usual = [values[0] for values in found if values]
    return tuple(dict.fromkeys(name for name in (*usual, *(name for values in found for name in values), *extra) if name))[:MAX_NAMES]


def _readings(value: bytes, limits: Limits) -> list[tuple[str, ...]]:
    """Those of `filename`, those of `name`."""
    plain = structured.plain(value, limits)
    if plain is None:
        from lazaretto.mime import params

        return params.readings_of(value, _KEYS, limits)
    for name, _ in plain.params:
        if name in _KEYS:
            return [tuple(text for name, text in plain.params if name == key) for key in _KEYS]
    return _NAMELESS


def implied_name(media_type: str) -> str:
    """ "untitled.js" for "text/javascript": the name under which a client saves a part that has none; "" if the type is harmless."""
    extension = _EXTENSIONS.get(media_type.strip().lower())
    return f"untitled.{extension}" if extension else ""


def all_names(content_types: Sequence[bytes], dispositions: Sequence[bytes], media_types: Iterable[str]) -> tuple[str, ...]:
    """names(), or, for a part without any, the name that clients make up for a media type that runs."""
    found = names(content_types, dispositions) if content_types or dispositions else ()
    return found or tuple(name for name in map(implied_name, media_types) if name)
