"""What a value in a configuration file must be, by the name of its form.

A form takes the value as TOML gives it and returns it as the program wants it.

Errors:  ValueError that says what was expected; whoever knows the place adds it.
See:     keys.py, which key has which form; docs/policy.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lazaretto import regex
from lazaretto.errors import ConfigError
from lazaretto.model import Kind, Reason
from lazaretto.policy.rules import ACTIONS, DEFAULT_ACTIONS, REPLACED

LANGUAGES = ("de", "en")  # of shipped notices
DISARMED = ("ooxml", "ole", "rtf", "pdf")  # formats of sanitize/disarm.py
HTML_PROFILES = ("off", "scripts", "remote", "text")  # of sanitize/html.py

_NAME = regex.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_MODE = regex.compile(r"0?[0-7]{3,4}\Z")
_ADDRESS = regex.compile(r"unix:/[^\0]{1,107}\Z|(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\]):[0-9]{1,5}\Z")
_MILTER = regex.compile(
    r"(?:unix|local):/[^\0]{1,107}\Z|inet6?:[A-Za-z0-9-]{1,64}(?:@(?:[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\]?))?\Z"
)
_HOSTNAME = regex.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252})?\Z")
_NETWORK = regex.compile(r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)(?:/[0-9]{1,3})?\Z")
_SYSLOG = regex.compile(r"(?:/[^\0]{1,107}|(?:udp|tcp):(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})?\Z")
_IDENT = regex.compile(r"[A-Za-z0-9_./-]{1,48}\Z")
_READ_FIELDS = frozenset(
    ("content-type", "content-transfer-encoding", "content-disposition", "content-id", "content-description", "mime-version")
)
_PLAIN_TYPE = regex.compile(r"text/plain(?:; ?charset=\"?[A-Za-z0-9_-]{1,40}\"?)?\Z")
_SUFFIX = regex.compile(r"\.(?:[A-Za-z0-9-]|\$N){1,30}\Z")
_DEFANGED_TYPE = regex.compile(r"application/(?:[A-Za-z0-9.-]|\$N){1,60}\Z")
_MARKER = regex.compile(r"[A-Za-z0-9-]{1,20}\Z")
_WORD = regex.compile(r"(?:[A-Za-z0-9._@-]|\$N){1,60}\Z")
_FIELD_NAME = regex.compile(r"[A-Za-z0-9-]{1,76}\Z")  # RFC 5322 s2.2 allows more; some clients do not


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text in quotes")
    return value


def _path(value: object) -> str:
    if not isinstance(value, str) or "\0" in value or (value and not value.startswith("/")):
        raise ValueError('an absolute path in quotes, or ""')
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError("a whole number above 0")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
        raise ValueError("a number of seconds above 0")
    return float(value)


def _action(value: object) -> str:
    return one_of(value, ACTIONS)


def _kept(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f"a list of {', '.join(DEFAULT_ACTIONS)}, {REPLACED}")
    return [one_of(word, (*DEFAULT_ACTIONS, REPLACED)) for word in value]


def _language(value: object) -> str:
    return one_of(value, LANGUAGES)


def _formats(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('a list of formats, such as ["ooxml", "rtf"]')
    return tuple(one_of(word, DISARMED) for word in value)


def _words(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f"a list of {', '.join(DEFAULT_ACTIONS)}")
    return [one_of(word, DEFAULT_ACTIONS) for word in value]


def _line(value: object) -> str:
    if not isinstance(value, str) or not all(" " <= character <= "~" for character in value) or len(value) > 900:
        raise ValueError("one line of printable ASCII, at most 900 characters")
    return value.strip()


def _backup(value: object) -> str:
    return one_of(value, ("off", "all", "changed"))


def _mode(value: object) -> int:
    if not isinstance(value, str) or not _MODE.match(value):
        raise ValueError('permissions in octal, such as "0600"')
    return int(value, 8)


def _paths(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('a list of absolute paths, such as ["/tmp"]')
    return tuple(_path(path) for path in value if path != "")


def _addresses(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(address, str) and _ADDRESS.match(address) for address in value):
        raise ValueError('a list of addresses, such as ["127.0.0.1:11200", "unix:/run/lazaretto/scan.sock"]')
    return tuple(value)


def _milter_addresses(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and (_ADDRESS.match(one) or _MILTER.match(one)) for one in value):
        raise ValueError('a list of addresses, such as ["127.0.0.1:12200", "inet:12200@127.0.0.1", "unix:/run/lazaretto/milter.sock"]')
    return tuple(value)


def _address(value: object) -> str:
    return _addresses([value])[0]


def _number(value: object) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else _count(value)


def _hostname(value: object) -> str:
    if not isinstance(value, str) or not _HOSTNAME.match(value):
        raise ValueError('a host name of letters, digits, - and ., or ""')
    return value


def _networks(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(network, str) and _NETWORK.match(network) for network in value):
        raise ValueError('a list of networks, such as ["127.0.0.0/8", "::1/128"]')
    return tuple(value)


def _syslog(value: object) -> str:
    if not isinstance(value, str) or not _SYSLOG.match(value):
        raise ValueError('"" for standard error, the path of a socket, or udp:HOST:PORT or tcp:HOST:PORT')
    return value


def _ident(value: object) -> str:
    if not isinstance(value, str) or not _IDENT.match(value):
        raise ValueError("a program's name: at most 48 letters, digits, - _ . /")
    return value


def _level(value: object) -> int:
    from lazaretto.wire.syslog import parse_level

    try:
        return parse_level(_word(value))
    except ConfigError:
        raise ValueError("a syslog level: emerg, alert, crit, err, warning, notice, info, debug, or 0 to 7") from None


def _facility(value: object) -> int:
    from lazaretto.wire.syslog import parse_facility

    try:
        return parse_facility(_word(value))
    except ConfigError:
        raise ValueError("a syslog facility such as mail, daemon or local0, or its number") from None


def _word(value: object) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _expressions(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(expression, str) for expression in value):
        raise ValueError(r'a list of regular expressions, such as ["\.exe$"]')
    import re

    for expression in value:
        try:
            re.compile(expression)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"regular expressions; {expression!r} is none ({error})") from None
    return tuple(value)


def _field(value: object) -> str:
    if not isinstance(value, str) or not (value == "" or (_FIELD_NAME.match(value) and value.lower().startswith("x-"))):
        raise ValueError('the name of a header field that begins with X-, or "" for none')
    return value


def _status(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 256:
        raise ValueError("an exit status from 1 to 255")
    return value


def _fields(value: object) -> tuple[tuple[bytes, bytes], ...]:
    found = []
    for line in _texts(value, 'a list of header fields, such as ["X-Filtered: yes"]'):
        name, colon, text = line.partition(":")
        if not colon or not _FIELD_NAME.match(name) or len(line) > 900 or not all(" " <= character <= "~" for character in text):
            raise ValueError('header fields of one line of printable ASCII each, at most 900 characters, such as "X-Filtered: yes"')
        if name.lower().startswith("content-") or name.lower() == "mime-version":
            raise ValueError(f"other fields than {name}: two of them would give a message two readings")
        found.append((name.encode("ascii"), text.strip().encode("ascii")))
    return tuple(found)


def _forced_fields(value: object) -> tuple[tuple[bytes, bytes], ...]:
    """Also what a message without MIME fields is by default, and nothing else that is MIME."""
    found: list[tuple[bytes, bytes]] = []
    for line in _texts(value, 'a list of header fields, such as ["Subject: (no subject)"]'):
        name, text = line.partition(":")[::2]
        if (name.lower(), text.strip()) == ("mime-version", "1.0") or (name.lower() == "content-type" and _PLAIN_TYPE.match(text.strip())):
            found.append((name.encode("ascii"), text.strip().encode("ascii")))
        else:
            found += _fields([line])
    return tuple(found)


def _field_names(value: object) -> frozenset[str]:
    names = _texts(value, 'a list of names of header fields, such as ["Content-Length", "Lines"]')
    for name in names:
        if not _FIELD_NAME.match(name) or name.lower() in _READ_FIELDS:
            raise ValueError(f'names of header fields that say nothing about the content, not "{name[:60]}"')
    return frozenset(name.lower() for name in names)


def _texts(value: object, expected: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(expected)
    return value


def _marker(value: object) -> str:
    if not isinstance(value, str) or not _MARKER.match(value):
        raise ValueError("letters, digits and - (at most 20)")
    return value


def _suffix(value: object) -> str:
    if not isinstance(value, str) or not _SUFFIX.match(value):
        raise ValueError('a dot and letters, digits, - and $N (at most 30), such as ".txt"')
    if value != ".txt":
        from lazaretto.content.extensions import DANGEROUS_EXTENSIONS

        if value[1:].lower() in DANGEROUS_EXTENSIONS:
            raise ValueError("an extension that no program runs")
    return value


def _defanged_type(value: object) -> str:
    if not isinstance(value, str) or not _DEFANGED_TYPE.match(value):
        raise ValueError('a type that begins with "application/", of letters, digits, - . and $N')
    return value


def _defanging_word(value: object) -> str:
    if not isinstance(value, str) or not _WORD.match(value):
        raise ValueError("letters, digits, - _ . @ and $N (at most 60)")
    return value


def _rule_name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.match(value) or value.startswith("policy.") or value in ("optional", "default", "system"):
        raise ValueError("a name of letters, digits, - _ . (at most 64), not policy.*, optional, default or system")
    return value


def _patterns(value: object) -> tuple[str, ...]:
    patterns = value if isinstance(value, list) else [value]
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise ValueError("a pattern in quotes, or a list of patterns")
    return tuple(str(pattern).casefold() for pattern in patterns)


def _kinds(value: object) -> tuple[str, ...]:
    return tuple(one_of(word, [kind.value for kind in Kind]) for word in _patterns(value))


def _reasons(value: object) -> tuple[str, ...]:
    return tuple(one_of(word, [reason.value for reason in Reason]) for word in _patterns(value))


def one_of(value: object, words: Iterable[str]) -> str:
    """`value` if it is one of `words`; the ValueError lists them and guesses which one was meant."""
    known = list(words)
    if isinstance(value, str) and value in known:
        return value
    raise ValueError(f"one of {', '.join(known)}{did_you_mean(value, known)}")


def did_you_mean(wrong: object, known: Iterable[str]) -> str:
    """' (did you mean "x"?)', or nothing."""
    if not isinstance(wrong, str) or len(wrong) > 100:
        return ""
    from difflib import get_close_matches

    near = get_close_matches(wrong, known, 1)
    return f" (did you mean {near[0]}?)" if near else ""


# Name -> check; the check gives the value as the program wants it.
FORMS: dict[str, Callable[[object], object]] = {
    "flag": _flag,
    "text": _text,
    "path": _path,
    "count": _count,
    "seconds": _seconds,
    "action": _action,
    "kept": _kept,
    "language": _language,
    "words": _words,
    "line": _line,
    "backup": _backup,
    "mode": _mode,
    "paths": _paths,
    "addresses": _addresses,
    "milter addresses": _milter_addresses,
    "syslog": _syslog,
    "ident": _ident,
    "level": _level,
    "facility": _facility,
    "expressions": _expressions,
    "number": _number,
    "address": _address,
    "address or nothing": lambda value: "" if value == "" else _address(value),
    "smtp protocol": lambda value: "" if value == "" else one_of(value, ("smtp", "lmtp")),
    "hostname": _hostname,
    "ident or nothing": lambda value: "" if value == "" else _ident(value),
    "line ends": lambda value: one_of(value, ("reject", "normalise")),
    "stray line ends": lambda value: one_of(value, ("pass", "normalise", "reject")),
    "disarmed formats": _formats,
    "html profile": lambda value: one_of(value, HTML_PROFILES),
    "log format": lambda value: one_of(value, ("text", "json")),
    "networks": _networks,
    "field": _field,
    "status": _status,
    "fields": _fields,
    "forced fields": _forced_fields,
    "field names": _field_names,
    "marker": _marker,
    "suffix": _suffix,
    "defanged type": _defanged_type,
    "word": _defanging_word,
    "content id": lambda value: "" if value == "" else _defanging_word(value),
    "rule name": _rule_name,
    "patterns": _patterns,
    "kinds": _kinds,
    "reasons": _reasons,
}
