"""Words of a mail that may open its archives.

Malware is sent in encrypted archives with the password in the text, so that
scanners cannot look inside and people can.  We try what a person would.

Limits:  max_passwords words; TEXTS texts, TEXT_BYTES of each.
Errors:  none.
See:     content/zipcrypto.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lazaretto import regex
from lazaretto.mime import transfer, tree
from lazaretto.mime.source import Source
from lazaretto.model import Part

TEXTS = 4  # parts of text that are read
TEXT_BYTES = 64 << 10

_CUE = regex.compile(
    r"(?i)(?:passwor[dt]|passcode|passphrase|kennwort|mot de passe|contrase|parola|\bpw\b|\bpwd\b|\bpin\b)[^\n]{0,20}?[:= ]+"
)
_WORD = regex.compile(r"[^\s\"'<>:;,()]{3,40}")
_TAG = regex.compile(r"<[^<>]{0,2000}>")


def passwords(source: Source, root: Part, most: int) -> tuple[bytes, ...]:
    """At most `most` words, the likeliest first: those after a cue, those with a digit, the rest; with and without a full stop."""
    texts = list(_texts(source, root))
    words: dict[str, None] = {}
    for text in texts:
        for cue in _CUE.finditer(text):
            words.update(dict.fromkeys(_WORD.findall(text, cue.end(), cue.end() + 80)))
    for text in texts:
        some = _WORD.findall(text)
        words.update(dict.fromkeys(word for word in some if any(c.isdigit() for c in word)))
        words.update(dict.fromkeys(some))
    both = dict.fromkeys(form for word in words for form in (word, word.rstrip(".!?")))
    return tuple(word.encode() for word in list(both)[:most])


def _texts(source: Source, root: Part) -> Iterator[str]:
    """The subject, and the text parts without their tags."""
    found = 0
    for part in tree.walk(root):
        if part.media_type in ("text/plain", "text/html") and not part.children:
            head = b"".join(_first(transfer.decode(source, part.body, part.encoding), TEXT_BYTES))
            yield _TAG.sub(" ", head.decode("utf-8", "replace"))
            found += 1
            if found == TEXTS:
                break
    for field in root.fields:
        if field.name == "subject":
            yield field.value.decode("utf-8", "replace")


def _first(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:most]
        most -= len(chunk)
        if most <= 0:
            return
