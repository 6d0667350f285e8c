"""New content for parts of one message: what an engine has disinfected, what is left of pages that were disarmed.

    look(item)       what acts in a page of the outer message, as findings of the engine "html"; in a document, of "disarm"
    placed(...)      an engine's finding; what is disinfected and cannot be put back is malware
    bodies(...)      new content for the parts that the verdict wants to have it, encoded as they are
    arrived(output)  is that what these parts hold now?

Pages are parts that are declared text/html or XHTML, or have a name of that kind: only those a client
would show as such, and only in the outer message, because nothing else can be put back.
Signed mail is asked about what acts, never about what it merely loads: see docs/html.md.

Limits:  max_member_bytes, max_html_bytes; the deadline is looked at before each reading of a page.
Errors:  OSError from the spool.
See:     sanitize/html.py, documents.py, mime/compose.py; docs/html.md
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits, Meter
from lazaretto.mime import compose, transfer, tree
from lazaretto.mime.source import Sink, Source
from lazaretto.model import Finding, Item, Kind, Part, Path, Treatment
from lazaretto.sanitize import html, plan
from lazaretto.scan.documents import Documents
from lazaretto.scan.walk import over
from lazaretto.store.spool import Spool

HTML = "html"  # the name of the engine in findings
MAX_LINE = 990  # bytes of a line that needs no encoding; RFC 5322 s2.1.1 allows 998
_PAGE_NAMES = (".html", ".htm", ".xhtml", ".xht", ".shtml")
_TREATED = (Treatment.DISINFECT, Treatment.DISARM, *plan.RENAMING)


class New(NamedTuple):
    """What plan.plan() takes."""

    bodies: Mapping[Path, Source]
    fields: Mapping[Path, plan.Tags]  # of those parts whose old fields do not fit the new content


class Contents:
    """Of one message.  `spool` keeps what engines made; it may be exchanged while nothing is kept."""

    def __init__(self, source: Source, limits: Limits, profile: str, formats: frozenset[str] = frozenset()) -> None:
        self.source = source
        self.limits = limits
        self.profile = profile
        self.documents = Documents(formats)
        self.cleaned: dict[bytes, Source] = {}  # by digest of the content that an engine has disinfected
        self.disinfected: dict[Path, bytes] = {}  # parts that can get such content -> that digest
        self.disarmed: set[Path] = set()  # parts with a page in which something acts
        self.given: dict[Path, bytes] = {}  # digest of the content that the first plan gives to a part

    # -- while items are looked at

    def keep(self, item: Item, chunks: Iterable[bytes], spool: Spool) -> None:
        """What an engine made of an item (engines.base.ScanContext.cleaned)."""
        self.cleaned[item.digest] = spool.take(chunks, self.limits.max_member_bytes, "max_member_bytes")

    def placed(self, item: Item, finding: Finding, *, again: bool) -> Finding:
        """`finding`; but what is disinfected and cannot be put back is malware.  `again`: it is our own output that is looked at."""
        if finding.kind is not Kind.DISINFECTED:
            return finding
        if again or item.doubtful or item.is_message or item.trail != _here(item.part) or item.digest not in self.cleaned:
            return finding._replace(kind=Kind.MALWARE)
        self.disinfected[item.part] = item.digest
        return finding

    def look(self, item: Item, root: Part, tick: Callable[[], None] = lambda: None) -> Iterator[Finding]:
        """What acts in `item`, if it is a page of the outer message whose parts are `root`, in any reading.

        `tick` raises LimitExceeded when the time is over (limits.Meter.tick).
        """
        if self.profile == html.OFF or item.is_message or not item.is_file or not _is_page(item.media_type, item.names, item.type):
            return
        if not _is_outer(item):
            return
        part = tree.find(root, item.part)
        charsets = _charsets(part) if part is not None else ()
        try:
            data = item.content.read_at(0, self.limits.max_html_bytes + 1)
            removed = html.inspect(data, charsets, self._profile(root, item.part), self.limits, tick)
        except LimitExceeded as limit:
            yield over(limit, item.part, item.trail)._replace(engine=HTML)
            return
        for name, what in removed.items():
            self.disarmed.add(item.part)
            detail = ", ".join(what.examples) + (f" ({what.times} in all)" if what.times > len(what.examples) > 0 else "")
            yield Finding(HTML, Kind.DISARMED, name, item.part, detail, None, item.trail)

    def look_inside(self, item: Item, meter: Meter, spool: Spool) -> Iterator[Finding]:
        """What acts in `item`, if it is a document of the outer message."""
        if self.documents.formats and not item.is_message and _is_outer(item):
            yield from self.documents.look(item, meter, spool)

    def _profile(self, root: Part, path: Path) -> str:
        """What holds for one part: what is signed is not touched because of pictures, what is attached stays a page."""
        if self.profile in (html.REMOTE, html.TEXT) and plan.is_sealed(root, path):
            return html.SCRIPTS
        part = tree.find(root, path)
        if self.profile == html.TEXT and part is not None and (part.names or part.media_type not in html.MEDIA_TYPES):
            return html.REMOTE
        return self.profile

    # -- when the verdict is known

    def bodies(self, root: Part, treatments: Mapping[Path, Treatment], take: Sink | None) -> New:
        """New content for the parts that `treatments` want to have it; `take` stores it, without that memory does."""
        bodies: dict[Path, Source] = {}
        fields: dict[Path, plan.Tags] = {}
        self.documents.planned = True
        for path in dict.fromkeys((*self.disinfected, *sorted(self.disarmed | self.documents.acting))):
            part = tree.find(root, path)
            treatment = treatments.get(path)
            if part is None or part.children or treatment not in _TREATED:
                continue
            if treatment is Treatment.DISARM and plan.is_sealed(root, path):
                continue
            content, fresh = self._content(root, part, treatment)
            if content is None:
                continue
            encoding = next((value.decode("ascii") for name, value in fresh if name == b"Content-Transfer-Encoding"), part.encoding)
            head = self.source.read_at(part.body.start, compose.MAX_LINE + 2)
            eol = plan.line_end(self.source)
            encoded = compose.encode(content.chunks(), encoding, eol, len(head.split(b"\n", 1)[0].rstrip()))
            if encoded is not None:
                ends = self.source.read_at(part.body.stop - 1, 1) == b"\n" and encoding == "base64"
                pieces = itertools.chain(encoded, (eol,) if ends else ())
                bodies[path] = take(pieces) if take is not None else Source(b"".join(pieces))
                self.given[path] = content.digest()
                if fresh:
                    fields[path] = fresh
        return New(bodies, fields)

    def _content(self, root: Part, part: Part, treatment: Treatment) -> tuple[Source | None, plan.Tags]:
        """What the part is to hold, decoded, and the fields that it needs for that."""
        digest = self.disinfected.get(part.path)
        content = self.cleaned[digest] if digest is not None else None
        if treatment is not Treatment.DISINFECT and part.path in self.documents.acting:
            # What an engine made of it is another document, and so is a page; of those nobody knows what acts in them.
            return None if content is not None or part.path in self.disarmed else self.documents.content.get(part.path), ()
        if part.path not in self.disarmed or treatment is Treatment.DISINFECT:
            return content, ()
        if not _is_page(part.media_type, part.names, "text"):  # a page in another reading only
            return None, ()
        data = self._page(content.chunks() if content is not None else transfer.decode(self.source, part.body, part.encoding))
        if data is None:
            return None, ()
        profile = self._profile(root, part.path)
        eol = plan.line_end(self.source) if part.encoding != "base64" else b"\r\n"
        page = html.sanitize(data, _charsets(part), profile, self.limits).replace(b"\n", eol)
        return Source(page), tuple(_fields(part, profile, page))

    def _page(self, chunks: Iterable[bytes]) -> bytes | None:
        """All of a page; None for one over the limit, where only another reading of it, which is smaller, was looked at."""
        data = bytearray()
        for chunk in chunks:
            data += chunk
            if len(data) > self.limits.max_html_bytes:
                return None
        return bytes(data)

    def arrived(self, output: Source, root: Part, spool: Spool) -> bool:
        """Is what was put into parts all that these hold now?  New content might look like a delimiter."""
        for path, digest in self.given.items():
            part = tree.find(root, path)
            if part is not None:
                content = spool.take(transfer.decode(output, part.body, part.encoding))
                same = content.digest() == digest
                spool.release(content)
                if not same:
                    return False
        return True


def _fields(part: Part, profile: str, page: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Fields that have to change with the content: the type of text, a charset that reads ASCII otherwise, an encoding that is none."""
    charsets = _charsets(part)
    if profile == html.TEXT:
        yield b"Content-Type", b"text/plain; charset=" + html.CHARSET.encode()
    elif part.media_type in html.MEDIA_TYPES and (part.media_type != "text/html" or not all(map(html.keeps_ascii, charsets))):
        name = part.names[0] if part.names else ""
        plain = name.isascii() and name.isprintable() and not set(name) & set('"\\')
        yield (
            b"Content-Type",
            b"text/html; charset=" + html.CHARSET.encode() + (b'; name="' + name.encode() + b'"' if name and plain else b""),
        )
    if part.encoding in ("base64", "quoted-printable", "binary"):
        return
    if part.encoding not in ("7bit", "8bit", "") or not page.isascii() or max(map(len, page.split(b"\n"))) > MAX_LINE:
        yield b"Content-Transfer-Encoding", b"quoted-printable"


def _charsets(part: Part) -> tuple[str, ...]:
    """Every charset that any reader finds in the part's fields."""
    from lazaretto.mime import params

    return tuple(
        dict.fromkeys(value for field in part.fields if field.name == "content-type" for value in params.readings(field.value, "charset"))
    )


def _is_page(media_type: str, names: Iterable[str], found: str) -> bool:
    """Would a client show this as a page?  `found`: the type of the content."""
    if media_type in html.MEDIA_TYPES:
        return True
    return found in ("html", "text", "xml", "hta", "data") and any(name.lower().endswith(_PAGE_NAMES) for name in names)


def _is_outer(item: Item) -> bool:
    """Is it a part of the outer message, or what another reading makes of one, and nothing inside a container?"""
    here = _here(item.part)
    if not item.doubtful:
        return item.trail == here
    return item.trail[: len(here)] == here if len(item.trail) == len(here) + 1 and here else len(item.trail) == 1


def _here(path: Path) -> tuple[str, ...]:
    """The trail of a part of the outer message."""
    return (".".join(map(str, path)),) if path else ()
