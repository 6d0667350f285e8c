"""Where a milter listens, in the four spellings that there are.

    127.0.0.1:12200      [::1]:12200          unix:/run/lazaretto/milter.sock     lazaretto.toml
    inet:12200@127.0.0.1 inet6:12200@[::1]    local:/run/..., unix:/run/...       libmilter, sendmail.cf
    inet:127.0.0.1:12200 inet:[::1]:12200     unix:/run/..., unix:lazaretto/...   Postfix, whose names may count from its queue directory

read() takes any of them; an Address writes each.

Errors:  ValueError that says what was expected.
See:     smfi_setconn(3); postconf(5), smtpd_milters; docs/sendmail.md
"""

from __future__ import annotations

from typing import NamedTuple

_LOCAL = {"localhost": "127.0.0.1", "ip6-localhost": "::1"}
_EXPECTED = "expected HOST:PORT, [IPv6]:PORT, unix:/PATH, or inet:PORT@HOST, inet6:PORT@HOST, local:/PATH as libmilter has it"


class Address(NamedTuple):
    """Host and port, or a path; what is not used is ""."""

    host: str = ""
    port: str = ""  # a number, or the name of a service
    path: str = ""

    @property
    def ours(self) -> str:
        """As in lazaretto.toml."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def sendmail(self) -> str:
        """As in sendmail.cf."""
        if self.path:
            return f"local:{self.path}"
        return f"inet6:{self.port}@[{self.host}]" if ":" in self.host else f"inet:{self.port}@{self.host}"

    def postfix(self, queue: str) -> str:
        """As in main.cf: below the queue directory without it, so that the name is right within chroot and without."""
        if not self.path:
            return f"inet:{self.ours}"
        return f"unix:{self.path.removeprefix(queue.rstrip('/') + '/')}"

    def seen_from(self, queue: str, *, chroot: bool) -> Address:
        """The same for everybody else, where `self` is what a process of Postfix is told."""
        if not self.path or (self.path.startswith("/") and not chroot):
            return self
        return self._replace(path=f"{queue.rstrip('/')}/{self.path.lstrip('/')}")


def read(text: str) -> Address:
    """An address in any spelling; names of this machine become numbers, so that equal ones are equal."""
    kind, colon, rest = text.partition(":")
    kind = kind.lower()
    if colon and kind in ("unix", "local"):
        return _path(text, rest)
    if colon and kind in ("inet", "inet6") and rest:
        if "@" in rest or ":" not in rest:
            port, _, host = rest.partition("@")
            return _at(text, host or ("::1" if kind == "inet6" else "127.0.0.1"), port)  # where Lazaretto listens then
        text = rest
    if text.startswith("/"):
        return _path(text, text)
    host, _, port = text.rpartition(":")
    return _at(text, host, port)


def _path(text: str, path: str) -> Address:
    if not path or "\0" in path or any(character.isspace() or character in ",;{}" for character in path):
        raise ValueError(f"{_EXPECTED}, not {text!r}")
    return Address(path=path)


def _at(text: str, host: str, port: str) -> Address:
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    good = port.isascii() and (0 < int(port) < 65536 if port.isdecimal() else port.replace("-", "").isalnum())
    if not good or not bare or any(character.isspace() or character in "[]@,;/{}" for character in bare):
        raise ValueError(f"{_EXPECTED}, not {text!r}")
    return Address(_LOCAL.get(bare.lower(), bare), port)
