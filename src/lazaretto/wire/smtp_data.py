r"""The content of a message between DATA and its end: dots taken out, dots put in, and what could be an end without being one.

    unstuffer = Unstuffer(); content = unstuffer.feed(data)          until .ended; .rest is what came behind
    stuffer = Stuffer(); data = stuffer.feed(content) ... + stuffer.finish()

Only CRLF.CRLF ends the data.  Others take more for an end, LF.LF or CR.CRLF say,
and what one server reads as text is the next one's MAIL FROM: this is "SMTP
smuggling".  A dot is *lone* here if some such server may see it alone on a line:
CR or LF before it, CR or LF behind it, and perhaps NULs between, which some servers
drop; and it is not the end.  Bare are the CR without LF, and the LF without CR.

    end_of_data="reject"       a lone dot sets .suspicious; refuse the message
    end_of_data="normalise"    besides, the lone dot becomes text to everyone: there are two, or its line gets proper line ends
    stray="pass", "reject"     bare CR, bare LF and NUL stay; .bare_cr, .bare_lf, .nul tell
    stray="normalise"          they become CRLF, CRLF and nothing (and are told)

The Stuffer lets no lone dot through: it doubles any that it meets, and says so
with .suspicious.  After an Unstuffer that was heeded it meets none, unless an edit made one.

Limits:  memory is that of one chunk; at most four bytes are held back between two.
Errors:  LocalProtocolError when fed after the end.
See:     docs/protocols/smtp.md, RFC 5321 s4.5.2
"""

from __future__ import annotations

from lazaretto import regex
from lazaretto.errors import LocalProtocolError

END = b".\r\n"

# The end of a buffer that only the next bytes explain: half a line end, a line end that a dot may follow, a dot at the start of a line.
_TAIL = regex.compile(rb"(?:(?:\r\n|\r|\n)\.?|(?:\A|(?<=\0))\.)?\r?\Z")
_MAX_TAIL = 4
# \Z: a piece that ends in a dot at the start of a line is followed by CR or LF (else _TAIL had kept the dot).
_LONE = regex.compile(rb"([\r\n]\0*)\.(?=[\r\n\0]|\Z)")
_FIRST_LONE = regex.compile(rb"(\0*)\.(?=[\r\n\0]|\Z)")
_LONE_CLOSE = regex.compile(rb"(?<=[\r\n])\.(?=[\r\n\0]|\Z)")  # _LONE in two: a replacement without group is ten times as fast
_LONE_BEHIND_NUL = regex.compile(rb"([\r\n]\0+)\.(?=[\r\n\0]|\Z)")
_STRICT_LONE = regex.compile(rb"(\r\n)\.(?=[\r\n\0]|\Z)")


class _Filter:
    """What both directions share: the bytes held back, and whether a line may just have begun."""

    __slots__ = ("_held", "_open", "_virtual", "suspicious")

    def __init__(self) -> None:
        self.suspicious = False
        self._held = b"\r\n"  # the line end of the command before: the first line starts behind it like any other
        self._virtual = True  # it is still to be taken off again
        self._open = False  # the last piece ended in CR or LF and then NULs

    def _take(self, buffer: bytes) -> bytes:
        """What of `buffer` can be judged; the rest is held back."""
        found = _TAIL.search(buffer, max(len(buffer) - _MAX_TAIL, 0))
        cut = found.start() if found else len(buffer)
        self._held = buffer[cut:]
        return buffer[:cut]  # no copy if nothing is held back

    def _lone(self, piece: bytes) -> bool:
        """Is there a lone dot in `piece`?  Notes it."""
        if (self._open and _FIRST_LONE.match(piece)) or _LONE.search(piece):
            self.suspicious = True
            return True
        return False

    def _double_lone(self, text: bytes) -> bytes:
        if self._open:
            first = _FIRST_LONE.match(text)
            text = first[1] + b".." + text[first.end() :] if first else text
        text = _LONE_CLOSE.sub(b"..", text)
        return _LONE_BEHIND_NUL.sub(rb"\1..", text) if b"\0." in text else text

    def _given(self, piece: bytes, text: bytes) -> bytes:
        """Remember how `piece` ended; its `text`, without the line end that was put before the first line."""
        if piece.endswith(b"\0"):
            before = piece.rstrip(b"\0")
            if before:
                self._open = before.endswith((b"\r", b"\n"))
        elif piece:
            self._open = False
        if self._virtual and piece:
            self._virtual = False
            return text[2:]
        return text


class Unstuffer(_Filter):
    """Received data in, content out.  The marks may come late by the bytes held back; once `ended`, they are complete."""

    __slots__ = ("_normalise_lone", "_normalise_stray", "bare_cr", "bare_lf", "ended", "nul", "rest")

    def __init__(self, end_of_data: str = "reject", stray: str = "pass") -> None:
        super().__init__()
        self.ended = False
        self.rest = b""
        self.bare_cr = self.bare_lf = self.nul = False
        self._normalise_lone = end_of_data == "normalise"
        self._normalise_stray = stray == "normalise"

    def feed(self, chunk: bytes) -> bytes:
        """The content that `chunk` completes, perhaps b""."""
        if self.ended:
            raise LocalProtocolError("data after the end of data")
        if not chunk:
            return b""
        buffer = self._held + chunk if self._held else chunk
        stop = buffer.find(b"\r\n.\r\n") if b"." in buffer else -1
        if stop < 0:
            piece = self._take(buffer)
        else:
            piece = buffer[: stop + 2]
            self.rest = buffer[stop + 5 :]
            self.ended = True
            self._held = b""
        return self._given(piece, self._content(piece))

    def _content(self, piece: bytes) -> bytes:
        # Counting is the fastest way to see that every CR has its LF; a piece never ends between the two.
        pairs = piece.count(b"\r\n")
        bare_cr = piece.count(b"\r") != pairs
        bare_lf = piece.count(b"\n") != pairs
        nul = b"\0" in piece
        stray = bare_cr or bare_lf or nul
        text = piece
        # Where all line ends are CRLF and no NUL is about, a dot alone on a line would be the end.
        if (stray or self._open or piece.endswith(b".")) and self._lone(piece) and self._normalise_lone:
            # Behind CRLF one dot is taken out again below.  What is left is two, so that nobody behind us, the scanner among them, sees
            # one alone; or one, where line ends become CRLF.
            strict = _STRICT_LONE.sub(rb"\1.." if self._normalise_stray else rb"\1...", piece)
            text = strict if self._normalise_stray else self._double_lone(strict)
        if b"." in text:
            text = text.replace(b"\r\n.", b"\r\n")
        if stray:
            self.bare_cr |= bare_cr
            self.bare_lf |= bare_lf
            self.nul |= nul
            if self._normalise_stray:
                text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n").replace(b"\0", b"")
        return text


class Stuffer(_Filter):
    """Content in, data to send out."""

    __slots__ = ("_finished",)

    def __init__(self) -> None:
        super().__init__()
        self._finished = False

    def feed(self, chunk: bytes) -> bytes:
        """What can be sent now, perhaps b""."""
        if self._finished:
            raise LocalProtocolError("content after the end of data")
        if not chunk:
            return b""
        piece = self._take(self._held + chunk if self._held else chunk)
        return self._given(piece, self._stuffed(piece))

    def finish(self) -> bytes:
        """The rest and the end of data, CRLF.CRLF; a last line without line end gets one."""
        if self._finished:
            raise LocalProtocolError("a second end of data")
        self._finished = True
        piece, self._held = self._held, b""
        text = self._given(piece, self._stuffed(piece))
        return text + (END if piece.endswith(b"\r\n") else b"\r\n" + END)

    def _stuffed(self, piece: bytes) -> bytes:
        if b"." not in piece:
            return piece
        text = piece
        starts = piece.count(b"\r\n.")
        if starts:
            text = piece.replace(b"\r\n.", b"\r\n..")
        # Behind CRLF no dot is alone any more; only one behind something else can be.
        loose = piece.count(b"\n.") != starts or b"\r." in piece or b"\0." in piece or self._open
        if loose and self._lone(text):
            text = self._double_lone(text)
        return text
