"""One message from Source to Report: read, ask, decide, keep the original, plan the edits, read the result.

    look      every item of every reading goes to every engine        findings
    decide    policy                                                  verdict
    keep      the original goes to quarantine, on disk                before anything else is promised
    plan      the verdict as edits
    prove     the edited message is read and scanned like any other   nothing bad is left, or more is cut

The last step is what makes an edit safe in ambiguous mail: what is handed back
has been scanned under all readings as it is, so a payload that survives the
removal of one part in some other reading is seen.  Then the whole message is
replaced, and if even its header is at fault, that too.

A Scanner is configured once and serves many messages, one at a time.  It does
no I/O towards clients: front ends carry the Report out.

Limits:  limits.Limits; max_scan_s is one deadline for everything here.
Errors:  none but bugs and KeyboardInterrupt: what goes wrong with the spool or the
         quarantine is a Report with Disposition.TEMPFAIL and the reason.
See:     docs/flow.md, docs/architecture.md; RFC 5321 s4.5.3.2.6 on deadlines
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lazaretto.engines.base import Engine, ScanContext
from lazaretto.limits import DEFAULT, Limits, Meter
from lazaretto.mime import edits as editing
from lazaretto.mime import scanner
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Edit, Envelope, Finding, Item, Kind, Part, Reason, Report, Treatment, Verdict
from lazaretto.policy.decide import decide
from lazaretto.policy.rules import Action, Policy, judge
from lazaretto.sanitize import plan
from lazaretto.scan.inquiry import Inquiry
from lazaretto.scan.walk import READER, Walker
from lazaretto.store.quarantine import Quarantine, describe
from lazaretto.store.spool import Spool

if TYPE_CHECKING:
    from lazaretto.sanitize.notices import Template


class Scanner:
    """A configured scanner.

    `notices` is called when the first one is wanted.  `quarantine` None: originals are
    not kept (policy may still ask; then a message is refused for now).
    """

    def __init__(
        self,
        policy: Policy,
        engines: Sequence[Engine],
        notices: Callable[[], Template],
        limits: Limits = DEFAULT,
        quarantine: Quarantine | None = None,
        spool_directory: str | None = None,
        host: str = "",
    ) -> None:
        self.policy = policy
        self.engines = engines
        self.notices = notices
        self.limits = limits
        self.quarantine = quarantine
        self.spool_directory = spool_directory
        self.host = host

    def close(self) -> None:
        """Give back what the engines hold."""
        for engine in self.engines:
            try:
                engine.close()
            except Exception:  # noqa: BLE001 - nobody waits for this: the message has been answered
                pass

    def scan(self, source: Source, envelope: Envelope = Envelope(), *, dry_run: bool = False) -> Report:
        """Read, ask, decide, keep, plan, prove: see the module's page.  A dry run keeps nothing in quarantine."""
        return _Job(self, source, envelope, dry_run).run()

    def look(self, source: Source, envelope: Envelope = Envelope()) -> Iterator[tuple[Item, tuple[Finding, ...]] | Finding]:
        """Every item with what the engines say about it, and every finding of the reader: for `explain` and `scan`.

        An item's content is valid until the next is asked for.
        """
        job = _Job(self, source, envelope)
        with Spool(self.spool_directory, self.limits.spool_memory_bytes) as spool:
            yield from job.look(source, scanner.parse(source, self.limits), spool)

    def look_file(self, source: Source, name: str) -> Iterator[tuple[Item, tuple[Finding, ...]] | Finding]:
        """Like look, for a file that is no message."""
        job = _Job(self, source, Envelope())
        with Spool(self.spool_directory, self.limits.spool_memory_bytes) as spool:
            yield from job.look(source, None, spool, name)


class _Job:
    def __init__(self, owner: Scanner, source: Source, envelope: Envelope, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self.owner = owner
        self.source = source
        self.envelope = envelope
        self.started = time.monotonic()
        self.now = time.time()
        self.scan_id = f"{int(self.now):08x}-{os.urandom(4).hex()}"
        self.deadline = self.started + owner.limits.max_scan_s
        self.inquiry = Inquiry(owner.engines, ScanContext(self.deadline, envelope, owner.limits))
        self.findings: tuple[Finding, ...] = ()
        self.quarantine_id = ""

    def run(self) -> Report:
        try:
            with Spool(self.owner.spool_directory, self.owner.limits.spool_memory_bytes) as spool:
                return self._run(spool)
        except OSError as error:  # the spool or the quarantine: the message stays with whoever gave it to us
            trouble = Finding(READER, Kind.ERROR, "system.error", (), str(error), Reason.DOWN)
            return self._report(Verdict(Disposition.TEMPFAIL, rule="system", text="cannot store"), (), (*self.findings, trouble))

    def _run(self, spool: Spool) -> Report:
        root = scanner.parse(self.source, self.owner.limits)
        self.findings = self._findings(self.source, root, spool)
        verdict = decide(self.findings, self.envelope, self.owner.policy)
        if verdict.quarantine and not self.dry_run:
            if self.owner.quarantine is None:
                raise OSError("the policy asks for quarantine, but [quarantine] is disabled")
            self.quarantine_id = self.owner.quarantine.put(
                self.source, describe(self.envelope, self.findings, verdict.rule), scan_id=self.scan_id, now=self.now
            )
        if verdict.disposition is not Disposition.ACCEPT:
            return self._report(verdict, ())
        treatments = dict(verdict.treatments)
        edits = plan.plan(self.source, root, treatments, verdict.tags, self._notice)
        if any(treatments.values()):
            proven = self._prove(root, verdict, edits, spool)
            if proven is None:
                trouble = Finding(READER, Kind.ERROR, "system.not-proven", (), "what was left could not be shown to be safe", Reason.DOWN)
                return self._report(Verdict(Disposition.TEMPFAIL, rule="system", text="not proven"), (), (*self.findings, trouble))
            edits = proven
        elif any(edit.span.start < edit.span.stop for edit in edits) and not self._is_safe(edits, spool):
            # Without the forged field the rest is read otherwise.  As it came, every reading of it has been looked at.
            edits = ()
        return self._report(verdict, edits)

    def _prove(self, root: Part, verdict: Verdict, edits: tuple[Edit, ...], spool: Spool) -> tuple[Edit, ...] | None:
        """`edits`, or more of them, such that the result holds nothing that policy would treat; None if that cannot be shown."""
        whole = plan.plan(self.source, root, {(): Treatment.REPLACE}, verdict.tags, self._notice)
        bare = (plan.replace_message(self.source, root, self._notice, verdict.tags, keep_fields=False),)
        for attempt in dict.fromkeys((edits, whole, bare)):
            if self._is_safe(attempt, spool):
                return attempt
        return None

    def _is_safe(self, edits: tuple[Edit, ...], spool: Spool) -> bool:
        """Is there nothing to replace or to refuse in what `edits` make of the message?"""
        output = spool.take(editing.render(self.source, edits))
        found = self._findings(output, scanner.parse(output, self.owner.limits), spool)
        again = decide(found, self.envelope, self.owner.policy)
        spool.release(output)
        return again.disposition is Disposition.ACCEPT and not any(treatment is Treatment.REPLACE for _, treatment in again.treatments)

    def _findings(self, source: Source, root: Part, spool: Spool) -> tuple[Finding, ...]:
        """What the reader and all engines say, each statement once for each part, unless policy tells two of them apart."""
        most = self.owner.limits.max_findings
        weighty: dict[tuple[object, ...], Finding] = {}
        remarks: dict[tuple[object, ...], Finding] = {}  # change nothing: a digest of five hundred mails may have a thousand flaws
        for found in self.look(source, root, spool):
            for finding in (found,) if isinstance(found, Finding) else found[1]:
                said = (finding.engine, finding.kind, finding.name, finding.part, finding.reason)
                decision = judge(finding, self.envelope, self.owner.policy)
                # Rules look at file names and details, too: what is allowed for one member is not allowed for the next.
                key = (*said, *decision[1:])
                if finding.kind is not Kind.MALFORMED or decision.action is not Action.PASS:
                    weighty.setdefault(key, finding)
                elif len(remarks) < most:
                    remarks.setdefault(key, finding)
            if len(weighty) > most:
                detail = f"more than {most}"
                weighty[("overflow",)] = Finding(READER, Kind.UNSCANNABLE, "limit.max-findings", (), detail, Reason.LIMIT)
                break
        unique = weighty | remarks
        # What was found in the raw message and in a part is that part's; the second look would show if it is elsewhere, too.
        blamed = {(finding.engine, finding.kind, finding.name) for finding in unique.values() if finding.part}
        return tuple(f for f in unique.values() if f.part or f.trail or (f.engine, f.kind, f.name) not in blamed)

    def look(self, source: Source, root: Part | None, spool: Spool, name: str = "") -> Iterator[tuple[Item, tuple[Finding, ...]] | Finding]:
        """Walk and ask; root None: `source` is no message but a file called `name`."""
        meter = Meter(self.owner.limits, self.deadline, time.monotonic, source.size)
        walker = Walker(source, spool, meter)
        for found in walker.message(root) if root is not None else walker.file(name):
            yield found if isinstance(found, Finding) else (found, tuple(self.inquiry.ask(found)))

    def _notice(self, part: Part, eol: bytes, whole: bool) -> bytes:
        from lazaretto.sanitize import notices

        mine = tuple(finding for finding in self.findings if finding.part[: len(part.path)] == part.path and _matters(finding))
        file = part.names[0] if part.names and not whole else ""
        facts = notices.Facts(
            mine or tuple(filter(_matters, self.findings)),
            self.now,
            file,
            "",
            self.scan_id,
            self.quarantine_id,
            self.owner.host,
        )
        make = notices.message_notice if whole else notices.part_notice
        notice = make(self.owner.notices(), facts, eol)
        return notice.header + eol + notice.body

    def _report(self, verdict: Verdict, edits: tuple[Edit, ...], findings: tuple[Finding, ...] | None = None) -> Report:
        engines = tuple((engine.name, "") for engine in self.owner.engines)
        elapsed_ms = (time.monotonic() - self.started) * 1000
        return Report(
            self.scan_id,
            self.findings if findings is None else findings,
            verdict,
            edits,
            elapsed_ms,
            engines,
            self.source.digest().hex(),
            self.quarantine_id,
        )


def _matters(finding: Finding) -> bool:
    return finding.kind is not Kind.MALFORMED
