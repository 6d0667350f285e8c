"""The part of `lazaretto doctor` that is about milters: who asks us, may he connect, do we answer, and what with.

Settings are judged by milter_audit.py. Here somebody is asked: each address of [milter] listen, by the user who will ask it; with
--send, it is told of a clean message and of the EICAR test file, as a mail system would. Those messages go nowhere.

See:  milter_dialogue.py; docs/postfix.md, docs/sendmail.md
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from lazaretto.cli import milter_address, milter_audit, postfix_audit
from lazaretto.cli.milter_address import Address
from lazaretto.cli.milter_dialogue import MilterDialogue, Outcome
from lazaretto.cli.postfix_audit import FAIL, OK, WARN, Check, State
from lazaretto.cli.sendmail_config import Filters, read_cf
from lazaretto.cli.setup_postfix import read
from lazaretto.errors import ConfigError, RemoteProtocolError
from lazaretto.wire.milter import Actions

if TYPE_CHECKING:
    import argparse

    from lazaretto.policy.config import Config

SENDMAIL_CF = "/etc/mail/sendmail.cf"
_NEEDED = Actions.ADD_HEADERS | Actions.CHANGE_HEADERS | Actions.CHANGE_BODY
_SECONDS_TO_CONNECT = 10.0


def listening(settings: Mapping[str, object]) -> list[Address]:
    """[milter] listen; ValueError for an address that no mail system can be told, such as a path with blanks."""
    return [milter_address.read(address) for address in cast("Sequence[str]", settings["milter.listen"])]


def examine(options: argparse.Namespace, config: Config, state: State | None) -> Iterator[Check]:
    """Everything about [milter]; nothing if it listens nowhere."""
    try:
        ours = listening(config.settings)
    except ValueError as error:
        yield Check(FAIL, "milter", f"[milter] listen: {error}")
        return
    if not ours:
        return
    filters = None
    try:
        filters = read_cf(read(options.sendmail_cf)) if options.sendmail_cf else None
    except FileNotFoundError:
        if options.sendmail_cf != SENDMAIL_CF:
            yield Check(FAIL, "sendmail", f"{options.sendmail_cf} is not there")
    except OSError as error:
        yield Check(FAIL, "sendmail", f"{options.sendmail_cf}: {error.strerror}")
    asking = list(milter_audit.asking(state, ours)) if state is not None else []
    one = milter_audit.filter_of_sendmail(filters, ours) if filters is not None else None
    if state is None and filters is None:
        yield Check(WARN, "milter", "nothing is known of a mail system that asks", "--postconf, --sendmail-cf")
    if state is not None and (asking or one is None):
        yield from milter_audit.of_postfix(state, ours, config.limits)
        yield from _twice(state, config.settings, asked=bool(asking))
    if filters is not None and (one is not None or not asking):
        yield from milter_audit.of_sendmail(filters, ours, config.limits)
    users = []
    if state is not None and asking:
        users.append((state.value("mail_owner") or "postfix", "Postfix"))
    if filters is not None and one is not None:
        users.append((run_as(filters), "Sendmail"))
        if one.where is not None and one.where.path:
            yield from unsafe(one.where.path, filters)
    for address in ours:
        if not (address.path or address.host.startswith("127.") or address.host == "::1"):
            text = f"{address.ours} can be reached from other machines, and the protocol asks nobody who he is"
            yield Check(WARN, "milter", text, "listen at 127.0.0.1 or a UNIX socket, or let a packet filter see who comes")
        yield from _reach(address, users)
        yield from _ask(address, options.timeout_s)
        if options.send:
            yield from _tell(address, options)


def run_as(filters: Filters) -> str:
    """Who Sendmail is when it connects: RunAsUser, else root."""
    user = filters.options.get("runasuser", "").partition(":")[0].partition(".")[0].strip()
    return user or "root"


def _twice(state: State, settings: Mapping[str, object], *, asked: bool) -> Iterator[Check]:
    proxies = postfix_audit.listening(state, settings)
    for path in postfix_audit.paths(state):
        if asked and path.address in proxies:
            yield Check(WARN, "milter", f"mail is scanned twice: {path.told} leads to Lazaretto, too", "take out one of the two wirings")


def unsafe(path: str, filters: Filters) -> Iterator[Check]:
    """Sendmail does not use a socket on whose way others than the owner may write."""
    bits = stat.S_IWOTH
    if "groupwritabledirpathsafe" not in filters.options.get("dontblamesendmail", "").lower():
        bits |= stat.S_IWGRP
    there = os.path.dirname(path)
    while True:
        try:
            if os.stat(there).st_mode & bits:
                text = f"Sendmail calls {path} unsafe and does not connect: others than its owner may write to {there}"
                yield Check(
                    FAIL, "milter", text, "let the socket be in a directory of its own, such as /run/lazaretto, of mode 0755 or 0750"
                )
                return
        except OSError:
            pass  # it is not there: connecting says so
        if there in ("/", ""):
            return
        there = os.path.dirname(there)


# -- who answers


def _reach(address: Address, users: Sequence[tuple[str, str]]) -> Iterator[Check]:
    """May those who ask connect to a UNIX socket?  Only root can try to be them."""
    if not address.path or os.geteuid() != 0:
        return
    for user, who in users:
        try:
            error = connect_as(user, address.path)
        except ConfigError as wrong:
            yield Check(FAIL, "milter", f"{who} connects as {user}: {wrong}")
            continue
        if error:
            text = f"{who} connects as {user}, and cannot: {os.strerror(error)}"
            advice = f"let {user} be in the group of the socket, and its directory be open to that group: `ls -ld {address.path} "
            yield Check(FAIL, "milter", text, f"{advice}{os.path.dirname(address.path)}`")
        else:
            yield Check(OK, "milter", f"{who} may connect to {address.ours} as {user}")


def connect_as(user: str, path: str) -> int:
    """Connect to a socket with the rights of `user`, by somebody else: there is no way back from dropping them. 0, or why not (errno)."""
    import socket

    from lazaretto.frontends.privileges import drop, identity

    who = identity(user, "")
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            drop(who)
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(_SECONDS_TO_CONNECT)
                status = probe.connect_ex(path)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _ask(address: Address, timeout_s: float) -> Iterator[Check]:
    try:
        with MilterDialogue(address.ours, timeout_s) as peer:
            offered = peer.offered
    except (OSError, RemoteProtocolError) as error:
        text = f"{address.ours} does not answer as a milter: {error or 'timed out'}"
        yield Check(FAIL, "Lazaretto", text, "start it; look into its log")
        return
    text = f"{address.ours} answers: milter protocol {offered.version}"
    if lacking := _NEEDED & ~offered.actions:
        yield Check(WARN, "Lazaretto", f"{text}, but it does not want to change messages ({lacking!r}): is it another milter?")
    else:
        yield Check(OK, "Lazaretto", text)


# -- mail


def _tell(address: Address, options: argparse.Namespace) -> Iterator[Check]:
    from lazaretto.cli.doctor import messages, token

    for about, content in messages(options.sender, options.to, token()).items():
        try:
            with MilterDialogue(address.ours, max(options.timeout_s, 120.0)) as peer:
                outcome = peer.send(options.sender.encode(), [options.to.encode()], content)
        except (OSError, RemoteProtocolError) as error:
            yield Check(FAIL, f"milter, {about}", f"{address.ours}: {error or 'timed out'}")
            continue
        yield judge(about, outcome)


def judge(about: str, outcome: Outcome) -> Check:
    """What the answer to a test message means."""
    text = ", ".join(filter(None, (f"{outcome.step}: {outcome.word}", outcome.text, *outcome.changes)))
    about, clean = f"milter, {about}", about == "clean message"
    if outcome.word in ("tempfail", "shutdown") or outcome.text.startswith("4"):
        return Check(FAIL, about, text, "mail waits: the log of Lazaretto says why")
    touched = "replaces the body" in outcome.changes or "has it held" in outcome.changes
    if clean == (outcome.word == "accept" and not touched):
        return Check(OK, about, text)
    return Check(FAIL, about, text, "clean mail is changed or refused: see the policy" if clean else "it passes as it is: see the policy")
