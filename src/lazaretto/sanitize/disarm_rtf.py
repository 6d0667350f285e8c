r"""Rich Text Format without what acts.

Taken out:

    rtf.object      objects, embedded and linked, with their data: the picture or text that shows them stays
    rtf.dde         DDE fields; rtf.field: fields that fetch or link.  The result stays
    rtf.template    the template, if there is one
    rtf.remote      pictures that are loaded by address
    rtf.data        data of programs: \*\datastore, mail merge, files to print

All else stays byte for byte.  A word that acts can stand where no reader should look for it, in the
data of a picture for instance.  So the result is searched for all such words as mere text: where
one is left, the file is refused.

Limits:  one pass; MAX_DEPTH groups in one another, MAX_TOKENS.
Errors:  LimitExceeded from the meter.
See:     RTF 1.9.1 "Objects", "Fields", "Document Template"; content/rtf.py
"""

from __future__ import annotations

import re

from lazaretto import regex
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import office_fields
from lazaretto.sanitize.disarmed import NOTHING, Disarmed, Found, Refused

MAX_DEPTH = 2_000
MAX_TOKENS = 1_500_000  # 4 s; a megabyte of text has some 100,000
MAX_CODE = 4_096  # characters of one piece of text that are looked at
MAX_PIECES = 256
MAX_LOOK = 64  # groups between a field and its instruction
_TICK = 10_000

_TOKEN = regex.compile(
    rb"(?P<open>\{)|(?P<close>\})"
    rb"|\\(?P<word>[A-Za-z]{1,64}+)(?P<number>-?\d{1,12}+)?(?: |\r?\n)?"
    rb"|\\'(?P<char>[0-9A-Fa-f]{2})|\\(?P<symbol>[\0-\xff])"
    rb"|(?P<text>[^\\{}]+)|\\",
    re.DOTALL,
)
_OBJECTS = b"object objdata objupdate objautlink objlink objhtml objocx objemb objsub objpub objclass objicemb objname objalias".split()
_CUT = {
    **dict.fromkeys(_OBJECTS, "rtf.object"),
    b"template": "rtf.template",
    **dict.fromkeys((b"datastore", b"mailmerge", b"nextfile", b"filetbl"), "rtf.data"),
}
# One of these left anywhere, whoever may read it, is one too many.
_ACTING = regex.compile(
    rb"(?i)(?<!\\)(?:\\\\){0,40}\\(?:obj(?:ect|data|update|autlink|link|html|ocx|emb|sub|pub|class|icemb)|datastore|mailmerge|nextfile)(?![A-Za-z])"
    rb"|\\template(?![A-Za-z])(?! [A-Za-z]:\\\\[^\\/]| [\w .-]{1,255}\})"  # but for one on the reader's own disk
)
_OPEN_WORD = regex.compile(rb"(?<!\\)(?:\\\\){0,40}\\[A-Za-z]{1,64}(?:-?\d{1,12})?\Z")
_IN_BINARY = regex.compile(rb"(?i)\\(?:obj|fldinst|template)")
_CUES = regex.compile(rb"(?i)\\(?:obj|template|fldinst|datastore|mailmerge|nextfile|filetbl)|pibname")
_KINDS = {"dde": "rtf.dde", "field": "rtf.field"}
_SPECIAL = frozenset((b"object", b"field", b"fldinst", b"fldrslt", b"result"))


class _Group:
    """One group while it is open."""

    __slots__ = ("acts", "code", "destination", "first", "inside", "own", "result", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.inside = start + 1  # behind the word that says what it is
        self.first = True  # nothing but \* has been seen yet
        self.destination = b""
        self.own: list[str] = []  # its text, the beginning of it
        self.code: list[str | None] = []  # a field's instruction, as office_fields wants it
        self.result: tuple[int, int, int] | None = None  # what shows a field or an object: start, inside, stop
        self.acts = ""  # why it goes


def disarm(source: Source, meter: Meter) -> Disarmed:
    """The text without what acts.  See disarmed.py."""
    data = source.read_at(0, source.size)
    if not _CUES.search(data):
        return NOTHING
    found = Found()
    try:
        content = _Reader(data, meter, found).result() if data.lstrip(b" \t\r\n\0\xef\xbb\xbf").startswith(b"{\\rt") else data
        if _ACTING.search(content):
            raise Refused("a word that acts stands where it should not")
        if not found:
            return NOTHING
        again = Found()
        _Reader(content, meter, again)
        if again:
            raise Refused("what is left acts in another way")
    except Refused as why:
        return Disarmed(None, found.removed(), str(why))
    return Disarmed(content, found.removed())


class _Reader:
    """Reads a text; `cuts` are (start, stop) of what goes."""

    def __init__(self, data: bytes, meter: Meter, found: Found) -> None:
        self.data = data
        self.found = found
        self.cuts: list[tuple[int, int]] = []
        self.stack: list[_Group] = []
        self.skip = False  # the character for readers without Unicode follows
        self._read(meter)
        if any(group.acts or group.destination in _SPECIAL for group in self.stack):
            raise Refused("it ends inside of what would be taken out")

    def result(self) -> bytes:
        out: list[bytes] = []
        position = 0
        for start, stop in sorted(self.cuts, key=lambda cut: (cut[0], -cut[1])):
            if start >= position:
                out.append(self.data[position:start])
                if _OPEN_WORD.search(self.data, max(position, start - 160), start):
                    out.append(b" ")  # what comes now was kept apart from this word by what goes
            position = max(position, stop)
        out.append(self.data[position:])
        return b"".join(out)

    def _read(self, meter: Meter) -> None:
        data, stack = self.data, self.stack
        position = count = 0
        while match := _TOKEN.match(data, position):
            position = match.end()
            count += 1
            if count % _TICK == 0:
                meter.tick()
                if count > MAX_TOKENS:
                    raise Refused("it has too many words")
            if match["open"]:
                if len(stack) >= MAX_DEPTH:
                    raise Refused("it is nested too deeply")
                if stack:
                    stack[-1].first = False
                stack.append(_Group(match.start()))
            elif match["close"]:
                if stack:
                    self._close(stack.pop(), position)
            elif match["word"]:
                if match["word"] == b"bin" and match["number"]:
                    start, position = position, min(len(data), position + max(0, int(match["number"])))
                    if _IN_BINARY.search(data, start, position):
                        raise Refused("a word that acts stands in binary data")
                else:
                    self._word(match["word"], match["number"], match.end())
            elif match["char"]:
                self._text(bytes((int(match["char"], 16),)).decode("cp1252", "replace"))
            elif match["symbol"]:
                if match["symbol"] in b"\\{}":
                    self._text(match["symbol"].decode("latin-1"))
                elif match["symbol"] not in b"*\r\n" and stack:
                    stack[-1].first = False
            elif match["text"]:
                self._text(match["text"].replace(b"\r", b"").replace(b"\n", b"").decode("latin-1"))

    def _word(self, word: bytes, number: bytes | None, stop: int) -> None:
        if word == b"u" and number:
            self._text(chr(int(number) & 0xFFFF))
            self.skip = True
            return
        if not self.stack:
            return
        group = self.stack[-1]
        if group.first or (word in _SPECIAL and group.destination not in _SPECIAL):
            group.destination = word
            group.inside = stop
        group.first = False
        why = _CUT.get(word.lower(), "")
        if why and not group.acts:
            if len(self.stack) < 2:
                raise Refused("a word that acts stands outside of all groups")
            group.acts = why

    def _text(self, text: str) -> None:
        """To its own group, and to the field's instruction around it, if there is one."""
        text = text[1:] if self.skip else text
        self.skip = False
        if not text or not self.stack:
            return
        group = self.stack[-1]
        group.first = group.first and text.isspace()
        if len(group.own) < MAX_PIECES:
            group.own.append(text[:MAX_CODE])
        field = self._around(b"fldinst", b"fldrslt", b"field")
        if field is not None and field.destination == b"fldinst" and len(field.code) < MAX_PIECES:
            field.code.append(text[:MAX_CODE])

    def _around(self, *words: bytes) -> _Group | None:
        """The nearest open group of one of these kinds."""
        return next((group for group in reversed(self.stack[-MAX_LOOK:]) if group.destination in words), None)

    def _close(self, group: _Group, stop: int) -> None:
        """A group has ended: does it go, and what do those around learn of it?"""
        word, text = group.destination, "".join(group.own)
        if word == b"fldinst":
            field = self._around(b"field")
            kind = office_fields.acts(group.code)
            if kind:
                group.acts = _KINDS[kind]
                self.found.add(group.acts, "".join(piece or "{}" for piece in group.code))
                self.cuts.append((group.start, stop))
            if field is not None:
                field.code += group.code
                field.acts = field.acts or group.acts
        elif word == b"field":
            outer = self._around(b"fldinst", b"fldrslt")
            if outer is not None and outer.destination == b"fldinst":
                outer.code.append(None)
            kind = office_fields.acts(group.code) if group.code else ""
            if kind and not group.acts:
                group.acts = _KINDS[kind]
                self.found.add(group.acts, "".join(piece or "{}" for piece in group.code))
            if group.acts:
                self._show(group, stop)
        elif word in (b"fldrslt", b"result") and not group.acts:
            around = self._around(b"field" if word == b"fldrslt" else b"object")
            if around is not None:
                around.result = group.start, group.inside, stop
        elif word == b"object":
            self.found.add("rtf.object", text or "object")
            self._show(group, stop)
        elif group.acts and not (group.acts == "rtf.template" and office_fields.local(text)):
            outer = self._around(b"object")
            if outer is None:
                self.found.add(group.acts, text[:80] or word.decode("latin-1"))
            elif word == b"objclass":
                outer.own[:0] = [text]
            self.cuts.append((group.start, stop))
        elif word == b"sn" and text.strip() == "pibName" and self.stack:
            self.stack[-1].acts = "rtf.remote"  # the shape's property in which it stands

    def _show(self, group: _Group, stop: int) -> None:
        """Of a field or an object, only what shows it stays, as a group like any other."""
        if group.result is None:
            self.cuts.append((group.start, stop))
            return
        start, inside, end = group.result
        self.cuts += ((group.start, start), (start + 1, inside), (end, stop))
