"""fpscand's protocol (F-PROT 6), the client's side, as a state machine.

A Client turns requests into bytes to send and received lines into events.  The
connection stays open from request to request.

    state    request                sends                              next state
    IDLE     help                   HELP                               WAIT
    IDLE     scan_file              SCAN [options] FILE path           WAIT
    IDLE     scan_stream            SCAN [options] STREAM name SIZE n  STREAM (WAIT if n is 0)
    STREAM   chunk(data)            data                               STREAM, WAIT when n bytes are there
    IDLE     queue                  QUEUE                              QUEUE
    QUEUE    scan_file, ..stream    as above, no answer yet            QUEUE, STREAM and back to QUEUE
    QUEUE    start                  SCAN                               WAIT
    WAIT     (answers to all)                                          IDLE
    STREAM   (early answer)                                            CLOSED: nothing more may be sent
    IDLE     quit                   QUIT                               CLOSED

An answer is a line `code <text> object->member`; the code is a field of bits.
Each request needs a name that no other request on this connection has: answers
are told apart by it, and an answer that comes late is never taken for that of the
next question.  "Clean" counts only if it names what was asked about; a line
without object can only make matters worse.

Limits:  of a line the first MAX_LINE_BYTES are read, the rest is thrown away; more
         than MAX_EXTRA_LINES beyond one for each request is nonsense.
Errors:  RemoteProtocolError for a line that is no answer, or answers what was not
         asked; LocalProtocolError when a request is given in the wrong state.
See:     docs/protocols/fpscand.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, IntEnum
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LocalProtocolError, RemoteProtocolError

MAX_LINE_BYTES = 1 << 16  # a path and the names of members in members; code and text come first
MAX_EXTRA_LINES = 1000
MAX_STREAM_BYTES = 10 * 2**20 - 1  # the daemon refuses one byte more

INFECTED, SUSPICIOUS, INTERRUPTED, SKIPPED = 1, 2, 4, 8
PLATFORM, INTERNAL, UNSCANNABLE, CLEANED = 16, 32, 64, 128
_TROUBLE = INTERRUPTED | PLATFORM | INTERNAL

_RESULT = regex.compile(rb"(\d{1,5}) <(.*?)>(?: (.*))?")
_OPTION = regex.compile(rb"--[A-Za-z][A-Za-z0-9_-]*(?:=[!-~]+)?")
_BAD = regex.compile(r"\b(?:infected|unwanted)\b")


class State(Enum):
    """Where the conversation is; see the table above."""

    IDLE = "idle"
    QUEUE = "queue"
    STREAM = "stream"
    WAIT = "wait"
    CLOSED = "closed"


class Meaning(IntEnum):
    """What a result says; the larger is the worse."""

    CLEAN = 0  # perhaps with something skipped: see Result.partial
    DISINFECTED = 1  # there was malware, and it is gone from the file
    ERROR = 2
    FOUND = 3


class Result(NamedTuple):
    """One line of an answer.  `object` is what was asked about (b"" if the line does not say), `members` what was inside."""

    code: int
    text: str
    object: bytes = b""
    members: tuple[bytes, ...] = ()

    @property
    def partial(self) -> bool:
        """The daemon has left out something: a depth limit, encryption, a broken file."""
        return bool(self.code & (SKIPPED | UNSCANNABLE))

    @property
    def malware(self) -> str:
        """The name in the text: what follows the last ": "; "" if there is none."""
        return self.text.rpartition(": ")[2].strip() if ": " in self.text else ""

    def meaning(self, suspicious: bool = True) -> Meaning:
        """What it says, all bits together.  `suspicious` False: what the heuristics suspect does not count."""
        code = self.code if suspicious else self.code & ~SUSPICIOUS
        text = self.text.lower()
        if code & (INFECTED | SUSPICIOUS):
            return Meaning.FOUND
        # Some versions say it in words only.  Of what was cleaned the text may still name the malware.
        if not code & CLEANED and (_BAD.search(text) or (suspicious and "suspicious" in text)):
            return Meaning.FOUND
        trouble = code & _TROUBLE or code > 0xFF or not self.object
        if trouble:
            # What was cleaned had malware in it; with an error nobody knows what is left of it.
            return Meaning.FOUND if code & CLEANED else Meaning.ERROR
        return Meaning.DISINFECTED if code & CLEANED else Meaning.CLEAN


class Version(NamedTuple):
    """What HELP tells.  `signatures` is the date of the signature files, "2012-05-31 13:05", "" if there is none."""

    program: str
    engine: str = ""
    protocol: str = ""
    signatures: str = ""
    uptime: str = ""


class Closed(NamedTuple):
    """The daemon hung up; `text` is its last word, often empty."""

    text: str = ""


def parse_result(line: bytes) -> Result | None:
    """A line of an answer, without line end; None if it is no such line."""
    m = _RESULT.fullmatch(line)
    if m is None:
        return None
    name, *members = (m[3] or b"").split(b"->")
    return Result(int(m[1]), printable(m[2]), name, tuple(members))


def parse_version(line: bytes) -> Version | None:
    """The first line of the answer to HELP: `FPSCAND:6.3.3.5015 ENGINE:4.6.2.117 PROTOCOL:1.0 ...`; None if it is not."""
    if not line.startswith(b"FPSCAND:"):
        return None
    pairs = dict(word.split(":", 1) for word in printable(line).split() if ":" in word)
    date = pairs.get("SIGNATURE", "")[:12]
    when = f"{date[:4]}-{date[4:6]}-{date[6:8]} {date[8:10]}:{date[10:]}" if len(date) == 12 and date.isascii() and date.isdigit() else ""
    return Version(pairs["FPSCAND"], pairs.get("ENGINE", ""), pairs.get("PROTOCOL", ""), when, pairs.get("UPTIME", ""))


def option(text: str) -> bytes:
    """An option as it stands in a request, such as --scanlevel=2.  ValueError for what is none."""
    raw = text.encode("utf-8", "surrogateescape")
    if not _OPTION.fullmatch(raw):
        raise ValueError(f"expected --name or --name=value, not {text!r}")
    return raw


def worst(results: Iterable[Result], suspicious: bool = True) -> Result:
    """The worst of at least one result."""
    return max(results, key=lambda result: result.meaning(suspicious))


class Client:
    """One conversation."""

    __slots__ = ("_asked", "_buffer", "_eof", "_help", "_left", "_lines", "_open", "_queued", "_skipping", "_unnamed", "state")

    def __init__(self) -> None:
        self.state = State.IDLE
        self._asked: set[bytes] = set()  # names of the requests since the last whole answer
        self._open: set[bytes] = set()  # those of them without an answer
        self._unnamed = 0  # answers that do not say what they answer
        self._queued = False
        self._left = 0  # bytes of the stream that are still to be sent
        self._help = 0  # lines of the answer to HELP that are still to come
        self._lines = 0  # that may still come
        self._buffer = bytearray()
        self._skipping = False  # the rest of a line that was too long
        self._eof = False

    @property
    def halfway(self) -> bool:
        """Has a line begun that has not ended?"""
        return bool(self._buffer) or self._skipping

    # -- requests: each returns the bytes to send

    def help(self) -> bytes:
        """HELP: answered by a Version."""
        self._begin("help", State.IDLE)
        self._help = 2
        self._lines = 2
        self.state = State.WAIT
        return b"HELP\n"

    def scan_file(self, path: bytes, options: Sequence[bytes] = ()) -> bytes:
        """SCAN FILE: the daemon reads the file of this absolute path.  There is no quoting: no line ends, no "->"."""
        if not path.startswith(b"/") or b"->" in path:
            raise LocalProtocolError(f"no absolute path that can be sent: {path!r}")
        return self._request(b"FILE " + path, path, options, State.WAIT)

    def scan_stream(self, name: bytes, size: int, options: Sequence[bytes] = ()) -> bytes:
        """SCAN STREAM: `size` bytes follow, by chunk().  `name` is any word."""
        if not 0 <= size <= MAX_STREAM_BYTES or b" " in name or not name or b"->" in name:
            raise LocalProtocolError(f"stream {name!r} of {size} bytes")
        out = self._request(b"STREAM %s SIZE %d" % (name, size), name, options, State.STREAM if size else State.WAIT)
        self._left = size
        return out

    def chunk(self, data: bytes) -> bytes:
        """A piece of the stream: these very bytes, counted."""
        if self.state is not State.STREAM or len(data) > self._left:
            raise LocalProtocolError(f"{len(data)} bytes in state {self.state.value}, {self._left} are left")
        self._left -= len(data)
        if not self._left:
            self.state = State.QUEUE if self._queued else State.WAIT
        return data

    def queue(self) -> bytes:
        """QUEUE: requests follow that are answered together, in any order, after start()."""
        self._begin("queue", State.IDLE)
        self._queued = True
        self.state = State.QUEUE
        return b"QUEUE\n"

    def start(self) -> bytes:
        """The end of the queue."""
        if self.state is not State.QUEUE or not self._open:
            raise LocalProtocolError(f"start in state {self.state.value}, {len(self._open)} requests")
        self._queued = False
        self.state = State.WAIT
        return b"SCAN\n"

    def quit(self) -> bytes:
        """QUIT: no answer follows, the daemon hangs up."""
        if self.state is not State.IDLE:
            raise LocalProtocolError(f"quit in state {self.state.value}")
        self.state = State.CLOSED
        return b"QUIT\n"

    def _begin(self, what: str, state: State) -> None:
        if self.state is not state:
            raise LocalProtocolError(f"{what} in state {self.state.value}")
        if self.halfway or self._eof:  # an answer sent ahead of its question must not be taken for one
            self.state = State.CLOSED
            raise RemoteProtocolError("more than one answer, or the end, before the next request")
        if not self._queued:
            self._asked.clear()
            self._open.clear()
            self._unnamed = 0
            self._lines = MAX_EXTRA_LINES

    def _request(self, what: bytes, name: bytes, options: Sequence[bytes], state: State) -> bytes:
        if b"\n" in name or b"\r" in name or b"\0" in name or name in self._asked or not all(_OPTION.fullmatch(o) for o in options):
            raise LocalProtocolError(f"a name used twice, or what no line can carry: {name!r} {options!r}")
        self._begin("scan", State.QUEUE if self._queued else State.IDLE)
        self._asked.add(name)
        self._open.add(name)
        self._lines += 1
        self.state = State.QUEUE if self._queued and state is State.WAIT else state
        return b"%s\n" % b" ".join((b"SCAN", *options, what))

    # -- answers

    def receive_data(self, data: bytes) -> None:
        """Take what the connection gave; b"" is its end.  Then call next_event until it gives None."""
        if data:
            self._buffer += data
        else:
            self._eof = True

    def next_event(self) -> Result | Version | Closed | None:
        """The next event, or None if more data is needed.  After Closed there is nothing more.

        The state is IDLE as soon as each request has an answer.  Further lines of the same answer may follow.
        """
        while self.state is not State.CLOSED:
            line = self._line()
            if line is None:
                if not self._eof:
                    return None
                self.state = State.CLOSED
                return Closed(printable(bytes(self._buffer).strip()))
            if self._lines <= 0:
                raise self._nonsense("answer to what was not asked", line)
            self._lines -= 1
            if not self._help:
                return self._result(line)
            self._help -= 1
            if not self._help:  # the second line is advice
                self.state = State.IDLE
                continue
            version = parse_version(line)
            if version is None:
                raise self._nonsense("not the answer of an fpscand", line)
            return version
        return None

    def _line(self) -> bytes | None:
        """The next line without its end; None if there is no whole one."""
        buffer = self._buffer
        while True:
            stop = buffer.find(b"\n", 0, MAX_LINE_BYTES + 1)
            if stop < 0 and len(buffer) <= MAX_LINE_BYTES:
                return None
            whole = stop >= 0
            line = bytes(buffer[: stop if whole else MAX_LINE_BYTES])
            del buffer[: stop + 1 if whole else MAX_LINE_BYTES]
            skip, self._skipping = self._skipping, not whole
            if not skip:
                return line.rstrip(b"\r")

    def _result(self, line: bytes) -> Result:
        result = parse_result(line)
        if result is None:
            raise self._nonsense("no answer", line)
        if result.object and result.object not in self._asked:
            raise self._nonsense("answer to what was not asked", line)
        if self.state in (State.STREAM, State.QUEUE):
            if result.meaning() < Meaning.ERROR:
                raise self._nonsense("said before the content was sent", line)
            self.state = State.CLOSED
            return result
        if result.object:
            self._open.discard(result.object)
        else:
            self._unnamed += 1
        if len(self._open) <= self._unnamed:
            self.state = State.IDLE
        return result

    def _nonsense(self, what: str, line: bytes) -> RemoteProtocolError:
        self.state = State.CLOSED
        return RemoteProtocolError(f"{what}: {printable(line[:200])}")


def printable(raw: bytes) -> str:
    """Text for logs and findings: what a peer says must not forge a line."""
    return "".join(c if c.isprintable() else "?" for c in raw.decode("utf-8", "replace"))
