"""Syslog: names of levels and facilities, addresses, and the line that goes on the wire.

    <20>Jul  1 12:00:00 mx1 scan-mail.pl[4711]: id=... action=replaced

(facility mail, 2, times 8, plus level warning, 4.)  To the local daemon the host
name is left out: it knows where it is.  Names of months are English in any locale.

A line is one line and shows what is in it: control characters, characters that
cannot be seen or turn the text round, and bytes that are not UTF-8 become \\xNN (\\uNNNN);
so do percent signs, because some daemon somewhere takes what it gets for a format.

Limits:  MAX_LOCAL_BYTES, MAX_REMOTE_BYTES a line, cut at a whole character and marked "..."
Errors:  ConfigError for names, numbers and addresses that mean nothing.
See:     RFC 3164 s4.1, RFC 6587 s3.4.2; syslog(3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lazaretto import regex
from lazaretto.errors import ConfigError

if TYPE_CHECKING:
    from time import struct_time

LEVELS = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
LEVELS |= {"panic": 0, "error": 3, "warn": 4}  # older names

FACILITIES = {"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8, "cron": 9}
FACILITIES |= {"authpriv": 10, "ftp": 11, **{f"local{n}": 16 + n for n in range(8)}}
FACILITIES |= {"security": 4}  # an older name

DEVICE = "/dev/log"
PORT = 514

MAX_REMOTE_BYTES = 1024  # RFC 3164 s4.1; more may be dropped
MAX_LOCAL_BYTES = 8192  # what rsyslogd and systemd-journald take
MAX_IDENT = 32  # RFC 3164 s4.1.3

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CUT = "..."
_NOT_IDENT = regex.compile(r"[^A-Za-z0-9._+@/-]")
_NOT_HOST = regex.compile(r"[^A-Za-z0-9.:-]")


class Address(NamedTuple):
    """Where to log: a UNIX socket if `path`, else `kind` "udp" or "tcp"."""

    kind: str
    path: str = ""
    host: str = ""
    port: int = 0


def parse_level(text: str) -> int:
    """0..7 for "4", "warning", "LOG_WARNING"; letter case does not matter."""
    return _number(text, LEVELS, 7, "level", "0 to 7, emerg, alert, crit, err, warning, notice, info or debug")


def parse_facility(text: str) -> int:
    """0..23 for "2", "mail", "LOG_MAIL"; letter case does not matter."""
    return _number(text, FACILITIES, 23, "facility", "mail, daemon, user, auth, local0 to local7 or another of syslog(3)")


def _number(text: str, names: dict[str, int], last: int, what: str, expected: str) -> int:
    name = text.strip().lower()
    if name.isascii() and name.isdigit() and len(name) <= 2 and int(name) <= last:
        return int(name)
    number = names.get(name.removeprefix("log_"))
    if number is None:
        raise ConfigError(f"syslog {what}: expected {expected}, not {text!r}")
    return number


def parse_address(text: str) -> Address:
    """ "/dev/log" or another absolute path (also after "unix:"), "udp:host:port", "tcp:[::1]:port"; no port means 514."""
    kind, _, rest = text.partition(":")
    path = text.removeprefix("unix:")
    if path.startswith("/"):
        if len(path.encode("utf-8", "surrogateescape")) > 107:  # sun_path
            raise ConfigError(f"socket path too long: {path}")
        return Address("unix", path)
    if kind not in ("udp", "tcp"):
        raise ConfigError(f"expected /absolute/path, udp:host:port or tcp:host:port, not {text!r}")
    host, port = rest, str(PORT)
    if not rest.endswith("]") and ":" in rest:
        host, _, port = rest.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"an IPv6 address needs brackets: {kind}:[{rest}]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise ConfigError(f"expected {kind}:host:port or {kind}:[address]:port, not {text!r}")
    return Address(kind, "", host, int(port))


def format_3164(
    text: str | bytes,
    *,
    level: int,
    facility: int,
    ident: str,
    pid: int,
    moment: struct_time,
    hostname: str = "",
    max_bytes: int = MAX_LOCAL_BYTES,
) -> bytes:
    """One line, without a line end.  `moment`: local time.  `max_bytes`: 512 or more."""
    host = _NOT_HOST.sub("_", hostname)[:255]
    head = f"<{facility * 8 + level}>{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:2} "
    head += f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02} "
    head += f"{host} " if host else ""
    head += f"{_NOT_IDENT.sub('_', ident)[:MAX_IDENT] or '-'}[{pid}]: "
    if isinstance(text, bytes):
        text = text[: 4 * max_bytes].decode("utf-8", "surrogateescape")
    return head.encode("ascii") + _shown(text, max_bytes - len(head))


def _shown(text: str, room: int) -> bytes:
    """`text` with nothing hidden in it, in at most `room` bytes of UTF-8."""
    if len(text) <= room and text.isascii() and text.isprintable() and "%" not in text:
        return text.encode("ascii")
    shown: list[bytes] = []
    size = keep = 0  # bytes; of `shown`: how many pieces leave room for the mark
    for character in text:
        piece = _piece(character)
        size += len(piece)
        if size > room:
            return b"".join(shown[:keep]) + _CUT.encode("ascii")
        shown.append(piece)
        if size <= room - len(_CUT):
            keep = len(shown)
    return b"".join(shown)


def _piece(character: str) -> bytes:
    if character.isprintable() and character != "%":
        return character.encode("utf-8")
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, in Python's disguise
        code -= 0xDC00
    return (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}").encode("ascii")
