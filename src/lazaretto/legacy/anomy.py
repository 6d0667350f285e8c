"""The sanitizer's configuration, as a lazaretto.toml.

    values = settle(parse(arguments, read, now), scan_mail_base(conf))
    toml(values)        [engines.sanitizer]
                        kind = "filerules"
                        ...

For `scan-mail` only what a line is about is translated: it stands above what the mail
scanner does by itself (profile.py).  For the sanitizer's own program, everything.

    notes(values)       lines for people: what has no effect here, and why

Errors:  ConfigError: variable, where it was set, what was expected.
See:     sanitizer_lines.py, anomy_values.py, anomy_rules.py, anomy_variables.py; docs/anomy.md
"""

from __future__ import annotations

from lazaretto import regex
from lazaretto.legacy import anomy_rules, anomy_variables
from lazaretto.legacy.anomy_rules import FileRule
from lazaretto.legacy.anomy_values import SCAN_MAIL, Values
from lazaretto.legacy.fprot_conf import Conf, Expression
from lazaretto.legacy.page import Options, Page, printable
from lazaretto.policy.forms import FORMS
from lazaretto.policy.keys import KEYS, toml_key

_LISTS = {2: ("banlist", "SCANMAIL_BANLIST", "drop"), 3: ("stoplist", "SCANMAIL_STOPLIST", "save")}
_APPENDED = ("header_info", "header_url", "header_rev")
_DAEMONS = ("fpscand", "fprotd")
_NO_VARIABLE = regex.compile(r"\$(?=\{)")
# Placeholder of a text -> variable of a notice.
_NOTICE = {
    "FILENAME": "file",
    "CHECKEDNAME": "matched",
    "SAVEDNAME": "saved_as",
    "VIRUSNAME": "malware",
    "FPROT_RESULT": "malware",
    "SUMMARY": "detail",
    "DESCRIPTION": "detail",
}
_KNOWN = frozenset(key.full for key in KEYS)


def scan_mail_base(conf: Conf) -> dict[str, str]:
    """What the mail scanner sets before its arguments count: rules 1 to 3, of which f-prot.conf has two lists."""
    error = str(conf.value("SCANMAIL_ERROR_POLICY", "save"))
    base = {
        **SCAN_MAIL,
        "file_list_1": ".*",
        "file_list_1_policy": f"unknown:unknown:drop:{ {'pass': 'unknown', 'tempfail': 'save'}.get(error, error) }",
        "file_list_1_scanner": "0:1:2:builtin/fpscand %FILENAME",
    }
    for number, (_, variable, policy) in _LISTS.items():
        expressions: tuple[Expression, ...] = conf.value(variable, ())
        base[f"file_list_{number}"] = "|".join(f"(?i:{expression.perl})" for expression in expressions)
        base[f"file_list_{number}_policy"] = policy
    return base


def toml(values: Values) -> str:
    """The text."""
    page = Page()
    add(page, values)
    return page.text()


def add(page: Page, values: Values) -> None:
    """Write it onto a page, to count above what is there."""
    page.begin()
    page.add(f"# The sanitizer, as its {'own program' if values.standalone else 'lines'} had it.")
    for note in notes(values):
        page.add(f"# {printable(note)}")
    writer = _Writer(page, values)
    writer.policy()
    writer.headers()
    writer.words()
    writer.rewriting()
    writer.files()


def notes(values: Values) -> list[str]:
    """What was asked for and has no effect: "feat_x (/etc/anomy.conf:3) has no effect: ..."."""
    found = []
    for name, value in values.touched().items():
        variable = anomy_variables.find(name)
        if variable is None or value.text.strip() == values.before(name).strip():
            continue
        if not variable.becomes:
            found.append(f"{name} ({value.origin}) has no effect: {variable.why}")
        elif not _is_there(variable.becomes):
            found.append(f"{name} ({value.origin}) has no effect: not yet")
    return found


def _is_there(becomes: str) -> bool:
    """Does this version have the key?  Of pages, and of what is written into texts, it may not."""
    section, _, name = becomes.partition("] ")
    return section not in ("[html", "[rewrite") or f"{section[1:]}.{name}" in _KNOWN


class _Writer:
    """Writes what the variables stand for."""

    def __init__(self, page: Page, values: Values) -> None:
        self._page = page
        self._values = values

    def _set(self, header: str, key: str, value: object, *names: str) -> None:
        """`names`: the variables that it comes from."""
        origins = dict.fromkeys(origin for name in names if (origin := self._values.value(name).origin))
        comment = f"{', '.join(names)}{', ' + '; '.join(origins) if origins else ' of the sanitizer itself'}" if names else ""
        self._page.table(header, {key: (value, comment)})

    def policy(self) -> None:
        values = self._values
        if values.counts("score_bad"):
            self._set("[policy]", "alarm_changes", values.number("score_bad"), "score_bad")
        if values.counts("max_mime_depth"):
            self._set("[limits]", "max_depth", max(values.number("max_mime_depth", 1000), 1), "max_mime_depth")
        template = values.value("file_name_tpl")
        if template.origin:
            path = template.text.strip(" ")
            if not path.startswith("/") or "\0" in path or path.endswith("/"):
                raise template.error("file_name_tpl", "expected the absolute path of a file, with $T, $F, $ and so on in it")
            self._set("[quarantine]", "save_as", path, "file_name_tpl")
        if values.standalone:
            for what in ("extensions", "types", "media_types"):  # names are the affair of the rules below
                self._set("[attachments]", f"banned_{what}", [])
        if values.counts("feat_sane_names"):
            self._set("[engines.lists]", "kind", "lists")
            self._set("[engines.lists]", "consistent", values.flag("feat_sane_names"), "feat_sane_names")
        if values.standalone:
            self._rule("inconsistent", {"finding": "name.inconsistent", "action": "defang"})
            self._rule("deceptive", {"engine": "attachments", "kind": "banned", "action": "defang"})
        if values.counts("feat_no_partial"):
            action = "defang" if values.flag("feat_no_partial") else "tag"
            self._rule("partial", {"finding": "mime.message-partial", "action": action}, "feat_no_partial")

    def _rule(self, name: str, table: dict[str, object], *names: str) -> None:
        origins = ", ".join(f"{one}, {self._values.value(one).origin or 'default'}" for one in names)
        entries: Options = {"name": (name, origins)}
        self._page.table("[[rule]]", entries | {key: (value, "") for key, value in table.items()})

    def headers(self) -> None:
        values = self._values
        counting = [name for name in _APPENDED if values.counts(name)]
        fields = [line for name in counting for line in self._fields(name, "fields")]
        if counting:
            self._set("[headers]", "append", fields, *counting)
        if values.value("header_info").origin and not values.standalone:
            self._set("[headers]", "scanned_field", "", "header_info")
        if values.counts("force_headers"):
            wanted = [f"force_header_{number}" for number in range(1, values.number("force_headers", 10) + 1)]
            self._set("[headers]", "if_missing", [line for name in wanted for line in self._fields(name, "forced fields")], "force_headers")
        if values.standalone:
            self._set("[headers]", "displaced", ["Content-Length", "Lines"])
            self._set("[headers]", "displaced_prefix", "X-FUBAR-")

    def _fields(self, name: str, form: str) -> list[str]:
        """The lines of a variable that holds header fields."""
        value = self._values.value(name)
        if not value.on:
            return []
        text = self._values.expanded(value.text)
        lines = ["".join(c if " " <= c <= "~" else "?" for c in line.strip()) for line in text.split("\n") if line.strip()]
        try:
            FORMS[form](lines)
        except ValueError as error:
            raise value.error(name, f"expected {error}") from None
        return lines

    def words(self) -> None:
        """Names and texts that are put into messages."""
        values = self._values
        if values.standalone or any(values.counts(name) for name in ("msg_defanged", "msg_blacklisted")) or self._has_rules():
            mark = values.word("msg_defanged")
            self._set("[defang]", "suffix", f".{mark}-$N", "msg_defanged")
            self._set("[defang]", "media_type", f"application/{mark}-$N", "msg_defanged")
            self._set("[defang]", "content_id", f"{mark}-$N", "msg_defanged")
            self._set("[defang]", "mangled_name", values.word("msg_blacklisted"), "msg_blacklisted")
        for name, key in (("msg_file_drop", "part"), ("msg_file_save", "saved_part")):
            value = values.value(name)
            if value.origin:
                text = _NO_VARIABLE.sub("$ ", value.text)
                keep = {place: f"${{{variable}:-%{place}}}" for place, variable in _NOTICE.items()}
                self._set("[notices]", key, values.expanded(text, keep), name)

    def rewriting(self) -> None:
        """What is done to the text of a mail, where this version can."""
        values = self._values
        if any(values.counts(name) for name in ("feat_html", "feat_html_paranoid", "feat_webbugs")):
            remote = values.flag("feat_webbugs") or values.flag("feat_html_paranoid")
            profile = ("remote" if remote else "scripts") if values.flag("feat_html") else "off"
            self._set_if_there("[html] profile", profile, "feat_html", "feat_html_paranoid", "feat_webbugs")
        for name in ("feat_lengths", "feat_scripts"):
            if values.counts(name):
                self._set_if_there(anomy_variables.VARIABLES[name].becomes, values.flag(name), name)
                self._set_if_there("[rewrite] marker", values.word("msg_defanged"), "msg_defanged")
        if values.counts("feat_log_inline"):
            self._set("[notices]", "summary", values.flag("feat_log_inline"), "feat_log_inline")
        for name, key in (("msg_log_prefix", "summary_prefix"), ("msg_signature", "summary_suffix")):
            if values.value(name).origin:
                self._set("[notices]", key, values.expanded(_NO_VARIABLE.sub("$ ", values.text(name))), name)

    def _set_if_there(self, becomes: str, value: object, *names: str) -> None:
        if _is_there(becomes):
            header, _, key = becomes.partition(" ")
            self._set(header, key, value, *names)

    def _has_rules(self) -> bool:
        """Does a line speak of rules about files?"""
        touched = self._values.touched()
        return any(name.startswith(("file_list_", "file_default_")) for name in touched) or "feat_files" in touched

    def files(self) -> None:
        values = self._values
        if not (values.standalone or self._has_rules() or values.counts("feat_mime_files")):
            return
        mine = frozenset() if values.standalone else frozenset(number for number in (1, 2, 3) if not self._speaks_of(number))
        for number, (key, _, _) in _LISTS.items():
            if not values.standalone and (number not in mine or not values.flag("feat_files")):
                self._set("[engines.lists]", "kind", "lists")
                self._set("[engines.lists]", key, [], f"file_list_{number}")
        if not values.flag("feat_files"):
            return
        rules = anomy_rules.read(values, mine)
        for builtin in dict.fromkeys(rule.builtin for rule in rules if rule.builtin in _DAEMONS):
            scanners = [f"{rule.name}_scanner" for rule in rules if rule.builtin == builtin]
            if values.standalone or any(values.value(name).origin for name in scanners):
                self._set(f"[engines.{builtin}]", "kind", builtin, *scanners)
        self._chain(rules)

    def _speaks_of(self, number: int) -> bool:
        return any(self._values.value(f"file_list_{number}{suffix}").origin for suffix in ("", "_policy", "_scanner"))

    def _chain(self, rules: list[FileRule]) -> None:
        values = self._values
        if tables := list(anomy_rules.engine_rules(rules)):
            self._set("[engines.sanitizer]", "kind", "filerules")
            self._set(
                "[engines.sanitizer]", "unnamed", values.text("file_default_filename").strip() or "unnamed.txt", "file_default_filename"
            )
            self._set("[engines.sanitizer]", "type_names", values.flag("feat_mime_files"), "feat_mime_files")
        origins = {rule.name: rule.origin for rule in rules}
        for table in tables:
            options: Options = {
                toml_key(key): (value, origins[str(table["name"])] if key == "name" else "") for key, value in table.items()
            }
            self._page.table("[[engines.sanitizer.rules]]", options)
        for table in anomy_rules.policy_rules(rules):
            name = str(table.pop("name"))
            self._rule(name, table)
