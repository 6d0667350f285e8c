"""Mailboxes in mbox form: messages after "From " lines.

A separator is a line that begins with "From " and either follows a blank line
(or nothing) or bears a time, as the line that MTAs write does.  Text that merely
begins so in the middle of a paragraph does not cut a message.

Limits:  one pass; the number of messages is the meter's.
Errors:  none raised, LimitExceeded from the meter passes.
See:     RFC 4155 (the name, not the strictness)
"""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto import regex
from lazaretto.content.container import Member, Problem
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Span

_LINE = regex.compile(rb"(?:\A[\xef\xbb\xbf\s]{0,64}|[\r\n])>?From [^\r\n]{0,1000}(?:\r\n|\n|\r|\Z)")
_BLANK_BEFORE = regex.compile(rb"(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)\Z")
_TIME = regex.compile(rb"\d\d:\d\d")


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Each message, without its separator, as message/rfc822."""
    start = -1
    for line in _LINE.finditer(source.data):
        meter.tick()
        head = source.data[max(0, line.start() - 64) : line.start() + 1]
        quoted = line[0].lstrip(b"\xef\xbb\xbf\r\n \t").startswith(b">")
        if line.start() == 0 or (not quoted and (_BLANK_BEFORE.search(head) or _TIME.search(line[0]))):
            if start >= 0:
                yield _message(source, start, line.start() + 1, meter)
            start = line.end()
    if 0 <= start < source.size:
        yield _message(source, start, source.size, meter)


def _message(source: Source, start: int, stop: int, meter: Meter) -> Member:
    meter.member()
    return Member((), meter.unpack(source.chunks(Span(start, stop)), source.size), is_file=False, media_type="message/rfc822")
