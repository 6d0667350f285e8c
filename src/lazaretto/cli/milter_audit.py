"""Does the mail system ask Lazaretto as a milter as it should?  Judged from settings alone; doctor_milter.py looks at what runs.

    of_postfix(State(effective, entries), listening, limits)  ->  Checks
    of_sendmail(Filters, listening, limits)                ->  Checks

What fails open, so that mail passes unscanned while Lazaretto does not answer, is a failure, whatever else works.

Limits:  what smtpd_milter_maps says is not read.
See:     postfix_milter.py, sendmail.py: what is right; docs/postfix.md, docs/sendmail.md
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lazaretto.cli import postfix_milter, sendmail
from lazaretto.cli.milter_address import Address
from lazaretto.cli.postconf import Entry, items, seconds, words
from lazaretto.cli.postfix import CLIENT_S, SCAN_S
from lazaretto.cli.postfix_audit import FAIL, OK, WARN, Check, State, sizes
from lazaretto.cli.sendmail_config import Filter, Filters
from lazaretto.limits import DEFAULT, Limits

GREETING_S = 300  # RFC 5321 s4.5.3.2.1: so long a client waits for the greeting, and so for the connection to us
LEAST_S = 20  # what one answer or one write may take on a busy machine
_SIGNERS = ("dkim", "arc", "domainkeys")
_CODES = {"accept": FAIL, "reject": WARN, "quarantine": WARN, "shutdown": WARN}


class Asking(NamedTuple):
    """A list of Milters of Postfix that leads to us."""

    told: str  # where it is configured
    name: str  # of the parameter
    entry: Entry  # of master.cf
    address: Address
    options: dict[str, str]  # inside the braces
    value: str  # all of the list


def leads(to: Address, listening: Sequence[Address]) -> bool:
    """Does this address lead to one of ours?  Who listens everywhere is at every address."""
    return any(to == one or (one.host in ("0.0.0.0", "::") and not to.path and to.port == one.port) for one in listening)  # noqa: S104


def span(limits: Limits) -> float:
    """How long Lazaretto may take for a message: the scan, and what engines take beyond it."""
    return limits.max_scan_s + (SCAN_S - DEFAULT.max_scan_s)


# -- Postfix


def asking(state: State, listening: Sequence[Address]) -> Iterator[Asking]:
    """Every list that leads to us."""
    for one in _lists(state):
        if leads(one.address, listening):
            yield one


def _lists(state: State) -> Iterator[Asking]:
    queue, level = state.value("queue_directory"), state.value("compatibility_level")
    for entry in state.entries:
        name = {"smtpd": "smtpd_milters", "cleanup": "non_smtpd_milters"}.get(entry.command)
        if name is None or "no_milters" in words(state.value("receive_override_options", entry)):
            continue
        value = state.value(name, entry)
        told = f"{name} of {entry.key}" if name in entry.options or name == "smtpd_milters" else name
        for item in items(value):
            if address := postfix_milter.address_of(item, queue, chroot=entry.chrooted(level)):
                yield Asking(told, name, entry, address, postfix_milter.split_item(item)[1], value)


def of_postfix(state: State, listening: Sequence[Address], limits: Limits = DEFAULT) -> Iterator[Check]:
    """All that can be seen of Postfix."""
    wired = list(asking(state, listening))
    if not wired:
        there = [f"{one.told} leads to {one.address.ours}" for one in _lists(state)]
        text = f"no mail comes to Lazaretto at {', '.join(one.ours for one in listening)}: {'; '.join(dict.fromkeys(there)) or 'no Milter'}"
        advice = "`lazaretto setup postfix milter` prints the lines; a chrooted smtpd counts the names of sockets from the queue directory"
        yield Check(FAIL, "milter", text, advice)
        return
    for one in wired:
        yield Check(OK, "milter", f"{one.told}: Postfix asks {one.address.ours}")
        yield from _action(state, one)
        yield from _times(state, one, limits)
        if (version := _option(state, one, "protocol")) != str(postfix_milter.PROTOCOL):
            yield Check(WARN, "milter", f"{one.told}: Postfix speaks version {version} of the protocol", "milter_protocol = 6")
        if one.name == "smtpd_milters" and (proxy := state.value("smtpd_proxy_filter", one.entry)):
            text = f"{one.entry.key} has an smtpd_proxy_filter, {proxy}: a Milter of the same smtpd sees no content"
            yield Check(FAIL, "milter", text, f"take out one of the two; or -o smtpd_milters= below {one.entry.key}, and ask behind it")
    yield from _macros(state, wired)
    told = {one.name for one in wired}
    if "non_smtpd_milters" not in told and any("smtpd_milters" not in one.entry.options for one in wired):
        yield Check(WARN, "milter", "mail from the sendmail command is not filtered", "main.cf: non_smtpd_milters = $smtpd_milters")
    if maps := state.value("smtpd_milter_maps"):
        yield Check(WARN, "milter", f"smtpd_milter_maps is {maps}: its clients may have other Milters, or none; it is not looked into")
    yield from sizes(state, limits)


def _option(state: State, one: Asking, name: str) -> str:
    """As it counts for our item: inside the braces, else of the service, else of main.cf."""
    return one.options.get(name) or state.value(f"milter_{name}", one.entry)


def _action(state: State, one: Asking) -> Iterator[Check]:
    action = _option(state, one, "default_action")
    advice = f"inside the braces of our item of {one.name}: default_action=tempfail"
    if action == "tempfail":
        yield Check(OK, "milter", f"{one.told}: mail waits while Lazaretto does not answer")
    elif action == "accept":
        yield Check(FAIL, "milter", f"{one.told}: mail passes unscanned while Lazaretto does not answer (accept)", advice)
    else:
        level = _CODES.get(action, FAIL)
        yield Check(level, "milter", f"{one.told}: while Lazaretto does not answer, the action is {action!r}", advice)


def _times(state: State, one: Asking, limits: Limits) -> Iterator[Check]:
    waits = {name: seconds(_option(state, one, f"{name}_timeout")) for name in ("connect", "command", "content")}
    ours = span(limits)
    text = f"{one.told}: Postfix waits {waits['content']:g} s for a verdict, Lazaretto may take {ours:g} s, clients wait {CLIENT_S} s"
    if not ours < waits["content"] < CLIENT_S:
        advice = f"inside the braces of our item: content_timeout={_between(ours)}s; else lower [limits] max_scan_s"
        yield Check(WARN, "time-outs", text, advice)
    elif waits["connect"] >= GREETING_S:
        text = f"{one.told}: Postfix waits {waits['connect']:g} s for a connection, and clients {GREETING_S} s for its greeting"
        yield Check(WARN, "time-outs", text, f"connect_timeout={postfix_milter.CONNECT_S}s")
    elif waits["command"] < LEAST_S:
        text = f"{one.told}: Postfix waits no longer than {waits['command']:g} s for an answer"
        yield Check(WARN, "time-outs", text, f"command_timeout={postfix_milter.COMMAND_S}s")
    else:
        yield Check(OK, "time-outs", text)


def _between(ours: float) -> int:
    """A time between what we may take and what clients wait."""
    return max(postfix_milter.CONTENT_S, min(int(ours) + 30, CLIENT_S - 30))


def _macros(state: State, wired: Sequence[Asking]) -> Iterator[Check]:
    lacking: dict[str, list[str]] = {}
    for name, needed in postfix_milter.NEEDED.items():
        for one in wired:
            sent = words(state.value(name, one.entry))
            lacking.setdefault(name, []).extend(macro for macro in needed if macro not in sent and macro.strip("{}") not in sent)
    for name, macros in lacking.items():
        if macros:
            names = " ".join(dict.fromkeys(macros))
            yield Check(WARN, "macros", f"{name} does not send {names}: rules and the log do without", f"main.cf: add it to {name}")
    if not any(lacking.values()):
        yield Check(OK, "macros", "Postfix sends what Lazaretto makes use of")


# -- Sendmail


def filter_of_sendmail(filters: Filters, listening: Sequence[Address]) -> Filter | None:
    """The filter that leads to us, one that is asked if there is one."""
    ours = [one for one in filters.filters.values() if one.where is not None and leads(one.where, listening)]
    return next((one for one in ours if one.name in filters.order), ours[0] if ours else None)


def of_sendmail(filters: Filters, listening: Sequence[Address], limits: Limits = DEFAULT) -> Iterator[Check]:
    """All that can be seen of Sendmail."""
    one = filter_of_sendmail(filters, listening)
    if one is None:
        there = [f"{name} is at {filter_.socket}" for name, filter_ in filters.filters.items()]
        text = f"no mail comes to Lazaretto at {', '.join(address.ours for address in listening)}: {'; '.join(there) or 'no filter'}"
        yield Check(FAIL, "milter", text, "`lazaretto setup sendmail` prints the lines")
        return
    if one.name not in filters.order:
        advice = f"sendmail.mc: INPUT_MAIL_FILTER instead of MAIL_FILTER, or add it to confINPUT_MAIL_FILTERS ({one.name})"
        yield Check(FAIL, "milter", f"X{one.name} is defined, and never asked: InputMailFilters does not name it", advice)
    else:
        yield Check(OK, "milter", f"X{one.name}: Sendmail asks {one.socket}")
    for problem in one.problems:
        yield Check(FAIL, "milter", f"X{one.name}: {problem}", f"expected: {sendmail.Lines(listening[0]).equates}")
    unknown = [name for name in filters.order if name not in filters.filters]
    if unknown:
        yield Check(FAIL, "milter", f"InputMailFilters names what is not defined: {', '.join(unknown)}", "Sendmail does not start so")
    yield from _flag(one)
    yield from _order(filters, one)
    yield from _sendmail_times(one, limits)
    yield from _sendmail_macros(filters)


def _flag(one: Filter) -> Iterator[Check]:
    advice = f"X{one.name}: F=T"
    if "T" in one.flags or "4" in one.flags:
        yield Check(OK, "milter", f"X{one.name}: mail waits while Lazaretto does not answer")
    elif "R" in one.flags:
        yield Check(WARN, "milter", f"X{one.name}: mail is refused for good while Lazaretto does not answer (F=R)", advice)
    else:
        yield Check(FAIL, "milter", f"X{one.name}: mail passes unscanned while Lazaretto does not answer (no F=)", advice)


def _order(filters: Filters, one: Filter) -> Iterator[Check]:
    before = filters.order[: filters.order.index(one.name)] if one.name in filters.order else ()
    if signers := [name for name in before if any(word in name.lower() for word in _SIGNERS)]:
        text = f"{', '.join(signers)} is asked before {one.name}: what it signs may be changed afterwards"
        yield Check(WARN, "milter", text, "if it signs, let it come after Lazaretto in InputMailFilters")


def _sendmail_times(one: Filter, limits: Limits) -> Iterator[Check]:
    ours, waits = span(limits), one.timeouts
    text = f"X{one.name}: Sendmail waits {waits['E']:g} s for a verdict, Lazaretto may take {ours:g} s, clients wait {CLIENT_S} s"
    if not ours < waits["E"] < CLIENT_S:
        yield Check(WARN, "time-outs", text, f"T=...;E:{_between(ours)}s, else lower [limits] max_scan_s")
    elif min(waits["R"], waits["S"]) < LEAST_S:
        text = f"X{one.name}: Sendmail waits no longer than {min(waits['R'], waits['S']):g} s for an answer or a write"
        yield Check(WARN, "time-outs", text, f"T=S:{sendmail.WRITE_S}s;R:{sendmail.READ_S}s;...")
    elif waits["C"] >= GREETING_S:
        text = f"X{one.name}: Sendmail waits {waits['C']:g} s for a connection, and clients {GREETING_S} s for its greeting"
        yield Check(WARN, "time-outs", text, f"T=C:{sendmail.CONNECT_S}s;...")
    else:
        yield Check(OK, "time-outs", text)


def _sendmail_macros(filters: Filters) -> Iterator[Check]:
    lacking = {stage: [name for name in needed if name not in filters.macros.get(stage, ())] for stage, needed in sendmail.NEEDED.items()}
    for stage, names in lacking.items():
        if names:
            text = f"Milter.macros.{stage} does not send {' '.join(names)}: rules and the log do without"
            yield Check(WARN, "macros", text, "`lazaretto setup sendmail` prints the lines")
    if not any(lacking.values()):
        yield Check(OK, "macros", "Sendmail sends what Lazaretto makes use of")
