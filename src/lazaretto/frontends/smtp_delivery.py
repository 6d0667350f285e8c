"""What becomes of a message whose content has come: checked, scanned, handed on, answered.

    refuse     too big, no room; a dot that some server takes for an end of data; too many hops     5xx, 4xx
    scan       under a deadline; no report is a temporary failure                                   451
    verdict    reject, tempfail: what policy/outcomes.py says; discard: 250                         nothing is handed on
    hand on    DATA, the rendered content, the end; the next hop's reply is ours                    as it says

The client is told that the message is taken only by a reply of the next hop to the end of data
(or by a verdict to discard).  Where we do not know, it is told 451: it tries again, and the
recipient may get the message twice, but does get it.

LMTP has a reply for each recipient.  A next hop that speaks it behind clients that do not gets
transactions of one recipient each (smtp_session.py), for of two different answers one would be lost.

Errors:  Gone, if the client left before the message was handed on.
See:     docs/protocols/smtp.md; RFC 5321 s4.5.3.2.6; RFC 2033 s4.2
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from lazaretto.errors import LazarettoError
from lazaretto.frontends.failure import reason
from lazaretto.frontends.next_hop import EarlyReply, NextHop, NextHopError
from lazaretto.frontends.scan_pool import Busy, ScanFailed
from lazaretto.frontends.smtp_settings import SmtpSettings
from lazaretto.frontends.smtp_transaction import BUSY, TROUBLE, Refusal, Transaction
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Envelope, Report
from lazaretto.policy import outcomes
from lazaretto.scan import report as reporting
from lazaretto.wire.smtp import Reply
from lazaretto.wire.smtp_server import EndOfData

LOG_ERR, LOG_WARNING = 3, 4
ODD_END = Reply(550, (b"5.6.0 A line of one dot has odd line ends; see CVE-2023-51764",))
STRAY = Reply(550, (b"5.6.0 Message has a bare CR, a bare LF or a NUL",))
LOOP = Reply(554, (b"5.4.6 Too many hops, this message goes round in circles",))
NEXT_HOP_GONE = Reply(451, (b"4.4.2 Next hop does not answer, try again later",))
_HEADER_BYTES = 1 << 18  # in which Received fields are counted; each hop writes some 200 bytes, and on top


class Gone(LazarettoError):
    """Nobody waits for the answer any more."""


class Pool(Protocol):
    """Who scans; frontends/scan_pool.py."""

    async def scan(self, source: Source, envelope: Envelope = Envelope()) -> Report:
        """ScanFailed."""
        ...


class Result(NamedTuple):
    """What the client is told (in LMTP, for each recipient), and the final line."""

    replies: tuple[Reply, ...]
    pairs: dict[str, str]
    level: int
    report: Report | None = None


class Delivery:
    """One message.  `committing` is called when it can no longer be taken back; it raises Gone if it should not go on."""

    def __init__(self, settings: SmtpSettings, pool: Pool, transaction: Transaction, committing: Callable[[], None]) -> None:
        self._settings = settings
        self._pool = pool
        self._transaction = transaction
        self._committing = committing

    async def run(self, end: EndOfData, next_hop: Callable[[], Awaitable[tuple[NextHop, Reply]]]) -> Result:
        """All of it.  `next_hop` gives the one with this transaction, and its reply to DATA; NextHopError."""
        transaction = self._transaction
        source = transaction.content()
        refusal = transaction.refusal or self._objection(end, source)
        if refusal is not None or source is None:
            return refused(transaction, refusal or Refusal(TROUBLE, "system"))
        try:
            async with asyncio.timeout(self._settings.scan_timeout_s):
                report = await self._pool.scan(source, transaction.envelope)
        except TimeoutError:
            return refused(transaction, Refusal(TROUBLE, "system", "the scan took too long"))
        except Busy as error:
            return refused(transaction, Refusal(BUSY, "busy", str(error)))
        except ScanFailed as error:
            return refused(transaction, Refusal(TROUBLE, "system", str(error)))
        except Exception as error:  # noqa: BLE001 - a bug of the pool costs one message a 451
            return refused(transaction, Refusal(TROUBLE, "system", reason(error)))
        pairs = reporting.final_pairs(report, transaction.envelope) | {"size": str(source.size)}
        level = reporting.severity(report)
        if report.verdict.disposition is not Disposition.ACCEPT:
            outcome = outcomes.OUTCOMES[report.verdict.disposition]
            text = f"{outcome.enhanced} {outcomes.reply(report.verdict)}".encode("ascii", "replace")
            reply = Reply(outcome.smtp_code, (text,))
            return Result((reply,), pairs | {"reply": str(reply)}, level, report)
        result = await self._hand_on(source, report, pairs, level, next_hop)
        return result._replace(report=report)

    def _objection(self, end: EndOfData, source: Source | None) -> Refusal | None:
        if end.suspicious and self._settings.end_of_data == "reject":
            return Refusal(ODD_END, "smuggling", "a dot alone between odd line ends")
        if self._settings.stray == "reject" and (end.bare_cr or end.bare_lf or end.nul):
            found = [name for name in ("bare_cr", "bare_lf", "nul") if getattr(end, name)]
            return Refusal(STRAY, "stray", " ".join(found))
        if source is not None and (count := hops(source)) > self._settings.hop_limit:
            return Refusal(LOOP, "loop", f"{count} Received fields")
        return None

    async def _hand_on(
        self, source: Source, report: Report, pairs: dict[str, str], level: int, next_hop: Callable[[], Awaitable[tuple[NextHop, Reply]]]
    ) -> Result:
        wanted = len(self._transaction.recipients) if self._settings.next_hop_lmtp else 1
        hop: NextHop | None = None
        replies: list[Reply] = []
        try:
            hop, reply = await next_hop()
            if reply.code == 354:
                await hop.content(render(source, report.edits))
                self._committing()
                replies = await hop.end_of_data(wanted)
            else:
                replies = [reply] * wanted
        except EarlyReply as early:
            replies = [early.reply] * wanted
        except NextHopError as error:
            pairs["error"] = str(error)
        except BaseException:
            if hop is not None:
                hop.abort()
            raise
        if len(replies) < wanted and hop is not None:
            pairs["error"] = hop.reason
        told = replies + [NEXT_HOP_GONE] * (wanted - len(replies))
        return self._answered(told, pairs, level, hop)

    def _answered(self, replies: list[Reply], pairs: dict[str, str], level: int, hop: NextHop | None) -> Result:
        """The next hop's replies are ours, and the log says whom they refuse."""
        for index, reply in enumerate(replies):
            if not (reply.positive or 400 <= reply.code < 600):
                replies[index] = NEXT_HOP_GONE
                pairs["error"] = f"odd reply: {reply}"
                if hop is not None:
                    hop.abort()
        pairs["next_hop"] = " | ".join(dict.fromkeys(map(str, replies)))
        refusals = [reply for reply in replies if not reply.positive]
        if refusals:
            level = min(level, LOG_ERR if any(reply.code < 500 for reply in refusals) else LOG_WARNING)
        if len(refusals) == len(replies):
            pairs["verdict"] = pairs["outcome"]
            pairs["outcome"] = "deferred" if any(reply.code < 500 for reply in refusals) else "rejected"
        elif refusals:
            named = zip(self._transaction.recipients, replies, strict=False)
            pairs["refused"] = " ".join(
                f"{who.decode('utf-8', 'backslashreplace')}({reply.code})" for who, reply in named if not reply.positive
            )
        return Result(tuple(replies), pairs, level)


def refused(transaction: Transaction, refusal: Refusal) -> Result:
    """A message of which we want nothing, whatever is in it."""
    pairs = described("deferred" if refusal.reply.code < 500 else "rejected", refusal.rule, transaction.envelope)
    if refusal.error:
        pairs["error"] = refusal.error
    if transaction.size:
        pairs["size"] = str(transaction.size)
    return Result((refusal.reply,), pairs | {"reply": str(refusal.reply)}, LOG_ERR if refusal.reply.code < 500 else LOG_WARNING)


def described(outcome: str, rule: str, envelope: Envelope) -> dict[str, str]:
    """The final line of a message that nobody has scanned."""
    pairs = {"outcome": outcome, "rule": rule}
    if envelope.queue_id:
        pairs["queue_id"] = envelope.queue_id
    pairs["from"] = (envelope.mail_from or b"").decode("utf-8", "backslashreplace") or "<>"
    if envelope.rcpt_to:
        pairs["to"] = ",".join(address.decode("utf-8", "backslashreplace") for address in envelope.rcpt_to)
    if envelope.client:
        pairs["client"] = envelope.client
    return pairs


def hops(source: Source) -> int:
    """Received fields at the top.  Each server on the way has written one."""
    head = source.read_at(0, _HEADER_BYTES)
    ends = [end for end in (head.find(b"\r\n\r\n"), head.find(b"\n\n")) if end >= 0]
    head = b"\n" + (head[: min(ends)] if ends else head).lower()
    return head.count(b"\nreceived:")
