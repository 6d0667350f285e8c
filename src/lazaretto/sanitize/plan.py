"""From a verdict to edits: what is cut out, what is put in its place.

    announce   our own header fields, on top; forged ones of the same name go
    close      fields of ours at the end of the header, and some under another name
    disinfect  a part gets the content that an engine made of it
    disarm     a part gets what is left of its content without what acts
    replace    a part, header and body, becomes a notice; a message becomes its
               plain fields and a notice
    defang     a part keeps its content under a type and a name that nothing runs
    mangle     the same, and the name it had is not told

A part inside a replaced part needs no edit of its own.  Inside signed or
encrypted mail nothing is defanged or disarmed: that would only break the
signature, so the whole part is replaced instead.

Errors:  none.
See:     mime/edits.py, docs/flow.md; RFC 2046 s5.1.1, RFC 1847, RFC 5322 s2.2.3
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lazaretto import regex
from lazaretto.mime import tree
from lazaretto.mime.scanner import IDENTITY, MESSAGES
from lazaretto.mime.source import Source
from lazaretto.model import Edit, Field, Part, Path, Span, Treatment
from lazaretto.sanitize import renaming as renames
from lazaretto.sanitize import rewrite
from lazaretto.sanitize.renaming import Renaming
from lazaretto.sanitize.style import DEFAULT, Style

if TYPE_CHECKING:
    from lazaretto.sanitize.blocks import Block

# A field that every client reads alike: printable name, colon, no NUL, no stray CR, no line of blanks inside.
_PLAIN_FIELD = regex.compile(rb"[!-9;-~]+:(?:[^\0\r\n]*(?:\r?\n(?=[ \t]+[^ \t\r\n])))*[^\0\r\n]*(?:\r?\n)?")
_MBOX_LINE = regex.compile(rb"From [^\r\n]*\r?\n")
_MAX_KEPT_FIELD = 16 << 10
_MAX_KEPT_HEADER = 128 << 10
ENVELOPES = frozenset(("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"))

Tags = Sequence[tuple[bytes, bytes]]  # names and values of fields
RENAMING = (Treatment.DEFANG, Treatment.MANGLE)
NO_BLOCKS: Mapping[Path, Sequence[Block]] = {}
NO_CONTENT: Mapping[Path, Source] = {}
NO_FIELDS: Mapping[Path, Tags] = {}

# (part, line end, is it a whole message) -> header lines, empty line, text.  None: a summary of the message.
NoticeMaker = Callable[[Part, bytes, bool | None], bytes]


def line_end(source: Source) -> bytes:
    """The line end of the message: that of its first line, CRLF if it has none."""
    at = source.data.find(b"\n", 0, min(source.size, 1 << 16))
    return b"\n" if at == 0 or (at > 0 and source.data[at - 1 : at] != b"\r") else b"\r\n"


def plan(
    source: Source,
    root: Part,
    treatments: Mapping[Path, Treatment],
    tags: Tags,
    notice: NoticeMaker,
    *,
    cleaned: Mapping[Path, Source] = NO_CONTENT,
    fields: Mapping[Path, Tags] = NO_FIELDS,
    closing: Tags = (),
    style: Style = DEFAULT,
    rewritten: list[str] | None = None,
    blocks: Mapping[Path, Sequence[Block]] = NO_BLOCKS,
) -> tuple[Edit, ...]:
    """All edits of one message: its treatments and our own fields, `tags` on top of the header, `closing` at its end.

    `blocks`: files encoded in parts, which are treated instead of the parts themselves.
    `rewritten` is told what `style` wants to be changed in what stays (rewrite.py).
    `cleaned`: new content of parts, encoded as they are, or as the new fields in `fields` say, which replace those of the same
    name.  A part that is to be disinfected or disarmed without new content is replaced.
    A path that the tree does not have counts as the whole message.
    """
    closing = (*closing, *style.closing(field.name for field in root.fields))
    known = {part.path: part for part in tree.walk(root)}
    wanted: dict[Path, Treatment] = {}
    for path, treatment in treatments.items():
        here = path if path in known else ()
        if here in blocks:
            continue
        if treatment in RENAMING and not can_defang(root, here):
            treatment = Treatment.REPLACE
        if treatment is Treatment.DISARM and is_sealed(root, here):
            treatment = Treatment.REPLACE
        if treatment in (Treatment.DISINFECT, Treatment.DISARM) and here not in cleaned:
            treatment = Treatment.REPLACE
        wanted[here] = max(treatment, wanted.get(here, Treatment.KEEP))
    if wanted.get(()) is Treatment.REPLACE:
        return (replace_message(source, root, notice, tags, closing),)
    own = (*_announce(source, root, tags), *_close(source, root, closing), *_displace(source, root, style))
    told: list[str] = rewritten if rewritten is not None else []
    touched = wanted | dict.fromkeys(blocks, Treatment.DEFANG)  # texts with such files are not rewritten besides
    own += tuple(_rewrite(source, root, touched, style, _names(tags), told))
    if style.summary.wanted and (told or any(touched.values())):
        own += tuple(_summarise(source, root, notice))
    own += tuple(_treat_blocks(source, known, wanted, blocks, notice, style.renaming))
    return (*own, *_treat(source, known, wanted, notice, cleaned, fields, style.renaming))


def _treat_blocks(
    source: Source,
    known: Mapping[Path, Part],
    wanted: Mapping[Path, Treatment],
    blocks: Mapping[Path, Sequence[Block]],
    notice: NoticeMaker,
    renaming: Renaming,
) -> Iterator[Edit]:
    from lazaretto.sanitize import blocks as encoded

    eol = line_end(source)
    number = sum(treatment in RENAMING for treatment in wanted.values())
    for path, files in blocks.items():
        if any(wanted.get(path[:length]) is Treatment.REPLACE for length in range(len(path))):
            continue
        for file in files:
            if file.treatment in RENAMING:
                number += 1
                yield from encoded.renamed(source, file, renaming, number)
            else:
                yield encoded.replaced(source, file, notice(encoded.part_of(known[path], file), eol, False), eol)


def _rewrite(
    source: Source, root: Part, wanted: Mapping[Path, Treatment], style: Style, ours: frozenset[str], told: list[str]
) -> Iterator[Edit]:
    """What is changed in parts that nothing else is done to."""

    def stays(part: Part) -> bool:
        above = (wanted.get(part.path[:length], Treatment.KEEP) for length in range(len(part.path)))
        return wanted.get(part.path, Treatment.KEEP) is not Treatment.KEEP or Treatment.REPLACE in above or is_sealed(root, part.path)

    for change in rewrite.changes(source, root, style.rewriting, stays, ours, line_end(source)):
        told.append(change.what)
        yield from change.edits


def _summarise(source: Source, root: Part, notice: NoticeMaker) -> Iterator[Edit]:
    """A text about the message, where there is a place for it: a last part, or the end of a lone text."""
    eol = line_end(source)
    if root.media_type == "multipart/mixed" and root.children:
        last = root.children[-1]
        start = source.data.rfind(b"\n", 0, max(last.header.start - 1, 0)) + 1
        delimiter = source.span(Span(start, last.header.start))
        if delimiter.startswith(b"--") and delimiter.endswith(b"\n"):
            at = last.body.stop
            yield Edit(Span(at, at), eol + delimiter + _fitted(source, at, notice(root, eol, None), eol))
    elif root.media_type == "text/plain" and not root.children and root.encoding in IDENTITY:
        text = notice(root, eol, None)
        header, _, body = text.partition(eol + eol)
        if b"7bit" in header:  # only ASCII: whatever the charset of the text is called
            lead = b"" if source.read_at(root.body.stop - 1, 1) == b"\n" or root.body.start == root.body.stop else eol
            yield Edit(Span(root.body.stop, root.body.stop), lead + b"-- " + eol + body)


def _close(source: Source, root: Part, closing: Tags) -> Iterator[Edit]:
    """Put `closing` behind the last field, where the header is one that every client reads alike."""
    if not closing or header_start(source, root) is None:
        return
    at = root.header.stop
    eol = line_end(source)
    block = _block(closing, eol)
    yield Edit(Span(at, at), block if source.read_at(at - 1, 1) == b"\n" else eol + block.removesuffix(eol))


def announce(source: Source, root: Part, tags: Tags, closing: Tags) -> tuple[Edit, ...]:
    """Our own fields alone."""
    return (*_announce(source, root, tags), *_close(source, root, closing))


def _displace(source: Source, root: Part, style: Style) -> Iterator[Edit]:
    """Put the prefix before the names of fields that are not true any more once a message was changed."""
    if style.displaced and header_start(source, root) is not None:
        for field in root.fields:
            if field.name in style.displaced and _is_plain(source, field):
                yield Edit(Span(field.span.start, field.span.start), style.prefix)


def _announce(source: Source, root: Part, tags: Tags) -> Iterator[Edit]:
    """Put `tags` on top of the header; remove fields of the same name that came with the mail.

    Where the header does not begin like one (blank lines, junk), nothing is put in:
    a field on top would change how clients read what follows.
    """
    if not tags:
        return
    ours = _names(tags)
    for field in root.fields:
        if field.name in ours:
            yield Edit(field.span, b"")
    at = header_start(source, root)
    if at is not None:
        yield Edit(Span(at, at), _block(tags, line_end(source)))


def _names(tags: Tags) -> frozenset[str]:
    return frozenset(name.decode("ascii").lower() for name, _ in tags)


def _block(tags: Tags, eol: bytes) -> bytes:
    return b"".join(name + b": " + value + eol for name, value in tags)


def header_start(source: Source, root: Part) -> int | None:
    """Where the first field stands, if only an mbox line stands before it; else None."""
    if not root.fields:
        return None
    first = root.fields[0].span.start
    mbox = _MBOX_LINE.match(source.data)
    if first != (mbox.end() if mbox is not None else 0) or not _is_plain(source, root.fields[0]):
        return None
    return first


def _treat(
    source: Source,
    known: Mapping[Path, Part],
    wanted: Mapping[Path, Treatment],
    notice: NoticeMaker,
    cleaned: Mapping[Path, Source],
    fields: Mapping[Path, Tags],
    renaming: Renaming,
) -> Iterator[Edit]:
    number = 0
    for path, treatment in sorted(wanted.items()):
        if treatment <= Treatment.CANONICALISE or any(wanted.get(path[:n]) is Treatment.REPLACE for n in range(len(path))):
            continue
        part = known[path]
        if treatment is not Treatment.REPLACE:
            if treatment in RENAMING:
                number += 1
                yield from _rename(source, part, renaming.fields(part, number, mangle=treatment is Treatment.MANGLE))
            elif path in cleaned and fields.get(path):
                yield from _put_fields(source, part, fields[path])
            if path in cleaned:
                yield Edit(part.body, cleaned[path])
        elif known[path[:-1]].media_type in MESSAGES:
            yield replace_message(source, part, notice)
        else:
            yield _replace_part(source, part, notice)


def can_defang(root: Part, path: Path) -> bool:
    """Can the part get other names?  Not the message itself, and nothing that is signed: such are replaced."""
    return path != () and not is_sealed(root, path)


def is_sealed(root: Part, path: Path) -> bool:
    """Is the part inside something signed or encrypted?"""
    return any(part.media_type in ENVELOPES for part in tree.ancestors(root, path))


def _replace_part(source: Source, part: Part, notice: NoticeMaker) -> Edit:
    eol = line_end(source)
    span = Span(part.header.start, part.body.stop)
    return Edit(span, _fitted(source, span.stop, notice(part, eol, False), eol))


def _fitted(source: Source, stop: int, text: bytes, eol: bytes) -> bytes:
    """`text` to stand before `stop`: the line end before a delimiter belongs to the delimiter, where there is one."""
    return text.removesuffix(eol) if source.read_at(stop, 2)[:1] in (b"\r", b"\n") else text


def replace_message(
    source: Source, part: Part, notice: NoticeMaker, tags: Tags = (), closing: Tags = (), *, keep_fields: bool = True
) -> Edit:
    """A message (the root, or one inside message/rfc822) becomes `tags`, its plain fields, `closing` and a notice.

    keep_fields False: not even those, for a message whose header itself is what is wrong.
    """
    eol = line_end(source)
    start, stop = part.header.start, part.body.stop
    if not part.path:
        mbox = _MBOX_LINE.match(source.data) if keep_fields else None
        start, stop = mbox.end() if mbox is not None else 0, source.size
    kept = b"".join(_kept_fields(source, part, eol, _names(tags))) if keep_fields else b"Subject: (message removed)" + eol
    text = _block(tags, eol) + kept + _block(closing, eol) + notice(part, eol, True)
    return Edit(Span(start, stop), _fitted(source, stop, text, eol))


def _kept_fields(source: Source, part: Part, eol: bytes, ours: frozenset[str]) -> Iterator[bytes]:
    total = 0
    for field in part.fields:
        if field.name.startswith("content-") or field.name == "mime-version" or field.name in ours or not _is_plain(source, field):
            continue
        raw = source.span(field.span)
        total += len(raw)
        if total > _MAX_KEPT_HEADER:
            return
        yield raw if raw.endswith(b"\n") else raw + eol


def _is_plain(source: Source, field: Field) -> bool:
    size = field.span.stop - field.span.start
    return size <= _MAX_KEPT_FIELD and _PLAIN_FIELD.fullmatch(source.data, field.span.start, field.span.stop) is not None


def _put_fields(source: Source, part: Part, fresh: Tags) -> Iterator[Edit]:
    """`fresh` in place of the fields of the same names; where there are none, before the Content-Type or what comes first."""
    eol = line_end(source)
    names_ = _names(fresh)
    stale = [field.span for field in part.fields if field.name in names_]
    block = _block(fresh, eol)
    if not stale:
        first = part.fields[0].span.start if part.fields else part.header.start
        beside = next((field.span.start for field in part.fields if field.name == "content-type"), first)
        yield Edit(Span(beside, beside), block)
    for number, span in enumerate(stale):
        yield Edit(span, block if number == 0 else b"")


def _rename(source: Source, part: Part, fresh: Mapping[str, bytes]) -> Iterator[Edit]:
    """Put `fresh` fields, by name, in place of all that the part has of them; those it does not have on top of it."""
    eol = line_end(source)
    stale = [field for field in part.fields if field.name in fresh]
    written: set[str] = set()
    block = b"".join(line + eol for name, line in fresh.items() if name in renames.LABELS)
    if not any(field.name in renames.LABELS for field in stale):
        if not part.fields and part.header.stop == part.body.start:
            block += eol  # there is no empty line that could end a header
        yield Edit(Span(part.header.start, part.header.start), block)
        written |= renames.LABELS
    for field in stale:
        data = b""
        if field.name in renames.LABELS:
            data = b"" if renames.LABELS & written else block
            written |= renames.LABELS
        elif field.name not in written:
            data = fresh[field.name] + eol
            written.add(field.name)
        yield Edit(field.span, data)
