"""Every key of the configuration: its default, what it takes, what it is for.

The table below is the reference: config.py checks by it, `lazaretto check-config`
lists by it, and docs/policy.md holds it (a test keeps them equal).  Limits and
their reasons stand in limits.py.

See:     forms.py, what each form takes; docs/policy.md
"""

from __future__ import annotations

from typing import NamedTuple

from lazaretto import regex
from lazaretto.limits import DEFAULT
from lazaretto.policy.rules import CONDITIONS, REPLACED

_BARE_KEY = regex.compile(r"[A-Za-z0-9_-]+\Z")
_TEMPORARY = ["/tmp", "/var/tmp"]  # noqa: S108 - where the clients of old put their files; frontends/server.py opens them with care


class Key(NamedTuple):
    """One key, as the file writes it; `default` as TOML would give it."""

    section: str  # section
    name: str
    default: object
    form: str  # key of forms.FORMS
    doc: str = ""

    @property
    def full(self) -> str:
        return f"{self.section}.{self.name}"


KEYS: tuple[Key, ...] = (
    *(Key("limits", name, value, "seconds" if isinstance(value, float) else "count") for name, value in DEFAULT._asdict().items()),
    Key("policy", "malware", "replace", "action", "an engine knows it as malware"),
    Key("policy", "disinfected", "disinfect", "action", "an engine took malware out of it; what it made of it is put in its place"),
    Key("policy", "disarmed", "disarm", "action", "a page or document in which something acts that [html] or [disarm] takes out"),
    Key("policy", "banned", "replace", "action", "its name or type is not allowed here; few need programs by mail, and have other ways"),
    Key("policy", "active", "replace", "action", "it runs by itself when opened: macros, scripts, launch actions"),
    Key("policy", "malformed", "pass", "action", "it deviates from the standards; every reading is scanned, and honest mail often does"),
    Key("policy", "ambiguous", "canonicalise", "action", "clients disagree about its structure: it is written so that they do not"),
    Key("policy", "encrypted", "tag", "action", "it is encrypted; people send such mail for good reasons, so it is passed and marked"),
    Key("policy", "limit", "replace", "action", "it is larger, deeper or slower to read than [limits] allow"),
    Key("policy", "broken", "replace", "action", "it is damaged, and some program may still open what we could not"),
    Key("policy", "unsupported", "replace", "action", "nothing here can open this format"),
    Key("policy", "down", "tempfail", "action", "a required engine could not be reached"),
    Key("policy", "timeout", "tempfail", "action", "a required engine did not answer in time"),
    Key("policy", "error", "tempfail", "action", "a required engine failed in another way"),
    Key(
        "policy", "quarantine", ["malware", "disinfected", "disarmed", "banned", "active", REPLACED], "kept",
        f"what is quarantined when it is disinfected, disarmed, defanged, cut out or refused; {REPLACED}: whatever is cut out",
    ),
    Key("policy", "save", [], "words", "what is saved as a file of its own when it is cut out, besides: the part, decoded"),
    Key("policy", "alarm_changes", 0, "number", "more changes to one message than so many are an alarm: [filter] alarm_status; 0: never"),
    Key("headers", "announce", True, "flag", "write the status field into every message; false: only where something was found"),
    Key("headers", "status_field", "X-Lazaretto-Status", "field", 'name of the field that tells what was done; "": no field'),
    Key("headers", "scanned_field", "", "field", 'a field at the end of every header that says who scanned, such as X-Antivirus; "": none'),
    Key("headers", "scanned_text", "", "line", 'its text; "": the engines that scanned'),
    Key("headers", "append", [], "fields", 'fields for the end of every header, such as "X-Filtered: yes"'),
    Key("headers", "if_missing", [], "forced fields", "fields that a message gets if it has none of the name"),
    Key("headers", "displaced", [], "field names", "fields that get another name, for they may not be true any more, such as Lines"),
    Key("headers", "displaced_prefix", "X-Old-", "field", "what such a name begins with then"),
    Key("notices", "language", "en", "language", "language of the notices that stand for what was removed"),
    Key("notices", "template", "", "path", 'file with a template of your own; "": the one shipped for the language'),
    Key("notices", "part", "", "text", 'text for a part that was removed; "": that of the template'),
    Key("notices", "saved_part", "", "text", 'text for a part that was removed and saved as a file; "": as for any other'),
    Key("notices", "summary", False, "flag", "tell in a message that was changed what was found: in a last part, or behind a lone text"),
    Key("notices", "summary_prefix", "", "text", "text before that"),
    Key("notices", "summary_suffix", "", "text", "text behind it"),
    Key("rewrite", "long_fields", False, "flag", "shorten or break header fields that are too long for old programs"),
    Key("rewrite", "shell_scripts", False, "flag", "make a script at the top of a text end at once"),
    Key("rewrite", "marker", "DEFANGED", "marker", "the word that marks such places"),
    Key("defang", "suffix", ".txt", "suffix", "what the name of a defanged part ends with; $N: its number in the message"),
    Key("defang", "media_type", "application/octet-stream", "defanged type", "its type, which nothing opens; $N as above"),
    Key("defang", "mangled_name", "mangled", "word", "the name of a mangled part, before the suffix"),
    Key("defang", "content_id", "", "content id", 'its Content-ID, so that no page shows it: a word, $N as above; "": it keeps its own'),
    Key(
        "html", "profile", "off", "html profile",
        "what is taken out of pages: off: nothing; scripts: what acts; remote: what is loaded from elsewhere, too; text: all but the text",
    ),
    Key(
        "disarm", "formats", [], "disarmed formats",
        "documents disarmed: ooxml: Word, Excel, PowerPoint since 2007; ole: Word and Excel before; rtf; pdf: needs pikepdf",
    ),
    Key("quarantine", "enabled", True, "flag", "keep the original of what is removed; false: what is removed is lost"),
    Key("quarantine", "directory", "", "path", 'where originals are kept; "": quarantine/ in the state directory'),
    Key(
        "quarantine", "save_as", "", "path",
        'name of a saved part: $T time, $F its name, $ a random character ...; "": att-$T-$$$-$F in saved/ of the state directory',
    ),
    Key("backup", "mode", "off", "backup", "keep a copy of every message as it came: off, all; changed: only of those that were changed"),
    Key("backup", "directory", "", "path", 'where copies are kept, in a folder for each day; "": backup/ in the state directory'),
    Key("backup", "file_mode", "0600", "mode", "permissions of the copies"),
    Key("backup", "directory_mode", "0700", "mode", "permissions of the folders made for them"),
    Key("log", "syslog", "", "syslog", 'where final lines go: a socket such as /dev/log, udp:HOST:PORT, tcp:HOST:PORT; "": standard error'),
    Key("log", "ident", "lazaretto", "ident", "the program's name there"),
    Key("log", "facility", "mail", "facility", "syslog facility, by name or number"),
    Key("log", "level", "info", "level", "least severe level that is logged, by name or number (emerg 0 ... debug 7)"),
    Key("log", "format", "text", "log format", "text: key=value pairs; json: one object a line"),
    Key("server", "listen", ["127.0.0.1:11200"], "addresses", "where `serve` listens: HOST:PORT, [IPv6]:PORT, unix:PATH"),
    Key("server", "max_children", 20, "count", "messages scanned at a time; later ones wait"),
    Key("server", "idle_timeout_s", 300.0, "seconds", "a connection that says nothing is closed"),
    Key("server", "request_timeout_s", 60.0, "seconds", "time for a request to arrive, and for its reply to be taken"),
    Key("server", "directories", _TEMPORARY, "paths", "below which files may be that a client names"),
    Key("server", "pid_files", [], "paths", "files that hold the process id while it runs"),
    Key("server", "socket_mode", "0660", "mode", "permissions of UNIX sockets"),
    Key("smtp", "listen", [], "addresses", "where the SMTP proxy listens; []: nowhere"),
    Key("smtp", "next_hop", "127.0.0.1:10026", "address", "where mail goes on: HOST:PORT, [IPv6]:PORT, unix:PATH"),
    Key("smtp", "protocol", "smtp", "smtp protocol", "what clients speak: smtp, lmtp"),
    Key("smtp", "next_hop_protocol", "", "smtp protocol", 'what the next hop speaks; "": as clients do'),
    Key("smtp", "hostname", "", "hostname", 'the name in greetings; "": the system\'s'),
    Key("smtp", "max_connections", 1000, "count", "of each worker; one more is told 421"),
    Key("smtp", "max_jobs", 100, "count", "messages that a worker holds at a time; one more is told 451 at MAIL"),
    Key("smtp", "max_spooled_bytes", 1 << 30, "count", "of all messages that a worker holds"),
    Key("smtp", "max_recipients", 1000, "count", "of one message; RFC 5321 wants 100 at least"),
    Key("smtp", "max_errors", 20, "count", "wrong commands of one client, then 421"),
    Key("smtp", "command_timeout_s", 300.0, "seconds", "a client says nothing; RFC 5321 s4.5.3.2.7"),
    Key("smtp", "data_timeout_s", 180.0, "seconds", "a client sends nothing in the middle of a message; s4.5.3.2.5"),
    Key("smtp", "next_hop_connect_timeout_s", 30.0, "seconds", "the next hop does not take a connection"),
    Key("smtp", "next_hop_timeout_s", 300.0, "seconds", "the next hop does not answer a command; s4.5.3.2.3"),
    Key("smtp", "end_of_data_timeout_s", 600.0, "seconds", "the next hop does not answer the end of a message; s4.5.3.2.6"),
    Key("smtp", "hop_limit", 50, "count", "Received fields of a message that goes round in circles; Postfix' own limit"),
    Key("smtp", "end_of_data", "reject", "line ends", "a dot between other line ends than CRLF: reject, normalise"),
    Key("smtp", "stray", "pass", "stray line ends", "other bare CR, bare LF and NUL: pass, normalise, reject"),
    Key("smtp", "trusted", ["127.0.0.0/8", "::1/128"], "networks", "who may tell by XFORWARD and XCLIENT who the client was"),
    Key("smtp", "socket_mode", "0660", "mode", "permissions of UNIX sockets"),
    Key("milter", "listen", [], "milter addresses", "where the milter listens, also as inet:PORT@HOST, inet6:..., local:PATH; []: nowhere"),
    Key("milter", "max_connections", 1000, "count", "of each worker; messages of more are told 451, and twice as many are hung up on"),
    Key("milter", "max_jobs", 100, "count", "messages that a worker holds at a time; one more is told 451 at MAIL"),
    Key("milter", "max_spooled_bytes", 1 << 30, "count", "of all messages that a worker holds"),
    Key("milter", "max_recipients", 10_000, "count", "of one message; the mail server has a limit of its own"),
    Key("milter", "timeout_s", 7200.0, "seconds", "a mail server says nothing, for its client says nothing; libmilter's own"),
    Key("milter", "data_timeout_s", 300.0, "seconds", "a mail server sends nothing in the middle of a message, or takes no answer"),
    Key("milter", "progress_s", 5.0, "seconds", "between two signs of life while a message is scanned; Sendmail waits for 10 s by default"),
    Key("milter", "hold", False, "flag", "what is left of a message that was quarantined waits in the mail server's own quarantine"),
    Key("milter", "socket_mode", "0660", "mode", "permissions of UNIX sockets"),
    Key("milter", "socket_group", "", "ident or nothing", 'group of UNIX sockets: that of the mail server; "": ours'),
    Key("process", "workers", 1, "number", "processes that speak SMTP, or are the milter; 0: the main process"),
    Key("process", "scanners", 0, "number", "processes of each worker that scan; 0: twice the processors"),
    Key("process", "recycle_messages", 1000, "count", "a scanning process is replaced after so many messages"),
    Key("process", "recycle_growth_bytes", 256 << 20, "count", "... or when it has grown by so much"),
    Key("process", "user", "", "ident or nothing", 'who to be after the sockets are there; "": as started'),
    Key("process", "group", "", "ident or nothing", 'the group; "": that of the user'),
    Key("metrics", "listen", "", "address or nothing", 'where /metrics, /health and /ready are, on loopback or a UNIX socket; "": nowhere'),
    Key("filter", "alarm_status", 1, "status", "exit status of the filter after an alarm; the message is written all the same"),
    Key("filter", "spool_directory", "", "path", 'where large content lies while it is scanned; "": $TMPDIR, else /var/tmp'),
)  # fmt: skip

# Keys of one [[rule]] besides its conditions.
RULE_KEYS: tuple[Key, ...] = (
    Key("rule", "name", None, "rule name", "required; shown in header field, log and report"),
    Key("rule", "action", None, "action", "required"),
    Key("rule", "quarantine", None, "flag", "keep the original or not; without it, [policy] quarantine decides"),
    Key("rule", "save", None, "flag", "save the part as a file of its own before it is cut out; without it, [policy] save decides"),
    Key("rule", "alarm", False, "flag", "the filter ends with [filter] alarm_status, though it writes the message"),
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
    Key("engines.NAME", "only", None, "expressions", "it sees only what has a name that one of these finds (filetype.exe: by content)"),
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
