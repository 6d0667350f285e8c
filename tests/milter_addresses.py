"""Where a milter listens, in the words of each program that has to know."""

from __future__ import annotations

import socket
from typing import NamedTuple

from smtp_session import listens


class Address(NamedTuple):
    """A port of a host, or a UNIX socket: `host` is "" and `place` its path."""

    host: str
    place: str

    @property
    def libmilter(self) -> str:
        """As libmilter, Sendmail, miltertest and our command line have it."""
        if not self.host:
            return f"unix:{self.place}"
        return f"inet6:{self.place}@{self.host}" if ":" in self.host else f"inet:{self.place}@{self.host}"

    @property
    def postfix(self) -> str:
        """As main.cf has it."""
        if not self.host:
            return f"unix:{self.place}"
        return f"inet:[{self.host}]:{self.place}" if ":" in self.host else f"inet:{self.host}:{self.place}"

    @property
    def plain(self) -> str:
        """As smtp_session.connect() has it."""
        if not self.host:
            return f"unix:{self.place}"
        return f"[{self.host}]:{self.place}" if ":" in self.host else f"{self.host}:{self.place}"

    def listens(self) -> bool:
        return listens(self.plain)


def free_address(host: str = "127.0.0.1") -> Address:
    """A port that nobody listens on now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        free.bind((host, 0))
        return Address(host, str(free.getsockname()[1]))
