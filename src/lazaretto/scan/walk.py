"""Everything there is to look at in a message: one stream of items and findings.

The message itself, each part decoded, each member of each container, files
encoded inside text, and what other readings of ambiguous structure would show.
Depth first; an item's content is valid until the next item is asked for.

Anomalies, contradictions and what could not be opened come out as findings of
the engine named "reader"; nothing here judges.

Limits:  limits.Meter for the whole message; reaching one ends the part or the
         container concerned and is a finding with Reason.LIMIT.
Errors:  OSError from the spool (disk full): nothing can be promised then.
See:     docs/flow.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from lazaretto import regex
from lazaretto.content import archive, document, sniff, types
from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits, Meter
from lazaretto.mime import scanner, smuggling, transfer, tree
from lazaretto.mime.ambiguous import AMBIGUOUS
from lazaretto.mime.line_ends import line_end_trouble
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Item, Kind, Part, Path, Reason, Span
from lazaretto.scan.passwords import passwords
from lazaretto.store.spool import Spool

if TYPE_CHECKING:
    from lazaretto.mime.readings import Budget

READER = "reader"

_LIMIT_ANOMALIES = frozenset(
    (
        "mime.max-depth",
        "mime.max-parts",
        "mime.boundary-too-long",
        "header.too-long",
        "header.too-many-fields",
        "params.too-many",
        "params.too-long",
    )
)
# Content that is elsewhere, or that becomes a message of its own behind us: nobody can scan it here.
_BANNED_ANOMALIES = frozenset(("mime.message-partial", "mime.external-body", "mime.smuggling"))
_MESSAGE_TYPES = ("message/", "text/rfc822")
_PAGES = frozenset(("text/html", "application/xhtml+xml"))  # the same bytes declared as text/plain do nothing
_MESSAGE_NAME = regex.compile(r"\.(?:eml|mht|mhtml|mbox|mbx|msg|nws)\b", re.IGNORECASE)
# Messages found only in other readings whose own other readings are explored too; the corpus needs one.
_MAX_NESTED_EXPLORATIONS = 8

Found = Item | Finding


class Walker:
    """Walks one message.  `spool` holds what has to be unpacked; the caller closes it."""

    def __init__(self, source: Source, spool: Spool, meter: Meter) -> None:
        self.source = source
        self.root: Part | None = None
        self.spool = spool
        self.meter = meter
        self.limits: Limits = meter.limits
        self._words: tuple[bytes, ...] | None = None
        self._seen: dict[tuple[bytes, str], set[str]] = {}  # content, taken for a message, a page or "" -> names it had
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}  # trail -> names of what was met there last
        self._nested = 0
        self._budget: Budget | None = None

    def message(self, root: Part) -> Iterator[Found]:
        """Items and findings of the message whose tree is `root`, the raw message first."""
        self.root = root
        digest = self.source.digest()
        self._seen[digest, "message"] = set()
        yield Item((), (), (), "message/rfc822", self.source, "message", digest, is_message=True)
        if smuggling.attempt(self.source) >= 0:
            yield anomaly("mime.smuggling", (), ())
        for found in self._message(self.source, root, None, (), 0):
            yield found if isinstance(found, Item) else found._replace(files=self._files(found.trail))

    def file(self, name: str) -> Iterator[Found]:
        """Items and findings of a file that is no message."""
        item = Item((), (name,), (name,), "", self.source, sniff.sniff(self.source), self.source.digest(), files=(name,))
        self._names[item.trail] = item.names
        yield item
        if self.source.size:
            for found in self._inside(item, 0, in_raw=False):
                yield found if isinstance(found, Item) else found._replace(files=self._files(found.trail))

    # -- messages

    def _message(
        self, source: Source, root: Part, owner: Path | None, trail: tuple[str, ...], depth: int, *, doubtful: bool = False
    ) -> Iterator[Found]:
        """All of one message.  `owner` None: it is the outer one, its parts own themselves."""
        primary: set[tuple[Span, str, bool]] = set()
        ambiguous: list[Path] = []
        stray: list[Part] = []
        for part in tree.walk(root):
            here = part.path if owner is None else owner
            where = (*trail, ".".join(map(str, part.path)) or "message") if owner is not None or part.path else trail
            self._names[where] = () if part.children else part.names
            for name in part.anomalies:
                yield anomaly(name, here, where)
                if name in AMBIGUOUS:
                    ambiguous.append(part.path[:-1])  # what is odd about a part may hide the delimiters of its parent
                elif name == "mime.stray-part":
                    stray.append(part)
            if part.children:
                continue
            primary.add((part.body, "" if part.encoding in scanner.IDENTITY else part.encoding, part.media_type in _PAGES))
            yield from self._leaf(source, part, here, where, depth, covered=owner is None, doubtful=doubtful)
        yield from self._in_text(source, None if owner is not None else root, owner or (), trail, depth)
        bare, nul = line_end_trouble(source)
        for found, name in ((bare, "mime.bare-cr"), (nul, "mime.nul")):
            if found:
                yield anomaly(name, owner or (), trail)
        if doubtful:
            self._nested += 1
        if bare or nul:
            ambiguous.append(root.path)
        if ambiguous and not (doubtful and self._nested > _MAX_NESTED_EXPLORATIONS):
            for path in _topmost(ambiguous):
                yield from self._readings(source, root, path, owner, trail, depth, primary)
        for part in stray:
            for span in _outside(part):
                yield from self._readings(source, root, part.path, owner, trail, depth, primary, span)

    def _leaf(
        self, source: Source, part: Part, owner: Path, trail: tuple[str, ...], depth: int, *, covered: bool, doubtful: bool
    ) -> Iterator[Found]:
        """A part without children, decoded; if its encoding is damaged, also as careless decoders see it."""
        plain = part.encoding in scanner.IDENTITY
        chunks = transfer.decode(source, part.body, part.encoding)
        packed = 0 if plain else part.body.stop - part.body.start  # some encodings compress
        yield from self._content(
            chunks, owner, trail, part.names, part.media_type, depth, covered=covered and plain, doubtful=doubtful, packed=packed
        )
        if plain:
            return
        anomalies = transfer.anomalies(source, part.body, part.encoding)
        for name in anomalies:
            yield anomaly(name, owner, trail)
        if anomalies:
            try:
                for label, variant in transfer.readings(source, part.body, part.encoding):
                    yield from self._content(
                        variant, owner, (*trail, label), part.names, part.media_type, depth, doubtful=True, packed=packed
                    )
            except LimitExceeded as limit:
                yield over(limit, owner, trail)

    def _readings(
        self,
        source: Source,
        root: Part,
        within: Path,
        owner: Path | None,
        trail: tuple[str, ...],
        depth: int,
        primary: set[tuple[Span, str, bool]],
        stray: Span | None = None,
    ) -> Iterator[Found]:
        """What clients that disagree with the primary reading would find in the part `within`, or only in its `stray` text."""
        from lazaretto.mime import readings

        if self._budget is None:
            self._budget = readings.Budget(self.limits, self.source.size)
        part = tree.find(root, within) or root
        span = stray or (Span(part.header.start, part.body.stop) if part is not root else Span(0, source.size))
        outside = part.path if owner is None else owner  # to blame for what a repaired copy shows
        copies = self.spool.another()
        try:
            for reading in readings.explore(source, span, copies.take, self._budget, stray=stray is not None):
                here = tree.owner(root, reading.span.start).path if owner is None and reading.source is source else outside
                where = (*trail, "reading" + reading.label)
                if reading.media_type.endswith(readings.ELSEWHERE):
                    name = "mime.message-partial" if reading.media_type.endswith("partial") else "mime.external-body"
                    yield anomaly(name, here, where)
                page = reading.media_type in _PAGES
                known = ((reading.span, reading.encoding, shown) in primary for shown in ((True,) if page else (False, True)))
                if reading.source is source and any(known):
                    continue
                yield from self._content(
                    reading.decode(),
                    here,
                    where,
                    reading.names,
                    reading.media_type,
                    depth,
                    doubtful=True,
                    packed=reading.span.stop - reading.span.start,
                )
        except LimitExceeded as limit:
            yield over(limit, outside, (*trail, "reading"))
        finally:
            copies.close()

    def _in_text(self, source: Source, root: Part | None, owner: Path, trail: tuple[str, ...], depth: int) -> Iterator[Found]:
        """uuencode, yEnc and BinHex wherever they stand.  With `root`, the part around each is its owner."""
        try:
            for found in transfer.find_encoded(source, None, self.limits):
                here = tree.owner(root, found.span.start).path if root is not None else owner
                name = found.name.decode("utf-8", "replace")
                where = (*trail, f"{found.kind}:{name}")
                for problem in found.anomalies:
                    yield anomaly(problem, here, where)
                yield from self._content(
                    found.chunks(), here, where, (name,) if name else (), "", depth + 1, packed=found.span.stop - found.span.start
                )
        except LimitExceeded as limit:
            yield over(limit, owner, trail)

    # -- content

    def _content(
        self,
        chunks: Iterable[bytes],
        owner: Path,
        trail: tuple[str, ...],
        names: tuple[str, ...],
        media_type: str,
        depth: int,
        *,
        covered: bool = False,
        doubtful: bool = False,
        is_file: bool = True,
        packed: int = 0,
    ) -> Iterator[Found]:
        """Store one piece of content, yield it as an item, open it if it is a container, forget it."""
        self._names[trail] = names
        if packed:
            chunks = self.meter.unpack(chunks, packed)
        content, problem = self.spool.take_partial(chunks, (BrokenMember,))
        try:
            if isinstance(problem, LimitExceeded):
                yield over(problem, owner, trail)
            elif isinstance(problem, BrokenMember):
                yield unopened(problem.name, problem.reason, owner, trail, problem.detail, doubtful=doubtful)
            digest = content.digest()
            read_as = "message" if media_type.startswith(_MESSAGE_TYPES) else "page" if media_type in _PAGES else ""
            same = ((digest, known) for known in ((read_as,) if read_as else ("", "page")))
            if doubtful and any(key in self._seen and self._seen[key].issuperset(names) for key in same):
                return  # other readings mostly show what is known already
            self._seen.setdefault((digest, read_as), set()).update(names)
            kind = sniff.sniff(content)
            covered_text = covered and kind in ("text", "empty") and media_type.startswith("text/")
            item = Item(owner, trail, names, media_type, content, kind, digest, False, is_file, covered_text, doubtful, self._files(trail))
            yield item
            if content.size:
                yield from self._inside(item, depth, in_raw=covered)
        finally:
            self.spool.release(content)

    def _inside(self, item: Item, depth: int, *, in_raw: bool) -> Iterator[Found]:
        """What is in the container `item`, if it is one (or several at once)."""
        content, owner, trail = item.content, item.part, item.trail
        kinds = dict.fromkeys((item.type, *sniff.also(content)))
        if not kinds.keys().isdisjoint(types.ZIPPED):
            kinds["zip"] = None
        walks: list[tuple[str, Callable[[], Iterator[Member | Problem]]]] = []
        message = item.media_type.startswith(_MESSAGE_TYPES)
        message = message or (item.type not in ("msg", "ole") and any(map(_MESSAGE_NAME.search, item.names)))
        for kind in kinds:
            if kind in ("message", "mht"):
                message = True
            elif kind in archive.WALKERS or kind in archive.UNSUPPORTED:
                walks.append((kind, lambda k=kind: archive.walk(k, content, self.meter, self.passwords())))  # type: ignore[misc]
            if kind in document.TYPES:
                walks.append((kind, lambda k=kind: document.walk(k, content, self.meter)))  # type: ignore[misc]
        if (message or walks) and depth >= self.limits.max_container_depth:
            yield over(LimitExceeded("max_container_depth", f"deeper than {self.limits.max_container_depth}"), owner, trail)
            return
        for kind, walk in walks:
            yield from self._members(kind, self._jailed(kind, walk) if kind in archive.CRASHABLE else walk(), item, depth)
        if message:
            root = scanner.parse(content, self.limits)
            yield from self._message(content, root, owner, trail, depth + 1, doubtful=item.doubtful)
        elif not in_raw:
            yield from self._in_text(content, None, owner, trail, depth)

    def _jailed(self, kind: str, walk: Callable[[], Iterator[Member | Problem]]) -> Iterator[Member | Problem]:
        from lazaretto.scan import jail

        return jail.walk(kind, walk, self.meter)

    def _members(self, kind: str, members: Iterator[Member | Problem], container: Item, depth: int) -> Iterator[Found]:
        owner, trail = container.part, container.trail
        try:
            for number, member in enumerate(members, 1):
                if isinstance(member, Problem):
                    yield unopened(member.name, member.reason, owner, trail, member.detail, doubtful=container.doubtful)
                    continue
                names = member.names
                label = names[0] if names else f"{kind}#{number}"
                if not names and kind in ("gzip", "bzip2", "xz", "lzma", "zstd", "compress"):
                    names = tuple(stripped for stripped in map(_without_suffix, container.names) if stripped)
                yield from self._content(
                    member.chunks,
                    owner,
                    (*trail, label),
                    names,
                    member.media_type,
                    depth + 1,
                    is_file=member.is_file and container.is_file,
                    doubtful=container.doubtful,
                )
        except LimitExceeded as limit:
            yield over(limit, owner, trail)

    def _files(self, trail: tuple[str, ...]) -> tuple[str, ...]:
        """File names on the way to what is at hand.  The walk goes depth first, so that its trail has the names met last."""
        return tuple(name for length in range(len(trail) + 1) for name in self._names.get(trail[:length], ()))

    def passwords(self) -> Sequence[bytes]:
        """Words of the mail that may open its archives; looked for when the first archive is met."""
        if self._words is None:
            self._words = passwords(self.source, self.root, self.limits.max_passwords) if self.root is not None else ()
        return self._words


def _outside(part: Part) -> Iterator[Span]:
    """The text of a multipart before its first part and after its last; of any other part, its body."""
    if not part.children:
        yield part.body
        return
    for start, stop in ((part.body.start, part.children[0].header.start), (part.children[-1].body.stop, part.body.stop)):
        if start < stop:
            yield Span(start, stop)


def _topmost(paths: Iterable[Path]) -> list[Path]:
    """`paths` without those below another of them."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path[: len(above)] == above for above in kept):
            kept.append(path)
    return kept


def _without_suffix(name: str) -> str:
    """What gunzip and its like call the result: invoice.js.gz gives invoice.js, a.tgz a.tar."""
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        return ""
    return stem + ".tar" if suffix.lower() in ("tgz", "tbz", "tbz2", "txz", "tzst") else stem


def anomaly(name: str, owner: Path, trail: tuple[str, ...]) -> Finding:
    """A deviation as a finding: a limit, something that is not here, or a fact."""
    if name in _LIMIT_ANOMALIES:
        return unscannable(name, Reason.LIMIT, owner, trail)
    return Finding(READER, Kind.BANNED if name in _BANNED_ANOMALIES else Kind.MALFORMED, name, owner, "", None, trail)


def unopened(name: str, reason: Reason | None, owner: Path, trail: tuple[str, ...], detail: str, *, doubtful: bool) -> Finding:
    """What a walker could not open, or found contradictory.

    Bytes that only a doubtful reading takes for a container are mostly none: that they cannot be opened is a remark.
    """
    if reason is None or (doubtful and reason in (Reason.BROKEN, Reason.UNSUPPORTED)):
        return Finding(READER, Kind.MALFORMED, name, owner, detail, None, trail)
    return unscannable(name, reason, owner, trail, detail)


def unscannable(name: str, reason: Reason, owner: Path, trail: tuple[str, ...], detail: str = "") -> Finding:
    """Something that nobody could look into."""
    return Finding(READER, Kind.UNSCANNABLE, name, owner, detail, reason, trail)


def over(limit: LimitExceeded, owner: Path, trail: tuple[str, ...]) -> Finding:
    """A cap of limits.py that was reached."""
    reason = Reason.TIMEOUT if limit.limit == "max_scan_s" else Reason.LIMIT
    return unscannable("limit." + limit.limit.replace("_", "-"), reason, owner, trail, limit.detail)
