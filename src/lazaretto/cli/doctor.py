"""`lazaretto doctor`: is everything there, does it fit together, and does mail get through?

Looks at engines and directories, at what postconf(1) tells, and at whoever answers at the addresses; with --send, hands a
clean message and the EICAR test file to the mail system and says what came back. Nothing is changed.

Exit status: 0 all is well, 1 something should be looked at, 2 something does not work.
See:  postfix_audit.py, doctor_milter.py; docs/postfix.md, docs/sendmail.md
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from lazaretto import regex
from lazaretto.cli import doctor_milter, setup
from lazaretto.cli.postconf import Postconf, PostconfError
from lazaretto.cli.postfix_audit import FAIL, OK, WARN, Check, State, audit, listening, next_hops, normal, paths
from lazaretto.errors import ConfigError, RemoteProtocolError

if TYPE_CHECKING:
    import argparse

    from lazaretto.policy.config import Config

OLD_DAYS = 7  # ClamAV gives out signatures every day
# Of what a server announces: what a message may need on all of its way. The rest is between neighbours.
_END_TO_END = (b"8BITMIME", b"SMTPUTF8", b"DSN")
_STATUS = {OK: 0, WARN: 1, FAIL: 2}
_DATES = ((regex.compile(r"[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}"), "%b %d %H:%M:%S %Y"), (regex.compile(r"\d{4}-\d\d-\d\d"), "%Y-%m-%d"))
# The EICAR test file in hex, so that no scanner objects to this file.
_EICAR = (
    "58354f2150254041505b345c505a58353428505e2937434329377d24"
    "45494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a"
)


def run(args: list[str]) -> int:
    """The command line after `doctor`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="lazaretto doctor",
        description="Check engines, directories, the wiring into Postfix or Sendmail, and the way of a message.",
    )
    setup.add_options(parser)
    parser.add_argument("--postfix-config", metavar="DIR", default="", help="Postfix' configuration directory (default: its own)")
    parser.add_argument("--postconf", metavar="PATH", default="postconf", help='postconf(1); "" if there is no Postfix')
    parser.add_argument(
        "--sendmail-cf",
        metavar="PATH",
        default=doctor_milter.SENDMAIL_CF,
        help=f'Sendmail\'s, "" for none (default: {doctor_milter.SENDMAIL_CF})',
    )
    parser.add_argument("--through", metavar="ADDRESS", default="127.0.0.1:25", help="the SMTP server in front (default: 127.0.0.1:25)")
    parser.add_argument("--send", action="store_true", help="send a clean message and the EICAR test file through it")
    parser.add_argument("--to", metavar="RECIPIENT", default="", help="who gets them")
    parser.add_argument("--from", metavar="SENDER", dest="sender", default="", help="who sends them (default: the null sender)")
    parser.add_argument("--timeout-s", type=float, default=10.0, metavar="SECONDS", help="how long to wait for each (default: 10)")
    parser.add_argument("--json", action="store_true", help="one JSON object a check, a line each")
    options = parser.parse_args(args)
    if options.send and not options.to:
        parser.error("--send needs --to RECIPIENT")
    status = 0
    for check in examine(options):
        status = max(status, _STATUS[check.level])
        _show(check, as_json=options.json)
    return status


def examine(options: argparse.Namespace) -> Iterator[Check]:
    """Everything that the options ask for."""
    try:
        config = setup.config(options)
    except ConfigError as error:
        yield Check(FAIL, "configuration", str(error), "`lazaretto check-config`")
        return
    yield Check(OK, "configuration", setup.config_path(options.config) or "no file, built-in defaults")
    yield from _engines(options, config)
    yield from _directories(options, config)
    state = None
    if options.postconf:
        try:
            state = _state(Postconf(options.postconf, options.postfix_config))
        except FileNotFoundError:
            yield Check(
                WARN, "postfix", f"{options.postconf} is not there: nothing is known of Postfix", '--postconf PATH, or "" without Postfix'
            )
        except (OSError, PostconfError) as error:
            yield Check(FAIL, "postfix", f"its configuration cannot be read: {error}")
    if state is not None and (listening(state, config.settings) or not config.settings["milter.listen"]):
        yield from audit(state, config.settings, config.limits)
    yield from doctor_milter.examine(options, config, state)
    yield from _servers(options, config, state or State({}, ()))
    if options.send:
        yield from _mail(options)


def _state(postconf: Postconf) -> State:
    return State(postconf.effective(), postconf.entries())


# -- this program


def _engines(options: argparse.Namespace, config: Config) -> Iterator[Check]:
    try:
        scanner = setup.scanner(options, config)
    except ConfigError as error:
        yield Check(FAIL, "engines", str(error), "`lazaretto check-config`")
        return
    try:
        for engine in scanner.engines:
            info = engine.info(options.timeout_s)
            about = f"engine {engine.name}"
            if not info.reachable:
                yield Check(
                    FAIL if engine.required else WARN, about, f"does not answer: {info.detail}", "start it; until then its mail waits"
                )
                continue
            days = age_days(info.signatures, time.time())
            text = ", ".join(filter(None, (info.version, info.signatures and f"signatures {info.signatures}")))
            if days > OLD_DAYS:
                yield Check(WARN, about, f"{text}: {days:.0f} days old", "see to freshclam, or what else brings its signatures")
            else:
                yield Check(OK, about, text)
        if all(engine.name in ("attachments", "lists", "filerules") for engine in scanner.engines):
            yield Check(WARN, "engines", "nothing looks for malware", "configure an engine: docs/engines.md")
    finally:
        scanner.close()


def age_days(signatures: str, now: float) -> float:
    """How old signatures are that carry a date; 0 if there is none to be read."""
    for pattern, form in _DATES:
        if found := pattern.search(signatures):
            try:
                return max((now - time.mktime(time.strptime(found[0], form))) / 86400, 0.0)
            except (ValueError, OverflowError):
                continue
    return 0.0


def _directories(options: argparse.Namespace, config: Config) -> Iterator[Check]:
    """Those that are written to, as the user who will write."""
    state = setup.state_directory(options)
    needed = {"spool": config.spool_directory or os.environ.get("TMPDIR") or "/var/tmp"}  # noqa: S108 - where large content lies
    if config.quarantine_enabled:
        needed["quarantine"] = config.quarantine_directory or os.path.join(state, "quarantine")
    if config.settings["backup.mode"] != "off":
        needed["backup"] = str(config.settings["backup.directory"]) or os.path.join(state, "backup")
    user = str(config.settings["process.user"])
    try:
        writable = _writable_by(user, str(config.settings["process.group"]))
    except ConfigError as error:
        yield Check(FAIL, "user", str(error))
        return
    for about, path in needed.items():
        there = path
        while not os.path.lexists(there) and there != os.path.dirname(there):
            there = os.path.dirname(there)  # what is missing is made, where that may be done
        if writable(there):
            yield Check(OK, about, path if there == path else f"{path} (it will be made)")
        else:
            who = user or "this user"
            yield Check(FAIL, about, f"{there} cannot be written to by {who}", f"let {who} own {path}")


def _writable_by(user: str, group: str) -> Callable[[str], bool]:
    """A test of directories, with the rights of who will use them."""
    if os.geteuid() != 0 or not (user or group):
        return lambda path: os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)
    from lazaretto.frontends.privileges import drop, identity

    who = identity(user, group)

    def test(path: str) -> bool:
        pid = os.fork()
        if pid == 0:  # there is no way back from dropping rights: somebody else has to do it
            status = 1
            try:
                drop(who)
                status = 0 if os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK) else 1
            finally:
                os._exit(status)
        return os.waitpid(pid, 0)[1] == 0

    return test


# -- who answers


def _servers(options: argparse.Namespace, config: Config, state: State) -> Iterator[Check]:
    """Greetings, and what is announced on all of the way."""
    settings = config.settings
    spoken = str(settings["smtp.protocol"])
    theirs = str(settings["smtp.next_hop_protocol"]) or spoken
    announced: dict[str, dict[bytes, bytes]] = {}
    asked = dict.fromkeys(listening(state, settings), ("Lazaretto", spoken))
    asked |= dict.fromkeys(next_hops(state, settings), ("next hop", theirs))
    before = any(path.when == "before the queue" and path.address in asked for path in paths(state))
    if before or options.send:
        asked[normal(options.through)] = ("front", "smtp")
    for address, (about, protocol) in asked.items():
        check, keywords = _ask(address, about, protocol, options.timeout_s, state.value("myhostname"))
        yield check
        if check.level != FAIL:
            announced[about] = keywords
    yield from _announced(announced, before=before, smtp=theirs != "lmtp")


def _ask(address: str, about: str, protocol: str, timeout_s: float, postfix: str) -> tuple[Check, dict[bytes, bytes]]:
    from lazaretto.cli.dialogue import Dialogue

    try:
        with Dialogue(address, timeout_s, lmtp=protocol == "lmtp") as peer:
            if peer.greeting.code != 220:
                return Check(FAIL, about, f"{address} says {peer.greeting}"), {}
            keywords = peer.hello()
    except (OSError, RemoteProtocolError, ConfigError) as error:
        return Check(FAIL, about, f"{address} does not answer: {error or 'timed out'}", "start it; look into its log"), {}
    text = f"{address} answers: {peer.greeting}"
    name = (peer.greeting.lines[0].split() or [b""])[0].decode("ascii", "replace")
    if about == "Lazaretto" and postfix and name.lower() == postfix.lower():
        return Check(
            WARN, about, f"{text}; that is Postfix' own name, which it logs as a loop", '[smtp] hostname = "lazaretto.localdomain"'
        ), keywords
    return Check(OK, about, text), keywords


def _announced(servers: Mapping[str, Mapping[bytes, bytes]], *, before: bool, smtp: bool) -> Iterator[Check]:
    ours = servers.get("Lazaretto")
    if ours is None:
        return
    if b"XFORWARD" not in ours:
        yield Check(WARN, "EHLO", "XFORWARD is not announced to this machine: who the client was is lost on the way", "[smtp] trusted")
    if smtp and b"XFORWARD" not in servers.get("next hop", {b"XFORWARD": b""}):
        advice = "for the smtpd behind: -o smtpd_authorized_xforward_hosts=127.0.0.0/8,[::1]/128"
        yield Check(WARN, "EHLO", "the next hop does not announce XFORWARD: it takes Lazaretto for the client", advice)
    front = servers.get("front") if before else None
    needed = [word for word in _END_TO_END if word not in ours and (front is None or word in front)]
    if front is not None and b"CHUNKING" in front:
        needed.append(b"CHUNKING")
    if needed:
        line = f"smtpd_discard_ehlo_keywords = {', '.join(word.decode('ascii').lower() for word in needed)}, silent-discard"
        who = "the server in front announces, and Lazaretto does not" if front is not None else "Lazaretto does not announce"
        yield Check(WARN, "EHLO", f"{who}: {b' '.join(needed).decode('ascii')}", f"for the smtpd in front: {line}")
    else:
        yield Check(OK, "EHLO", b" ".join(sorted(ours)).decode("ascii", "replace"))


# -- mail


def _mail(options: argparse.Namespace) -> Iterator[Check]:
    from lazaretto.cli.dialogue import Dialogue

    sent = token()
    for about, content in messages(options.sender, options.to, sent).items():
        try:
            with Dialogue(options.through, max(options.timeout_s, 120.0)) as peer:
                hello = bool(peer.hello())
                answer = peer.send(options.sender.encode(), [options.to.encode()], content) if hello else None
        except (OSError, RemoteProtocolError, ConfigError) as error:
            yield Check(FAIL, about, f"{options.through}: {error or 'timed out'}")
            continue
        if answer is None:
            yield Check(FAIL, about, f"{options.through} does not greet us")
            continue
        yield judge(about, answer.step, answer.reply.code, f"{answer.step}: {answer.reply}", sent)


def token() -> str:
    """A word that marks test messages of now."""
    return f"{int(time.time()):x}-{os.getpid():x}"


def judge(about: str, step: str, code: int, text: str, token: str) -> Check:
    """What the reply to a test message means."""
    if 400 <= code < 500:
        return Check(FAIL, about, text, "mail waits: the logs of Lazaretto and of the mail system say why")
    if about == "clean message":
        if code >= 500:
            return Check(FAIL, about, text, "clean mail is refused: is --to a recipient here?")
        return Check(OK, about, text, f"it has to arrive, with {token} in its Subject")
    if code >= 500 and step == "end of data":
        return Check(OK, about, text, "refused, as the policy wants")
    if code >= 500:
        return Check(FAIL, about, text, "refused before its content was seen: is --to a recipient here?")
    return Check(OK, about, text, f"taken: if the message with {token} arrives at all, its attachment has to be gone")


def messages(sender: str, recipient: str, token: str) -> dict[str, bytes]:
    """A clean message, and one with the EICAR test file."""
    import base64

    stamp = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())

    def head(what: str) -> str:
        origin = f"From: <{sender or recipient}>\r\nTo: <{recipient}>\r\nSubject: lazaretto doctor {token}: {what}\r\nDate: {stamp}\r\n"
        return f"{origin}Message-ID: <{what.replace(' ', '-')}.{token}@lazaretto.invalid>\r\nMIME-Version: 1.0\r\n"

    clean = "Content-Type: text/plain\r\n\r\nThis message is clean. It has to arrive as it is.\r\n"
    eicar = base64.b64encode(bytes.fromhex(_EICAR)).decode("ascii")
    infected = (
        'Content-Type: multipart/mixed; boundary="=_"\r\n\r\n--=_\r\nContent-Type: text/plain\r\n\r\n'
        "The attachment of this message is the EICAR test file. It is harmless, and must not arrive.\r\n"
        '--=_\r\nContent-Type: application/octet-stream; name="test.bin"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="test.bin"\r\n\r\n{eicar}\r\n--=_--\r\n'
    )
    return {"clean message": (head("clean message") + clean).encode(), "EICAR": (head("EICAR") + infected).encode()}


def _show(check: Check, *, as_json: bool) -> None:
    if as_json:
        import json

        sys.stdout.write(json.dumps(check._asdict()) + "\n")
        return
    sys.stdout.write(f"{check.level:4}  {check.about}: {check.text}\n")
    if check.advice:
        sys.stdout.write(f"      -> {check.advice}\n")
    sys.stdout.flush()
