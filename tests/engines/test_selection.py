from __future__ import annotations

from collections.abc import Iterable

import pytest

from doubles import context, item_of
from eicar import EICAR
from lazaretto.content.candidates import MAX_CANDIDATES
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.selection import Selected
from lazaretto.errors import ConfigError
from lazaretto.limits import DEFAULT, Meter
from lazaretto.mime import scanner
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Item, Kind
from lazaretto.scan.inquiry import Inquiry
from lazaretto.scan.walk import Walker
from lazaretto.store.spool import Spool
from wrappings import b64, zipped

EXE = b"MZ\x90\0\x03\0\0\0"
MESSAGE = item_of(b"From: x\r\n\r\n", part=(), trail=(), media_type="message/rfc822", type="message", is_message=True)


class Recorder:
    """An engine that finds EICAR and writes down what it saw; like clamd it passes over what was covered."""

    name = "recorder"
    required = False
    by_content = True

    def __init__(self) -> None:
        self.seen: list[Item] = []
        self.closed = False

    def wants(self, item: Item) -> bool:
        return not item.covered

    def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
        self.seen.append(item)
        return [Finding(self.name, Kind.MALWARE, "eicar")] if EICAR in item.content.data else []

    def info(self, timeout_s: float) -> EngineInfo:
        return EngineInfo("recorder", str(timeout_s))

    def close(self) -> None:
        self.closed = True


def named(*names: str, **fields: object) -> Item:
    return item_of(b"hello", names=names, **fields)


def test_only_what_matches() -> None:
    engine = Selected(Recorder(), [r"\.exe$", "^invoice"])
    assert engine.wants(named("a.EXE"))
    assert engine.wants(named("b.txt", "Invoice 7.pdf"))
    assert engine.wants(item_of(EXE, names=("a.txt",)))  # filetype.exe
    assert engine.wants(item_of(b"", media_type="application/x-msdownload"))
    assert not engine.wants(named("a.txt"))
    assert not engine.wants(named())
    assert Selected(Recorder(), [r"^unnamed\.txt$"]).wants(named())


def test_the_raw_message_only_if_everything_matches() -> None:
    assert Selected(Recorder(), [r"\.exe$", ".*"]).wants(MESSAGE)
    assert not Selected(Recorder(), [r"\.exe$"]).wants(MESSAGE)
    assert not Selected(Recorder(), ["^(?!.*exe$).*"]).wants(MESSAGE)


def test_what_the_raw_message_covers_is_seen_one_by_one() -> None:
    inner = Recorder()
    engine = Selected(inner, [r"\.txt$"])
    item = named("a.txt", covered=True)
    assert engine.wants(item)
    assert list(engine.scan(item, context())) == []
    assert not inner.seen[0].covered
    everything = Selected(inner, [".*"])
    assert not everything.wants(item)  # the engine has seen the raw message
    list(everything.scan(named("b.txt", covered=True), context()))
    assert inner.seen[1].covered


def test_what_is_inside_a_chosen_file_is_chosen() -> None:
    engine = Selected(Recorder(), [r"\.zip$"])
    engine.wants(MESSAGE)
    assert engine.wants(named("a.zip", trail=("2",)))
    assert engine.wants(named("b.doc", trail=("2", "b.doc")))
    assert engine.wants(named(trail=("2", "b.doc", "macros"), is_file=False))
    assert engine.wants(named("c.txt", trail=("2", "c.txt")))
    assert not engine.wants(named("d.txt", trail=("3",)))
    assert not engine.wants(named("e.txt", trail=("2", "e.txt")))  # not right behind its container: another part
    assert not engine.wants(named("e.zip.txt", trail=("22", "x")))
    assert engine.wants(named("x.zip", trail=()))
    engine.wants(MESSAGE)  # the next message
    assert not engine.wants(named("c.txt", trail=("2", "c.txt")))


def test_too_many_names_are_chosen() -> None:
    engine = Selected(Recorder(), [r"\.exe$"])
    assert engine.wants(named(*(f"{n}.dat" for n in range(MAX_CANDIDATES + 1))))


def test_it_is_the_engine_in_all_else() -> None:
    inner = Recorder()
    engine = Selected(inner, ["a"])
    assert (engine.name, engine.required, engine.by_content, engine.engine) == ("recorder", False, True, inner)
    assert engine.info(3) == EngineInfo("recorder", "3")
    engine.close()
    assert inner.closed


@pytest.mark.parametrize(("only", "message"), [((), "expected at least one"), (("(",), "no regular expression"), (("a", "*"), '"*"')])
def test_wrong_expressions(only: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=r"\[engines\.recorder\] only: ") as caught:
        Selected(Recorder(), only)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("only", "parts"),
    [
        ([".*"], {()} | {(1,), (2,), (3,)}),
        ([r"\.zip$"], {(3,)}),
        ([r"\.txt$"], {(1,), (2,), (3,)}),  # a member of the archive is called so, too
        ([r"notes\.txt$"], {(2,)}),
        ([r"\.pdf$"], set()),
    ],
)
def test_a_whole_message(only: list[str], parts: set[tuple[int, ...]]) -> None:
    """Malware in the text, in a text file and in an archive: who is seen is blamed."""
    message = b"\r\n".join(
        [
            b'Content-Type: multipart/mixed; boundary="b"\r\n',
            b"--b\r\nContent-Type: text/plain\r\n\r\n" + EICAR,
            b'--b\r\nContent-Type: text/plain; name="notes.txt"\r\n\r\n' + EICAR + b" again",
            b'--b\r\nContent-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            + b64(zipped(EICAR, "a.txt")),
            b"--b--\r\n",
        ]
    )
    source = Source(message)
    inquiry = Inquiry([Selected(Recorder(), only)], context())
    with Spool() as spool:
        items = (item for item in Walker(source, spool, Meter(DEFAULT)).message(scanner.parse(source)) if isinstance(item, Item))
        assert {finding.part for item in items for finding in inquiry.ask(item)} == parts
