"""What becomes of a message whose end has come through the milter protocol: scanned, and the verdict as packets.

    refuse     too big, no room, too many recipients                          REPLY_CODE 5xx, 4xx
    scan       under a deadline; no report is a temporary failure             REPLY_CODE 451
    accept     changes of the header, the quarantine, the new body            ACCEPT
    reject, tempfail                                                          REPLY_CODE with the text of policy/outcomes.py
    discard                                                                   DISCARD

What the MTA has not offered and the verdict needs makes the message wait: it goes nowhere as it is.  So does what
the protocol cannot say.

Errors:  none but CancelledError.
See:     milter_changes.py, milter_session.py; docs/protocols/milter.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto.frontends.failure import reason
from lazaretto.frontends.milter_changes import NOTHING, Unsayable, changes
from lazaretto.frontends.milter_message import Message
from lazaretto.frontends.milter_scope import wanted
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.frontends.scan_pool import Busy, ScanFailed
from lazaretto.frontends.smtp_delivery import LOG_ERR, LOG_WARNING, Pool, described
from lazaretto.frontends.smtp_transaction import BUSY, TROUBLE, Refusal
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Envelope, Report
from lazaretto.policy import outcomes
from lazaretto.scan import report as reporting
from lazaretto.wire import milter as wire
from lazaretto.wire.milter import Actions, packet
from lazaretto.wire.milter_filter import Filter
from lazaretto.wire.milter_replies import quarantine, replace_body, reply_code
from lazaretto.wire.smtp import Reply

LOG_NOTICE = 5
LACKING = Reply(451, (b"4.3.0 Mail server and filter do not agree, try again later",))
_FLAGS = {
    Actions.ADD_HEADERS: "SMFIF_ADDHDRS",
    Actions.CHANGE_HEADERS: "SMFIF_CHGHDRS",
    Actions.CHANGE_BODY: "SMFIF_CHGBODY",
    Actions.QUARANTINE: "SMFIF_QUARANTINE",
}


class Answer(NamedTuple):
    """What is sent, the last packet apart, and the final line."""

    changes: Iterator[bytes]
    final: bytes
    pairs: dict[str, str]
    level: int
    report: Report | None = None


def of_reply(reply: Reply) -> bytes:
    """The packet for a reply of SMTP, whose first line begins with an enhanced code."""
    enhanced, _, first = reply.lines[0].decode("ascii", "replace").partition(" ")
    lines = [first, *(line.decode("ascii", "replace").removeprefix(f"{enhanced} ") for line in reply.lines[1:])]
    return reply_code(reply.code, enhanced, lines)


def refused(refusal: Refusal, envelope: Envelope, size: int = 0) -> Answer:
    """A message of which we want nothing, whatever is in it."""
    pairs = described("deferred" if refusal.reply.code < 500 else "rejected", refusal.rule, envelope)
    if refusal.error:
        pairs["error"] = refusal.error
    if size:
        pairs["size"] = str(size)
    level = LOG_ERR if refusal.reply.code < 500 else LOG_WARNING
    return Answer(iter(()), of_reply(refusal.reply), pairs | {"reply": str(refusal.reply)}, level)


async def answer(settings: MilterSettings, pool: Pool, machine: Filter, message: Message, envelope: Envelope) -> Answer:
    """All of it, but for the sending."""
    source = message.content()
    size = message.transaction.size
    if message.refusal is not None or source is None:
        return refused(message.refusal or Refusal(TROUBLE, "system"), envelope, size)
    if not wanted(machine.macros.get(b"FP_SCANONLY"), envelope):
        pairs = described("passed", "scan-only", envelope) | {"size": str(size)}
        return Answer(iter(()), packet(wire.ACCEPT), pairs, LOG_NOTICE)
    try:
        async with asyncio.timeout(settings.scan_timeout_s):
            report = await pool.scan(source, envelope)
    except TimeoutError:
        return refused(Refusal(TROUBLE, "system", "the scan took too long"), envelope, size)
    except Busy as error:
        return refused(Refusal(BUSY, "busy", str(error)), envelope, size)
    except ScanFailed as error:
        return refused(Refusal(TROUBLE, "system", str(error)), envelope, size)
    except Exception as error:  # noqa: BLE001 - a bug of the pool costs one message a 451
        return refused(Refusal(TROUBLE, "system", reason(error)), envelope, size)
    return _told(settings, machine, message, envelope, source, report)


def _told(settings: MilterSettings, machine: Filter, message: Message, envelope: Envelope, source: Source, report: Report) -> Answer:
    """A verdict, as packets."""
    pairs = reporting.final_pairs(report, envelope) | {"size": str(source.size)}
    level = reporting.severity(report)
    verdict = report.verdict
    if verdict.disposition is Disposition.DISCARD:
        return Answer(iter(()), packet(wire.DISCARD), pairs, level, report)
    if verdict.disposition is not Disposition.ACCEPT:
        outcome = outcomes.OUTCOMES[verdict.disposition]
        reply = Reply(outcome.smtp_code, (f"{outcome.enhanced} {outcomes.reply(verdict)}".encode("ascii", "replace"),))
        return Answer(iter(()), of_reply(reply), pairs | {"reply": str(reply)}, level, report)
    hold = settings.hold and verdict.quarantine
    try:
        leading_space = bool(machine.steps & wire.Steps.LEADING_SPACE)
        limit = settings.max_header_bytes
        wish = changes(source, report.edits, message.fields, leading_space=leading_space, max_header_bytes=limit)
        lacking = machine.lacking(wish.needs | (Actions.QUARANTINE if hold else Actions(0)))
        problem = f"the mail server does not offer {_named(lacking)}" if lacking else ""
    except Unsayable as error:
        wish, problem = NOTHING, str(error)
    if problem:
        more = {"verdict": pairs["outcome"], "outcome": "deferred", "error": problem, "reply": str(LACKING)}
        return Answer(iter(()), of_reply(LACKING), pairs | more, LOG_ERR, report)

    def packets() -> Iterator[bytes]:
        yield from wish.header
        if hold:
            yield quarantine(f"lazaretto {report.scan_id}: {verdict.rule}")
        if wish.body is not None:
            yield from replace_body(wish.body)

    if hold:
        pairs["held"] = "yes"
    return Answer(packets(), packet(wire.ACCEPT), pairs, level, report)


def _named(actions: Actions) -> str:
    return ", ".join(name for flag, name in _FLAGS.items() if actions & flag)
