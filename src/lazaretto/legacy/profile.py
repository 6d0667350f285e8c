"""The configuration of the old mail scanner, as a lazaretto.toml.

    toml(conf)  ->  [log]
                    level = "5"     # SCANMAIL_LOGLEVEL, /etc/f-prot.conf:3
                    facility = "mail"     # scan-mail's own default
                    ...

Beside each line stands where it comes from: a variable with file and line, or the
mail scanner itself.  `scan-mail` runs on this text, `lazaretto migrate` prints it.

How SCANMAIL_ERROR_POLICY treats what could not be scanned:

    save      cut out and saved as a file (default: what the manual says)
    drop      cut out
    defang    delivered under a harmless name
    pass      delivered, though nobody has looked at it
    tempfail  the message waits for an engine that failed; what no engine will ever
              read (broken, too large, of an unknown format) is saved all the same

Errors:  ConfigError for variables that cannot be used.
See:     fprot_conf.py, docs/migration.md, docs/policy.md
"""

from __future__ import annotations

from collections.abc import Sequence

from lazaretto.content.candidates import matches_all
from lazaretto.engines import registry
from lazaretto.engines.registry import EngineSpec
from lazaretto.errors import ConfigError
from lazaretto.legacy.fprot_conf import Conf, Expression, Setting
from lazaretto.legacy.page import Options, Page, printable
from lazaretto.policy import keys

PREFIX = "/usr/local/f-prot"
SERVER_PORT = 11200
FPSCAND = "127.0.0.1:10200"
PID_FILES = ("/var/run/scanmail.pid", "/var/run/scan-mail.pid")  # the manual's, and the one that was really written

_OWN = "scan-mail's own default"
_TOOLS = ("tools", "mailtools")  # where the script was installed, below the prefix
_UNREADABLE = ("limit", "broken", "unsupported")
_FAILURES = (*_UNREADABLE, "down", "timeout", "error")
_ACTIONS = {"save": "replace", "drop": "replace", "defang": "defang", "pass": "tag", "tempfail": "tempfail"}
_DISINFECTING = ("fpscand", "fprotd")


def prefix(script: str) -> str:
    """The directory that has backup/ and quarantine/, for a scan-mail installed as `script`, an absolute path."""
    directory = script.rpartition("/")[0]
    above, _, last = directory.rpartition("/")
    return above if last in _TOOLS and above else PREFIX


def specs(conf: Conf) -> tuple[str, ...]:
    """("none",) if no engine is to scan, which a lazaretto.toml cannot say; else ()."""
    named = conf.get("SCANMAIL_ENGINES")
    return ("none",) if named is not None and named.value == ("none",) else ()


def scans_some(conf: Conf) -> bool:
    """Are there attachments that are not to be scanned, and are the engines left to choose?  Then toml() wants to know of a clamd."""
    return bool(_only(conf)[0]) and not _chosen(conf)


def toml(conf: Conf, directory: str = PREFIX, clamd: str = "") -> str:
    """The text.  `directory`: that of prefix(); `clamd`: address of one that answers, if scans_some()."""
    return page_of(conf, directory, clamd).text()


def page_of(conf: Conf, directory: str = PREFIX, clamd: str = "") -> Page:
    """The same, for who has more to say."""
    page = Page()
    page.add(f"# The mail scanner of F-PROT, as {printable(conf.file)} configures it.")
    _notes(page, conf)
    _answers(page, conf)
    _places(page, conf, directory.rstrip("/"))
    _lists(page, conf)
    _engines(page, conf, clamd)
    _rules(page)
    return page


def _notes(page: Page, conf: Conf) -> None:
    for other in conf.others():
        page.add(f"# Without effect: {other.name} ({printable(other.place)}), {other.why}.")
    if conf.value("SCANMAIL_ERROR_POLICY", "") == "pass":
        page.add("# SCANMAIL_ERROR_POLICY=pass: what could not be scanned is delivered unscanned.  Any other choice is safer.")
    if specs(conf):
        page.add("# SCANMAIL_ENGINES=none: no engine is to scan, which cannot be said here; use the option --engine none.")


def _entry(setting: Setting | None, default: object) -> tuple[object, str]:
    return (default, _OWN) if setting is None else (setting.value, setting.origin)


def _answers(page: Page, conf: Conf) -> None:
    """What is written into messages and done about findings."""
    headers: Options = {"status_field": ("", _OWN), "scanned_field": ("X-Antivirus", _OWN)}
    if (header := conf.get("SCANMAIL_HEADER")) is not None:
        headers["scanned_text"] = _entry(header, "")
    page.table("[headers]", headers)
    choice, origin = _entry(conf.get("SCANMAIL_ERROR_POLICY"), "save")
    policy: Options = dict.fromkeys(("malware", "banned", "active"), ("replace", _OWN))
    policy |= {"disinfected": ("disinfect", _OWN), "ambiguous": ("pass", _OWN), "encrypted": ("tag", _OWN)}
    policy |= {word: (_ACTIONS[str(choice)], origin) for word in _FAILURES}
    saved: tuple[str, ...] = _FAILURES if choice == "save" else ()
    if choice == "tempfail":
        saved = _UNREADABLE
        policy |= dict.fromkeys(saved, ("replace", origin))
    unscannable = conf.get("SCANMAIL_UNSCANNABLE")
    if unscannable is not None and unscannable.value == "error":  # what is encrypted is one, like what is corrupt
        policy["encrypted"] = (policy["broken"][0], unscannable.origin)
        saved = (*saved, "encrypted") if saved else ()
    policy |= {"save": (list(saved), origin), "quarantine": ([], _OWN)}
    page.table("[policy]", policy)
    if (seconds := conf.get("SCANMAIL_TIMEOUT")) is not None:
        page.table("[limits]", {"max_scan_s": _entry(seconds, 0)})


def _places(page: Page, conf: Conf, directory: str) -> None:
    """Where things are kept, logged, and asked for."""
    saved, origin = _entry(conf.get("SCANMAIL_QUARANTINEDIR"), f"{directory}/quarantine")
    page.table("[quarantine]", {"enabled": (False, _OWN), "save_as": (f"{saved}/att-$T-$$$-$F", origin)})
    page.table("[backup]", {"directory": _entry(conf.get("SCANMAIL_BACKUPDIR"), f"{directory}/backup")})
    level, facility = (_entry(setting if setting.name else None, setting.value) for setting in conf.log("SCANMAIL"))
    syslog = _entry(conf.get("SCANMAIL_LOGHOST"), "/dev/log")
    page.table("[log]", {"syslog": syslog, "ident": ("scan-mail.pl", _OWN), "facility": facility, "level": level})
    port, origin = _entry(conf.get("SCANMAIL_SERVERPORT"), SERVER_PORT)
    listen = [f"127.0.0.1:{port}"]
    if (socket := conf.get("SCANMAIL_SOCKET")) is not None:
        listen.append(f"unix:{socket.value}")
        origin = socket.origin if origin == _OWN else f"{origin}; {socket.origin}"
    server: Options = {"listen": (listen, origin)}
    if (children := conf.get("SCANMAIL_MAXCHILDREN")) is not None:
        server["max_children"] = _entry(children, 0)
    pid_file = conf.get("SCANMAIL_PIDFILE")
    server["pid_files"] = (list(PID_FILES), _OWN) if pid_file is None else ([pid_file.value], pid_file.origin)
    page.table("[server]", server)


def _lists(page: Page, conf: Conf) -> None:
    lists: Options = {"kind": ("lists", _OWN)}
    for name in ("banlist", "stoplist"):
        setting = conf.get(f"SCANMAIL_{name.upper()}")
        lists[name] = ([], _OWN) if setting is None else ([*_expressions(setting)], setting.origin)
    page.table("[engines.lists]", {**lists, "consistent": (True, _OWN)})
    page.table("[attachments]", {f"banned_{what}": ([], _OWN) for what in ("extensions", "types", "media_types")})


def _engines(page: Page, conf: Conf, clamd: str) -> None:
    """A table for each engine that scans; none if they are left to choose, and see everything."""
    only, only_origin = _only(conf)
    tables = _chosen(conf)
    if only and not tables and not specs(conf):
        tables = [(EngineSpec("yara", "yara", {}), _OWN)]
        if clamd:
            tables.append((EngineSpec("clamd", "clamd", {"addresses": [clamd]}), _OWN))
    for spec, origin in tables:
        table: Options = {"kind": (spec.kind, origin), **{name: (value, origin) for name, value in spec.options.items()}}
        if spec.kind in _DISINFECTING:
            table["disinfect"] = _entry(conf.get("SCANMAIL_DISINFECT"), True)
        if spec.kind == "fpscand":
            table["unscannable"] = _entry(conf.get("SCANMAIL_UNSCANNABLE"), "clean")
        if only:
            table["only"] = (only, only_origin)
        page.table(f"[engines.{keys.toml_key(spec.name)}]", table)


def _chosen(conf: Conf) -> list[tuple[EngineSpec, str]]:
    """The engines that variables name, each with its origin."""
    named = conf.get("SCANMAIL_ENGINES")
    address = conf.get("SCANMAIL_FPSCAND", "FPSCAND_LISTENADDRESS")
    if named is None:
        return [] if address is None else [(EngineSpec("fpscand", "fpscand", {"addresses": [address.value]}), address.origin)]
    if specs(conf):
        return []
    chosen: dict[str, tuple[EngineSpec, str]] = {}
    for text in named.value if isinstance(named.value, tuple) else ():
        try:
            spec = registry.parse_spec(text)
        except ConfigError as error:
            raise named.error(error.message.removeprefix("--engine ")) from None
        if spec.name in chosen:
            raise named.error(f"{spec.name} is there twice")
        if spec.kind in ("none", "attachments", "lists"):
            raise named.error(f"{spec.kind} cannot stand beside others")
        if spec.kind == "fpscand" and not spec.options:
            spec = spec._replace(options={"addresses": [FPSCAND if address is None else address.value]})
        chosen[spec.name] = spec, named.origin
    return list(chosen.values())


def _only(conf: Conf) -> tuple[list[Expression], str]:
    """The expressions of what is scanned; none if that is everything."""
    setting = conf.get("SCANMAIL_SCANLIST")
    if setting is None:
        return [], _OWN
    expressions = [*_expressions(setting)]
    return ([], setting.origin) if any(matches_all(expression.python) for expression in expressions) else (expressions, setting.origin)


def _rules(page: Page) -> None:
    """The order of the mail scanner: ban list, stop list, then names that do not suit the content."""
    rules: dict[str, dict[str, object]] = {
        "banlist": {"finding": "name.banlist", "action": "replace"},
        "stoplist": {"finding": "name.stoplist", "action": "replace", "save": True},
        "inconsistent": {"finding": "name.inconsistent", "action": "defang"},
        "deceptive": {"engine": "attachments", "kind": "banned", "action": "defang"},
    }
    for name, entries in rules.items():
        page.table("[[rule]]", {"name": (name, _OWN)} | {key: (value, "") for key, value in entries.items()})


def _expressions(setting: Setting) -> Sequence[Expression]:
    return setting.value if isinstance(setting.value, tuple) else ()
