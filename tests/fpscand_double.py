"""A double of fpscand (F-PROT 6), made from docs/protocols/fpscand.md, and able to misbehave.

FILE, STREAM, QUEUE, HELP, QUIT; commands in any letter case.  What a file holds decides:

    EICAR, EVIL     1 <infected: ...>
    CURABLE         the same; with --disinfect it is taken out of the file: 128 <disinfected: ...>
    PACKED          1 <contains infected objects: ...> path->member
    MAYBE           2 <suspicious: ...>
    DEEP, LOCKED    8 and 64 <clean>

`twist(request, honest_answer)` may return other bytes; see Conversation.say.
`requests`, `contents`, `paths` and `connections` tell what was asked.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from eicar import EICAR
from listening import Conversation, Double

STREAM_LIMIT = 10 * 2**20  # so many bytes are refused
HELP = b"FPSCAND:6.3.3.5015 ENGINE:4.6.2.117 PROTOCOL:1.0 SIGNATURE:2011021307484ee4bb8a4a5b5d0f8bc97a70b2d7e8f9 UPTIME:1:02:03:04\n"
ADVICE = b"Send HELP COMMAND for more\n"


class FpscandDouble(Double):
    """See the module."""

    def __init__(self, path: Path | None = None) -> None:
        self.twist: Callable[[str, bytes], bytes] = lambda _request, honest: honest
        self.piece = 0  # answers leave in pieces of so many bytes, 0: whole
        self.readable = True  # False: it cannot read the files it is told of
        self.group: int | None = None  # it runs as another user, of this group: permissions count
        self.knows_disinfect = True
        self.close_after = 0  # requests for each connection, 0: no end
        self.requests: list[str] = []
        self.contents: list[bytes] = []
        self.paths: list[str] = []
        super().__init__(path)

    def serve(self, sock: socket.socket) -> None:
        _Conversation(self, sock).run()

    def scan_file(self, path: str, options: list[str]) -> bytes:
        """The answer about a file, which --disinfect may change."""
        self.paths.append(path)
        if not self.readable or not self._permitted(path):
            return b"16 <Permission denied> %s\n" % os.fsencode(path)
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            return b"16 <%s> %s\n" % ((error.strerror or "").encode(), os.fsencode(path))
        if "--disinfect" in options and b"CURABLE" in content:
            with open(path, "r+b") as file:
                file.write(content.replace(b"CURABLE", b""))
                file.truncate()
            if b"EVIL" not in content:
                self.contents.append(content)
                return b"128 <disinfected: Double.Curable> %s\n" % os.fsencode(path)
        return self.judge(content, os.fsencode(path))

    def judge(self, content: bytes, name: bytes) -> bytes:
        """The answer about bytes."""
        self.contents.append(content)
        for mark, code, text, member in (
            (EICAR, 1, b"infected: EICAR_Test_File", b""),
            (b"EVIL", 1, b"infected: Double.Evil", b""),
            (b"CURABLE", 1, b"infected: Double.Curable", b""),
            (b"PACKED", 1, b"contains infected objects: Double.Packed", b"->a.zip->b.exe"),
            (b"MAYBE", 2, b"suspicious: Double.Maybe", b""),
            (b"DEEP", 8, b"clean", b""),
            (b"LOCKED", 64, b"encrypted", b"->secret.doc"),
        ):
            if mark in content:
                return b"%d <%s> %s%s\n" % (code, text, name, member)
        return b"0 <clean> %s\n" % name

    def _permitted(self, path: str) -> bool:
        """Could a process of another user and of `group` read the file, by the permissions of it and its directory?"""
        if self.group is None:
            return True
        for name, group, other in ((os.path.dirname(path), stat.S_IXGRP, stat.S_IXOTH), (path, stat.S_IRGRP, stat.S_IROTH)):
            status = os.stat(name)
            if not status.st_mode & (group if status.st_gid == self.group else other):
                return False
        return True


class _Conversation(Conversation):
    def __init__(self, daemon: FpscandDouble, sock: socket.socket) -> None:
        super().__init__(daemon, sock)
        self.daemon = daemon

    def send(self, data: bytes) -> None:
        step = self.daemon.piece or len(data) or 1
        for start in range(0, len(data), step):
            super().send(data[start : start + step])

    def run(self) -> None:
        done = 0
        queue: list[bytes] | None = None
        while True:
            request = os.fsdecode(self.line().rstrip(b"\r\n"))
            self.daemon.requests.append(request)
            verb, _, rest = request.partition(" ")
            verb = verb.upper()
            if verb == "QUIT":
                return
            if verb == "QUEUE":
                queue = []
                continue
            if verb == "HELP":
                answer = HELP + ADVICE
            elif verb == "SCAN" and not rest:
                answer, queue = b"".join(reversed(queue or [])), None
            elif verb == "SCAN":
                answer = self.scan(rest)
                if queue is not None:
                    queue.append(answer)
                    continue
            else:
                answer = b"16 <Unknown command>\n"
            self.say(self.daemon.twist(request, answer))
            done += 1
            if done == self.daemon.close_after:
                return

    def scan(self, rest: str) -> bytes:
        options = []
        while rest.startswith("--"):
            word, _, rest = rest.partition(" ")
            options.append(word)
        kind, _, what = rest.partition(" ")
        if kind.upper() == "STREAM":
            name, _, size = what.upper().rpartition(" SIZE ")
            content = self.take(int(size))
            if len(content) >= STREAM_LIMIT:
                return b"16 <Stream is too long>\n"
            return self.daemon.judge(content, os.fsencode(what[: len(name)]))
        if "--disinfect" in options and not self.daemon.knows_disinfect:
            return b"20 <Unknown option>\n"
        return self.daemon.scan_file(what, options)
