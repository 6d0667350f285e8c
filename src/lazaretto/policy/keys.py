"""Every key of the configuration: its default, what it takes, what it is for.

The table below is the reference: config.py checks by it, `lazaretto check-config`
lists by it, and docs/policy.md holds it (a test keeps them equal).  Limits and
their reasons stand in limits.py.

Errors:  a check raises ValueError with what was expected.
See:     docs/policy.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from lazaretto import regex
from lazaretto.limits import DEFAULT
from lazaretto.model import Kind, Reason
from lazaretto.policy.rules import ACTIONS, CONDITIONS, DEFAULT_ACTIONS, REPLACED

LANGUAGES = ("de", "en")  # of shipped notices

_NAME = regex.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_BARE_KEY = regex.compile(r"[A-Za-z0-9_-]+\Z")
_FIELD_NAME = regex.compile(r"[A-Za-z0-9-]{1,76}\Z")  # RFC 5322 s2.2 allows more; some clients do not


class Key(NamedTuple):
    """One key, as the file writes it; `default` as TOML would give it."""

    section: str  # section
    name: str
    default: object
    form: str  # key of FORMS
    doc: str = ""

    @property
    def full(self) -> str:
        return f"{self.section}.{self.name}"


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


def _field(value: object) -> str:
    if not isinstance(value, str) or not (value == "" or (_FIELD_NAME.match(value) and value.lower().startswith("x-"))):
        raise ValueError('the name of a header field that begins with X-, or "" for none')
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
    "field": _field,
    "rule name": _rule_name,
    "patterns": _patterns,
    "kinds": _kinds,
    "reasons": _reasons,
}

KEYS: tuple[Key, ...] = (
    *(Key("limits", name, value, "seconds" if isinstance(value, float) else "count") for name, value in DEFAULT._asdict().items()),
    Key("policy", "malware", "replace", "action", "an engine knows it as malware"),
    Key("policy", "banned", "replace", "action", "its name or type is not allowed here; few need programs by mail, and have other ways"),
    Key("policy", "active", "replace", "action", "it runs by itself when opened: macros, scripts, launch actions"),
    Key("policy", "malformed", "pass", "action", "it deviates from the standards; every reading is scanned, and honest mail often does"),
    Key("policy", "encrypted", "tag", "action", "it is encrypted; people send such mail for good reasons, so it is passed and marked"),
    Key("policy", "limit", "replace", "action", "it is larger, deeper or slower to read than [limits] allow"),
    Key("policy", "broken", "replace", "action", "it is damaged, and some program may still open what we could not"),
    Key("policy", "unsupported", "replace", "action", "nothing here can open this format"),
    Key("policy", "down", "tempfail", "action", "a required engine could not be reached"),
    Key("policy", "timeout", "tempfail", "action", "a required engine did not answer in time"),
    Key("policy", "error", "tempfail", "action", "a required engine failed in another way"),
    Key(
        "policy", "quarantine", ["malware", "banned", "active", REPLACED], "kept",
        f"what is quarantined when it is defanged, cut out or refused; {REPLACED}: whatever is cut out",
    ),
    Key("headers", "announce", True, "flag", "write the status field into every message; false: only where something was found"),
    Key("headers", "status_field", "X-Lazaretto-Status", "field", 'name of the field that tells what was done; "": no field'),
    Key("notices", "language", "en", "language", "language of the notices that stand for what was removed"),
    Key("notices", "template", "", "path", 'file with a template of your own; "": the one shipped for the language'),
    Key("quarantine", "enabled", True, "flag", "keep the original of what is removed; false: what is removed is lost"),
    Key("quarantine", "directory", "", "path", 'where originals are kept; "": quarantine/ in the state directory'),
    Key("filter", "spool_directory", "", "path", 'where large content lies while it is scanned; "": $TMPDIR, else /var/tmp'),
)  # fmt: skip

# Keys of one [[rule]] besides its conditions.
RULE_KEYS: tuple[Key, ...] = (
    Key("rule", "name", None, "rule name", "required; shown in header field, log and report"),
    Key("rule", "action", None, "action", "required"),
    Key("rule", "quarantine", None, "flag", "keep the original or not; without it, [policy] quarantine decides"),
    Key("rule", "text", "", "text", "what the sender is told when the action is reject or tempfail"),
    *(
        Key("rule", name, None, {"kind": "kinds", "reason": "reasons"}.get(name, "patterns"), condition.doc)
        for name, condition in CONDITIONS.items()
    ),
)

# Keys of [engines.NAME] that are ours; all others go to the engine.
ENGINE_KEYS: tuple[Key, ...] = (
    Key("engines.NAME", "kind", "NAME", "text", "which engine: yara, clamd, command, or an installed one; without it, NAME is the kind"),
    Key("engines.NAME", "required", True, "flag", "its failure is acted on (policy.down, timeout, error); false: the others suffice"),
    Key("engines.NAME", "enabled", True, "flag", "use it; false switches off what another file has configured"),
)  # fmt: skip

SECTIONS = tuple(dict.fromkeys(key.section for key in KEYS))


def toml(value: object) -> str:
    """`value` as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(map(_escaped, value)) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_key(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    return str(value)


def toml_key(name: str) -> str:
    """`name` as a key: bare if it can be."""
    return name if _BARE_KEY.match(name) else toml(name)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
