"""What the many clients see in Content-Type, Content-Disposition and Content-Transfer-Encoding.

    read(value, limits)       the primary reading (structured.py)
    readings(value, key)      every plausible value of one parameter, the primary one first
    boundaries(value)         those of `boundary`, as bytes to look for
    tokens(value)             every plausible main value: media type, disposition or transfer encoding

How readings come about: the field is written down as clients see it before they parse it (folds with and without a blank,
NULs dropped, comments dropped or opened, backslashes dropped, encoded words decoded), and in each of these views the key is
looked for anywhere, in quotes and comments too, with junk between its letters.  At each place the value is read in quotes and
out of them, cut at this and at that, and put together with its RFC 2231 pieces in every order.

An unambiguous value has exactly one reading.  `invoice (1).pdf` has two, and neither does harm.

Limits:  max_field_bytes, MAX_READINGS, MAX_PLACES, VIEW_BYTES, VALUE_CHARS.  Whoever gets MAX_READINGS readings has not got all.
Errors:  none.
See:     RFC 2045 s5.1; RFC 2231 s3, s4; RFC 2047 s5; docs/architecture.md "Readings"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from lazaretto import regex
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import words
from lazaretto.mime.structured import AMBIGUOUS, BLANKS, TEXT_KEYS, Structured, read, split_charset, unpercent

__all__ = ["AMBIGUOUS", "MAX_READINGS", "Structured", "boundaries", "read", "readings", "tokens"]

MAX_READINGS = 64  # of one parameter; the whole evasion corpus needs 12
MAX_PLACES = 40  # where the key occurs in one view: the first ones and the last ones
VIEW_BYTES = 1 << 19  # of all views of one field together
VALUE_CHARS = 1 << 13  # of one value, other than the primary one

_FOLD = regex.compile(r"[\r\n]+[ \t]*")
_PARENS = regex.compile(r"[()]")
_QUOTED = regex.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)\\?("?)', re.DOTALL)
_ESCAPED = regex.compile(r"\\(.)", re.DOTALL)
_DELIMITED = regex.compile(r"[^;\s]*", re.ASCII)
_TO_COMMA = regex.compile(r"[^;,\s]*", re.ASCII)
_TO_PAREN = regex.compile(r"[^;(\s]*", re.ASCII)
_TO_SEMICOLON = regex.compile(r"[^;]*")
_NEXT_NO_PARAMETER = regex.compile(r"[^;]*;[^;=]*(?=;|$)")  # boundary=foo;bar
_TAIL = regex.compile(r"[^;\s]*", re.ASCII)
_keys: dict[str, re.Pattern[str]] = {}


def _pattern(key: str) -> re.Pattern[str]:
    """`key` with its RFC 2231 stars and its equals sign; up to three odd characters between two letters."""
    found = _keys.get(key)
    if found is None:
        letters = r"[^\w;=]{0,3}".join(re.escape(letter) for letter in key)
        found = re.compile(rf"(?<![a-z]){letters}(\*?\d{{0,6}}\*?)[^\w;=(]{{0,3}}\s*+(?:\([^()]*\)\s*+)?=\s*", re.ASCII | re.IGNORECASE)
        if len(_keys) < 16:  # keys are ours, not the mail's; yet a cache wants an end
            _keys[key] = found
    return found


def readings(value: bytes, key: str, limits: Limits = DEFAULT) -> tuple[str, ...]:
    """Every plausible value of parameter `key` (lower case) in a raw field value; () if no reader finds one."""
    return readings_of(value, (key,), limits)[0]


def readings_of(value: bytes, keys: Sequence[str], limits: Limits = DEFAULT) -> list[tuple[str, ...]]:
    """`readings` for several keys, with one look at the field."""
    primary = read(value, limits)
    views = _views(value[: limits.max_field_bytes].decode("latin-1"))
    return [_readings(primary.get(key), key, views) for key in keys]


def _readings(primary: str | None, key: str, views: list[str]) -> tuple[str, ...]:
    found = {} if primary is None else {primary: None}
    is_text = key in TEXT_KEYS
    spent = 0
    for seen in _found(views, _pattern(key)):
        for form in _forms(seen, is_text):
            found[form] = None
            spent += len(form)
        if len(found) >= MAX_READINGS or spent > VIEW_BYTES:
            break
    return tuple(found)[:MAX_READINGS]


def boundaries(value: bytes, limits: Limits = DEFAULT) -> tuple[bytes, ...]:
    """Every plausible boundary, as it would stand in the body after "--"; with its quotes kept, last, if it has some.

    Only those matter whose delimiter occurs in the body.
    """
    found: dict[bytes, None] = {}
    for text in readings(value, "boundary", limits):
        for form in (text.rstrip(" \t"), text.strip(" \t\"'")):
            try:
                found[form.encode("latin-1")] = None
            except ValueError:
                found[form.encode("utf-8")] = None
    if b'"' in value:
        found.update(dict.fromkeys([b'"' + form + b'"' for form in found if form]))
    return tuple(form for form in found if b"\n" not in form and b"\r" not in form)[: 2 * MAX_READINGS]


def _forms(value: str, is_text: bool) -> Iterator[str]:
    """One value without and with what is done to it at last: NULs, line ends, blanks, character set, encoded words, percents."""
    if "\0" in value:
        yield from _forms(value.replace("\0", ""), is_text)
        yield from _forms(value.split("\0", 1)[0], is_text)
        return
    value = value.replace("\r", "").replace("\n", "")
    for form in words.readings(value):
        if is_text:
            yield words.raw8(form)
        yield form
    if is_text and "%" in value:
        yield words.text(unpercent(value))
    bare = value.strip(BLANKS)
    if bare != value:
        yield from _forms(bare, is_text)


def _found(views: list[str], pattern: re.Pattern[str]) -> Iterator[str]:
    """The values at all places in all views; the first and the last place go first, for most clients use one of them."""
    places: dict[tuple[str, str], None] = {}
    for view in views:
        matches = list(pattern.finditer(view))
        if len(matches) > MAX_PLACES:
            matches = matches[: MAX_PLACES - 16] + matches[-16:]
        pieces: list[tuple[int, str, bool]] = []
        for match in matches[:1] + matches[:0:-1]:
            window = view[match.end() : match.end() + VALUE_CHARS]
            star = match[1]
            if (star, window) not in places:
                places[star, window] = None
                for value in _values(window):
                    yield value
                    if star:
                        yield from _percents(value)
        for match in matches:
            if "*" in match[1]:
                digits = match[1].strip("*")
                window = view[match.end() : match.end() + VALUE_CHARS]
                pieces.append((int(digits or 0), next(_values(window)), match[1].endswith("*")))
        if len(pieces) > 1:
            yield from _joined(pieces)


def _views(text: str) -> list[str]:
    """The whole field as clients may see it before they parse it: as it is, each change alone, then changes combined.

    In this order, so that a field blown up to spend the budget still shows what each change alone does to it.
    """
    steps = [step for sign, step in _STEPS if sign in text]
    views = {text: None}
    todo = [(text, 0)]
    spent = len(text)
    for form, done in todo:
        for index in range(done, len(steps)):
            spent += len(form)
            if spent > VIEW_BYTES:
                return list(views)
            view = steps[index](form)
            if view not in views:
                views[view] = None
                todo.append((view, index + 1))
    return list(views)


def _without_comments(text: str) -> str:
    """Without anything in balanced parentheses, in quotes too.  Each one opens or closes once: linear, however deep."""
    opened: list[int] = []
    dropped: list[tuple[int, int]] = []
    for match in _PARENS.finditer(text):
        if match[0] == "(":
            opened.append(match.start())
        elif opened:
            begin = opened.pop()
            while dropped and dropped[-1][0] > begin:
                dropped.pop()
            dropped.append((begin, match.end()))
    out = []
    at = 0
    for begin, end in dropped:
        out.append(text[at:begin])
        at = end
    return "".join((*out, text[at:]))


def _values(window: str) -> Iterator[str]:
    """The value that begins at the start of `window`, as each reader delimits it; the usual one first."""
    segment = _TO_SEMICOLON.match(window)
    to_semicolon = segment[0] if segment is not None else ""
    if window.startswith('"'):
        match = _QUOTED.match(window)
        assert match is not None, "begins with a quote"
        raw = match[1]
        plain = _ESCAPED.sub(r"\1", raw)
        yield plain
        yield raw
        yield window[1:].split('"', 1)[0]
        tail = _TAIL.match(window, match.end())
        if tail is not None and tail[0]:
            yield plain + tail[0]
        if (tail is not None and tail[0]) or ";" in raw or "\\" in raw:
            yield to_semicolon.strip('" \t')
            yield to_semicolon.replace('"', "")
        if not match[2]:
            yield to_semicolon[1:]
            yield raw.lstrip(BLANKS).split(" ", 1)[0]
        if len(plain) > 1 and plain[0] == plain[-1] == "'":
            yield plain[1:-1]
        return
    for pattern in (_DELIMITED, _TO_SEMICOLON, _TO_COMMA, _TO_PAREN, _NEXT_NO_PARAMETER):
        match = pattern.match(window)
        if match is None:
            continue
        value = match[0].strip(BLANKS)
        if pattern is _NEXT_NO_PARAMETER:
            if value.strip(";") == to_semicolon.strip(BLANKS):
                continue  # only a semicolon at the end
            yield value.replace(";", "")
        yield value
        if "'" in value:
            yield value.strip("'")
        if '"' in value:
            yield value.replace('"', "")
            yield value.split('"', 1)[0]
        if "\\" in value:
            yield _ESCAPED.sub(r"\1", value)


def _percents(value: str) -> Iterator[str]:
    """An RFC 2231 value decoded: with its character set, without, in the other byte order."""
    charset, rest = split_charset(value)
    raw = unpercent(rest)
    yield words.text(raw, charset)
    yield rest
    if raw != rest.encode("latin-1", "replace") or charset:
        yield words.text(raw)
        yield raw.decode("latin-1")
        if b"\0" in raw:
            yield raw.decode("utf-16-le", "replace")
            yield raw.decode("utf-16-be", "replace")


def _joined(pieces: list[tuple[int, str, bool]]) -> Iterator[str]:
    """RFC 2231 pieces in every order and decoded before and after joining; a gap, a wrong start and duplicates are overlooked."""
    first: dict[int, tuple[str, bool]] = {}
    last: dict[int, tuple[str, bool]] = {}
    for number, value, extended in pieces:
        first.setdefault(number, (value, extended))
        last[number] = (value, extended)
    runs = {tuple(chosen[number] for number in sorted(chosen)): None for chosen in (first, last)}
    runs[tuple(first.values())] = None
    runs[tuple((value, extended) for _, value, extended in pieces)] = None
    until_gap = [first[number] for index, number in enumerate(sorted(first)) if number == index]
    runs[tuple(until_gap)] = None
    for run in runs:
        glued = "".join(value for value, _ in run)[:VALUE_CHARS]
        yield from _percents(glued)
        yield glued
        charset, rest = split_charset(run[0][0]) if run else ("", "")
        each = [unpercent(value) if extended else value.encode("latin-1", "replace") for value, extended in ((rest, True), *run[1:])]
        yield words.text(b"".join(each)[:VALUE_CHARS], charset)


_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("\n", lambda text: _FOLD.sub("", text)),
    ("(", _without_comments),
    ("(", lambda text: _PARENS.sub(" ", text)),
    ("\0", lambda text: text.replace("\0", "")),
    ("\\", lambda text: text.replace("\\", "")),
    ("=?", words.decode),
    ("\r", lambda text: _FOLD.sub("", text)),  # a bare CR; after "\n" it finds nothing left
)


# -- main values -----------------------------------------------------------------------------------------------------------------

_TYPE = regex.compile(r"[^/]+/[^/]+")
_PIECE = regex.compile(r"[^\s;,\x0b\x0c]+", re.ASCII)
_ENCODINGS = (
    (regex.compile(r"base\W{0,9}64|b64", re.ASCII), "base64"),
    (regex.compile(r"quot\w{0,4}\W{0,9}print|quoted|\bqp\b", re.ASCII), "quoted-printable"),
    (regex.compile(r"\buu|x-uu", re.ASCII), "x-uuencode"),
    (regex.compile(r"yenc"), "x-yenc"),
    (regex.compile(r"binhex|hqx"), "binhex"),
    (regex.compile(r"gzip"), "x-gzip64"),
)
_NO_LETTER = regex.compile(r"[^a-z0-9]+")
MAX_TOKENS = 24


def tokens(value: bytes, limits: Limits = DEFAULT) -> tuple[str, ...]:
    """Every plausible main value in lower case, the primary one first; () if the field is empty.

    Of a value without "/" (a transfer encoding), anything that resembles a known encoding is named in its usual form too,
    wherever it stands: "base-64", "x; encoding=base64" and "(base64)" give "base64".
    """
    primary = read(value, limits).value
    found = {primary: None} if primary else {}
    cut = value[: limits.max_field_bytes].decode("latin-1")
    is_type = "/" in primary
    for view in _views(cut):
        bare = view.lower().replace('"', " " if view.count('"') > 2 else "").replace("\0", "")
        head = bare.strip(" \t;\r\n").split(";", 1)[0].strip(BLANKS)
        pieces = _PIECE.findall(head[:VALUE_CHARS])
        tight = "".join(pieces)
        if is_type or "/" in tight:
            is_type = True
            found.update(dict.fromkeys(piece for piece in pieces if "/" in piece and "=" not in piece))
            if len(pieces) > 1 and not _TYPE.fullmatch(pieces[0]) and "=" not in tight and "," not in head:
                found[tight] = None
        elif primary in _KNOWN and head == primary and "(" not in view and ";" not in view:
            continue
        else:
            found.update(dict.fromkeys(piece for piece in pieces if "=" not in piece or "=?" in piece))
            # Also without what cannot be seen or should not be there: "bas\xade64", "base_64".
            forms = (bare[:VALUE_CHARS], _NO_LETTER.sub("", bare[:VALUE_CHARS]))
            found.update({name: None for pattern, name in _ENCODINGS if any(map(pattern.search, forms))})
        if len(found) >= MAX_TOKENS:
            break
    return tuple(found)[:MAX_TOKENS]


_KNOWN = frozenset(("7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode"))
