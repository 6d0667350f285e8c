"""f-prot.conf: the variables of F-PROT's mail scanner, and some that Lazaretto adds.

    conf = read(data, "/etc/f-prot.conf", os.environ)
    conf.get("SCANMAIL_LOGLEVEL", "FPROT_LOGLEVEL")  ->  Setting("5", "SCANMAIL_LOGLEVEL", "/etc/f-prot.conf", 3)

The environment goes before the file.  An empty value means the default; an empty
variable of the environment hides the one of the file.  A value is checked when it
is asked for: a wrong one of another program stops nobody.

Lists are Perl expressions separated by ";" (write \\x3b for one inside).  Blanks and
line ends around an expression, and empty ones, are dropped.

quirk: SCANMAIL_SCANLIST="" means everything, not nothing.

Limits:  MAX_EXPRESSIONS in a list; those of shell and perl.
Errors:  ConfigError: variable, file and line, what was expected; for lists the expression.
See:     shell.py, perl.py; docs/migration.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar, cast

from lazaretto import regex
from lazaretto.errors import ConfigError
from lazaretto.legacy import perl, shell
from lazaretto.legacy.shell import Assignment
from lazaretto.policy.forms import FORMS, one_of

MAX_EXPRESSIONS = 1000
ERROR_POLICIES = ("save", "drop", "defang", "pass", "tempfail")
UNSCANNABLE = ("clean", "error")
DEFAULT_LEVEL = "4"
DEFAULT_FACILITY = "mail"

T = TypeVar("T")

_FLAGS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
_HOST_AND_PORT = regex.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]|\*):([0-9]{1,5})\Z")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - where it listens is not where to ask
_BLANK = " \t\r\n\f\v"
_OURS = ("SCANMAIL_", "FPSCAND_", "FP_", "FPROT_", "FPMON_")


class Setting(NamedTuple):
    """A checked value, and where it comes from: a variable of a file, of the environment (line 0), or none (name "")."""

    value: object
    name: str = ""
    file: str = ""
    line: int = 0

    @property
    def origin(self) -> str:
        """For people."""
        return f"{self.name}, {self.file}:{self.line}" if self.line else f"{self.name}, environment"

    def error(self, message: str) -> ConfigError:
        """The exception that says what is wrong with it, to be raised by the caller."""
        return ConfigError(f"{self.name}: {message}" if self.line else f"{self.name} (environment): {message}", self.file, self.line)


class Expression(NamedTuple):
    """One element of a list: as it is written, and for Python's re."""

    perl: str
    python: str


class Other(NamedTuple):
    """A variable that does nothing here."""

    name: str
    why: str
    place: str


def _level(value: str) -> str:
    FORMS["level"](value)
    return value


def _facility(value: str) -> str:
    FORMS["facility"](value)
    return value


def _log_host(value: str) -> str:
    """For [log] syslog; "-" is standard error there."""
    if value == "-":
        return ""
    if not value.startswith(("/", "udp:", "tcp:")):
        value = f"udp:{value}"
    elif value.startswith("/"):
        _path(value)
    if not value.startswith("/") and not _HOST_AND_PORT.match(value[4:]):
        value += ":514"
    try:
        return str(FORMS["syslog"](value))
    except ValueError:
        raise ValueError("HOST, HOST:PORT, tcp:HOST:PORT, the path of a socket, or - for standard error") from None


def _expressions(value: str) -> tuple[Expression, ...]:
    found = []
    elements = [expression for element in shell.text(value).split(";") if (expression := _trimmed(element))]
    if len(elements) > MAX_EXPRESSIONS:
        raise ValueError(f"at most {MAX_EXPRESSIONS} expressions")
    for expression in elements:
        try:
            found.append(Expression(expression, perl.translate(expression)))
        except ValueError as error:
            raise ConfigError(f'the expression "{_shown(expression)}" cannot be used: {_shown(str(error))}') from None
    return tuple(found)


def _trimmed(element: str) -> str:
    """Without blanks around it; one after a backslash belongs to the expression."""
    element = element.lstrip(_BLANK)
    kept = element.rstrip(_BLANK)
    backslashes = len(kept) - len(kept.rstrip("\\"))
    return element[: len(kept) + backslashes % 2]


def _address(value: str) -> str:
    if value.startswith("unix:"):
        return "unix:" + _socket(value[5:])
    match = _HOST_AND_PORT.match(value)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError("HOST:PORT, such as 127.0.0.1:10200")
    return f"{_EVERYWHERE.get(match[1], match[1])}:{match[2]}"


def _path(value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("an absolute path in UTF-8") from None
    if not value.startswith("/") or "\0" in value:
        raise ValueError("an absolute path")
    return value


def _directory(value: str) -> str:
    if "$" in value:
        raise ValueError('an absolute path without "$"')
    return _path(value).rstrip("/")


def _socket(value: str) -> str:
    if len(_path(value).encode()) > 107:  # sun_path
        raise ValueError("an absolute path of at most 107 bytes")
    return value


def _number(value: str, most: int, what: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 0 < int(value) <= most):
        raise ValueError(what)
    return int(value)


def _port(value: str) -> int:
    return _number(value, 65535, "a port from 1 to 65535")


def _count(value: str) -> int:
    return _number(value, 10_000, "a whole number from 1 to 10000")


def _seconds(value: str) -> float:
    return float(_number(value, 86_400, "whole seconds from 1 to 86400"))


def _flag(value: str) -> bool:
    if value.lower() not in _FLAGS:
        raise ValueError("yes or no")
    return _FLAGS[value.lower()]


def _error_policy(value: str) -> str:
    return one_of(value.lower(), ERROR_POLICIES)


def _unscannable(value: str) -> str:
    return one_of(value.lower(), UNSCANNABLE)


def _line(value: str) -> str:
    return str(FORMS["line"](value))


def _words(value: str) -> tuple[str, ...]:
    return tuple(value.split())


VARIABLES: dict[str, Callable[[str], object]] = {
    "SCANMAIL_LOGLEVEL": _level,
    "SCANMAIL_LOGFACILITY": _facility,
    "SCANMAIL_LOGHOST": _log_host,
    "SCANMAIL_STOPLIST": _expressions,
    "SCANMAIL_BANLIST": _expressions,
    "SCANMAIL_SCANLIST": _expressions,
    "SCANMAIL_BACKUPDIR": _directory,
    "SCANMAIL_QUARANTINEDIR": _directory,
    "SCANMAIL_PIDFILE": _path,
    "SCANMAIL_SERVERPORT": _port,
    "SCANMAIL_SOCKET": _socket,
    "SCANMAIL_MAXCHILDREN": _count,
    "SCANMAIL_TIMEOUT": _seconds,
    "SCANMAIL_FPSCAND": _address,
    "SCANMAIL_ENGINES": _words,
    "SCANMAIL_DISINFECT": _flag,
    "SCANMAIL_UNSCANNABLE": _unscannable,
    "SCANMAIL_ERROR_POLICY": _error_policy,
    "SCANMAIL_HEADER": _line,
    "FPSCAND_LISTENADDRESS": _address,
    "FP_QMAIL_LOGLEVEL": _level,
    "FP_QMAIL_LOGFACILITY": _facility,
    "FP_MILTER_LOGLEVEL": _level,
    "FP_MILTER_LOGFACILITY": _facility,
    "FPROT_LOGLEVEL": _level,
    "FPROT_LOGFACILITY": _facility,
}

# Of programs that this one does not replace, or that read it elsewhere.
ELSEWHERE = {
    **dict.fromkeys(("FPSCAND_LOGLEVEL", "FPSCAND_LOGFACILITY"), "for fpscand itself"),
    **dict.fromkeys(("FP_SO_LOGLEVEL", "FP_SO_LOGFACILITY"), "for fp.so"),
    **dict.fromkeys(("FPMON_INCLUDEPATHS", "FPMON_EXCLUDEPATHS", "FPMON_LOGLEVEL", "FPMON_LOGFACILITY"), "for fpmon"),
    "FPROT_LICENSE_KEY": "no licence is needed",
    "SCANMAIL_CONFIG": "only in the environment, for it names this file",
}


class Conf:
    """What file and environment say."""

    __slots__ = ("_assignments", "_environment", "_known", "file")

    def __init__(self, file: str, assignments: Mapping[str, Assignment], environment: Mapping[str, str]) -> None:
        self.file = file
        self._assignments = assignments
        self._environment = environment
        self._known: dict[str, Setting | None] = {}

    def get(self, *names: str) -> Setting | None:
        """The first of these variables that is set and not empty; None: the default counts."""
        for name in names:
            if name not in self._known:
                self._known[name] = self._checked(name)
            if (setting := self._known[name]) is not None:
                return setting
        return None

    def _checked(self, name: str) -> Setting | None:
        value, file, line = self._environment.get(name), "", 0
        if value is None and name in self._assignments:
            value, file, line = self._assignments[name]
        if value is None or not value.strip(_BLANK + ";"):  # a list of nothing is nothing
            return None
        setting = Setting(value, name, file, line)
        try:
            return setting._replace(value=VARIABLES[name](value))
        except ValueError as error:
            raise setting.error(f'expected {error}, not "{_shown(value)}"') from None
        except ConfigError as error:
            raise setting.error(error.message) from None

    def value(self, name: str, default: T) -> T:
        """The value of one variable, or `default`, of the same type."""
        setting = self.get(name)
        return default if setting is None else cast("T", setting.value)

    def log(self, component: str) -> tuple[Setting, Setting]:
        """Level and facility of "SCANMAIL", "FP_QMAIL" or "FP_MILTER": its own variables, else those of FPROT, else 4 and mail."""
        return (
            self.get(f"{component}_LOGLEVEL", "FPROT_LOGLEVEL") or Setting(DEFAULT_LEVEL),
            self.get(f"{component}_LOGFACILITY", "FPROT_LOGFACILITY") or Setting(DEFAULT_FACILITY),
        )

    def others(self) -> list[Other]:
        """Variables of the file that do nothing, in its order."""
        found = []
        for name, (_, file, line) in self._assignments.items():
            if name not in VARIABLES:
                unknown = "no such variable is known" if name.startswith(_OURS) else "not a variable of F-PROT"
                found.append(Other(name, ELSEWHERE.get(name, unknown), f"{file}:{line}"))
        return found

    def unknown(self) -> list[str]:
        """SCANMAIL_ variables of file and environment that nobody knows: most are misspelt, and their default counts instead."""
        from lazaretto.policy.forms import did_you_mean

        places = {name: f"{file}:{line}" for name, (_, file, line) in self._assignments.items()}
        places |= dict.fromkeys(self._environment.keys() - places.keys(), "environment")
        return [
            f"{_shown(name)} ({place}): no such variable{did_you_mean(name, VARIABLES)}"
            for name, place in sorted(places.items())
            if name.startswith("SCANMAIL_") and name not in VARIABLES and name not in ELSEWHERE
        ]


def read(data: bytes, file: str, environment: Mapping[str, str]) -> Conf:
    """The content of f-prot.conf (b"" if there is none) and the environment of the process."""
    return Conf(file, shell.read(data, file, environment), environment)


def _shown(value: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in value[:201])
    return text if len(text) <= 200 else text[:197] + "..."
