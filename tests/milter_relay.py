"""Between a mail server and a milter: passes packets on, and tells when one of a kind comes by.

    with Relay(milter.listen) as relay:
        relay.strike("mta", b"M", milter.kill)      when the next MAIL comes; it is not passed on

What it knows of the protocol is where packets begin.  It is how a milter can be killed at a certain step.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from listening import Double
from milter_addresses import Address
from smtp_session import connect


class Relay(Double):
    """`listen` is where the mail server has to connect; `seen` are (side, letter) of all packets that came by."""

    def __init__(self, milter: Address) -> None:
        self.milter = milter
        self.seen: list[tuple[str, bytes]] = []
        self._trap: tuple[str, bytes, Callable[[], None]] | None = None
        self._ended = False  # the mail server has sent a whole message
        self.struck = threading.Event()
        super().__init__()
        host, port = self.listener.getsockname()[:2]
        self.listen = Address(host, str(port))

    def strike(self, side: str, codes: bytes, action: Callable[[], None], *, at_end: bool = False) -> None:
        """When `side`, "mta" or "milter", sends a packet with one of these letters: act, and hang up on both.

        With `at_end`, only when a whole message has gone to the milter, which now says what to do with it.
        """
        self.struck.clear()
        self._ended = not at_end
        self._trap = (side, codes, action)

    def serve(self, sock: socket.socket) -> None:
        with connect(self.milter.plain) as other:  # if that fails, the mail server sees the end of its connection
            for end in (sock, other):
                end.settimeout(None)
                if end.family != socket.AF_UNIX:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._pass, args=("milter", other, sock), daemon=True)
            back.start()
            self._pass("mta", sock, other)
            back.join()

    def _pass(self, side: str, source: socket.socket, target: socket.socket) -> None:
        """Packets, until there are no more."""
        buffer = bytearray()
        try:
            while data := source.recv(1 << 16):
                buffer += data
                while len(buffer) >= 5 and len(buffer) >= (size := 4 + int.from_bytes(buffer[:4], "big")):
                    code = bytes(buffer[4:5])
                    self.seen.append((side, code))
                    trap = self._trap
                    if trap is not None and self._ended and trap[0] == side and code in trap[1]:
                        self._trap = None
                        trap[2]()
                        self.struck.set()
                        return
                    self._ended |= (side, code) == ("mta", b"E")
                    target.sendall(buffer[:size])
                    del buffer[:size]
        except OSError:
            pass  # the other thread, or the other side, was faster
        finally:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
