"""The ways to wire Lazaretto into Postfix, as data and as text: what stands in main.cf, in master.cf, in lazaretto.toml, and why.

    before-queue      smtpd(8) hands each message over before it takes it: refusals reach the client
    after-queue       mail is queued, filtered over TCP, and comes back by SMTP
    after-queue-unix  the same over a UNIX socket; Postfix speaks LMTP there, never SMTP
    spawn             the same, and Postfix starts a process for each connection
    lmtp              mail on its way to the mailbox server, by LMTP
    submission        before-queue, only for the users of this site
    milter            smtpd(8) and cleanup(8) ask as they ask other Milters: postfix_milter.py

Nothing here looks at a running Postfix: setup_postfix.py does, and doctor.py.

See:  docs/postfix.md (made from this); master(5), smtpd(8), smtp(8), spawn(8)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

TRANSPORT = "lazaretto"  # the service in master.cf that carries mail to us
HOSTNAME = "lazaretto.localdomain"  # whoever greets Postfix with its own name is logged as a loop
QUEUE = "/var/spool/postfix"  # queue_directory
LOOPBACK = "127.0.0.0/8,[::1]/128"

# Who waits for whom at the end of a message: each must wait longer than the next.
CLIENT_S = 600  # RFC 5321 s4.5.3.2.6
PROXY_S = 480  # smtpd_proxy_timeout
DATA_DONE_S = 900  # of Postfix' own client; ours are the defaults, SCAN_S and 600 s for the next hop
NEXT_HOP_S = 300  # of ours before the queue; with SCAN_S, less than PROXY_S
SCAN_S = 90  # limits.max_scan_s and what engines may take beyond it (frontends/smtp_settings.py)

SPAWN = "proxy --spawn --next-hop"  # and the address: what spawn(8) starts

_WIDTH = 110


class Setting(NamedTuple):
    """One parameter, and why."""

    name: str
    value: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class Service(NamedTuple):
    """A new entry of master.cf."""

    name: str
    kind: str  # inet, unix
    command: str
    settings: tuple[Setting, ...]
    why: str
    unprivileged: str = "-"
    processes: str = "-"
    arguments: str = ""

    @property
    def key(self) -> str:
        return f"{self.name}/{self.kind}"


class Wiring(NamedTuple):
    """All that one way needs."""

    name: str
    main: tuple[Setting, ...] = ()
    # For entries of master.cf that are there already: those of the first tuple that exist.
    front: tuple[str, ...] = ()
    front_settings: tuple[Setting, ...] = ()
    services: tuple[Service, ...] = ()
    ours: tuple[Setting, ...] = ()  # section.key and TOML value
    remarks: tuple[str, ...] = ()


class Places(NamedTuple):
    """Where things are: addresses as in lazaretto.toml."""

    listen: str = ""  # "": the wiring's own
    next_hop: str = ""
    command: str = "/usr/local/bin/lazaretto"
    user: str = "lazaretto"
    processes: int = 10  # messages under way to us at a time, after the queue
    services: tuple[str, ...] = ()  # of master.cf, that are to be wired; (): the wiring's own
    scan_only: str = ""  # {FP_SCANONLY}: expressions of the recipients whose mail is scanned; "": all
    queue: str = QUEUE


_USUAL = Places()


def wiring(name: str, places: Places = _USUAL) -> Wiring:
    """The wiring `name`; ValueError where the addresses do not fit."""
    kind = WIRINGS[name]
    places = places._replace(listen=places.listen or kind.listen, next_hop=places.next_hop or kind.next_hop)
    if name == "milter":
        return kind.make(name, places)  # it has more spellings of addresses, and no next hop
    if places.scan_only:
        raise ValueError(f"{name} has no --scan-only: that is a macro, which only milters are told")
    if (name == "after-queue-unix") != places.listen.startswith("unix:") and name in ("after-queue", "after-queue-unix", "spawn"):
        raise ValueError(f"{name} needs an address of the form {'unix:PATH' if name == 'after-queue-unix' else 'HOST:PORT'} to listen at")
    if places.listen.startswith("unix:") and not places.listen.startswith("unix:/"):
        raise ValueError("expected the whole path of the socket, unix:/PATH")
    if name != "lmtp" and places.next_hop.startswith("unix:"):
        raise ValueError("mail comes back to Postfix over TCP: expected HOST:PORT for the next hop")
    return kind.make(name, places)


def _before_queue(name: str, places: Places) -> Wiring:
    front = ("smtp/inet",) if name == "before-queue" else ("submission/inet", "submissions/inet", "smtps/inet")
    remarks = ["Mail from the sendmail command does not pass smtpd: it is not filtered."]
    where = places.listen
    if where.startswith(f"unix:{places.queue}/"):
        where = f"unix:{where.removeprefix(f'unix:{places.queue}/')}"  # so it is found from within chroot, and from without
    elif where.startswith("unix:"):
        remarks.append(f"An smtpd with chroot=y sees no sockets but those below {places.queue}: let [smtp] listen be there.")
    return Wiring(
        name,
        front=front,
        front_settings=(
            Setting("smtpd_proxy_filter", where, "Each message goes through Lazaretto before Postfix says that it has it."),
            Setting(
                "smtpd_proxy_options", "speed_adjust", "Only whole messages are handed over: slow clients hold no place in the filter."
            ),
            Setting(
                "smtpd_proxy_timeout",
                f"{PROXY_S}s",
                f"Shorter than the {CLIENT_S} s that clients wait after the final dot, longer than all that Lazaretto may take.",
            ),
            Setting(
                "smtpd_discard_ehlo_keywords",
                "chunking,silent-discard",
                "A filter is given DATA. With BDAT, the client counts bytes where the filter looks for a dot: two views of one message.",
            ),
        ),
        services=(_back(places, "no_unknown_recipient_checks", _BEFORE),),
        ours=(
            *_ours(places),
            Setting(
                "smtp.end_of_data_timeout_s",
                f"{NEXT_HOP_S}.0",
                f"With the {SCAN_S} s that a scan may take, less than smtpd_proxy_timeout, {PROXY_S} s.",
            ),
        ),
        remarks=tuple(remarks),
    )


def _after_queue(name: str, places: Places) -> Wiring:
    unix = name == "after-queue-unix"
    where = places.listen if unix else _bracketed(places.listen)
    services: tuple[Service, ...] = (_carrier("lmtp" if unix else "smtp", places), _back(places, _ALL_DONE, _AFTER))
    ours = _ours(places)
    if unix:
        protocols = (
            Setting("smtp.protocol", '"lmtp"', "What Postfix speaks over a UNIX socket."),
            Setting("smtp.next_hop_protocol", '"smtp"'),
        )
        ours = (*ours, *protocols)
    if name == "spawn":
        services = (*services, _spawned(places))
        ours = ours[-1:]  # the addresses stand in master.cf
    remarks = ("What is refused here has been accepted by Postfix: it bounces. Let the policy replace, discard or quarantine.",)
    return Wiring(
        name,
        main=(
            Setting("content_filter", f"{TRANSPORT}:{where}", "All mail goes through Lazaretto, also from the sendmail command."),
            Setting(
                "receive_override_options",
                "no_address_mappings",
                "Aliases are expanded once, when the mail has come back; else some recipients would get it twice.",
            ),
        ),
        services=services,
        ours=ours,
        remarks=remarks,
    )


def _lmtp(name: str, places: Places) -> Wiring:
    where = places.listen if places.listen.startswith("unix:") else f"inet:{_bracketed(places.listen)}"
    why = "Mail for mailboxes goes through Lazaretto to the LMTP server behind it, which answers for each recipient."
    return Wiring(
        name,
        main=(
            Setting("mailbox_transport", f"{TRANSPORT}:{where}", why),
            Setting("virtual_transport", f"{TRANSPORT}:{where}", "The same for virtual mailbox domains."),
        ),
        services=(_carrier("lmtp", places),),
        ours=(*_ours(places), Setting("smtp.protocol", '"lmtp"')),
        remarks=(
            "Mail to other sites is not filtered.",
            "The next hop is the LMTP server that mailbox_transport or virtual_transport named until now.",
        ),
    )


def _milter(name: str, places: Places) -> Wiring:
    from lazaretto.cli.postfix_milter import milter

    return milter(name, places)


def _carrier(client: str, places: Places) -> Service:
    """The client of Postfix that brings mail to us."""
    settings = (
        Setting(
            f"{client}_send_xforward_command", "yes", "Tells who the client was: for rules, the log, and the smtpd that gets the mail back."
        ),
        Setting(
            f"{client}_data_done_timeout",
            f"{DATA_DONE_S}s",
            f"Longer than all that Lazaretto may take, {SCAN_S} s and 600 s: a client that gives up too early sends the mail twice.",
        ),
        Setting("disable_mime_output_conversion", "yes", "The message is not changed on its way to the filter."),
        Setting(f"{client}_generic_maps", "", "Addresses are rewritten when mail leaves the site, not on the way to the filter."),
        Setting(f"{client}_tls_security_level", "none", "The connection does not leave this machine."),
        Setting(f"{client}_sasl_auth_enable", "no"),
    )
    why = "Carries mail to Lazaretto, so many messages at a time: as many as there are scan processes is right."
    return Service(TRANSPORT, "unix", client, settings, why, processes=str(places.processes))


_ALL_DONE = "no_unknown_recipient_checks,no_header_body_checks,no_milters"
_AFTER = "Recipients, header_checks, body_checks and Milters have had their turn when the mail came in."
_BEFORE = (
    "Recipients have been checked in front of the filter. header_checks, body_checks and Milters have not seen the content before: "
    "they work here, so no no_header_body_checks and no no_milters."
)


def _back(places: Places, overrides: str, why: str) -> Service:
    """The smtpd that gets the mail back."""
    nothing = "What was to be checked about the client was checked in front of the filter; here the client is the filter."
    settings = (
        Setting("syslog_name", f"postfix/{TRANSPORT}", "The log tells the two passes apart."),
        Setting("content_filter", "", "What has been filtered is not filtered again: without these two lines, mail goes round in circles."),
        Setting("smtpd_proxy_filter", ""),
        Setting("receive_override_options", overrides, why),
        Setting(
            "mynetworks",
            LOOPBACK,
            "Only this machine may hand in mail here, and it may for all recipients: nobody else, or it is an open relay.",
        ),
        Setting("smtpd_recipient_restrictions", "permit_mynetworks,reject"),
        Setting(
            "smtpd_relay_restrictions", "", "Asked besides the line above since Postfix 2.10, and would refuse what was accepted in front."
        ),
        Setting("smtpd_client_restrictions", "", nothing),
        *(Setting(f"smtpd_{step}_restrictions", "") for step in ("helo", "sender", "data", "end_of_data")),
        Setting(
            "smtpd_authorized_xforward_hosts",
            LOOPBACK,
            "Lazaretto may tell who the client was: without this, the log knows only 127.0.0.1.",
        ),
        Setting(
            "local_header_rewrite_clients",
            "",
            "Mail from outside comes from 127.0.0.1 here. Its header must not be completed as if it were mail of this site.",
        ),
        Setting("smtpd_discard_ehlo_keywords", "chunking,etrn,silent-discard", "Lazaretto uses neither."),
        Setting("smtpd_tls_security_level", "none", "The connection does not leave this machine."),
        Setting("smtpd_sasl_auth_enable", "no"),
    )
    return Service(places.next_hop, "inet", "smtpd", settings, "Gets the mail back from Lazaretto.")


def _spawned(places: Places) -> Service:
    why = (
        f"Starts Lazaretto for each connection, as {places.user}: not nobody, not root, not postfix. "
        "spawn(8) ends it after 1000 s (command_time_limit), which is longer than it may take for a message."
    )
    arguments = f"user={places.user} argv={places.command} {SPAWN} {places.next_hop}"
    return Service(places.listen, "inet", "spawn", (), why, "n", str(places.processes), arguments)


def _ours(places: Places) -> tuple[Setting, ...]:
    return (
        Setting("smtp.listen", f'["{places.listen}"]'),
        Setting("smtp.next_hop", f'"{places.next_hop}"'),
        Setting("smtp.hostname", f'"{HOSTNAME}"', "Not the name of Postfix: a server that greets with its own is logged as a loop."),
    )


def _bracketed(address: str) -> str:
    """As Postfix wants a host that is not to be looked up as a mail domain."""
    host, _, port = address.rpartition(":")
    return f"{host}:{port}" if host.startswith("[") else f"[{host}]:{port}"


class Kind(NamedTuple):
    """What there is to know about a wiring before it is made."""

    make: Callable[[str, Places], Wiring]
    summary: str
    listen: str = "127.0.0.1:10025"
    next_hop: str = "127.0.0.1:10026"


WIRINGS: dict[str, Kind] = {
    "before-queue": Kind(_before_queue, "Postfix asks before it takes a message: refusals reach the client"),
    "after-queue": Kind(_after_queue, "Postfix takes a message, has it filtered over TCP, and gets it back"),
    "after-queue-unix": Kind(_after_queue, "the same over a UNIX socket, where Postfix speaks LMTP", "unix:/run/lazaretto/lmtp.sock"),
    "spawn": Kind(_after_queue, "the same over TCP, with a process that Postfix starts for each connection"),
    "lmtp": Kind(_lmtp, "mail on its way to the mailbox server", next_hop="unix:/run/dovecot/lmtp"),
    "submission": Kind(_before_queue, "before-queue, only for the users of this site"),
    "milter": Kind(_milter, "Postfix asks step by step, as it asks other Milters, also about mail from programs", "127.0.0.1:12200"),
}


# -- as text


def main_text(made: Wiring) -> str:
    """The lines of main.cf."""
    return "\n".join(line for setting in made.main for line in (*comment(setting.why), f"{setting.name} = {setting.value}")) + "\n" * bool(
        made.main
    )


def front_text(made: Wiring) -> str:
    """The lines that go below entries of master.cf that are there."""
    return "".join(f"{line}\n" for line in _options(made.front_settings))


def services_text(made: Wiring) -> str:
    """The new entries of master.cf."""
    lines: list[str] = []
    for service in made.services:
        columns = (service.name, service.kind, "-" if service.kind == "unix" else "n", service.unprivileged, "n", "-", service.processes)
        lines += [*comment(service.why), f"{' '.join(columns)} {service.command}", *_options(service.settings)]
        lines += [f"    {service.arguments}"] * bool(service.arguments)
    return "".join(f"{line}\n" for line in lines)


def ours_text(made: Wiring) -> str:
    """The lines of lazaretto.toml."""
    lines: list[str] = []
    section = ""
    for setting in made.ours:
        head, _, key = setting.name.partition(".")
        if head != section:
            section = head
            lines.append(f"[{section}]")
        lines += [*comment(setting.why), f"{key} = {setting.value}"]
    return "".join(f"{line}\n" for line in lines)


def text(made: Wiring, directory: str = "/etc/postfix", configuration: str = "/etc/lazaretto/lazaretto.toml") -> str:
    """Everything, ready to be read and pasted."""
    pieces = []
    if made.main:
        pieces.append(f"# {directory}/main.cf\n\n{main_text(made)}")
    if made.front_settings:
        entries = ", ".join(f'"{key.replace("/", " ")}"' for key in made.front)
        pieces.append(
            f"# {directory}/master.cf, below the entry {entries}{' (each that is there)' * (len(made.front) > 1)}\n\n{front_text(made)}"
        )
    if made.services:
        pieces.append(f"# {directory}/master.cf, new\n\n{services_text(made)}")
    if made.ours:
        pieces.append(f"# {configuration}\n\n{ours_text(made)}")
    return "\n".join(pieces)


def _options(settings: Iterable[Setting]) -> Iterable[str]:
    for setting in settings:
        yield from (f"    {line}" for line in comment(setting.why))
        yield f"    -o {setting}"


def comment(why: str) -> list[str]:
    import textwrap

    return textwrap.wrap(why, _WIDTH, initial_indent="# ", subsequent_indent="# ") if why else []
