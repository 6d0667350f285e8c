"""The command line of scan-mail: arguments in, one checked Invocation out.

    parse(["-quarantine", "-server_port=11200", "-daemon"])

An option has a long name, some have a letter.  One dash and two mean the same, case
does not matter, and a long name may be cut short while it stays unambiguous.  A value
follows after "=" or as the next argument, which then must not begin with a dash, so
that no option takes its neighbour for a value.  Letters are not bundled: `-bq` is no
option.  The first argument that is no option ends the options, and so does `--`; what
follows is for the sanitizer and is not touched here.

What contradicts itself is an error; what has no effect is a warning.

Errors:  UsageError: one line that names the option, and what was expected.
See:     docs/scan-mail.md; Getopt::Long of Perl, whose habits people have in their scripts
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LazarettoError

SERVER_PORT = 11200

_PORT = regex.compile(r"[0-9]{1,5}\Z")
_ADDRESS = regex.compile(r"(\[[^]]*\]|[^][:]*):([^:]*)\Z")
_HOST = regex.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\Z")
_NUMERIC = regex.compile(r"[0-9.]+\Z")
_NUMBERS = regex.compile(r"[0-9A-Za-z:.%_-]{2,100}\Z")  # of IP addresses, with a zone
_MILTER = regex.compile(r"(inet6?|unix|local):(.*)\Z")
_SERVICE = regex.compile(r"[A-Za-z][A-Za-z0-9_+.-]{0,63}\Z")


class UsageError(LazarettoError):
    """The command line is wrong; the text fits on one line."""


class Address(NamedTuple):
    """Where to listen or to connect: an IP address or a host name, without brackets, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Option(NamedTuple):
    """One option: its long name, its letter or "", what its value is called in the help ("": it takes none), what it does."""

    name: str
    letter: str
    value: str
    doc: str


PROXY_ADDRESS = Address("0.0.0.0", 25)  # noqa: S104 - the documented default
SMTP_ADDRESS = Address("127.0.0.1", 26)


class Invocation(NamedTuple):
    """What the command line asks for."""

    mode: str = "filter"  # help, filter, server, milter, postfix or proxy
    daemon: bool = False  # in the background, with PID files
    backup: str = "off"  # off, all, changed: as [backup] mode
    server_port: int | None = None  # None: as configured
    milter: str = ""  # a libmilter address or the path of a sendmail.cf
    proxy_address: Address = PROXY_ADDRESS
    smtp_address: Address = SMTP_ADDRESS  # of -postfix, too
    debug: bool = False
    verbose: bool = False
    sanitizer: tuple[str, ...] = ()  # configuration lines, as they came
    warnings: tuple[str, ...] = ()


OPTIONS: tuple[Option, ...] = (
    Option("help", "h", "", "show this text and exit"),
    Option("backup", "b", "", "keep a copy of each message as it came: MMDD/<unix-time>.<pid> in the backup directory"),
    Option("quarantine", "q", "", "the same, but a copy is removed again if its message was not changed"),
    Option("server", "s", "", "serve many requests on a socket; each gets a process of its own"),
    Option("daemon", "d", "", "as -server, in the background; writes /var/run/scanmail.pid; also for -proxy and -milter"),
    Option("server_port", "", "PORT", f"port of -server on 127.0.0.1 (default {SERVER_PORT})"),
    Option("milter", "", "P|C", "serve sendmail: P is an address such as inet:12200@127.0.0.1, C the path of a sendmail.cf"),
    Option("postfix", "", "ADDRESS", "SMTP filter on standard input and output, as Postfix' spawn runs it, for the server at ADDRESS"),
    Option("proxy", "", "", "listen for SMTP and pass it on, with each message made safe"),
    Option("proxy_address", "", "ADDRESS", f"where -proxy listens (default {PROXY_ADDRESS})"),
    Option("smtp_address", "", "ADDRESS", f"where -proxy connects to (default {SMTP_ADDRESS})"),
    Option("debug", "", "", "log everything"),
    Option("verbose", "", "", "log each message, also the clean ones"),
)
_BACKUP = {"backup": "all", "quarantine": "changed"}
_BY_NAME = {option.name: option for option in OPTIONS} | {option.letter: option for option in OPTIONS if option.letter}


def parse(arguments: Sequence[str]) -> Invocation:
    """The invocation that `arguments`, without the name of the program, describe."""
    given: dict[str, str] = {}
    rest = iter(arguments)
    sanitizer: list[str] = []
    for argument in rest:
        if argument == "--":
            break
        if not argument.startswith("-") or argument == "-":
            sanitizer.append(argument)
            break
        written, equals, value = argument.partition("=")
        option = _find(written)
        if equals and not option.value:
            raise UsageError(f"-{option.name} takes no value, but has {_shown(value)}")
        if option.value and not equals:
            value = _next(option, rest)
        given.pop(option.name, None)  # the order of the last ones counts
        given[option.name] = value
    sanitizer += rest
    if "help" in given:
        return Invocation("help")
    return _combined(given)._replace(sanitizer=tuple(sanitizer))


def _find(written: str) -> Option:
    """The option that was `written`, with its dashes."""
    name = written[2:] if written.startswith("--") else written[1:]
    name = name.lower() if name.isascii() else ""  # the Kelvin sign in lower case is a k
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = [option for option in OPTIONS if name and option.name.startswith(name)]
    if len(near) > 1:
        raise UsageError(f"{_shown(written)} is ambiguous: {', '.join('-' + option.name for option in near)}")
    if not near:
        raise UsageError(f"no such option: {_shown(written)}{_guess(name)}")
    return near[0]


def _guess(name: str) -> str:
    if name and all(letter in _BY_NAME for letter in name[:8]) and len(name) <= 8:
        return f" (letters are not bundled; write {' '.join('-' + letter for letter in name)})"
    if not 2 < len(name) < 100:
        return ""
    from difflib import get_close_matches

    near = get_close_matches(name, [option.name for option in OPTIONS], 1)
    return f" (did you mean -{near[0]}?)" if near else ""


def _next(option: Option, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None or value.startswith("-"):
        raise UsageError(f"-{option.name}: expected {option.value} after it, not {'the end' if value is None else _shown(value)}")
    return value


def _combined(given: dict[str, str]) -> Invocation:
    """Check the values, and which options go together."""
    checked: dict[str, Address] = {
        name: _address(name, given[name]) for name in ("postfix", "proxy_address", "smtp_address") if name in given
    }
    port = _port("server_port", given["server_port"]) if "server_port" in given else None
    milter = _milter(given["milter"]) if "milter" in given else ""
    backups = [name for name in given if name in _BACKUP]  # the last one counts
    mode = next((name for name in ("milter", "proxy", "postfix", "server") if name in given), "filter")
    if mode == "milter" and ("postfix" in given or "proxy" in given):
        raise UsageError(f"-milter and {'-postfix' if 'postfix' in given else '-proxy'} exclude each other")
    if mode == "filter" and "daemon" in given:
        mode = "server"

    warnings = []
    if len(backups) > 1:
        warnings.append(f"-backup and -quarantine exclude each other; -{backups[-1]} counts, for it is the last")
    warnings += [f"-{name} has no effect without -proxy" for name in ("proxy_address", "smtp_address") if name in given and mode != "proxy"]
    if mode in ("proxy", "postfix", "milter"):  # a daemon answers no dialogue on standard input
        idle = ("server", "server_port", "daemon") if mode == "postfix" else ("server", "server_port")
        warnings += [f"-{name} has no effect with -{mode}" for name in idle if name in given]
    elif mode == "filter" and port is not None:
        warnings.append("-server_port has no effect without -server")

    # Beside -proxy, -postfix names the server that -smtp_address would: the synopsis has them so.
    smtp = "smtp_address" if mode == "proxy" and "smtp_address" in given else "postfix"
    return Invocation(
        mode,
        "daemon" in given and mode != "postfix",
        _BACKUP[backups[-1]] if backups else "off",
        port,
        milter,
        checked.get("proxy_address", PROXY_ADDRESS),
        checked.get(smtp, SMTP_ADDRESS),
        "debug" in given,
        "verbose" in given,
        (),
        tuple(warnings),
    )


def _port(name: str, value: str) -> int:
    port = int(value) if _PORT.match(value) else 0
    if not 0 < port < 65536:
        raise UsageError(f"-{name}: expected a port from 1 to 65535, not {_shown(value)}")
    return port


def _address(name: str, value: str) -> Address:
    """ADDRESS:PORT; an IPv6 address stands in brackets."""
    match = _ADDRESS.match(value)
    if match is None or not (host := _host(match[1])):
        raise UsageError(f"-{name}: expected an address such as 127.0.0.1:10026 or [::1]:10026, not {_shown(value)}")
    return Address(host, _port(name, match[2]))


def _host(written: str) -> str:
    """A host without its brackets; "" if it is none."""
    if not written.startswith("[") and not _NUMERIC.match(written):
        return written if _HOST.match(written) else ""
    bare = written.strip("[]")
    if not _NUMBERS.match(bare):
        return ""
    from ipaddress import ip_address

    try:
        ip_address(bare)
    except ValueError:
        return ""
    return bare


def _milter(value: str) -> str:
    """A libmilter address or the absolute path of a sendmail.cf, as written."""
    match = _MILTER.match(value)
    if match is None:
        if value.startswith("/") and "\0" not in value:
            return value
        raise UsageError(f"-milter: expected an address such as inet:12200@127.0.0.1 or the path of a sendmail.cf, not {_shown(value)}")
    family, rest = match.groups()
    if family in ("unix", "local"):
        if not rest.startswith("/") or "\0" in rest:
            raise UsageError(f"-milter: expected an absolute path after {family}:, not {_shown(rest)}")
        return value
    port, at, host = rest.partition("@")
    if not _SERVICE.match(port):
        _port("milter", port)
    if at and not (_host(host) or (family == "inet6" and _host(f"[{host}]"))):
        raise UsageError(f"-milter: expected an address after @, not {_shown(host)}")
    return value


def _shown(value: str) -> str:
    """`value` in quotes, on one line, cut where it is long."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in value[:60])
    return f"'{text}{'...' if len(value) > 60 else ''}'"


def help_text(program: str = "scan-mail") -> str:
    """What -help shows."""
    lines = [
        f"usage: {program} [-backup|-quarantine] [-daemon] [-server] [-server_port PORT]",
        "           [-milter P|C | -postfix ADDRESS | -proxy [-proxy_address ADDRESS] [-smtp_address ADDRESS]]",
        "           [SANITIZER LINE ...]",
        "",
        "Reads a message on standard input, looks for malware and for attachments that /etc/f-prot.conf does not allow,",
        "and writes a safe message on standard output.  With -server, -daemon, -milter, -postfix or -proxy it serves others.",
        "",
        "options:",
        *(f"  {_heading(option):25} {option.doc}" for option in OPTIONS),
        "",
        "One dash or two, any letter case; a name may be cut short while it is unambiguous; -name VALUE or -name=VALUE.",
        "An ADDRESS is 127.0.0.1:10026 or [::1]:10026.  Options end at the first argument that is none, or at --;",
        "all that follow are configuration lines of the sanitizer: name = value, name += value, or a file with such lines.",
        "",
        "exit status:",
        "   0  the output is the message to use, also if something was taken out of it",
        "  75  anything went wrong: do not use the output, keep the original and try again",
        "  69  a rule of lazaretto.toml refuses the message; 99: discards it",
        "   1  a server could not be started",
        "",
        "files:",
        "  /etc/f-prot.conf                  configuration; $SCANMAIL_CONFIG names another",
        "  /etc/lazaretto/lazaretto.toml     more of it, if it is there; it counts above f-prot.conf",
        "  /usr/local/f-prot/backup          copies of messages, of -backup and -quarantine",
        "  /usr/local/f-prot/quarantine      attachments that were taken out because of SCANMAIL_STOPLIST",
        "  /var/run/scanmail.pid             process number of -daemon",
    ]
    return "\n".join(lines) + "\n"


def _heading(option: Option) -> str:
    letter = f"-{option.letter}, " if option.letter else ""
    return f"{letter}-{option.name}{' ' + option.value if option.value else ''}"
