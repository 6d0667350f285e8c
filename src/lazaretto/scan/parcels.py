"""What passes between a worker and its scan processes: values and descriptors, a whole parcel at a time.

    sock, other = pair()
    send(sock, ("any", "plain", "value"), [fd])      send takes nothing: the descriptors stay the sender's
    value, fds = receive(other)                      the descriptors are the receiver's from here on

One parcel is one record of a SOCK_SEQPACKET socket, so nothing arrives in part and nobody has to wait
for the rest. A value too large for a record travels in a file without a name, by descriptor.

Values are pickled. A scan process works on hostile content, so what comes from it is read as data:
no class is looked up but the nouns of model.py.

Limits:  INLINE_BYTES in a record, MAX_DESCRIPTORS with it.
Errors:  send: OSError of the socket or the file, ParcelError for too many descriptors.
         receive: OSError; ParcelError for what is no parcel, and if descriptors got lost on the way (the
         process may have no more). Then none is left open.
Bugs:    a process that somebody has taken over could still keep its worker busy with a pickle made for that; it could
         kill it just as well, for it runs as the same user.
See:     work.py; unix(7) SCM_RIGHTS
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from lazaretto import model
from lazaretto.errors import LazarettoError
from lazaretto.mime.source import Source
from lazaretto.store.spool import Spool

INLINE_BYTES = 1 << 16  # above, the kernel would look for more than a few pages in a row
MAX_DESCRIPTORS = 200  # the kernel takes 253

_INLINE, _FILE = b"I", b"F"
_FD_BYTES = struct.calcsize("i")
_NOUNS = ("Disposition", "Edit", "Envelope", "Finding", "Kind", "Reason", "Report", "Span", "Treatment", "Verdict")
_CLASSES = {("lazaretto.model", name): getattr(model, name) for name in _NOUNS}


class ParcelError(LazarettoError):
    """Not a parcel, or one that cannot be sent."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends, blocking."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, value: object, fds: Sequence[int] = (), directory: str | None = None) -> None:
    """Send one parcel.  `directory` is for the file of a large one (store.spool)."""
    if len(fds) > MAX_DESCRIPTORS:
        raise ParcelError(f"{len(fds)} descriptors at once")
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    if len(data) <= INLINE_BYTES:
        _send(sock, (_INLINE, data), fds)
        return
    with in_file((data,), directory) as (file, _):
        _send(sock, (_FILE,), [file, *fds])


def receive(sock: socket.socket) -> tuple[Any, list[int]] | None:
    """The next parcel; None at the end.  BlockingIOError if there is none yet and `sock` does not block."""
    room = socket.CMSG_SPACE((MAX_DESCRIPTORS + 1) * _FD_BYTES)
    data, ancillary, flags, _ = sock.recvmsg(INLINE_BYTES + len(_INLINE), room, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    fds = [fd for level, kind, payload in ancillary if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS) for fd in _ints(payload)]
    try:
        if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
            raise ParcelError("it did not arrive whole: are there too many open files?")
        if not data:
            return None
        if data[:1] == _INLINE:
            return _value(memoryview(data)[1:]), fds
        if data != _FILE or not fds:
            raise ParcelError(f"no parcel: {data[:20]!r}")
        source = mapped(fds[0])
        os.close(fds.pop(0))
        return _value(source.data), fds
    except BaseException:
        close(fds)
        raise


def in_file(chunks: Iterable[bytes], directory: str | None = None) -> _InFile:
    """A file without a name that holds `chunks`, open for reading, as a context: (descriptor, size)."""
    return _InFile(chunks, directory)


class _InFile:
    def __init__(self, chunks: Iterable[bytes], directory: str | None) -> None:
        self._spool = Spool(directory, 0)
        self._source = self._spool.take(chunks)

    def __enter__(self) -> tuple[int, int]:
        if self._source.fd is None:
            raise ParcelError("nothing to put into a file")
        return self._source.fd, self._source.size

    def __exit__(self, *_exception: object) -> None:
        self._spool.close()


def mapped(fd: int) -> Source:
    """The file behind `fd` as a Source that needs the descriptor no longer.  ParcelError if it cannot be mapped."""
    try:
        return Source(Source.from_fd(fd, os.fstat(fd).st_size).data)
    except (OSError, ValueError) as error:
        raise ParcelError(f"a file that cannot be read: {error}") from None


def close(fds: Iterable[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)


def _send(sock: socket.socket, buffers: tuple[bytes, ...], fds: Sequence[int]) -> None:
    rights = struct.pack(f"{len(fds)}i", *fds)
    sock.sendmsg(buffers, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if fds else [])


def _ints(payload: bytes) -> tuple[int, ...]:
    count = len(payload) // _FD_BYTES
    return struct.unpack(f"{count}i", payload[: count * _FD_BYTES])


class _Reader(pickle.Unpickler):
    """Reads values, never code."""

    def find_class(self, module: str, name: str) -> Any:
        """One of our nouns."""
        if (module, name) == ("builtins", "getattr"):
            return _member  # so Python 3.11 to 3.11.3 writes members of an Enum
        try:
            return _CLASSES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is none of our nouns") from None


def _member(noun: Any, name: str) -> Any:
    """What getattr(noun, name) would give, of our enumerations and of nothing else."""
    if not (isinstance(noun, type) and issubclass(noun, Enum)):
        raise pickle.UnpicklingError(f"{noun!r} is no enumeration")
    return noun[name]


def _value(data: Any) -> Any:
    try:
        return _Reader(io.BytesIO(data)).load()
    except Exception as error:  # noqa: BLE001 - what a damaged pickle raises is anybody's guess
        raise ParcelError(f"no parcel: {type(error).__name__}: {error}") from None
