"""Addresses in pages: what they may be, and what is done about the rest.

    link(" java\\nscript:x")   Url("", "javascript")     not to be kept
    load("cid:1@x")           Url("cid:1@x", "")        comes with the mail

Known schemes are kept, all others go: any of them may start a program
(javascript, ms-msdt, search-ms, file ...).

Limits:  linear.
Errors:  none.
See:     URL Living Standard s4.4 (tabs and line ends vanish); RFC 2392 (cid, mid), RFC 2397 (data)
"""

from __future__ import annotations

from typing import NamedTuple

from lazaretto import regex

# Where a person is led by a click.
_LINKS = frozenset("http https mailto ftp tel sms cid mid news nntp xmpp sip sips callto skype whatsapp im geo webcal facetime".split())
_LOADS = frozenset(("http", "https", "cid", "mid"))
_INSIDE = frozenset(("cid", "mid", "data"))  # come with the mail
_SCHEME = regex.compile(r"([a-z][a-z0-9+.\-]*+):")
_IGNORED = regex.compile(
    "[\\x00-\\x20\\x7f-\\xa0\\xad\\u1680\\u180e\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ufeff\\ufff0-\\uffff]+"
)
_PICTURE = regex.compile(
    r"data:image/(?:png|gif|jpe?g|pjpeg|webp|bmp|x-icon|vnd\.microsoft\.icon|avif)(?:;[a-z0-9=-]{1,40})?;base64,[a-z0-9+/=_%\s-]*\Z"
)
_FONT = regex.compile(r"data:(?:application|font)/[a-z0-9.+-]{1,60}(?:;charset=[a-z0-9-]{1,20})?;base64,[a-z0-9+/=\s]*\Z")


class Url(NamedTuple):
    """`text`: to be written, "" if it is not to be kept; `evil`: the scheme, or what else is wrong; `remote`: it is elsewhere."""

    text: str
    evil: str = ""
    remote: bool = False


def link(value: str) -> Url:
    """The target of a link."""
    text, bare, scheme = _read(value)
    if scheme and scheme not in _LINKS:
        return Url("", scheme)
    if bare[:2] in ("\\\\", "/\\", "\\/"):
        return Url("", "unc")
    return Url(text)


def load(value: str, *, font: bool = False) -> Url:
    """What a page loads by itself: a picture, or, in a style sheet, a font."""
    text, bare, scheme = _read(value)
    if scheme == "data":
        known = _PICTURE.match(bare) or (font and _FONT.match(bare))
        return Url(text) if known else Url("", "data")
    if scheme and scheme not in _LOADS:
        return Url("", scheme)
    if "\\" in bare[:2]:
        return Url("", "unc")
    # Without a scheme: next to the mail, where Content-Location says so.
    return Url(text, "", not (scheme in _INSIDE or (not scheme and not bare.startswith("/"))))


def _read(value: str) -> tuple[str, str, str]:
    """To be written; lower case without anything that some reader skips; the scheme."""
    text = value.strip("".join(map(chr, range(33)))).translate({9: None, 10: None, 13: None})
    bare = _IGNORED.sub("", value).lower()
    scheme = _SCHEME.match(bare)
    return text, bare, scheme[1] if scheme else ""
