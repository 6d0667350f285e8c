"""Our milter beside one that others could have written on libmilter, behind the same Postfix: what arrives is the same.

Each message goes through Postfix three times: with the reference milter told to do nothing, which shows what a milter gets to
see (with any milter, Postfix cuts a field at 60,000 bytes instead of its own limit); with the reference milter told to do what
the pipeline would do to that; and with ours.

What differs, and may:

    the number of the scan, the time        of each scan its own: in notices
    Content-type, content-type ...          a field that is changed keeps the name that the sender wrote, where the reference milter,
                                            which deletes and inserts, writes ours

Messages are those of the shared corpus, where it is, and EICAR in all wrappings.  With LAZARETTO_LONG=1, all of them.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import evasion_corpus as evasion
import scanners
import wrappings
from lazaretto.model import Disposition
from milter_program import MilterProgram
from milter_site import scanner as made_scanner
from milter_site import untraced, without_ids
from postfix import Postfix
from reference_milter import ReferenceMilter, as_plan
from serving import eventually
from smtp_session import Session
from smtp_sink import Sink

FOLDER = Path(evasion.SHARED, "corpus", "messages")
LONG = bool(os.environ.get("LAZARETTO_LONG"))
MANY = None if LONG else 60  # all
_MARK = re.compile(rb"(?m)^X-Plan: (\w+)")


class Case(NamedTuple):
    """A message, as it is sent."""

    name: str
    message: bytes


def corpus() -> list[Case]:
    """A sample of the shared corpus; none if it is not here."""
    files = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.name != "MANIFEST.tsv")
    step = max(1, len(files) // MANY) if MANY else 1
    return [Case(str(path.relative_to(FOLDER)), as_sent(path.read_bytes())) for path in files[::step]][:MANY]


def as_sent(message: bytes) -> bytes:
    """With the line ends that SMTP has, and without what no mail server would take.  A mark is put on top by whoever sends it."""
    data = re.sub(rb"\r\n|\r|\n", b"\r\n", message).replace(b"\0", b"")
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def wrapped() -> list[Case]:
    """EICAR, in every wrapping that we open."""
    return [Case(name, as_sent(make())) for name, make in itertools.islice(wrappings.messages(), 0, None, 1 if LONG else 4)]


class Bench:
    """One Postfix with a door for each milter."""

    def __init__(self, postfix: Postfix, sink: Sink, reference: ReferenceMilter, ours: MilterProgram) -> None:
        self.postfix, self.sink, self.reference, self.ours = postfix, sink, reference, ours

    def through(self, door: str, messages: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """What arrives of the messages, by the names of their plans; all have to arrive."""
        self.sink.clear()
        with Session(f"127.0.0.1:{self.postfix.port(door)}") as client:
            client.greet()
            for name, message in messages.items():
                answer = client.deliver(b"X-Plan: %s\r\nX-Below: -\r\n%s" % (name, message))
                assert answer.code == 250, (name, answer)
        eventually(lambda: len(self.sink.messages) >= len(messages), "all messages")
        arrived: dict[bytes, bytes] = {}
        for one in self.sink.messages:
            mark = _MARK.search(one.data)
            assert mark is not None, one.data[:1000]
            assert mark[1] not in arrived
            arrived[mark[1]] = untraced(one.data)
        assert arrived.keys() == messages.keys()
        return arrived


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Sink() as sink, ReferenceMilter() as reference, MilterProgram() as ours:
        doors = {"reference": reference.address.postfix, "ours": ours.listen.postfix}
        services = "".join(f"{{{door}}} inet n - n - - smtpd\n  -o smtpd_milters={address}\n" for door, address in doors.items())
        # Postfix would cut long lines on the way out, where a milter has seen them whole.
        main = {"smtp_line_length_limit": "0", "local_header_rewrite_clients": "", "message_size_limit": "0"}
        with Postfix(next_hop=sink.address, main=main, services=services) as postfix:
            for door in doors:
                postfix.wait_for(f"127.0.0.1:{postfix.port(door)}")
            yield Bench(postfix, sink, reference, ours)
            assert postfix.trouble() == []
        assert reference.log == ""
        assert ours.stop() == 0


def comparable(data: bytes) -> bytes:
    """Without what may differ: see above."""
    head, end, body = without_ids(data).partition(b"\r\n\r\n")
    head = re.sub(rb"(?m)^([!-9;-~]+:) ?", rb"\1 ", head)  # of a field that is sent again, libmilter writes a blank
    fields = re.split(rb"\r?\n(?![ \t])", re.sub(rb"(?im)^content-type:", b"Content-Type:", head).strip())
    if b"found=ambiguous" in fields[0]:  # the place of a field inside the header is counted differently, see docs/protocols/milter.md
        fields.sort()
    return b"\r\n".join(fields) + (end + body if body.strip() else b"")


def compare(bench: Bench, cases: list[Case], folder: Path) -> int:
    """All three ways; how many messages were changed."""
    names = {b"plan%d" % number: case for number, case in zip(itertools.count(), cases)}
    sent = {name: case.message for name, case in names.items()}
    for name in names:
        bench.reference.plan(name=name.decode())
    seen = bench.through("reference", sent)
    scanner = made_scanner(str(folder))
    outputs: dict[bytes, bytes] = {}
    changed = 0
    for name, message in seen.items():
        report, output = scanners.through(scanner, message)
        assert report.verdict.disposition is Disposition.ACCEPT, names[name].name
        requests, body = as_plan(message, output)
        bench.reference.plan(*requests, body=body, name=name.decode())
        changed += body is not None
        outputs[name] = output
    theirs = bench.through("reference", sent)
    ours = bench.through("ours", sent)
    wrong = [names[name].name for name in sent if comparable(theirs[name]) != comparable(ours[name])]
    assert wrong == []
    wrong = [names[name].name for name in sent if comparable(ours[name]) != comparable(outputs[name])]
    assert wrong == []
    return changed


@pytest.mark.skipif(not FOLDER.is_dir(), reason=evasion.MISSING)
def test_corpus(bench: Bench, tmp_path: Path) -> None:
    cases = corpus()
    assert len(cases) >= (MANY or 300)
    assert 0 < compare(bench, cases, tmp_path) < len(cases)


def test_wrapped(bench: Bench, tmp_path: Path) -> None:
    cases = wrapped()
    assert compare(bench, cases, tmp_path) == len(cases)
