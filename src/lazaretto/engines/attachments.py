"""Engine "attachments": files that are not wanted here, by name, type and label.

    [attachments]
    extra_banned_extensions = ["docm", "xlsm"]
    allowed_extensions = ["iso"]
    banned_names = ["invoice_*.zip", "re:^scan[0-9]{8}\\.html$"]

Each of the three lists (extensions, types, media_types) has three keys:
banned_LIST replaces the built-in list, extra_banned_LIST adds to it, allowed_LIST
takes away from it.  A name is judged in all the forms that systems make of it.

Findings, BANNED: name.banned-extension, name.banned, name.double-extension,
name.hidden-extension, name.rtlo, name.clsid, type.banned, type.banned-media-type,
type.executable-as-GROUP.  MALFORMED: the other name.* facts, type.mismatch.

Limits:  those of content.names.
Errors:  ConfigError from from_config; scan raises none.
See:     docs/names.md, docs/types.md, docs/engines.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lazaretto import regex
from lazaretto.content import extensions, names
from lazaretto.content.types import TYPES, disagreement, ids
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.options import Options
from lazaretto.model import Finding, Item, Kind

__all__ = ["DANGEROUS_MEDIA_TYPES", "DANGEROUS_TYPES", "Attachments"]

# Programs whatever they are called.  Not jar, apk and appx: they look like any zip and run by their name only, which is banned.
# Not script, vbscript, jscript, powershell, batch: text that runs by its name only, and that people quote in mail.
DANGEROUS_TYPES = ids("pe ne le mz elf macho class dex msi lnk chm hlp hta encoded-script wsf scriptlet onenote")

# Labels that make a client choose a dangerous program or extension when the name says nothing.
_PROGRAM_LABELS = ids(
    """
    application/x-msdownload application/x-msdos-program application/x-dosexec application/x-exe application/exe application/x-winexe
    application/msdos-windows application/vnd.microsoft.portable-executable application/x-msi
    """
)
DANGEROUS_MEDIA_TYPES = _PROGRAM_LABELS | ids(
    """
    application/hta application/javascript application/x-javascript application/ecmascript text/javascript text/ecmascript
    text/jscript text/vbscript text/vbs text/scriptlet text/scriplet application/x-vbs application/x-bat application/x-ms-shortcut
    application/x-ms-application application/x-ms-xbap application/java-archive application/x-java-archive
    application/x-java-jnlp-file application/vnd.android.package-archive application/x-internet-signup application/prg
    application/x-mswinurl application/internet-shortcut
    """
)

# What an old web server calls application/x-msdownload and is none: the label cannot make a program of it.
_NO_PROGRAMS = frozenset(("image", "audio", "video", "document", "archive"))

_EXTENSION = regex.compile(r"[^\s./\\:]{1,64}|\{[0-9a-f-]{36}\}")
_MEDIA_TYPE = regex.compile(r"[!#$&^_.+a-z0-9-]{1,127}(?:/[!#$&^_.+a-z0-9-]{1,127})?")

# Steps of a trail that are ways through a message, not into an archive: parts, other readings of the message or of an encoding
# (base64.no-comments), what is encoded in a text, and what stands in S/MIME's envelope, which mail programs show like any mail.
_WITHIN_MESSAGE = regex.compile(
    r"[0-9]+(?:\.[0-9]+)*|message|reading.*|(?:base64|gzip64|qp)\..*|(?:uuencode|begin-base64|yenc|binhex):.*|p7m#[0-9]+", re.DOTALL
)


class Attachments:
    """Names, types and labels against lists.  Stateless."""

    def __init__(
        self,
        policy: names.NamePolicy = names.DEFAULT_POLICY,
        banned_types: frozenset[str] = DANGEROUS_TYPES,
        banned_media_types: frozenset[str] = DANGEROUS_MEDIA_TYPES,
        check_inside_archives: bool = True,
        name: str = "attachments",
        required: bool = True,
    ) -> None:
        self.name = name
        self.required = required
        self.by_content = False
        self.policy = policy
        self.banned_types = banned_types
        self.banned_media_types = banned_media_types
        self.check_inside_archives = check_inside_archives

    @classmethod
    def from_config(cls, name: str, table: Mapping[str, object]) -> Attachments:
        """The engine that `table` describes; ConfigError names the key that is wrong."""
        options = Options(name, table)
        engine = cls(
            names.NamePolicy(_list(options, "extensions", extensions.DANGEROUS_EXTENSIONS), _patterns(options, "banned_names")),
            _list(options, "types", DANGEROUS_TYPES),
            _list(options, "media_types", DANGEROUS_MEDIA_TYPES),
            options.flag("check_inside_archives", True),
            name,
            options.flag("required", True),
        )
        options.done()
        return engine

    def wants(self, item: Item) -> bool:
        """Everything that somebody might save or open."""
        return not item.is_message and (self.check_inside_archives or not inside_archive(item))

    def scan(self, item: Item, ctx: ScanContext) -> Iterator[Finding]:  # noqa: ARG002 - part of the contract
        """Facts about one item, each named once.

        Of a doubtful reading only what is banned: that a name is odd has been said of the part itself.
        """
        if not self.wants(item):
            return
        for finding in self._judge(item):
            if finding.kind is Kind.BANNED or not item.doubtful:
                yield finding

    def _judge(self, item: Item) -> Iterator[Finding]:
        if item.type in self.banned_types:
            yield self._finding(Kind.BANNED, "type.banned", item.type)
        if not item.is_file:
            return
        for finding, detail in names.judge(item.names, self.policy):
            yield self._finding(Kind.BANNED if finding in names.DECEPTIVE else Kind.MALFORMED, finding, detail)
        if item.media_type in self.banned_media_types and not self._excused(item):
            yield self._finding(Kind.BANNED, "type.banned-media-type", item.media_type)
        if contradiction := disagreement(item.type, item.media_type, item.names):
            kind = Kind.MALFORMED if contradiction == "type.mismatch" else Kind.BANNED
            labels = ", ".join(map(names.printable, (*item.names[:3], item.media_type)))
            yield self._finding(kind, contradiction, f"{item.type} labelled {labels}")

    def info(self, timeout_s: float) -> EngineInfo:  # noqa: ARG002 - part of the contract
        """Nothing to reach; the "signatures" are the lists."""
        return EngineInfo("built in", f"{len(self.policy.banned)} extensions, {len(self.banned_types)} types")

    def close(self) -> None:
        """Nothing to give back."""

    def _finding(self, kind: Kind, name: str, detail: str) -> Finding:
        return Finding(self.name, kind, name, (), detail)

    @staticmethod
    def _excused(item: Item) -> bool:
        return item.media_type in _PROGRAM_LABELS and item.type in TYPES and TYPES[item.type].group in _NO_PROGRAMS


def inside_archive(item: Item) -> bool:
    """Did it come out of a container, so that no client shows it as an attachment?"""
    if item.trail == item.names[:1]:  # a file that was given to us as it is
        return False
    return not all(map(_WITHIN_MESSAGE.fullmatch, item.trail))


def _list(options: Options, what: str, default: frozenset[str]) -> frozenset[str]:
    """banned_WHAT or the default, with extra_banned_WHAT, without allowed_WHAT."""
    banned = _words(options, f"banned_{what}", what, default)
    return (banned | _words(options, f"extra_banned_{what}", what)) - _words(options, f"allowed_{what}", what)


def _words(options: Options, key: str, what: str, default: frozenset[str] = frozenset()) -> frozenset[str]:
    words = [word.strip().lower() for word in options.texts(key, tuple(default))]
    if what == "extensions":
        words = [word.removeprefix(".") for word in words]
    for word in words:
        if word in default:  # nearly always all of them
            continue
        if what == "types" and word not in TYPES:
            raise options.error(key, f'unknown type "{word}"; the known ones are in docs/types.md')
        if what == "extensions" and not _EXTENSION.fullmatch(word):
            raise options.error(key, f'"{word}" is no extension; expected such as "exe"')
        if what == "media_types" and not _MEDIA_TYPE.fullmatch(word):
            raise options.error(key, f'"{word}" is no media type; expected such as "application/hta"')
    return frozenset(words)


def _patterns(options: Options, key: str) -> tuple[re.Pattern[str], ...]:
    """Globs, which have to match a whole name, and after "re:" regular expressions, which are searched in it."""
    compiled = []
    for text in options.texts(key):
        if text.startswith("re:"):
            expression = text[3:]
        else:
            from fnmatch import translate

            expression = r"\A" + translate(text)
        try:
            compiled.append(re.compile(expression, re.IGNORECASE))
        except (re.error, RecursionError, OverflowError) as e:
            raise options.error(key, f'"{text}" is no regular expression: {e}') from None
    return tuple(compiled)
