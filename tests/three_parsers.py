"""What three independent parsers read in a message: Python's email, fast-mail-parser, and reformime of maildrop.

    read(message)          {parser: Read}
    disagreements(message) what they do not agree on: "structure", "names", "content"; "error" if one refuses the message

A Read lists the parts in the order of the message: media types with their depth; file names of leaves; contents of leaves, decoded.
Not compared are line ends at the end, which parsers count to the delimiter or not, and in text the form of line ends and blanks
before them.  The message ends with a line end, as all that travels by SMTP.
"""

from __future__ import annotations

import email
import email.header
import email.message
import email.utils
import hashlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import fast_mail_parser

NAMES = ("email", "fast-mail-parser", "reformime")
_SECTION = re.compile(r"section: ([\d.]+)")
_TRAILING = re.compile(rb"[ \t]*\r?\n")  # decoders of quoted-printable drop blanks at line ends or not


class Leaf(NamedTuple):
    depth: int
    media_type: str
    name: str
    content: str  # digest; "" for what has parts


class Read(NamedTuple):
    structure: tuple[tuple[int, str], ...]
    names: tuple[str, ...]
    content: tuple[str, ...]


def read(message: bytes) -> dict[str, Read]:
    """What each parser reads."""
    return {name: _read(parser, message) for name, parser in PARSERS.items()}


def disagreements(message: bytes) -> list[str]:
    """Of what the parsers read, what is not the same for all three; "error" if one of them reads nothing at all."""
    try:
        found = list(read(message).values())
    except fast_mail_parser.ParseError:
        return ["error"]
    return [aspect for aspect in Read._fields if len({getattr(one, aspect) for one in found}) > 1]


def _read(parser: Callable[[bytes], Iterator[Leaf]], message: bytes) -> Read:
    parts = list(parser(message if message.endswith(b"\n") else message + b"\r\n"))
    leaves = [part for part in parts if part.content]
    return Read(
        tuple((part.depth, part.media_type) for part in parts), tuple(leaf.name for leaf in leaves), tuple(leaf.content for leaf in leaves)
    )


def _digest(content: bytes, kind: str = "") -> str:
    if _is_report(kind):
        content = b"".join(content.split())
    content = _TRAILING.sub(b"\n", content + b"\n") if kind.startswith("text/") else content
    return hashlib.sha256(content.rstrip(b"\r\n")).hexdigest()


def _is_report(kind: str) -> bool:
    """Something that Python takes apart as if it were a message."""
    return kind.startswith("message/") and kind != "message/rfc822"


def _decoded(name: str) -> str:
    """A file name with its encoded words decoded."""
    pieces = email.header.decode_header(name)
    return "".join(text if isinstance(text, str) else text.decode(charset or "ascii", "replace") for text, charset in pieces)


def by_email(message: bytes) -> Iterator[Leaf]:
    yield from _email_parts(email.message_from_bytes(message), 0)


def _email_parts(part: email.message.Message, depth: int) -> Iterator[Leaf]:
    kind = part.get_content_type()
    payload: Any = part.get_payload()
    if isinstance(payload, list) and _is_report(kind):
        yield Leaf(
            depth, kind, _decoded(part.get_filename() or ""), _digest("".join(map(str, payload)).encode("utf-8", "surrogateescape"), kind)
        )
        return
    if isinstance(payload, list):
        yield Leaf(depth, kind, "", "")
        for child in payload:
            yield from _email_parts(child, depth + 1)
        return
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    yield Leaf(depth, kind, _decoded(part.get_filename() or ""), _digest(content, kind))


def by_fast_mail_parser(message: bytes) -> Iterator[Leaf]:
    yield from _fast_parts(fast_mail_parser.parse_email_tree(message), 0)


def _fast_parts(part: Any, depth: int) -> Iterator[Leaf]:
    inner = bool(part.children) or part.content is None
    yield Leaf(
        depth, part.content_type, "" if inner else _decoded(part.filename or ""), "" if inner else _digest(part.content, part.content_type)
    )
    for child in part.children:
        yield from _fast_parts(child, depth + 1)


def by_reformime(message: bytes) -> Iterator[Leaf]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(message)
        file.flush()
        listing = _reformime(file.name, "-i").decode("utf-8", "replace")
        sections = []
        for block in listing.split("\n\n"):
            facts = dict(line.split(": ", 1) for line in block.strip().splitlines() if ": " in line)
            if "section" in facts:
                sections.append(facts)
        known = [facts["section"] for facts in sections]
        for facts in sections:
            number = facts["section"]
            inner = any(other.startswith(number + ".") for other in known)
            name = facts.get("content-disposition-filename") or facts.get("content-name") or ""
            content = "" if inner else _digest(_reformime(file.name, "-e", "-s", number), facts["content-type"].lower())
            yield Leaf(number.count("."), facts["content-type"].lower(), "" if inner else _decoded(name), content)


def _reformime(path: str, *arguments: str) -> bytes:
    with open(path, "rb") as file:
        return subprocess.run(["reformime", *arguments], stdin=file, capture_output=True, check=True, timeout=30).stdout


PARSERS: dict[str, Callable[[bytes], Iterator[Leaf]]] = dict(zip(NAMES, (by_email, by_fast_mail_parser, by_reformime), strict=True))
