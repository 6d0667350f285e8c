"""Quarantine: originals as plain files, each with a JSON sidecar.

    DIR/2026/07/01/ID.eml     the message, byte for byte
    DIR/2026/07/01/ID.json    what is known about it: id, time, sha256, size, and
                              what the caller gives (envelope, findings, rule)

Both are written under temporary names in the same directory and flushed before
either gets its own name: the message first, the sidecar second, the directory
flushed last.  So whoever finds a sidecar finds its whole message, and a crash
leaves at worst a message without sidecar or a hidden file.

The temporary name `.ID.eml` is taken exclusively and given up by the rename, so
it also reserves ID between processes; who comes second gets `ID-1`, `ID-2`.
Files are 0600, directories 0700; no name comes from a message.

Limits:  1000 messages with the same id on one day.
Errors:  OSError that names the path, with nothing visible left behind: the message
         was not taken.  ValueError for an id that is not [A-Za-z0-9_-]{1,64}.
See:     rename(2), fsync(2); docs/policy.md
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Mapping

from lazaretto import regex
from lazaretto.mime.source import Source
from lazaretto.model import Envelope, Finding

STATE_DIRECTORY = "/var/lib/lazaretto"
FORMAT = 1  # of the sidecar

_ID = regex.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_SAME_ID = 1000


def default_state_dir(environ: Mapping[str, str], uid: int, service: str = STATE_DIRECTORY) -> str:
    """Where state lives: `service` for root or when it exists and is writable, else the user's state directory."""
    if uid == 0 or (os.path.isdir(service) and os.access(service, os.W_OK | os.X_OK)):
        return service
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # XDG Base Directory Specification: relative paths are to be ignored
        state = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "lazaretto")


def describe(envelope: Envelope, findings: Iterable[Finding], rule: str) -> dict[str, object]:
    """The usual sidecar content, ready for JSON."""
    return {
        "rule": rule,
        "envelope": {
            "mail_from": None if envelope.mail_from is None else _text(envelope.mail_from),
            "rcpt_to": [_text(address) for address in envelope.rcpt_to],
            "client": envelope.client,
            "helo": _text(envelope.helo),
            "queue_id": envelope.queue_id,
        },
        "findings": [
            {
                "engine": finding.engine,
                "kind": finding.kind.value,
                "name": finding.name,
                "part": list(finding.part),
                "trail": list(finding.trail),
                "detail": finding.detail,
                "reason": finding.reason.value if finding.reason else None,
            }
            for finding in findings
        ],
    }


class Quarantine:
    """A directory of messages held back.  Nothing is opened before the first put."""

    __slots__ = ("_directory",)

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def put(self, source: Source, meta: Mapping[str, object], *, scan_id: str, now: float) -> str:
        """Store `source` and its sidecar durably; return the id given, `scan_id` or `scan_id-N`.

        `meta` must be fit for JSON; id, time, sha256, size and format are set here.  `now`: seconds since 1970.
        """
        if not _ID.match(scan_id):
            raise ValueError(f"not a quarantine id: {scan_id!r}")
        import hashlib
        import json

        moment = time.gmtime(now)
        directory = os.path.join(self._directory, *(time.strftime(form, moment) for form in ("%Y", "%m", "%d")))
        undo: list[str] = []
        try:
            _make_directory(directory)
            given = _reserve(directory, scan_id, undo)
            hidden = os.path.join(directory, f".{given}")
            visible = os.path.join(directory, given)

            digest = hashlib.sha256()
            _fill(hidden + ".eml", source.chunks(), digest.update)
            sidecar = {
                **meta,
                "format": FORMAT,
                "id": given,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
                "sha256": digest.hexdigest(),
                "size": source.size,
            }
            undo.append(hidden + ".json")
            _create(hidden + ".json", os.O_TRUNC)  # the id is ours: what may lie there is left from a crash
            _fill(hidden + ".json", (json.dumps(sidecar, indent=1, sort_keys=True).encode("ascii") + b"\n",))

            for suffix in (".eml", ".json"):
                undo.append(visible + suffix)
                _name(hidden + suffix, visible + suffix)
                undo.remove(hidden + suffix)  # from now on that name may be another process's
            _flush_directory(directory)
        except BaseException:
            for path in undo:
                try:
                    os.unlink(path)
                except OSError:
                    pass  # gone by rename, or the disk is in trouble: the first error tells more
            raise
        return given


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _explained(error: OSError, action: str, path: str) -> OSError:
    return OSError(error.errno, f"quarantine: cannot {action} {path}: {error.strerror}")


def _make_directory(directory: str) -> None:
    """Create it and its parents, 0700, each made known to its parent for good."""
    missing = []
    path = directory
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):
                raise OSError(errno.ENOTDIR, f"quarantine: cannot create {path}: something else has this name") from None
        except OSError as error:
            raise _explained(error, "create", path) from error
        _flush_directory(os.path.dirname(path) or ".")


def _reserve(directory: str, scan_id: str, undo: list[str]) -> str:
    """The first free id; its temporary message file exists when this returns, and stands in `undo`."""
    for number in range(_SAME_ID):
        given = f"{scan_id}-{number}" if number else scan_id
        hidden = os.path.join(directory, f".{given}.eml")
        try:
            _create(hidden, os.O_EXCL)
        except FileExistsError:
            continue
        undo.append(hidden)
        # Whoever had the id before either still holds the hidden name or has the visible one: rename leaves no gap.
        if not any(os.path.lexists(os.path.join(directory, given + suffix)) for suffix in (".eml", ".json")):
            return given
        os.unlink(undo.pop())
    raise OSError(errno.EEXIST, f"quarantine: cannot store in {directory}: {_SAME_ID} messages have the id {scan_id}")


def _create(path: str, flags: int) -> None:
    """Make an empty file; FileExistsError passes as it is."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
        try:
            os.close(fd)
        except OSError:
            os.unlink(path)
            raise
    except FileExistsError:
        raise
    except OSError as error:
        raise _explained(error, "create", path) from error


def _fill(path: str, chunks: Iterable[bytes], also: Callable[[bytes], object] | None = None) -> None:
    """Write `chunks` to the file and flush it to the disk."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for chunk in chunks:
                if also is not None:
                    also(chunk)
                with memoryview(chunk) as view:
                    done = 0
                    while done < len(view):
                        done += os.write(fd, view[done:])
            os.fsync(fd)
        finally:
            os.close(fd)  # may report a late write error, on NFS for one
    except OSError as error:
        raise _explained(error, "write", path) from error


def _name(hidden: str, visible: str) -> None:
    try:
        os.rename(hidden, visible)
    except OSError as error:
        raise _explained(error, "rename to", visible) from error


def _flush_directory(directory: str) -> None:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise _explained(error, "flush", directory) from error
