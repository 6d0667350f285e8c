"""Pages without what acts: look first, and leave alone what has nothing of the kind.

    removed = inspect(data, ("utf-8",), "scripts")     {} : nothing acts, so nothing is to be done
    new = sanitize(data, ("utf-8",), "scripts")        bytes, ASCII, of which inspect() says {}

Profiles, each with what the one before takes out:

    scripts   scripts, handlers, forms, objects, frames, refreshing, base addresses, addresses
              that start something, style sheets that act
    remote    whatever is loaded from elsewhere: pictures, fonts, style sheets
    text      everything but the text (the result is text/plain; charset utf-8)

This is the one door: the rest of the html_* modules is imported when a page is looked at.

Limits:  max_html_bytes; the work is linear, once for each reading (html_charset.MAX_READINGS at most).
Errors:  LimitExceeded("max_html_bytes").
See:     docs/html.md; html_charset.py, html_filter.py, html_text.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from lazaretto.sanitize.html_filter import Removed

OFF, SCRIPTS, REMOTE, TEXT = PROFILES = ("off", "scripts", "remote", "text")
PAGE = "html.page"
MEDIA_TYPES = frozenset(("text/html", "application/xhtml+xml", "text/x-html", "application/html", "text/xhtml", "text/xhtml+xml"))
# What a charset has to be called where the part's own would make something else of ASCII.
CHARSET = "utf-8"


def inspect(
    data: bytes, declared: Sequence[str], profile: str, limits: Limits = DEFAULT, tick: Callable[[], None] = lambda: None
) -> dict[str, Removed]:
    """What `profile` would take out of a page, in any reading, by name of the finding.

    `declared`: charsets that its fields name.  `tick` is called before each reading and may raise.
    """
    from lazaretto.sanitize import html_charset, html_filter

    _check(data, limits)
    removed: dict[str, Removed] = {}
    if profile == OFF:
        return removed
    for reading in html_charset.readings(data, declared):
        tick()
        found = html_filter.Filter(remote=profile == REMOTE).run(reading.text).removed
        for name, what in found.items():
            if name not in removed:
                removed[name] = what._replace(
                    examples=tuple(f"{one} (as {reading.label})" if reading.label else one for one in what.examples)
                )
    if profile == TEXT:
        removed[PAGE] = html_filter.Removed(1, ())
    return removed


def sanitize(data: bytes, declared: Sequence[str], profile: str, limits: Limits = DEFAULT) -> bytes:
    """The page, or its text, as clients show it, without what inspect() finds.  Line ends are "\\n"."""
    from lazaretto.sanitize import html_charset

    _check(data, limits)
    text = next(html_charset.readings(data, declared)).text
    if profile == TEXT:
        from lazaretto.sanitize import html_text

        return html_text.plain(text).encode("utf-8")
    from lazaretto.sanitize import html_filter

    return html_filter.Filter(remote=profile == REMOTE).run(text).markup.encode("ascii")


def keeps_ascii(label: str) -> bool:
    """May a part that holds what sanitize() gives go on naming this charset?"""
    from lazaretto.sanitize import html_charset

    return html_charset.keeps_ascii(label)


def _check(data: bytes, limits: Limits) -> None:
    if len(data) > limits.max_html_bytes:
        raise LimitExceeded("max_html_bytes", f"more than {limits.max_html_bytes} bytes")
