"""Lazaretto as a Milter of Postfix: what stands in main.cf, and what it must not meet there.

Each parameter of ours stands inside the braces of our own list item: outside they are for all Milters, and many a guide
for another one says milter_default_action = accept, with which mail passes unscanned while Lazaretto is down.

Errors:  ValueError for addresses that do not fit.
See:     postfix.py; docs/postfix.md; postconf(5), smtpd_milters, milter_connect_macros
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lazaretto.cli import milter_address
from lazaretto.cli.postconf import Entry, enclosed, items, words
from lazaretto.cli.postfix import CLIENT_S, QUEUE, SCAN_S, Places, Setting, Wiring

# Who waits for whom: Postfix for each answer, which at the end of a message is, at the latest, the next sign of progress.
CONNECT_S = 30
COMMAND_S = 30
CONTENT_S = 300  # longer than SCAN_S, shorter than CLIENT_S

ACTION = "tempfail"
PROTOCOL = 6

OPTIONS = {
    "default_action": ACTION,
    "protocol": PROTOCOL,
    "connect_timeout": f"{CONNECT_S}s",
    "command_timeout": f"{COMMAND_S}s",
    "content_timeout": f"{CONTENT_S}s",
}

SCAN_ONLY = "{FP_SCANONLY}"
LISTS = ("smtpd_milters", "non_smtpd_milters")
DEFAULTS = "milter_macro_defaults"
# What Postfix 3.7 sends anyway, as others may need it, and at the end what Lazaretto can use beyond that.
MACROS = {
    "milter_connect_macros": "j {daemon_name} {daemon_addr} v _ {client_addr}",
    "milter_mail_macros": "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
    "milter_rcpt_macros": "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
}
# Of these, what Lazaretto makes use of.
NEEDED = {
    "milter_connect_macros": ("{daemon_name}", "{client_addr}", "v"),
    "milter_mail_macros": ("i", "{auth_type}", "{auth_authen}", "{mail_addr}"),
    "milter_rcpt_macros": ("i", "{rcpt_addr}"),
}
_WHY = {
    "milter_connect_macros": "Which smtpd it was (submission or not), who the client is, which Postfix.",
    "milter_mail_macros": "The queue id for the log; who has authenticated, for rules.",
    "milter_rcpt_macros": "The recipient as it was resolved; the queue id once more, for Postfix may have none before the first recipient.",
}


def milter(name: str, places: Places) -> Wiring:
    """The wiring; with services named, for them alone."""
    where = milter_address.read(places.listen)
    if where.path and not where.path.startswith("/"):
        raise ValueError("expected the whole path of the socket, unix:/PATH")
    item = item_text(where, places.queue)
    remarks = ["A Milter that signs (OpenDKIM, OpenARC) has to come after Lazaretto: else it signs what is changed afterwards."]
    if where.path and where.postfix(places.queue) == f"unix:{where.path}":
        remarks.append(
            f"An smtpd or cleanup with chroot=y sees no sockets but those below {places.queue}: there, a name such as "
            f"unix:{places.queue}/lazaretto/milter.sock is right within chroot and without."
        )
    elif where.path:
        remarks.append(f"The directory of {where.path} has to be there, owned by Lazaretto's user, open to the group of user postfix.")
    smtpd = Setting(
        "smtpd_milters",
        item,
        "Mail by SMTP. In braces, because outside these parameters are for all Milters: tempfail means that no mail passes "
        f"unscanned while Lazaretto is down; {CONTENT_S} s are longer than the {SCAN_S} s that a scan may take, shorter than the "
        f"{CLIENT_S} s that clients wait.",
    )
    macros = tuple(Setting(macro, value, _WHY[macro]) for macro, value in MACROS.items())
    if places.scan_only:
        macros = (*macros[:1], _told(macros[1]), *macros[2:], _scan_only(places.scan_only))
    ours = (Setting("milter.listen", f'["{where.ours}"]'),)
    if places.services:
        remarks.append("Mail from the sendmail command and from other services is not filtered.")
        return Wiring(name, macros, places.services, (smtpd,), ours=ours, remarks=tuple(remarks))
    other = Setting("non_smtpd_milters", item, "Mail from the sendmail command.")
    return Wiring(name, (smtpd, other, *macros), ours=ours, remarks=tuple(remarks))


def item_text(where: milter_address.Address, queue: str) -> str:
    """Our item of smtpd_milters."""
    return f"{{ {where.postfix(queue)}, {', '.join(f'{name}={value}' for name, value in OPTIONS.items())} }}"


def _told(mail: Setting) -> Setting:
    return mail._replace(value=f"{mail.value} {SCAN_ONLY}")


def _scan_only(expressions: str) -> Setting:
    """Postfix has no macros of the administrator's but these defaults."""
    if any(character in expressions for character in "\n{}"):
        raise ValueError("Postfix can hand on no expression with { or }: expected none of them, or rules of the policy instead")
    why = "Only mail to these recipients is scanned: regular expressions, separated by colons; all other mail passes unscanned."
    return Setting(DEFAULTS, f"{{ {SCAN_ONLY} = {expressions.replace('$', '$$')} }}", why)


# -- what is there


def split_item(item: str) -> tuple[str, dict[str, str]]:
    """Address and parameters of one item of a list of Milters."""
    inside = enclosed(item) if item.startswith("{") else item
    head, *rest = items(inside) or [""]
    # name=value, or name = value, or either of them in braces
    text = " ".join(enclosed(word) if word.startswith("{") else word for word in rest).replace(" =", "=").replace("= ", "=")
    pairs = (word.partition("=") for word in text.split())
    return head, {name.strip(): value.strip() for name, equals, value in pairs if equals}


def address_of(item: str, queue: str, *, chroot: bool) -> milter_address.Address | None:
    """Where an item leads, as everybody else would say; None if that cannot be read."""
    try:
        return milter_address.read(split_item(item)[0]).seen_from(queue, chroot=chroot)
    except ValueError:
        return None


def merged(there: str, ours: str, name: str) -> str:
    """A list of somebody's with ours at its end.  An item that leads to the same address is ours already, also by way of $smtpd_milters."""
    if name in MACROS:
        return " ".join(dict.fromkeys([*words(there), *words(ours)]))
    if name == "non_smtpd_milters" and any(item.strip("${}()") == "smtpd_milters" for item in items(there)):
        return there
    own = split_item(ours)[0]
    if name == DEFAULTS:
        if any(SCAN_ONLY in item for item in items(there)):
            return there  # somebody has set it
    elif any(_same(split_item(item)[0], own) for item in items(there)):
        return there
    return ", ".join([*items(there), ours])


def is_ours(item: str) -> bool:
    """Has it exactly what ours has in its braces, with whatever values?"""
    return item.startswith("{") and split_item(item)[1].keys() == OPTIONS.keys()


def compact(value: str) -> str:
    """A list without white space, which postconf(1) does not put into master.cf."""
    split = ((item, *split_item(item)) for item in items(value))
    return ",".join(
        "{" + ",".join([head, *(f"{name}={text}" for name, text in options.items())]) + "}" if item.startswith("{") else item
        for item, head, options in split
    )


def _same(one: str, other: str) -> bool:
    try:
        return milter_address.read(one) == milter_address.read(other)
    except ValueError:
        return False


def obstacle(made: Wiring, entries: Iterable[Entry], parameters: Mapping[str, str]) -> str:
    """What keeps this wiring from working, or ""."""
    where = milter_address.read(split_item(next(one.value for one in (*made.main, *made.front_settings) if one.name in LISTS))[0])
    asking = [entry for entry in entries if entry.key in made.front or (not made.front and entry.command in ("smtpd", "cleanup"))]
    level = parameters.get("compatibility_level", "")
    for entry in asking:
        if entry.command == "smtpd" and entry.options.get("smtpd_proxy_filter", parameters.get("smtpd_proxy_filter", "")):
            return f"{entry.key} has an smtpd_proxy_filter: a Milter of the same smtpd sees no content"
        if where.path.startswith("/") and entry.chrooted(level):
            return (
                f"{entry.key} runs within chroot and cannot see {where.path}: let the socket be below the queue directory "
                f"(--listen unix:{parameters.get('queue_directory', QUEUE)}/lazaretto/milter.sock), use TCP, or set chroot to n"
            )
    return ""
