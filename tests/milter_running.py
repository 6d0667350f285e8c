"""A milter service to test, in a thread of its own, with a pool that scans at once.

with MilterRunning(MilterSettings()) as running, running.mta() as mta:
    assert mta.deliver(b"Subject: x\\r\\n\\r\\ny\\r\\n").letter == "a"
"""

from __future__ import annotations

from typing import Any

from lazaretto.frontends.milter_service import MilterService
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Edit, Envelope, Report, Span, Treatment, Verdict
from milter_double import Mta, MtaClient, session
from smtp_running import CLEAN, InlinePool, Running

STATUS = b"X-Status: cleaned\r\n"
VERDICTS = {
    "clean": CLEAN,
    "reject": Verdict(Disposition.REJECT, rule="no"),
    "tempfail": Verdict(Disposition.TEMPFAIL, rule="later"),
    "discard": Verdict(Disposition.DISCARD, rule="away"),
    "replace": Verdict(Disposition.ACCEPT, (((), Treatment.REPLACE),), quarantine=True, rule="policy.malware"),
}


class EditingPool(InlinePool):
    """With the verdict "replace", a field on top and another body."""

    def __init__(self, name: str = "replace", body: bytes = b"gone", **others: Any) -> None:
        super().__init__(VERDICTS[name], **others)
        self._body = body

    async def scan(self, source: Source, envelope: Envelope = Envelope()) -> Report:
        report = await super().scan(source, envelope)
        if self.verdict is not VERDICTS["replace"]:
            return report
        start = source.data.find(b"\r\n\r\n") + 4
        return report._replace(edits=(Edit(Span(0, 0), STATUS), Edit(Span(start, source.size), self._body)))


class MilterRunning(Running):
    """`settings` are MilterSettings."""

    def _made(self) -> MilterService:
        return MilterService(self._settings, self.pool, self._log)

    @property
    def address(self) -> str:
        return f"unix:{self._path}" if self._path is not None else f"127.0.0.1:{self.port}"

    def mta(self, mta: Mta | None = None) -> MtaClient:
        """One connection, with a client of the MTA's."""
        return session(self.address, mta)

    def lines_of(self, event: str) -> list[str]:
        return [text for text, _ in self.lines if f"event={event}" in text]
