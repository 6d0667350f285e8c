"""clamd's protocol, the client's side, as a state machine.

A Client turns commands into bytes to send and received bytes into events.
With `keep` the first command opens a session (IDSESSION): replies then carry
the number of the command they answer, and the connection may be kept.

    state    command           sends                     next state
    IDLE     ping, version...  z<COMMAND> NUL            WAIT
    IDLE     fildes            zFILDES NUL               WAIT (the caller passes the descriptor with these bytes)
    IDLE     instream          zINSTREAM NUL             STREAM
    STREAM   chunk(n)          n as four bytes           STREAM (the caller sends n bytes after it)
    STREAM   finish            four zero bytes           WAIT
    WAIT     (reply)                                     IDLE in a session, else CLOSED
    STREAM   (early reply)                               CLOSED: clamd had enough and hangs up
    any      (end of input, or a line without number)    CLOSED

Only a reply that ends in FOUND is a detection, and only the exact "OK" is clean;
whatever else clamd says is an error ("Access denied" once made all mail of a
well-known gateway infected).

Limits:  MAX_REPLY_BYTES without a terminator is no reply.
Errors:  RemoteProtocolError when clamd answers what was not asked, or too much;
         LocalProtocolError when a command is given in the wrong state.
See:     docs/protocols/clamd.md, clamd(8)
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LocalProtocolError, RemoteProtocolError
from lazaretto.model import Reason

MAX_REPLY_BYTES = 4096  # the longest honest one (VERSIONCOMMANDS) has under 300; signature names stay under 200
MAX_CHUNK_BYTES = 1 << 20  # clamd refuses a chunk above its StreamMaxLength at once

_NUMBERED = regex.compile(r"(\d{1,10}): (.*)", re.DOTALL | re.ASCII)
_CLEAN = regex.compile(r"(?:stream|fd\[\d{1,10}\]): OK", re.ASCII)


class State(Enum):
    """Where the conversation is; see the table above."""

    IDLE = "idle"
    STREAM = "stream"
    WAIT = "wait"
    CLOSED = "closed"


class ReplyKind(Enum):
    """What a reply means."""

    CLEAN = "clean"
    FOUND = "found"
    ERROR = "error"
    PONG = "pong"
    VERSION = "version"


class Reply(NamedTuple):
    """One answer.  `signature` with FOUND, `reason` with ERROR; `text` is what clamd wrote, without the number."""

    kind: ReplyKind
    text: str
    signature: str = ""
    reason: Reason | None = None


class Closed(NamedTuple):
    """clamd ended the conversation; `text` is its last word, often empty."""

    text: str = ""


def parse_scan_reply(text: str) -> Reply:
    """The answer to INSTREAM or FILDES, without session number and terminator."""
    if text.endswith(" FOUND"):
        # A signature holds no ": "; what stands before it says where, and that we know.
        signature = text[: -len(" FOUND")].rpartition(": ")[2].strip()
        return Reply(ReplyKind.FOUND, text, signature or "unnamed")
    if _CLEAN.fullmatch(text):
        return Reply(ReplyKind.CLEAN, text)
    if "size limit exceeded" in text:
        return Reply(ReplyKind.ERROR, text, reason=Reason.LIMIT)
    if "Time limit reached" in text or "CL_ETIMEOUT" in text:
        return Reply(ReplyKind.ERROR, text, reason=Reason.TIMEOUT)
    return Reply(ReplyKind.ERROR, text, reason=Reason.DOWN)


def unscannable(signature: str) -> Reason | None:
    """Why clamd could not look inside, for the signature names that say just that; None for a detection."""
    if signature.startswith("Heuristics.Encrypted."):  # AlertEncrypted
        return Reason.ENCRYPTED
    if signature.startswith("Heuristics.Limits.Exceeded"):  # AlertExceedsMax; also "...Exceeded.MaxFileSize"
        return Reason.LIMIT
    if signature.startswith("Heuristics.Broken."):  # AlertBrokenExecutables, AlertBrokenMedia
        return Reason.BROKEN
    return None


class Client:
    """One conversation.  One command at a time: the next may be given when the event of the last has been taken."""

    __slots__ = ("_asked", "_buffer", "_eof", "_keep", "_number", "state")

    def __init__(self, keep: bool = True) -> None:
        self.state = State.IDLE
        self._keep = keep
        self._asked = ""
        self._number = 0
        self._buffer = bytearray()
        self._eof = False

    # -- commands: each returns the bytes to send

    def ping(self) -> bytes:
        """PING: answered by a PONG."""
        return self._command("PING", State.WAIT)

    def version(self) -> bytes:
        """VERSION: "program/database/date"."""
        return self._command("VERSION", State.WAIT)

    def version_commands(self) -> bytes:
        """VERSIONCOMMANDS: the version, and the commands that it knows."""
        return self._command("VERSIONCOMMANDS", State.WAIT)

    def fildes(self) -> bytes:
        """FILDES: these bytes carry the descriptor (SCM_RIGHTS); their last one is the dummy that clamd expects with it."""
        return self._command("FILDES", State.WAIT) + b"\0"

    def instream(self) -> bytes:
        """INSTREAM: chunks follow, then finish()."""
        return self._command("INSTREAM", State.STREAM)

    def chunk(self, size: int) -> bytes:
        """The head of a chunk of `size` bytes; zero would end the stream and is refused."""
        if self.state is not State.STREAM or not 0 < size <= MAX_CHUNK_BYTES:
            raise LocalProtocolError(f"chunk of {size} bytes in state {self.state.value}")
        return size.to_bytes(4, "big")

    def finish(self) -> bytes:
        """The end of the stream."""
        if self.state is not State.STREAM:
            raise LocalProtocolError(f"finish in state {self.state.value}")
        self.state = State.WAIT
        return b"\0\0\0\0"

    def end(self) -> bytes:
        """END of the session: no answer follows, clamd hangs up."""
        if self.state is not State.IDLE:
            raise LocalProtocolError(f"end in state {self.state.value}")
        self.state = State.CLOSED
        return b"zEND\0" if self._number else b""

    def _command(self, name: str, state: State) -> bytes:
        if self.state is not State.IDLE:
            raise LocalProtocolError(f"{name} in state {self.state.value}")
        if self._buffer or self._eof:  # an answer sent ahead of its question must not be taken for one
            self.state = State.CLOSED
            raise RemoteProtocolError("more than one answer, or the end, before the next command")
        opening = b"zIDSESSION\0" if self._keep and not self._number else b""
        self._asked = name
        self._number += 1
        self.state = state
        return b"%sz%s\0" % (opening, name.encode("ascii"))

    # -- answers

    def receive_data(self, data: bytes) -> None:
        """Take what the connection gave; b"" is its end.  Then call next_event until it gives None."""
        if data:
            self._buffer += data
        else:
            self._eof = True

    def next_event(self) -> Reply | Closed | None:
        """The next event, or None if more data is needed.  After Closed there is nothing more."""
        if self.state is State.CLOSED:
            return None
        stop = self._buffer.find(b"\0", 0, MAX_REPLY_BYTES + 1)
        if stop < 0:
            if len(self._buffer) > MAX_REPLY_BYTES:
                self.state = State.CLOSED
                raise RemoteProtocolError(f"reply longer than {MAX_REPLY_BYTES} bytes")
            if not self._eof:
                return None
            # Without its terminator a reply may be cut off: no answer, a last word at most.
            self.state = State.CLOSED
            return Closed(_printable(bytes(self._buffer).strip()))
        text = _printable(bytes(self._buffer[:stop]))
        del self._buffer[: stop + 1]
        return self._reply(text)

    def _reply(self, text: str) -> Reply | Closed:
        before, self.state = self.state, State.CLOSED
        if self._keep:
            numbered = _NUMBERED.fullmatch(text)
            if numbered is None:
                return Closed(text)
            if before is State.IDLE or int(numbered[1]) != self._number:
                raise RemoteProtocolError(f"answer to what was not asked: {text}")
            text = numbered[2]
        elif before is State.IDLE:
            raise RemoteProtocolError(f"answer to what was not asked: {text}")
        if self._asked == "PING":
            reply = Reply(ReplyKind.PONG, text) if text == "PONG" else Reply(ReplyKind.ERROR, text, reason=Reason.DOWN)
        elif self._asked.startswith("VERSION"):
            bad = text.endswith("ERROR") or text == "UNKNOWN COMMAND"
            reply = Reply(ReplyKind.ERROR, text, reason=Reason.DOWN) if bad else Reply(ReplyKind.VERSION, text)
        else:
            reply = parse_scan_reply(text)
        if before is State.WAIT and self._keep:
            self.state = State.IDLE
        if before is State.STREAM and reply.kind is ReplyKind.CLEAN:
            raise RemoteProtocolError("clean, said before the content was sent")
        return reply


def _printable(raw: bytes) -> str:
    """Text for logs and findings: what a peer says must not forge a line."""
    return "".join(c if c.isprintable() else "?" for c in raw.decode("utf-8", "replace"))
