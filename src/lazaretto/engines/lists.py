"""Engine "lists": file names against two lists of expressions, as F-PROT's mail scanner had them.

    [engines.lists]
    banlist = ["\\.(scr|pif)$"]      # removed
    stoplist = ["\\.exe$"]           # removed; a rule may have them saved
    consistent = true               # and a name must suit the content

An expression is searched in every candidate name of an attachment
(content.candidates), without regard to case.  The ban list is asked first; the
first list that matches decides.  Only what neither list names is checked for
consistency.

Findings, BANNED: name.banlist, name.stoplist (detail: which name matches which
expression), name.inconsistent (detail: what does not fit).

Judged are attachments: parts, in other readings of the message too, and files
encoded in text; not members of archives, not what we made ourselves, and no
message that has no name.  Consistency is not judged in readings that are doubtful,
nor in S/MIME's envelope.

Limits:  ctx.deadline is looked at between expressions; those of content.candidates.
Errors:  EngineError TIMEOUT; LIMIT if there are more names than are looked at, and
         none of those matched.  ConfigError from from_config.
See:     docs/engines.md, docs/names.md; content/candidates.py, content/fingerprints.py
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from lazaretto.content import fingerprints
from lazaretto.content.candidates import MAX_CANDIDATES, Candidates, candidates, default_names, expressions, is_body_text, search
from lazaretto.content.names import printable
from lazaretto.engines.attachments import inside_archive
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.options import Options
from lazaretto.errors import EngineError
from lazaretto.model import Finding, Item, Kind, Reason

_AT_ONCE = 64  # names between two looks at the clock


class Lists:
    """See the module.  Stateless."""

    by_content = False

    def __init__(
        self,
        name: str = "lists",
        banlist: tuple[re.Pattern[str], ...] = (),
        stoplist: tuple[re.Pattern[str], ...] = (),
        *,
        consistent: bool = True,
        required: bool = True,
    ) -> None:
        self.name = name
        self.required = required
        self._lists = (("name.banlist", banlist), ("name.stoplist", stoplist))
        self._consistent = consistent

    @classmethod
    def from_config(cls, name: str, table: Mapping[str, object]) -> Lists:
        """Options: banlist, stoplist, consistent, required."""
        options = Options(name, table)
        engine = cls(
            name,
            _expressions(options, "banlist"),
            _expressions(options, "stoplist"),
            consistent=options.flag("consistent", True),
            required=options.flag("required", True),
        )
        options.done()
        return engine

    def wants(self, item: Item) -> bool:
        """Attachments."""
        return not item.is_message and item.is_file and not inside_archive(item)

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        """At most one finding: what decides."""
        if not self.wants(item):
            return []
        named = candidates(item)
        for finding, patterns in self._lists:
            if hit := _search(patterns, named.names, ctx.deadline):
                return [self._finding(finding, f"{printable(hit[0])} matches {printable(hit[1])}")]
        if not named.complete:
            raise EngineError(Reason.LIMIT, f"more than {MAX_CANDIDATES} names for one file")
        sealed = any(step.startswith("p7m#") for step in item.trail)  # it could only be cut out, not renamed
        fault = _inconsistency(item, named) if self._consistent and not item.doubtful and not sealed else ""
        return [self._finding("name.inconsistent", fault)] if fault else []

    def info(self, timeout_s: float) -> EngineInfo:  # noqa: ARG002 - part of the contract
        """Nothing to reach; the "signatures" are the expressions."""
        return EngineInfo("built in", ", ".join(f"{len(patterns)} in {what[5:]}" for what, patterns in self._lists))

    def close(self) -> None:
        """Nothing to give back."""

    def _finding(self, name: str, detail: str) -> Finding:
        return Finding(self.name, Kind.BANNED, name, (), detail)


def _expressions(options: Options, key: str) -> tuple[re.Pattern[str], ...]:
    try:
        return expressions(options.texts(key))
    except ValueError as e:
        raise options.error(key, str(e)) from None


def _search(patterns: tuple[re.Pattern[str], ...], names: tuple[str, ...], deadline: float) -> tuple[str, str] | None:
    for start in range(0, len(names) if patterns else 0, _AT_ONCE):
        if time.monotonic() > deadline:
            raise EngineError(Reason.TIMEOUT, "the time was over before all names were compared")
        if hit := search(patterns, names[start : start + _AT_ONCE]):
            return hit
    return None


def _inconsistency(item: Item, named: Candidates) -> str:
    """What does not fit, or "".  Of a part without a name only that its content is another type than it would be called."""
    head = item.content.read_at(0, fingerprints.HEAD)
    if not named.given:
        return "" if is_body_text(item) else fingerprints.contradiction(default_names(item), head, item.type, claims_only=True)
    shown = printable(item.names[0])
    if fault := fingerprints.contradiction(named.given, head, item.type):
        return f"{fault}: {shown}"
    if wanted := fingerprints.wants_extension(item.media_type, named.given):
        return f"{item.media_type} wants .{' or .'.join(wanted)}: {shown}"
    return ""
