r"""The values of the sanitizer's variables after all lines that count.

    values = settle(parse(...), base=SCAN_MAIL)
    values.flag("feat_html"), values.number("score_bad"), values.text("header_info")
    dump(values)        the lines that would set them again

`base` is what counts without a line: STANDALONE, what the program sanitizer.pl had, or
SCAN_MAIL, what the mail scanner set before its arguments.

As in Perl, "" and "0" are no; a number is the digits at the beginning of a value.

Errors:  ConfigError with the place of the line, from Value.error.
See:     sanitizer_lines.py, anomy_variables.py, anomy.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import ConfigError
from lazaretto.legacy import anomy_variables, shell
from lazaretto.legacy.anomy_variables import DEFAULT_RULES, MACRO_PATTERN, MACRO_POLICY, MACRO_RULE, MACRO_SCANNER, VARIABLES
from lazaretto.legacy.sanitizer_lines import Setting

STANDALONE: Mapping[str, str] = {
    **{f"file_list_{number}": pattern for number, (pattern, _) in DEFAULT_RULES.items()},
    **{f"file_list_{number}_policy": policy for number, (_, policy) in DEFAULT_RULES.items()},
    f"file_list_{MACRO_RULE}": MACRO_PATTERN,
    f"file_list_{MACRO_RULE}_policy": MACRO_POLICY,
    f"file_list_{MACRO_RULE}_scanner": MACRO_SCANNER,
}
# A mail scanner leaves clean mail as it came.
SCAN_MAIL: Mapping[str, str] = {
    "feat_html": "0",
    "feat_scripts": "0",
    "feat_lengths": "0",
    "feat_log_inline": "0",
    "file_default_policy": "accept",
    "header_info": "X-Antivirus: Scanned by F-Prot Antivirus (http://www.f-prot.com)",
    "header_url": "0",
    "header_rev": "0",
}

_DIGITS = regex.compile(r"[ \t]*([0-9]{1,9})")
_TEMPLATE = regex.compile(r"%([A-Z_]+)")
_DUMPED = {"\\": "\\\\", "#": "\\#", "\n": "\\n", "\t": "\\t"}


class Value(NamedTuple):
    """`origin`: of the last line about it, "" if none was."""

    text: str
    origin: str = ""

    @property
    def on(self) -> bool:
        return self.text.strip() not in ("", "0")

    def error(self, name: str, message: str) -> ConfigError:
        """The exception that says what is wrong with it, to be raised by the caller."""
        return ConfigError(f"{name} ({self.origin or 'default'}): {message}")


class Values:
    """All variables.  `known`: those with a value of their own; `standalone`: no mail scanner set some before."""

    def __init__(self, known: Mapping[str, Value], base: Mapping[str, str], *, standalone: bool) -> None:
        self._known = known
        self._base = base
        self.standalone = standalone

    def value(self, name: str) -> Value:
        """Of any name that is one."""
        if (known := self._known.get(name)) is not None:
            return known
        return Value(self.before(name))

    def before(self, name: str) -> str:
        """What it was before any line."""
        variable = anomy_variables.find(name)
        return self._base.get(name, variable.default if variable is not None else "")

    def text(self, name: str) -> str:
        return self.value(name).text

    def flag(self, name: str) -> bool:
        return self.value(name).on

    def number(self, name: str, most: int = 999_999_999) -> int:
        """0 if it begins with no digit."""
        match = _DIGITS.match(self.text(name))
        number = int(match[1]) if match is not None else 0
        if number > most:
            raise self.value(name).error(name, f"expected a number up to {most}, not {number}")
        return number

    def counts(self, name: str) -> bool:
        """Is there a reason to translate it: a line about it, or the sanitizer's own default in its own program?"""
        return self.standalone or name in self._known

    def touched(self) -> dict[str, Value]:
        """Those with a line, by name, in the order of their first lines."""
        return dict(self._known)

    def word(self, name: str) -> str:
        """Letters, digits and hyphens of a marker; those of the default if none is left."""
        kept = "".join(c for c in self.text(name) if c.isascii() and (c.isalnum() or c == "-"))[:20]
        return kept or VARIABLES[name].default

    def expanded(self, text: str, keep: Mapping[str, str] | None = None) -> str:
        """`text` with %NAME replaced: by `keep`, else by the variable var_name; what has no value stays as it is."""

        def value(name: str) -> str:
            if keep is not None and name in keep:
                return keep[name]
            own = self.value(f"var_{name.lower()}")
            return own.text if own.on else f"%{name}"

        return _TEMPLATE.sub(lambda match: value(match[1]), text)

    def names(self) -> list[str]:
        """Every variable that there is, sorted; of the numbered ones those that have a value."""
        return sorted({*VARIABLES, *self._known, *self._base})


def settle(settings: Iterable[Setting], base: Mapping[str, str], *, standalone: bool = False) -> Values:
    """What the lines make of `base`.

    quirk: "+=" to a variable that is "0" for nothing replaces the "0", which would be a pattern or a program.
    """
    known: dict[str, Value] = {}
    before = Values(known, base, standalone=standalone)
    for setting in settings:
        text = shell.text(setting.value)
        if setting.op == "+=":
            current = before.text(setting.name)
            text = text if current == "0" else current + text
        known[setting.name] = Value(text, setting.origin)
    return before


def dump(values: Values) -> str:
    """`name = value` for each variable, sorted; of several lines in one value, one `+=` for each."""
    lines = []
    for name in values.names():
        op = "="
        for piece in values.text(name).splitlines(keepends=True) or [""]:
            shown = "".join(_DUMPED.get(c, c if c.isprintable() else "?") for c in piece)
            if shown.startswith(" "):
                shown = "\\s" + shown[1:]
            if shown.endswith(" "):
                shown = shown[:-1] + "\\s"
            lines.append(f"{name} {op} {shown}".rstrip())
            op = "+="
    return "\n".join(lines) + "\n"
