"""Answers remembered: only what is sure, only under the same signatures, only for a while, only so many."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import context, item_of
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.errors import EngineError
from lazaretto.model import Finding, Item, Kind, Reason
from lazaretto.scan.cache import MAX_AGE_S, TOKEN_S, AnswerCache, Remembering
from lazaretto.scan.inquiry import Inquiry

EVIL = Finding("double", Kind.MALWARE, "Evil")
ONE, TWO = ("Double 1", "27000"), ("Double 1", "27001")


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class EngineDouble:
    """An engine whose version can be changed, and that remembers what it was shown."""

    required = True
    by_content = True

    def __init__(self, *findings: Finding, name: str = "double") -> None:
        self.name = name
        self.findings = findings
        self.told = EngineInfo("Double 1", "27000")
        self.error: EngineError | None = None
        self.shown = 0
        self.asked: list[float] = []
        self.closed = False

    def wants(self, item: Item) -> bool:
        return not item.covered

    def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
        self.shown += 1
        if self.error is not None:
            raise self.error
        yield from self.findings

    def info(self, timeout_s: float) -> EngineInfo:
        self.asked.append(timeout_s)
        return self.told

    def close(self) -> None:
        self.closed = True


def item(data: bytes, **fields: object) -> Item:
    return item_of(data, digest=hashlib.sha256(data).digest(), **fields)


def key(data: bytes, name: str = "double", is_message: bool = False) -> tuple[str, bool, bytes]:
    return name, is_message, hashlib.sha256(data).digest()


# -- the store


def test_what_was_put_is_got() -> None:
    cache = AnswerCache(10)
    assert cache.get(key(b"a"), ONE) is None
    cache.put(key(b"a"), ONE, (EVIL,))
    cache.put(key(b"b"), ONE, ())
    assert cache.get(key(b"a"), ONE) == (EVIL,)
    assert cache.get(key(b"b"), ONE) == ()
    assert (len(cache), cache.hits) == (2, 2)


@pytest.mark.parametrize("other", [key(b"b"), key(b"a", "another"), key(b"a", is_message=True)])
def test_every_part_of_the_key_counts(other: tuple[str, bool, bytes]) -> None:
    cache = AnswerCache(10)
    cache.put(key(b"a"), ONE, ())
    assert cache.get(other, ONE) is None


def test_under_other_signatures_it_is_forgotten() -> None:
    cache = AnswerCache(10)
    cache.put(key(b"a"), ONE, ())
    assert cache.get(key(b"a"), TWO) is None
    assert len(cache) == 0
    cache.put(key(b"a"), ONE, ())
    assert cache.get(key(b"a"), ("Double 2", "27000")) is None


def test_too_old_is_forgotten() -> None:
    clock = Clock()
    cache = AnswerCache(10, clock=clock)
    cache.put(key(b"a"), ONE, ())
    clock.now += MAX_AGE_S - 0.1
    assert cache.get(key(b"a"), ONE) == ()  # which does not make it younger
    clock.now += 0.1
    assert cache.get(key(b"a"), ONE) is None
    assert len(cache) == 0


def test_who_was_not_asked_for_longest_goes_first() -> None:
    cache = AnswerCache(3)
    for data in (b"a", b"b", b"c"):
        cache.put(key(data), ONE, ())
    assert cache.get(key(b"a"), ONE) == ()
    cache.put(key(b"b"), ONE, (EVIL,))  # said anew
    cache.put(key(b"d"), ONE, ())
    assert [cache.get(key(data), ONE) for data in (b"a", b"b", b"c", b"d")] == [(), (EVIL,), None, ()]
    assert len(cache) == 3


def test_none_at_all() -> None:
    cache = AnswerCache(0)
    cache.put(key(b"a"), ONE, ())
    assert cache.get(key(b"a"), ONE) is None


@pytest.mark.parametrize("kind", Kind)
def test_only_statements_about_content(kind: Kind) -> None:
    cache = AnswerCache(10)
    cache.put(key(b"a"), ONE, (EVIL, Finding("double", kind, "x")))
    sure = kind in (Kind.MALWARE, Kind.BANNED, Kind.ACTIVE, Kind.MALFORMED)
    assert (cache.get(key(b"a"), ONE) is not None) == sure


@given(st.lists(st.tuples(st.sampled_from("pgt"), st.integers(0, 6)), max_size=60), st.integers(1, 4))
def test_like_a_dictionary_that_forgets(steps: list[tuple[str, int]], most: int) -> None:
    """Whatever is got was put last for this key and token; never more than allowed."""
    clock = Clock()
    cache = AnswerCache(most, 10.0, clock)
    put: dict[bytes, tuple[str, float]] = {}
    for number, (step, which) in enumerate(steps):
        data = b"%d" % which
        if step == "t":
            clock.now += which
        elif step == "p":
            put[data] = (str(number), clock.now)
            cache.put(key(data), ONE, (EVIL._replace(name=str(number)),))
        else:
            answer = cache.get(key(data), ONE)
            assert answer is None or (answer[0].name, True) == (put[data][0], clock.now < put[data][1] + 10)
        assert len(cache) <= most


# -- the engine in front of it


def test_asked_once_for_the_same_content() -> None:
    engine = EngineDouble(EVIL)
    answers = AnswerCache(10)
    for _ in range(3):  # one message after the other
        inquiry = Inquiry([Remembering(engine, answers)], context())
        (finding,) = inquiry.ask(item(b"x", part=(2,), trail=("2",)))
        assert finding == EVIL._replace(part=(2,), trail=("2",))
    assert (engine.shown, answers.hits) == (1, 2)


def test_engines_do_not_mix() -> None:
    answers = AnswerCache(10)
    one, two = EngineDouble(EVIL, name="one"), EngineDouble(name="two")
    for _ in range(2):
        engines = [Remembering(one, answers), Remembering(two, answers)]
        assert [len([*engine.scan(item(b"x"), context())]) for engine in engines] == [1, 0]
    assert (one.shown, two.shown) == (1, 1)


def test_new_signatures_are_noticed() -> None:
    clock = Clock()
    engine = EngineDouble()
    remembering = Remembering(engine, AnswerCache(10, clock=clock))
    assert remembering.scan(item(b"x"), context()) == ()
    engine.told, engine.findings = EngineInfo("Double 1", "27001"), (EVIL,)
    clock.now += TOKEN_S - 1
    assert remembering.scan(item(b"x"), context()) == ()
    clock.now += 1
    assert remembering.scan(item(b"x"), context()) == (EVIL,)
    assert (engine.shown, len(engine.asked)) == (2, 2)


@pytest.mark.parametrize("info", [EngineInfo("Double 1"), EngineInfo("Double 1", "27000", reachable=False)])
def test_who_does_not_say_what_it_knows_is_asked_each_time(info: EngineInfo) -> None:
    engine = EngineDouble()
    engine.told = info
    remembering = Remembering(engine, AnswerCache(10))
    for _ in range(3):
        remembering.scan(item(b"x"), context())
    assert engine.shown == 3
    assert len(engine.asked) == 1


def test_content_without_a_digest_is_not_known() -> None:
    engine = EngineDouble()
    remembering = Remembering(engine, AnswerCache(10))
    for data in (b"x", b"y"):
        remembering.scan(item_of(data), context())
    assert (engine.shown, engine.asked) == (2, [])


def test_failures_are_not_remembered() -> None:
    engine = EngineDouble()
    remembering = Remembering(engine, AnswerCache(10))
    engine.error = EngineError(Reason.LIMIT, "too large")
    with pytest.raises(EngineError):
        remembering.scan(item(b"x"), context())
    engine.error = None
    assert remembering.scan(item(b"x"), context()) == ()
    assert engine.shown == 2


def test_the_question_for_the_version_has_a_limit() -> None:
    engine = EngineDouble()
    Remembering(engine, AnswerCache(10)).scan(item(b"x"), context(100))
    Remembering(engine, AnswerCache(10)).scan(item(b"x"), context(0.5))
    Remembering(engine, AnswerCache(10)).scan(item(b"x"), context(-5))
    assert engine.asked[0] == 1.0
    assert 0 < engine.asked[1] <= 0.5
    assert engine.asked[2] == 0.01


def test_otherwise_it_is_the_engine() -> None:
    engine = EngineDouble(name="x")
    engine.required = False
    remembering = Remembering(engine, AnswerCache(10))
    assert (remembering.name, remembering.required, remembering.by_content) == ("x", False, True)
    assert remembering.info(3.0) is engine.told
    assert [remembering.wants(item(b"x", covered=covered)) for covered in (False, True)] == [True, False]
    remembering.close()
    assert engine.closed
