"""A walker in a process of its own, for code that may crash.

libarchive is C on hostile input: known archives make it abort, run for ever or
write where it should not (docs/architecture.md).  So what it opens is opened in
a forked child with limits of its own; members come back through a pipe.  What
happens to the child happens to that archive only: "cab.crashed", Reason.BROKEN.

The child's words are read as data: frames of a type, a length and bytes.
Nothing is unpickled, and nothing the child says can exceed the caller's meter.

Limits:  the meter's, in the parent; in the child max_unpack_s of processor time
         (an archive that never ends is a broken one), MEMORY_BYTES of address space on top of what is
         mapped, no bytes in files.
Errors:  LimitExceeded from the meter.  OSError if no process can be made.
Bugs:    the child shares the user and the network of its parent; it is no sandbox
         against code that has taken over.
See:     content/container.py for the contract; fork(2), setrlimit(2)
"""

from __future__ import annotations

import math
import os
import select
import signal
import struct
from collections.abc import Callable, Iterator

from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.errors import LimitExceeded
from lazaretto.limits import MIB, Meter
from lazaretto.model import Reason

MEMORY_BYTES = 1024 * MIB  # 7z and rar5 dictionaries reach some hundreds of MiB
_FRAME = struct.Struct("!BI")
_MAX_FRAME = 1 << 20
_MEMBER, _DATA, _END, _BROKEN, _PROBLEM, _LIMIT, _DONE = range(7)
_SIZE = struct.Struct("!I")
_MAX_TEXTS, _MAX_TEXT = 64, 4096  # of one frame: names of one member, bytes of a name

Walk = Callable[[], Iterator[Member | Problem]]


def walk(kind: str, inner: Walk, meter: Meter) -> Iterator[Member | Problem]:
    """What `inner` yields, made in a child process.  `kind` names the format in findings."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _serve(inner, writer, meter)  # does not return
    os.close(writer)
    parent = _Parent(kind, reader, meter)
    try:
        yield from parent.members()
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)  # it has ended, or is not wanted any more
        os.waitpid(child, 0)


class _Parent:
    def __init__(self, kind: str, fd: int, meter: Meter) -> None:
        self.kind = kind
        self.fd = fd
        self.meter = meter

    def members(self) -> Iterator[Member | Problem]:
        while True:
            frame, body = self._next()
            if frame == _DONE:
                return
            if frame == _PROBLEM:
                name, detail, reason = _texts(body, 3)
                yield Problem(name, detail, _reason(reason))
            elif frame == _MEMBER:
                is_file, media_type, *names = _texts(body) or ("", "")
                self.meter.member()
                # The child has compared packed and unpacked sizes; here only the sum counts.
                yield Member(tuple(names), self.meter.unpack(self._chunks(), 1 << 62), is_file == "file", media_type)
            elif frame == _LIMIT:
                limit, detail = _texts(body, 2)
                raise LimitExceeded(limit, detail)
            else:
                yield self._crashed()
                return

    def _chunks(self) -> Iterator[bytes]:
        while True:
            frame, body = self._next()
            if frame == _DATA:
                yield body
            elif frame == _END:
                return
            elif frame == _BROKEN:
                name, detail, reason = _texts(body, 3)
                raise BrokenMember(name, detail, _reason(reason) or Reason.BROKEN)
            elif frame == _LIMIT:
                limit, detail = _texts(body, 2)
                raise LimitExceeded(limit, detail)
            else:
                crashed = self._crashed()
                raise BrokenMember(crashed.name, crashed.detail)

    def _crashed(self) -> Problem:
        return Problem(f"{self.kind}.crashed", "the unpacker did not survive this archive", Reason.BROKEN)

    def _next(self) -> tuple[int, bytes]:
        """The next frame; (-1, b"") if the child is gone or talks nonsense."""
        head = self._read(_FRAME.size)
        if len(head) < _FRAME.size:
            return -1, b""
        frame, size = _FRAME.unpack(head)
        body = self._read(size) if size <= _MAX_FRAME else b""
        return (frame, body) if len(body) == size else (-1, b"")

    def _read(self, size: int) -> bytes:
        """`size` bytes, or fewer at the end.  Raises LimitExceeded("max_scan_s") at the deadline."""
        pieces = []
        while size:
            left = self.meter.deadline - self.meter.clock()
            ready, _, _ = select.select([self.fd], [], [], max(left, 0) if math.isfinite(left) else None)
            if not ready:
                raise LimitExceeded("max_scan_s")
            piece = os.read(self.fd, size)
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _reason(word: str) -> Reason | None:
    return next((reason for reason in Reason if reason.value == word), None)


def _texts(body: bytes, count: int = 0) -> list[str]:
    """The strings of a frame; exactly `count` of them if given.  What is cut off is empty."""
    texts = []
    position = 0
    while position + _SIZE.size <= len(body):
        size = _SIZE.unpack_from(body, position)[0]
        position += _SIZE.size
        texts.append(body[position : position + size].decode("utf-8", "surrogateescape"))
        position += size
    return (texts + [""] * count)[:count] if count else texts


def _serve(inner: Walk, writer: int, meter: Meter) -> None:
    """The child: walk, write frames, end.  Never returns and never runs the parent's clean-up."""
    status = 1
    try:
        _restrict(meter)
        send = _Sender(writer)
        try:
            for found in inner():
                if isinstance(found, Problem):
                    send.texts(_PROBLEM, found.name, found.detail, found.reason.value if found.reason else "")
                    continue
                send.texts(_MEMBER, "file" if found.is_file else "", found.media_type, *found.names)
                try:
                    for chunk in found.chunks:
                        send.data(chunk)
                    send.texts(_END)
                except BrokenMember as broken:
                    send.texts(_BROKEN, broken.name, broken.detail, broken.reason.value)
            send.texts(_DONE)
        except LimitExceeded as limit:
            send.texts(_LIMIT, limit.limit, limit.detail)
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent sees an early end
        pass
    finally:
        os._exit(status)


def _restrict(meter: Meter) -> None:
    """Signals as at birth, and limits that cannot be raised again."""
    import resource

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    left = meter.deadline - meter.clock()
    seconds = math.ceil(min(left, meter.limits.max_unpack_s))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):  # what a dying libc has to say is not for the log, and the output is not the child's
        os.dup2(nowhere, fd)
    with open("/proc/self/statm", "rb") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, mapped + MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


class _Sender:
    def __init__(self, fd: int) -> None:
        self.fd = fd

    def texts(self, frame: int, *texts: str) -> None:
        pieces = [text.encode("utf-8", "surrogateescape")[:_MAX_TEXT] for text in texts[:_MAX_TEXTS]]
        self._write(frame, b"".join(_SIZE.pack(len(piece)) + piece for piece in pieces))

    def data(self, chunk: bytes) -> None:
        for start in range(0, len(chunk), _MAX_FRAME):
            self._write(_DATA, chunk[start : start + _MAX_FRAME])

    def _write(self, frame: int, body: bytes) -> None:
        view = memoryview(_FRAME.pack(frame, len(body)) + body)
        while view:
            view = view[os.write(self.fd, view) :]
