"""Quarantine: originals as plain files, each with a JSON sidecar.

    DIR/2026/07/01/ID.eml     the message, byte for byte
    DIR/2026/07/01/ID.json    what is known about it: id, time, sha256, size, and
                              what the caller gives (envelope, findings, rule)

Both are written under temporary names in the same directory and flushed before
either gets its own name: the message first, the sidecar second, the directory
flushed last.  So whoever finds a sidecar finds its whole message, and a crash
leaves at worst a message without sidecar or a hidden file.

The temporary name `.ID.eml` is taken exclusively and kept until ID.eml is there, so
it also reserves ID between processes; who comes second gets `ID-1`, `ID-2`.
Files are 0600, directories 0700; no name comes from a message.

Limits:  1000 messages with the same id on one day.
Errors:  OSError that names the path, with nothing visible left behind: the message
         was not taken.  ValueError for an id that is not [A-Za-z0-9_-]{1,64}.
See:     store/durable.py; docs/policy.md
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping

from lazaretto import regex
from lazaretto.mime.source import Source
from lazaretto.model import Envelope, Finding
from lazaretto.store import durable
from lazaretto.store.durable import Writing

STATE_DIRECTORY = "/var/lib/lazaretto"
FORMAT = 1  # of the sidecar

_ID = regex.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_SAME_ID = 1000


def default_state_dir(environ: Mapping[str, str], uid: int, service: str = STATE_DIRECTORY) -> str:
    """Where state lives: $LAZARETTO_STATE_DIR, else `service` for root or where it is writable, else the user's state directory."""
    chosen = environ.get("LAZARETTO_STATE_DIR", "")
    if os.path.isabs(chosen):
        return chosen
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
        with Writing("quarantine") as writing:
            durable.make_directory(directory)
            visible, fd = writing.reserve(_stems(directory, scan_id), (".eml", ".json"))
            given, hidden = os.path.basename(visible), durable.hidden(visible)

            digest = hashlib.sha256()
            durable.fill(fd, hidden + ".eml", source.chunks(), digest.update)
            sidecar = {
                **meta,
                "format": FORMAT,
                "id": given,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
                "sha256": digest.hexdigest(),
                "size": source.size,
            }
            fd = writing.create(hidden + ".json", how=os.O_TRUNC)  # the id is ours: what may lie there is left from a crash
            durable.fill(fd, hidden + ".json", (json.dumps(sidecar, indent=1, sort_keys=True).encode("ascii") + b"\n",))

            for ending in (".eml", ".json"):
                writing.publish(hidden + ending, visible + ending)
            durable.flush_directory(directory, parents=3)
        return given


def _stems(directory: str, scan_id: str) -> Iterator[str]:
    for number in range(_SAME_ID):
        yield os.path.join(directory, f"{scan_id}-{number}" if number else scan_id)
    raise OSError(errno.EEXIST, f"cannot store in {directory}: {_SAME_ID} messages have the id {scan_id}")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
