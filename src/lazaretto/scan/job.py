"""One message from Source to Report: read, ask, decide, keep the original, plan the edits, read the result.

    back up   the original, where every message is to be kept         before anything else
    look      every item of every reading goes to every engine        findings
    decide    policy                                                  verdict
    keep      the original goes to quarantine, single parts to files  on disk, before anything else is promised
    plan      the verdict as edits
    settle    what clients read differently in the canonical form   where policy wants that
    prove     the edited message is read and scanned like any other   nothing bad is left, or more is cut

The last step is what makes an edit safe in ambiguous mail: what is handed back
has been scanned under all readings as it is, so a payload that survives the
removal of one part in some other reading is seen.  Then the whole message is
replaced, and if even its header is at fault, that too.

A Scanner is configured once and serves many messages, one at a time.  It does
no I/O towards clients: front ends carry the Report out.

Limits:  limits.Limits; max_scan_s is one deadline for everything here, the last quarter of it for the proof alone.
Errors:  none but bugs and KeyboardInterrupt: what goes wrong with the spool or the
         quarantine is a Report with Disposition.TEMPFAIL and the reason.
See:     docs/flow.md, docs/architecture.md; RFC 5321 s4.5.3.2.6 on deadlines
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lazaretto.engines.base import Engine, ScanContext
from lazaretto.limits import DEFAULT, Limits, Meter
from lazaretto.mime import edits as editing
from lazaretto.mime import scanner, tree
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Edit, Envelope, Finding, Item, Kind, Part, Path, Reason, Report, Treatment, Verdict
from lazaretto.policy.decide import decide
from lazaretto.policy.rules import Action, Policy, judge
from lazaretto.sanitize import html, plan
from lazaretto.sanitize.style import DEFAULT as DEFAULT_STYLE
from lazaretto.sanitize.style import Style
from lazaretto.scan import encoded_files, saving
from lazaretto.scan.contents import Contents, New
from lazaretto.scan.inquiry import Inquiry
from lazaretto.scan.report import is_changed
from lazaretto.scan.walk import READER, Walker
from lazaretto.store.quarantine import Quarantine, describe
from lazaretto.store.spool import Spool

if TYPE_CHECKING:
    from lazaretto.sanitize.notices import Template
    from lazaretto.store.backup import Backup
    from lazaretto.store.saved import SavedFiles

_LOOKING = 0.75  # of max_scan_s
_HARMLESS = (Treatment.KEEP, Treatment.CANONICALISE)  # the content stays
_HARMFUL = (Treatment.REPLACE, Treatment.DISARM, Treatment.DISINFECT)  # what must not be left in a message that goes out
_CUT = (Action.REPLACE, Action.REPLACE_MESSAGE)


class Stores(NamedTuple):
    """Where copies go.  None: there is no such place (policy may still ask for it; then a message is refused for now)."""

    quarantine: Quarantine | None = None
    saved: SavedFiles | None = None  # of single parts
    backup: Backup | None = None  # of every message as it came
    changed_only: bool = False  # the backup keeps only what was changed


NO_STORES = Stores()
NOTHING_NEW = New(plan.NO_CONTENT, plan.NO_FIELDS)


class Scanner:
    """A configured scanner.

    `notices` is called when the first one is wanted.  `closing`, told which optional engines failed: fields for the header's end.
    `html_profile`: what is taken out of pages, of sanitize.html.PROFILES.  `disarmed`: which documents are, of sanitize.disarm.FORMATS.
    """

    def __init__(
        self,
        policy: Policy,
        engines: Sequence[Engine],
        notices: Callable[[], Template],
        limits: Limits = DEFAULT,
        stores: Stores = NO_STORES,
        spool_directory: str | None = None,
        host: str = "",
        closing: Callable[[Collection[str]], Sequence[tuple[bytes, bytes]]] = lambda _failed: (),
        style: Style = DEFAULT_STYLE,
        alarm_status: int = 1,
        html_profile: str = html.OFF,
        disarmed: Iterable[str] = (),
    ) -> None:
        self.policy = policy
        self.engines = engines
        self.notices = notices
        self.limits = limits
        self.stores = stores
        self.spool_directory = spool_directory
        self.host = host
        self.closing = closing
        self.style = style
        self.alarm_status = alarm_status  # of the filter
        self.html_profile = html_profile
        self.disarmed = frozenset(disarmed)

    def close(self) -> None:
        """Give back what the engines hold."""
        for engine in self.engines:
            try:
                engine.close()
            except Exception:  # noqa: BLE001 - nobody waits for this: the message has been answered
                pass

    def scan(self, source: Source, envelope: Envelope = Envelope(), *, dry_run: bool = False, spool: Spool | None = None) -> Report:
        """Read, ask, decide, keep, plan, prove: see the module's page.  A dry run keeps nothing anywhere.

        `spool` gets large content that the edits need, so it must live until they are rendered; without one, memory does.
        """
        return _Job(self, source, envelope, dry_run, spool).run()

    def look(self, source: Source, envelope: Envelope = Envelope()) -> Iterator[tuple[Item, tuple[Finding, ...]] | Finding]:
        """Every item with what the engines say about it, and every finding of the reader: for `explain` and `scan`.

        An item's content is valid until the next is asked for.
        """
        job = _Job(self, source, envelope)
        with Spool(self.spool_directory, self.limits.spool_memory_bytes) as spool:
            job.spool = spool
            yield from job.look(source, scanner.parse(source, self.limits), spool)

    def look_file(self, source: Source, name: str) -> Iterator[tuple[Item, tuple[Finding, ...]] | Finding]:
        """Like look, for a file that is no message."""
        job = _Job(self, source, Envelope())
        with Spool(self.spool_directory, self.limits.spool_memory_bytes) as spool:
            job.spool = spool
            yield from job.look(source, None, spool, name)


class _Job:
    def __init__(self, owner: Scanner, source: Source, envelope: Envelope, dry_run: bool = False, kept: Spool | None = None) -> None:
        self.kept = kept
        self.stores = NO_STORES if dry_run else owner.stores
        self.dry_run = dry_run
        self.owner = owner
        self.source = source
        self.envelope = envelope
        self.started = time.monotonic()
        self.now = time.time()
        self.scan_id = f"{int(self.now):08x}-{os.urandom(4).hex()}"
        self.deadline = self.started + owner.limits.max_scan_s * _LOOKING
        self.contents = Contents(source, owner.limits, owner.html_profile, owner.disarmed)
        self.inquiry = Inquiry(owner.engines, ScanContext(self.deadline, envelope, owner.limits, self._keep_cleaned))
        self.findings: tuple[Finding, ...] = ()
        self.ours: set[bytes] = set()  # digests of notices
        self.policy = owner.policy
        self.unsettled = False
        self.rule = ""
        self.quarantine_id = ""
        self.backup = ""
        self.saved: dict[Path, str] = {}
        self.rewritten: list[str] = []  # by the last plan
        self.blocks = encoded_files.NONE

    def run(self) -> Report:
        """Of an error of the spool or a store, the report says TEMPFAIL: the message stays with whoever gave it to us."""
        try:
            with Spool(self.owner.spool_directory, self.owner.limits.spool_memory_bytes) as self.spool:
                if self.stores.backup is not None:
                    self.backup = self.stores.backup.put(self.source, self.now, os.getpid())
                report = self._run()
                if self.stores.backup is not None and self.stores.changed_only and not is_changed(report):
                    self.stores.backup.discard(self.backup)
                    report = report._replace(backup="")
                return report
        except OSError as error:
            trouble = Finding(READER, Kind.ERROR, "system.error", (), str(error), Reason.DOWN)
            return self._report(Verdict(Disposition.TEMPFAIL, rule="system", text="cannot store"), (), (*self.findings, trouble))

    def _run(self) -> Report:
        root = scanner.parse(self.source, self.owner.limits)
        self.inquiry.ctx = self.inquiry.ctx._replace(fields={part.path: part.fields for part in tree.walk(root)})
        self.findings = self._findings(self.source, root)
        return self._act(root, decide(self.findings, self.envelope, self.policy))

    def _act(self, root: Part, verdict: Verdict) -> Report:
        self.rule = verdict.rule
        if any(treatment not in _HARMLESS for _, treatment in verdict.treatments):
            self.blocks = encoded_files.find(self.source, root, dict(verdict.treatments), self.findings, self._action, self.owner.limits)
        self._keep(root, verdict)
        if verdict.disposition is not Disposition.ACCEPT:
            return self._report(verdict, ())
        treatments = dict(verdict.treatments)
        new = self.contents.bodies(root, treatments, self.kept.take if self.kept is not None else None)
        edits = self._plan(root, verdict, treatments, new)
        settling = any(found.kind is Kind.MALFORMED and self._action(found) is Action.CANONICALISE for found in self.findings)
        treating = any(treatment not in _HARMLESS for treatment in treatments.values())
        if settling or treating:
            self.deadline = self.started + self.owner.limits.max_scan_s
            self.inquiry.ctx = self.inquiry.ctx._replace(deadline=self.deadline)
        if treating:
            proven = self._prove(root, verdict, edits)
            if proven is None:
                trouble = Finding(READER, Kind.ERROR, "system.not-proven", (), "what was left could not be shown to be safe", Reason.DOWN)
                return self._report(Verdict(Disposition.TEMPFAIL, rule="system", text="not proven"), (), (*self.findings, trouble))
            edits, verdict = proven
        elif (self.rewritten or any(edit.span.start < edit.span.stop for edit in edits)) and not self._is_safe(edits):
            # Without the forged field the rest is read otherwise.  As it came, every reading of it has been looked at.
            edits = ()
        return self._settle(root, verdict, edits) if settling else self._report(verdict, edits)

    def _settle(self, root: Part, verdict: Verdict, edits: tuple[Edit, ...]) -> Report:
        """Besides `edits`, the canonical form of what is ambiguous; what has none is told, and policy asked about that."""
        from lazaretto.scan import canonical

        take = self.kept.take if self.kept is not None else lambda chunks: Source(b"".join(chunks))
        wants = canonical.wants(self.envelope, self.policy)
        settled = canonical.settle(self.source, self.owner.limits, wants, take, self.spool, first=edits)
        if settled.edits != edits:
            if plan.header_start(self.source, root) is None and dict(verdict.treatments).get(()) is not Treatment.REPLACE:
                settled = canonical.announced(self.source, settled, self.owner.limits, verdict.tags, self._closing(), self.spool)
            if not self._is_safe(settled.edits):
                settled = canonical.settle(self.source, self.owner.limits, wants, take, self.spool, first=edits, most=0)
        if settled.left and not self.unsettled:
            self.unsettled = True
            self.findings = (*self.findings, *canonical.remarks(settled))
            if settled.edits == edits:
                self.policy = canonical.without(self.policy)
            again = decide(self.findings, self.envelope, self.policy)
            if again != verdict:
                return self._act(root, again)
        return self._report(verdict, settled.edits)

    def _keep(self, root: Part, verdict: Verdict) -> None:
        """Put the original into quarantine and single parts into files, as the verdict wants it."""
        if self.dry_run:
            return
        if verdict.quarantine and not self.quarantine_id:
            if self.stores.quarantine is None:
                raise OSError("the policy asks for quarantine, but [quarantine] is disabled")
            description = describe(self.envelope, self.findings, verdict.rule)
            self.quarantine_id = self.stores.quarantine.put(self.source, description, scan_id=self.scan_id, now=self.now)
        for path in (*verdict.saved, *self._lost(root, verdict)):
            if self.stores.saved is None:
                raise OSError("the policy asks for a file of its own for a part, but there is no place for it")
            for key, name, content in saving.contents(self.source, root, path, self.blocks.get(path, ())):
                if key in self.saved:
                    continue
                cured = self.contents.disinfected.get(key)
                chunks = self.contents.cleaned[cured].chunks() if cured is not None else content
                self.saved[key] = self.stores.saved.put(chunks, name, self.now, os.getpid())

    def _lost(self, root: Part, verdict: Verdict) -> Iterator[Path]:
        """Parts that only were to get other names, and are cut out because they cannot; where there is a place for them."""
        if verdict.disposition is Disposition.ACCEPT and self.stores.saved is not None and not self.quarantine_id:
            for path, treatment in verdict.treatments:
                if treatment in plan.RENAMING and path not in (*verdict.saved, *self.blocks) and not plan.can_defang(root, path):
                    yield path

    def _plan(self, root: Part, verdict: Verdict, treatments: Mapping[Path, Treatment], new: New = NOTHING_NEW) -> tuple[Edit, ...]:
        self.rewritten, closing, style = [], self._closing(), self.owner.style
        return plan.plan(
            self.source, root, treatments, verdict.tags, self._notice,
            cleaned=new.bodies, fields=new.fields, closing=closing, style=style, rewritten=self.rewritten, blocks=self.blocks,
        )  # fmt: skip

    def _action(self, finding: Finding) -> Action:
        return judge(finding, self.envelope, self.policy).action

    def _closing(self) -> Sequence[tuple[bytes, bytes]]:
        """Who scanned; nobody did, if an engine failed that had to answer."""
        failed = {finding.engine for finding in self.findings if finding.kind is Kind.ERROR}
        return self.owner.closing(failed) if failed <= self.owner.policy.optional else ()

    def _prove(self, root: Part, verdict: Verdict, edits: tuple[Edit, ...]) -> tuple[tuple[Edit, ...], Verdict] | None:
        """`edits`, or more of them, such that the result holds nothing that policy would treat; None if that cannot be shown.

        The verdict that comes with them has what is really done.
        """
        treatments, whole = dict(verdict.treatments), {root.path: Treatment.REPLACE}
        kept = {path for path, treatment in treatments.items() if treatment in (Treatment.DISINFECT, Treatment.DISARM)}
        cut = treatments | dict.fromkeys({*self.contents.disinfected, *kept} & treatments.keys(), Treatment.REPLACE)
        if self._is_safe(edits):
            done = {path: Treatment.REPLACE if path in kept - self.contents.given.keys() else what for path, what in treatments.items()}
            return edits, verdict._replace(treatments=tuple(done.items()))
        if cut != treatments and self._is_safe(attempt := self._plan(root, verdict, cut)):
            return attempt, verdict._replace(treatments=tuple(cut.items()))
        self.blocks = encoded_files.NONE
        if treatments != whole and not self.quarantine_id and self.stores.saved is not None and () not in self.saved:
            # Parts go that policy has nothing against.
            self.saved[()] = self.stores.saved.put(self.source.chunks(), "message.eml", self.now, os.getpid())
        bare = plan.replace_message(self.source, root, self._notice, verdict.tags, self._closing(), keep_fields=False)
        for attempt in (self._plan(root, verdict, whole), (bare,)):
            if self._is_safe(attempt):
                return attempt, verdict._replace(treatments=tuple(whole.items()))
        return None

    def _is_safe(self, edits: tuple[Edit, ...]) -> bool:
        """Is there nothing to replace or to refuse in what `edits` make of the message?"""
        output = self.spool.take(editing.render(self.source, edits))
        try:
            result = scanner.parse(output, self.owner.limits)
            if any(not isinstance(edit.data, bytes) for edit in edits) and not self.contents.arrived(output, result, self.spool):
                return False
            found = self._findings(output, result, again=True)
            verdict = decide(found, self.envelope, self.policy)
            return verdict.disposition is Disposition.ACCEPT and not any(treatment in _HARMFUL for _, treatment in verdict.treatments)
        finally:
            self.spool.release(output)

    # -- findings

    def _findings(self, source: Source, root: Part, *, again: bool = False) -> tuple[Finding, ...]:
        """What the reader and all engines say, each statement once for each part, unless policy tells two of them apart.

        `again`: it is our own output that is looked at.
        """
        most = self.owner.limits.max_findings
        weighty: dict[tuple[object, ...], Finding] = {}
        remarks: dict[tuple[object, ...], Finding] = {}  # change nothing: a digest of five hundred mails may have a thousand flaws
        for found in self.look(source, root, self.spool):
            item, stated = (None, (found,)) if isinstance(found, Finding) else found
            for finding in stated:
                if item is not None:
                    finding = self.contents.placed(item, finding, again=again)
                said = (finding.engine, finding.kind, finding.name, finding.part, finding.reason)
                decision = judge(finding, self.envelope, self.policy)
                if again and item is not None and decision.action in _CUT and self._is_excused(item, finding):
                    continue
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

    def _is_excused(self, item: Item, finding: Finding) -> bool:
        """Is this no reason to cut out a piece of our own output?

        Where policy cuts out what an engine could not scan, what stands there instead cannot wait for that engine:
        our own notices.  The message as a whole is a second look at parts that are each asked about.
        Nor do lists of names that are not wanted mean the names of notices.
        """
        if item.digest in self.ours:
            return finding.kind in (Kind.ERROR, Kind.BANNED)
        return item.is_message and finding.kind is Kind.ERROR

    def look(self, source: Source, root: Part | None, spool: Spool, name: str = "") -> Iterator[tuple[Item, tuple[Finding, ...]] | Finding]:
        """Walk and ask; root None: `source` is no message but a file called `name`."""
        meter = Meter(self.owner.limits, self.deadline, time.monotonic, source.size)
        walker = Walker(source, spool, meter)
        for found in walker.message(root) if root is not None else walker.file(name):
            if isinstance(found, Finding):
                yield found
            else:
                acts = (
                    () if root is None else (*self.contents.look(found, root, meter.tick), *self.contents.look_inside(found, meter, spool))
                )
                yield found, (*self.inquiry.ask(found), *acts)

    def _keep_cleaned(self, item: Item, chunks: Iterable[bytes]) -> None:
        self.contents.keep(item, chunks, self.spool)

    def _notice(self, part: Part, eol: bytes, whole: bool | None) -> bytes:
        from lazaretto.scan import noticing

        saved = tuple(path for where, path in self.saved.items() if where[: len(part.path)] == part.path)
        told = noticing.Told(self.now, self.rule, self.scan_id, self.quarantine_id, self.owner.host)
        findings = noticing.about(part, self.findings)
        text = noticing.make(self.owner.notices(), told, part, findings, saved, eol, whole, self.owner.style.summary)
        self.ours.update(noticing.digests(text, eol))
        return text

    def _report(self, verdict: Verdict, edits: tuple[Edit, ...], findings: tuple[Finding, ...] | None = None) -> Report:
        return Report(
            self.scan_id,
            self.findings if findings is None else findings,
            verdict,
            edits,
            (time.monotonic() - self.started) * 1000,
            tuple((engine.name, "") for engine in self.owner.engines),
            self.source.digest().hex(),
            self.quarantine_id,
            tuple(self.saved.values()),
            self.backup,
            tuple(self.rewritten) if edits else (),
            tuple(self.inquiry.spent_ms.items()),
        )
