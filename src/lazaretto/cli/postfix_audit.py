"""Does what Postfix is told fit what Lazaretto is told?  Judged from their settings alone; doctor.py looks at what runs.

    audit(State(effective, entries), settings, limits)  ->  Checks

Limits:  of the tables that can route mail, only the parameters are read: transport_maps and access tables with
         FILTER actions are not.
See:     postfix.py, the wirings that are known; docs/postfix.md; RFC 5321 s4.5.3.2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import NamedTuple, cast

from lazaretto.cli.postconf import Entry, seconds, words
from lazaretto.cli.postfix import CLIENT_S, SCAN_S
from lazaretto.limits import DEFAULT, Limits

OK, WARN, FAIL = "OK", "WARN", "FAIL"
_DELIVERIES = ("mailbox_transport", "virtual_transport", "local_transport", "relay_transport", "default_transport")
_BEFORE, _AFTER, _DELIVERY = "before the queue", "after the queue", "on delivery"
_CLIENTS = {"smtp": "smtp", "lmtp": "lmtp", "relay": "smtp"}


class Check(NamedTuple):
    """One thing that was looked at."""

    level: str  # OK, WARN, FAIL
    about: str
    text: str  # how it is
    advice: str = ""  # what to do


class State(NamedTuple):
    """What postconf(1) tells."""

    effective: Mapping[str, str]  # every parameter
    entries: Sequence[Entry]

    def value(self, name: str, entry: Entry | None = None) -> str:
        """A parameter, as the service has it."""
        if entry is not None and name in entry.options:
            return entry.options[name]
        return self.effective.get(name, "")


class Path(NamedTuple):
    """A way that mail takes to a filter."""

    when: str
    told: str  # where it is configured
    address: str  # as in lazaretto.toml
    waits: Entry | None  # the service that waits for the filter; None: there is none of that name


def audit(state: State, settings: Mapping[str, object], limits: Limits = DEFAULT) -> Iterator[Check]:
    """All that can be seen."""
    ours = listening(state, settings)
    if not ours:
        advice = "set [smtp] listen; `lazaretto setup postfix` prints the lines"
        yield Check(FAIL, "listen", "Lazaretto listens nowhere for mail, and no spawn service starts it", advice)
        return
    found = list(paths(state))
    wired = [path for path in found if path.address in ours]
    if not wired:
        elsewhere = "; ".join(f"{path.told} leads to {path.address}" for path in found) or "no filter is configured"
        yield Check(
            FAIL, "wiring", f"no mail comes to Lazaretto at {', '.join(ours)}: {elsewhere}", "`lazaretto setup postfix` shows the ways"
        )
    for path in wired:
        yield Check(OK, "wiring", f"{path.told}: mail goes to {path.address} {path.when}")
        yield from _path(state, path, settings, limits)
    whens = {path.when for path in wired}
    yield from _next_hop(state, settings, whens)
    yield from sizes(state, limits)
    yield from _recipients(state, settings, whens)


def listening(state: State, settings: Mapping[str, object]) -> list[str]:
    """Where Lazaretto takes mail: [smtp] listen, and what spawn(8) starts it for."""
    listed = [normal(address) for address in cast("Sequence[str]", settings["smtp.listen"])]
    return listed + [normal(entry.name) for entry in _spawned(state)]


def next_hops(state: State, settings: Mapping[str, object]) -> list[str]:
    """Where Lazaretto hands mail on: [smtp] next_hop, and what spawn(8) tells it."""
    listed = [normal(str(settings["smtp.next_hop"]))] if settings["smtp.listen"] else []
    spawned = [normal(entry.arguments.split()[-1]) for entry in _spawned(state)]
    return [*dict.fromkeys(listed + spawned)]


def paths(state: State) -> Iterator[Path]:
    """Every way to a filter, or to a delivery by LMTP or SMTP of its own."""
    carriers = {entry.name: entry for entry in state.entries if entry.kind in ("unix", "fifo")}
    queue = state.value("queue_directory")
    for entry in state.entries:
        if entry.command == "smtpd" and (value := state.value("smtpd_proxy_filter", entry)):
            yield Path(_BEFORE, f"smtpd_proxy_filter of {entry.key}", _place(value, entry, queue), entry)
    filters = [("content_filter", state.value("content_filter"))]
    filters += [(f"content_filter of {entry.key}", entry.options.get("content_filter", "")) for entry in state.entries]
    deliveries = [(name, state.value(name)) for name in _DELIVERIES]
    for when, settings in ((_AFTER, filters), (_DELIVERY, deliveries)):
        for told, value in settings:
            transport, _, where = value.partition(":")
            carrier = carriers.get(transport)
            if where and (when == _AFTER or (carrier is not None and carrier.command in _CLIENTS)):
                yield Path(when, told, _place(where, carrier, queue), carrier)


def normal(address: str) -> str:
    """One spelling for each address: 127.0.0.1:10025, [::1]:10025, unix:/path."""
    if address.startswith("unix:"):
        return address
    host, _, port = address.removeprefix("inet:").rpartition(":")
    host = host.strip("[]")
    host = {"localhost": "127.0.0.1", "": "0.0.0.0"}.get(host, host)  # noqa: S104 - what no host means to Postfix
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _place(address: str, entry: Entry | None, queue: str) -> str:
    """The address as the service will understand it: names of sockets count from the queue directory."""
    if not address.startswith("unix:"):
        return normal(address)
    path = address.removeprefix("unix:")
    inside = entry is not None and entry.chroot == "y"
    return f"unix:{queue}/{path.lstrip('/')}" if inside or not path.startswith("/") else address


def _spawned(state: State) -> list[Entry]:
    names = ("lazaretto", "scan-mail")
    return [entry for entry in state.entries if entry.command == "spawn" and any(name in entry.arguments for name in names)]


# -- on the way to us


def _path(state: State, path: Path, settings: Mapping[str, object], limits: Limits) -> Iterator[Check]:
    if path.waits is None:
        yield Check(
            FAIL, "wiring", f"{path.told} names a transport that master.cf does not have: mail waits in the queue", "add it to master.cf"
        )
        return
    entry = path.waits
    if entry.command == "smtpd":
        client, limit_name = "smtp", "smtpd_proxy_timeout"
    elif entry.command in _CLIENTS:
        client = _CLIENTS[entry.command]
        limit_name = f"{client}_data_done_timeout"
        yield from _carrier(state, entry, client)
    else:
        yield Check(WARN, "wiring", f"{entry.key} is {entry.command}, which is not looked into")
        return
    spoken = str(settings["smtp.protocol"])
    if client != spoken and not _spawned(state):
        yield Check(
            FAIL, "protocol", f"{entry.key} speaks {client.upper()}, and Lazaretto {spoken.upper()}", f'[smtp] protocol = "{client}"'
        )
    yield from _times(state, entry, limit_name, settings, limits)
    if path.when == _AFTER and "no_address_mappings" not in words(state.value("receive_override_options")):
        advice = "main.cf: receive_override_options = no_address_mappings"
        yield Check(WARN, "aliases", "aliases are expanded before the filter and after it: some recipients get mail twice", advice)


def _carrier(state: State, entry: Entry, client: str) -> Iterator[Check]:
    wanted = {
        f"{client}_send_xforward_command": ("yes", "Lazaretto and the log do not learn who the client was"),
        "disable_mime_output_conversion": ("yes", "8-bit mail is converted on its way to the filter"),
        f"{client}_generic_maps": ("", "sender addresses are rewritten on the way to the filter"),
    }
    for name, (value, otherwise) in wanted.items():
        if state.value(name, entry) != value:
            yield Check(WARN, "transport", f"{entry.key}: {otherwise}", f"master.cf, below {entry.key}: -o {name}={value}")
    if state.value(f"{client}_tls_security_level", entry) not in ("", "none", "may"):
        yield Check(FAIL, "transport", f"{entry.key} insists on TLS", f"master.cf, below {entry.key}: -o {client}_tls_security_level=none")


def _times(state: State, entry: Entry, name: str, settings: Mapping[str, object], limits: Limits) -> Iterator[Check]:
    """Who waits for whom at the end of a message."""
    margin = SCAN_S - DEFAULT.max_scan_s
    ours = limits.max_scan_s + margin + float(cast("float", settings["smtp.end_of_data_timeout_s"]))
    theirs = seconds(state.value(name, entry))
    chain = f"{name} of {entry.key} is {theirs:g} s, and Lazaretto may take {ours:g} s (scan and next hop)"
    if theirs <= ours:
        advice = f"raise {name}, or lower [smtp] end_of_data_timeout_s: who gives up first is given the mail twice"
        yield Check(WARN, "time-outs", chain, advice)
    elif name == "smtpd_proxy_timeout" and theirs >= CLIENT_S:
        yield Check(WARN, "time-outs", f"{chain}; clients wait for {CLIENT_S} s", f"{name} = {CLIENT_S - 120}s")
    else:
        yield Check(OK, "time-outs", chain)
    if _spawned(state) and seconds(state.value("command_time_limit")) <= ours:
        yield Check(
            WARN,
            "time-outs",
            f"spawn(8) ends Lazaretto after {state.value('command_time_limit')}",
            f"command_time_limit = {ours + 300:.0f}s",
        )


# -- on the way from us


def _next_hop(state: State, settings: Mapping[str, object], whens: set[str]) -> Iterator[Check]:
    protocol = str(settings["smtp.next_hop_protocol"] or settings["smtp.protocol"])
    for target in next_hops(state, settings):
        entry = next((one for one in state.entries if one.kind == "inet" and _same(normal(one.name), target)), None)
        if entry is not None and entry.command == "smtpd":
            yield from _back(state, entry, whens)
        elif protocol == "smtp" and whens:
            yield Check(
                WARN, "next hop", f"master.cf has no smtpd at {target}: mail goes on to something else, or nowhere", "see [smtp] next_hop"
            )


def _same(name: str, target: str) -> bool:
    """A service without a host is at every address."""
    return name == target or (name.startswith("0.0.0.0:") and name.rpartition(":")[2] == target.rpartition(":")[2])


def _back(state: State, entry: Entry, whens: set[str]) -> Iterator[Check]:
    """The smtpd that gets the mail back."""
    worst = OK
    for level, text, option in _faults(state, entry, whens):
        worst = level
        yield Check(level, "next hop", f"{entry.key}: {text}", f"master.cf, below {entry.key}: -o {option}")
    if worst == OK:
        yield Check(OK, "next hop", f"{entry.key} takes mail back from this machine only, and sends it on")


def _faults(state: State, entry: Entry, whens: set[str]) -> Iterator[tuple[str, str, str]]:
    def value(name: str) -> str:
        return state.value(name, entry)

    for name in ("content_filter", "smtpd_proxy_filter"):
        if value(name):
            yield FAIL, f"what has been filtered is filtered again, for ever: {name} is {value(name)}", f"{name}="
    loopback = "127.0.0.0/8,[::1]/128"
    if not all(map(_is_loopback, words(value("mynetworks")))):
        yield (
            (WARN if _is_loopback(normal(entry.name).rpartition(":")[0]) else FAIL),
            "others than this machine may relay here",
            f"mynetworks={loopback}",
        )
    if words(value("smtpd_recipient_restrictions")) != ["permit_mynetworks", "reject"]:
        yield WARN, "who may hand in mail is not just this machine", "smtpd_recipient_restrictions=permit_mynetworks,reject"
    if value("smtpd_relay_restrictions") and "permit_mynetworks" not in words(value("smtpd_relay_restrictions")):
        yield FAIL, "smtpd_relay_restrictions refuse what was accepted in front", "smtpd_relay_restrictions="
    if not any(map(_is_loopback, words(value("smtpd_authorized_xforward_hosts")))):
        yield WARN, "Lazaretto may not tell who the client was", f"smtpd_authorized_xforward_hosts={loopback}"
    if value("local_header_rewrite_clients"):
        yield WARN, "headers of mail from outside are completed as if it were mail of this site", "local_header_rewrite_clients="
    overrides = words(value("receive_override_options"))
    twice = ["no_unknown_recipient_checks"] + (["no_header_body_checks", "no_milters"] if _AFTER in whens else [])
    if missing := [word for word in twice if word not in overrides]:
        option = f"receive_override_options={','.join(twice)}"
        yield WARN, f"what was checked in front is checked again ({', '.join(missing)})", option
    if "no_address_mappings" in overrides:
        yield FAIL, "aliases are never expanded", f"receive_override_options={','.join(twice)}"
    if whens == {_BEFORE} and (lost := [word for word in ("no_header_body_checks", "no_milters") if word in overrides]):
        yield (
            WARN,
            f"in front of the filter they see no content, and here they are switched off ({', '.join(lost)})",
            f"receive_override_options={twice[0]}",
        )


def _is_loopback(network: str) -> bool:
    try:
        return ip_network(network.replace("[", "").replace("]", ""), strict=False).is_loopback
    except ValueError:
        return False  # a table, a name


# -- sizes


def sizes(state: State, limits: Limits) -> Iterator[Check]:
    """Does Postfix take messages that Lazaretto does not?"""
    size = state.value("message_size_limit")
    theirs = int(size) if size.isdecimal() else 0
    text = f"Postfix takes messages of {theirs or 'any number of'} bytes, Lazaretto of {limits.max_message_bytes}"
    if theirs == 0 or theirs > limits.max_message_bytes:
        advice = f"main.cf: message_size_limit = {limits.max_message_bytes}, or raise [limits] max_message_bytes"
        yield Check(WARN, "sizes", f"{text}: larger ones are refused after they were taken", advice)
    else:
        yield Check(OK, "sizes", text)


def _recipients(state: State, settings: Mapping[str, object], whens: set[str]) -> Iterator[Check]:
    recipients = state.value("smtpd_recipient_limit")
    ours = int(cast("int", settings["smtp.max_recipients"]))
    if _BEFORE in whens and recipients.isdecimal() and int(recipients) > ours:
        text = f"Postfix takes {recipients} recipients of a message, Lazaretto {ours}"
        yield Check(WARN, "sizes", text, f"[smtp] max_recipients = {recipients}")
