"""What the SMTP proxy is told: the [smtp] keys, and what it needs from [limits] and [filter].

Errors:  ConfigError for an address or a network that is none.
See:     policy/keys.py, what each is for
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple, cast

from lazaretto.errors import ConfigError
from lazaretto.frontends.listeners import split
from lazaretto.limits import DEFAULT, Limits

SCAN_MARGIN_S = 30.0  # an engine gets seconds, not instants; the pool gives up before that
MIN_PIECE_BYTES = 1 << 10  # of a message has to come within data_timeout_s: a client that drips holds a place

_HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104 - to compare with

Network = IPv4Network | IPv6Network


class Address(NamedTuple):
    """Where to connect to: host and port, or the path of a UNIX socket."""

    host: str
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """HOST:PORT, [IPv6]:PORT or unix:PATH."""
    if text.startswith("unix:/"):
        return Address("", 0, text.removeprefix("unix:"))
    try:
        host, port = split(text)
    except ConfigError:
        raise ConfigError(f"smtp.next_hop: expected HOST:PORT, [IPv6]:PORT or unix:PATH, not {text!r}") from None
    return Address(host, port)


def is_among(where: Address, listen: Iterable[str]) -> bool:
    """Is `where` one of the addresses at which we listen ourselves, as far as can be seen without asking anybody?"""
    for own in map(address, listen):
        if where.path or own.path:
            if os.path.normpath(where.path) == os.path.normpath(own.path):
                return True
        elif where.port == own.port and (where.host == own.host or (where.host in _HERE and own.host in _HERE)):
            return True
    return False


class SmtpSettings(NamedTuple):
    """One worker's; times in seconds, sizes in bytes."""

    next_hop: Address
    hostname: bytes = b"localhost"
    lmtp: bool = False  # towards clients
    next_hop_lmtp: bool = False
    max_connections: int = 1000
    max_jobs: int = 100
    max_spooled_bytes: int = 1 << 30
    max_message_bytes: int = DEFAULT.max_message_bytes
    max_recipients: int = 1000
    max_errors: int = 20
    command_timeout_s: float = 300.0
    data_timeout_s: float = 180.0
    connect_timeout_s: float = 30.0
    next_hop_timeout_s: float = 300.0
    end_of_data_timeout_s: float = 600.0
    scan_timeout_s: float = DEFAULT.max_scan_s + SCAN_MARGIN_S
    hop_limit: int = 50
    end_of_data: str = "reject"
    stray: str = "pass"
    trusted: tuple[Network, ...] = ()
    spool_directory: str = ""
    spool_memory_bytes: int = DEFAULT.spool_memory_bytes

    @classmethod
    def of(cls, settings: Mapping[str, object], limits: Limits = DEFAULT, spool_directory: str = "") -> SmtpSettings:
        """From Config.settings, Config.limits and Config.spool_directory."""

        def key(name: str) -> object:
            return settings[f"smtp.{name}"]

        protocol = str(key("protocol")) or "smtp"
        same: tuple[str, ...] = ("max_connections", "max_jobs", "max_spooled_bytes", "max_recipients", "max_errors", "hop_limit")
        same += ("command_timeout_s", "data_timeout_s", "next_hop_timeout_s", "end_of_data_timeout_s")
        values: dict[str, Any] = {name: key(name) for name in same}
        return cls(
            address(str(key("next_hop"))),
            (str(key("hostname")) or os.uname().nodename).encode("ascii", "replace"),
            protocol == "lmtp",
            (str(key("next_hop_protocol")) or protocol) == "lmtp",
            max_message_bytes=limits.max_message_bytes,
            scan_timeout_s=limits.max_scan_s + SCAN_MARGIN_S,
            connect_timeout_s=cast("float", key("next_hop_connect_timeout_s")),
            end_of_data=str(key("end_of_data")),
            stray=str(key("stray")),
            trusted=networks(cast("Iterable[str]", key("trusted"))),
            spool_directory=spool_directory,
            spool_memory_bytes=limits.spool_memory_bytes,
            **values,
        )

    def trusts(self, host: str) -> bool:
        """May a client at this IP address tell who the real one was?"""
        try:
            ip = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(ip, "ipv4_mapped", None)  # a socket for both families has such addresses
        return any((mapped or ip) in network for network in self.trusted)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Of "10.0.0.0/8", "::1"."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise ConfigError(f"smtp.trusted: {error}") from None
