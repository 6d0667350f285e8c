"""Asking the engines: nothing twice, nothing forgotten, no failure unnoticed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable

import pytest

from doubles import context, item_of
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.errors import EngineError, LimitExceeded
from lazaretto.limits import DEFAULT
from lazaretto.model import Envelope, Finding, Item, Kind, Reason
from lazaretto.scan.inquiry import Inquiry

Answer = Callable[[Item], Iterable[Finding]]


class EngineDouble:
    """An engine that says what it was told to say and remembers what it was shown."""

    def __init__(self, answer: Answer = lambda _: (), name: str = "double", by_content: bool = True) -> None:
        self.name = name
        self.required = True
        self.by_content = by_content
        self.answer = answer
        self.shown: list[Item] = []
        self.contexts: list[ScanContext] = []

    def wants(self, item: Item) -> bool:
        return not item.covered

    def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
        self.shown.append(item)
        self.contexts.append(ctx)
        return self.answer(item)

    def info(self, timeout_s: float) -> EngineInfo:
        return EngineInfo("double")

    def close(self) -> None:
        pass


def found(name: str = "Evil", kind: Kind = Kind.MALWARE, reason: Reason | None = None) -> Answer:
    return lambda _: [Finding("double", kind, name, reason=reason)]


def item(data: bytes, **fields: object) -> Item:
    return item_of(data, digest=hashlib.sha256(data).digest(), **fields)


def raw(data: bytes = b"the whole message") -> Item:
    return item(data, part=(), trail=(), is_message=True)


# -- place


def test_findings_get_the_place_of_the_item() -> None:
    inquiry = Inquiry([EngineDouble(found())], context())
    (finding,) = inquiry.ask(item(b"x", part=(2, 1), trail=("2.1", "b"), files=("a.zip", "b")))
    assert finding == Finding("double", Kind.MALWARE, "Evil", (2, 1), "", None, ("2.1", "b"), ("a.zip", "b"))


def test_engines_are_asked_in_order() -> None:
    engines = [EngineDouble(lambda _, n=name: [Finding(n, Kind.BANNED, n)], name) for name in ("one", "two", "three")]  # type: ignore[misc]
    assert [finding.engine for finding in Inquiry(engines, context()).ask(item(b"x"))] == ["one", "two", "three"]


def test_engines_get_the_context() -> None:
    engine = EngineDouble()
    ctx = ScanContext(time.monotonic() + 5, Envelope(b"a@example.org"), DEFAULT)
    list(Inquiry([engine], ctx).ask(item(b"x")))
    assert engine.contexts == [ctx]


# -- nothing twice


def test_identical_content_is_asked_once_and_answered_for_each_place() -> None:
    engine = EngineDouble(found())
    inquiry = Inquiry([engine], context())
    answers = [finding for part in ((1,), (2,), (3,)) for finding in inquiry.ask(item(b"same", part=part, trail=(str(part[0]),)))]
    assert len(engine.shown) == inquiry.asked == 1
    assert [finding.part for finding in answers] == [(1,), (2,), (3,)]
    assert [finding.trail for finding in answers] == [("1",), ("2",), ("3",)]


def test_silence_is_remembered_too() -> None:
    engine = EngineDouble()
    inquiry = Inquiry([engine], context())
    assert [list(inquiry.ask(item(b"same"))) for _ in range(3)] == [[], [], []]
    assert len(engine.shown) == 1


def test_each_engine_is_asked() -> None:
    one, two = EngineDouble(name="one"), EngineDouble(found(), name="two")
    inquiry = Inquiry([one, two], context())
    list(inquiry.ask(item(b"same")))
    assert list(inquiry.ask(item(b"same")))
    assert len(one.shown) == len(two.shown) == 1


def test_an_engine_that_looks_at_names_is_asked_each_time() -> None:
    engine = EngineDouble(lambda i: [Finding("double", Kind.BANNED, i.names[0])], by_content=False)
    inquiry = Inquiry([engine], context())
    names = [finding.name for name in ("a.txt", "a.exe") for finding in inquiry.ask(item(b"same", names=(name,)))]
    assert names == ["a.txt", "a.exe"]


def test_other_content_is_other_content() -> None:
    engine = EngineDouble(lambda i: [Finding("double", Kind.MALWARE, i.content.read_at(0, 10).decode())])
    inquiry = Inquiry([engine], context())
    assert [finding.name for data in (b"a", b"b", b"a") for finding in inquiry.ask(item(data))] == ["a", "b", "a"]
    assert len(engine.shown) == 2


def test_the_raw_message_is_not_its_own_part() -> None:
    """A message without any header is one text: what an engine leaves out for raw messages it must be able to say of the text."""
    engine = EngineDouble(lambda i: () if i.is_message else [Finding("double", Kind.MALWARE, "Evil")])
    inquiry = Inquiry([engine], context())
    assert list(inquiry.ask(raw(b"evil"))) == []
    assert [finding.name for finding in inquiry.ask(item(b"evil"))] == ["Evil"]


# -- what the raw message covers


def test_covered_items_are_not_sent() -> None:
    engine = EngineDouble()
    inquiry = Inquiry([engine], context())
    list(inquiry.ask(raw()))
    list(inquiry.ask(item(b"text", covered=True)))
    list(inquiry.ask(item(b"attachment")))
    assert [shown.content.data for shown in engine.shown] == [b"the whole message", b"attachment"]


def test_covered_items_are_sent_when_the_raw_message_was_too_large() -> None:
    def answer(shown: Item) -> list[Finding]:
        if shown.is_message:
            raise EngineError(Reason.LIMIT, "more than 25 MB")
        return [Finding("double", Kind.MALWARE, "Evil")]

    engine = EngineDouble(answer)
    other = EngineDouble(name="other")
    inquiry = Inquiry([engine, other], context())
    (note,) = inquiry.ask(raw())
    assert (note.kind, note.name, note.reason, note.detail) == (Kind.MALFORMED, "engine.raw-too-large", None, "more than 25 MB")
    (finding,) = inquiry.ask(item(b"text", covered=True))
    assert finding.name == "Evil"
    assert [shown.content.data for shown in other.shown] == [b"the whole message"]  # it has seen it all


@pytest.mark.parametrize("say", [found("too.large", Kind.UNSCANNABLE, Reason.LIMIT), found()], ids=["limit", "malware"])
def test_covered_items_are_sent_when_something_was_found(say: Answer) -> None:
    engine = EngineDouble(say)
    inquiry = Inquiry([engine], context())
    list(inquiry.ask(raw()))
    list(inquiry.ask(item(b"text", covered=True)))
    assert [shown.covered for shown in engine.shown] == [False, False]


def test_a_limit_on_a_part_stays_a_limit() -> None:
    engine = EngineDouble(found("too.large", Kind.UNSCANNABLE, Reason.LIMIT))
    (finding,) = Inquiry([engine], context()).ask(item(b"part"))
    assert (finding.kind, finding.reason, finding.name) == (Kind.UNSCANNABLE, Reason.LIMIT, "too.large")


# -- failures


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.DOWN, Kind.ERROR),
        (Reason.TIMEOUT, Kind.ERROR),
        (Reason.LIMIT, Kind.UNSCANNABLE),
        (Reason.ENCRYPTED, Kind.UNSCANNABLE),
        (Reason.BROKEN, Kind.UNSCANNABLE),
        (Reason.UNSUPPORTED, Kind.UNSCANNABLE),
    ],
)
def test_an_engine_error_is_a_finding(reason: Reason, kind: Kind) -> None:
    def fail(_: Item) -> list[Finding]:
        raise EngineError(reason, "because")

    (finding,) = Inquiry([EngineDouble(fail)], context()).ask(item(b"x", part=(4,), trail=("4",)))
    assert finding == Finding("double", kind, f"engine.{reason.value}", (4,), "because", reason, ("4",))


class PanicException(BaseException):
    """As native libraries raise it: no Exception."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        OSError(5, "x"),
        MemoryError(),
        RecursionError("x"),
        LimitExceeded("max_members"),
        StopIteration(),
        PanicException("x"),
        SystemExit(0),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("where", ["scan", "first finding", "wants"])
def test_a_bug_of_an_engine_is_its_failure(error: BaseException, where: str) -> None:
    """Not the message's, and not that of the other engines; sys.exit(0) in an engine must not look like success."""

    class Buggy(EngineDouble):
        def wants(self, item: Item) -> bool:
            if where == "wants":
                raise error
            return True

        def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
            if where == "scan":
                raise error
            return self.findings()

        def findings(self) -> Iterable[Finding]:
            yield Finding("buggy", Kind.MALWARE, "Evil")
            raise error

    after = EngineDouble(found())
    findings = list(Inquiry([Buggy(name="buggy"), after], context()).ask(item(b"x", part=(1,))))
    assert [(f.engine, f.kind, f.name) for f in findings] == [("buggy", Kind.ERROR, "engine.crash"), ("double", Kind.MALWARE, "Evil")]
    assert findings[0].reason is Reason.DOWN
    assert findings[0].part == (1,)
    # A StopIteration inside a generator becomes RuntimeError, PEP 479.
    assert type(error).__name__ in findings[0].detail or (isinstance(error, StopIteration) and "RuntimeError" in findings[0].detail)


def test_whoever_wants_us_to_stop_is_obeyed() -> None:
    def stopped(_: Item) -> list[Finding]:
        raise KeyboardInterrupt

    inquiry = Inquiry([EngineDouble(stopped)], context())
    with pytest.raises(KeyboardInterrupt):
        list(inquiry.ask(item(b"x")))


def test_a_failed_raw_scan_leaves_nothing_covered() -> None:
    def answer(shown: Item) -> list[Finding]:
        if shown.is_message:
            raise EngineError(Reason.DOWN, "went away")
        return []

    engine = EngineDouble(answer)
    inquiry = Inquiry([engine], context())
    assert [finding.kind for finding in inquiry.ask(raw())] == [Kind.ERROR]
    list(inquiry.ask(item(b"text", covered=True)))
    assert len(engine.shown) == 2


def test_what_each_engine_costs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known already costs nothing; a failure has cost what it cost."""
    now = [0.0]
    inquiry_context = context()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slow(found: Item) -> list[Finding]:
        now[0] += 0.25
        if found.content.read_at(0, 1) == b"x":
            raise EngineError(Reason.DOWN, "gone")
        return []

    inquiry = Inquiry([EngineDouble(slow, "slow"), EngineDouble(name="quick"), EngineDouble(name="idle")], inquiry_context)
    inquiry.engines[2].wants = lambda item: False  # type: ignore[method-assign]
    for data in (b"a", b"a", b"b", b"x"):
        list(inquiry.ask(item(data)))
    assert inquiry.spent_ms == {"slow": 750.0, "quick": 0.0}
