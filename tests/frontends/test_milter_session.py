"""A milter's sessions on real sockets: conversations, verdicts, what the log says, slow and vanishing mail servers."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogue import dialogues
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.frontends.peer import BACKLOG_BYTES
from lazaretto.frontends.scan_pool import Busy, ScanFailed
from milter_dialogue import run_socket, steps
from milter_double import Mta, MtaClient, macros, packet, texts
from milter_running import VERDICTS, EditingPool, MilterRunning
from serving import eventually
from smtp_running import InlinePool

MESSAGE = b"From: a@example.org\r\nSubject: hello\r\n there\r\n\r\nNothing.\r\n"


def running(pool: Any = None, *, path: Any = None, **others: Any) -> MilterRunning:
    return MilterRunning(MilterSettings(**others), pool, path=path)


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize("path", dialogues("milter"), ids=lambda path: path.stem)
def test_conversations(path: Path, size: int) -> None:
    script = steps(path)
    verdict = next((data.decode() for verb, data in script if verb == "verdict"), "clean")
    changed = {name: int(value) for verb, data in script if verb == "set" for name, _, value in [data.decode().partition(" ")]}
    with running(EditingPool(verdict), **changed) as service:
        run_socket(script, service.address, size)


# -- what a message comes to


def test_a_message_as_it_was(tmp_path: Path) -> None:
    with running(path=tmp_path / "s") as service, service.mta() as mta:
        told = mta.deliver(MESSAGE)
        assert (told.letters, told.message) == ("a", MESSAGE)
        line = service.line()
    assert (line["outcome"], line["queue_id"], line["from"], line["to"]) == ("clean", "4Q1", "s@example.org", "r@example.net")
    assert line["client"] == "192.0.2.1"
    assert int(line["size"]) == len(MESSAGE)
    assert service.pool.contents == [MESSAGE]
    (envelope,) = service.pool.envelopes
    assert envelope.helo == b"client.example"
    assert ("daemon_name", "smtpd") in envelope.macros


@pytest.mark.parametrize("message", [
    b"\r\nbody only\r\n",
    b"A: 1\r\n\r\n",
    b"\r\n",
    b"A:no blank\r\nB:  two\r\nC:\r\nD: \t tab\r\nA: again\r\n\r\n" + b"x" * 200_000,
    b"Fold: a\r\n b\r\n\tc\r\n\r\n\r\n\r\nlines\r\n.\r\n..\r\nno end",
    "Ünïcode: ä\r\n\r\nü\r\n".encode(),
    b"Raw: \xff\xfe\r\n\r\n\0NUL\0\r\n",
], ids=range(7))  # fmt: skip
def test_the_source_is_what_was_sent(message: bytes) -> None:
    with running() as service, service.mta() as mta:
        assert mta.deliver(message).letter == "a"
    assert service.pool.contents == [message]


def test_without_the_leading_space() -> None:
    """One blank is what comes back, for the MTA has eaten it."""
    message = b"A:no blank\r\nB: one\r\nC:  two\r\nD:\r\n\r\n"
    with running() as service, service.mta(Mta(2, 0x3F, 0x7F)) as mta:
        assert mta.deliver(message).letter == "a"
    assert service.pool.contents == [b"A: no blank\r\nB: one\r\nC:  two\r\nD:\r\n\r\n"]


def test_many_messages_in_one_connection() -> None:
    with running() as service, service.mta() as mta:
        for number in range(20):
            assert mta.deliver(b"N: %d\r\n\r\n" % number, i=b"Q%d" % number).letter == "a"
        service.until(lambda: len(service.final) == 20)
    assert [line["queue_id"] for line in service.final] == [f"Q{number}" for number in range(20)]
    assert service.pool.contents == [b"N: %d\r\n\r\n" % number for number in range(20)]


@pytest.mark.parametrize("version", [2, 6])
def test_a_new_body_and_a_new_field(version: int) -> None:
    body = b"0123456789" * 20_000
    mta = Mta(version) if version == 6 else Mta(2, 0x3F, 0x7F)
    with running(EditingPool(body=body)) as service, service.mta(mta) as client:
        told = client.deliver(MESSAGE)
        assert told.letters == "ibbbba"
        assert told.message == b"X-Status: cleaned\r\n" + MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body
        assert service.line()["outcome"] == "cleaned"


@pytest.mark.parametrize(("verdict", "letter", "text", "outcome"), [
    ("reject", "y", b"554 5.7.1 Message refused by content policy\0", "rejected"),
    ("tempfail", "y", b"451 4.7.1 Message could not be checked, try again later\0", "deferred"),
    ("discard", "d", b"", "discarded"),
])  # fmt: skip
def test_verdicts(verdict: str, letter: str, text: bytes, outcome: str) -> None:
    with running(EditingPool(verdict)) as service, service.mta() as mta:
        told = mta.deliver(MESSAGE)
        assert (told.letters, told.text) == (letter, text)
        assert service.line()["outcome"] == outcome
        assert mta.deliver(MESSAGE).letter == letter  # the connection goes on


def test_a_text_of_the_rule_with_percent() -> None:
    pool = InlinePool(VERDICTS["reject"]._replace(text="100% no, ä"))
    with running(pool) as service, service.mta() as mta:
        assert mta.deliver(MESSAGE).text == b"554 5.7.1 100%% no, ?\0"
        assert "100% no" in service.line()["reply"]


def test_hold() -> None:
    with running(EditingPool(), hold=True) as service, service.mta() as mta:
        told = mta.deliver(MESSAGE)
        assert told.letters == "iqba"
        assert told.held == b"lazaretto scan-id: policy.malware"
        assert service.line()["held"] == "yes"


@pytest.mark.parametrize(("missing", "named"), [(0x01, "SMFIF_ADDHDRS"), (0x02, "SMFIF_CHGBODY"), (0x20, "SMFIF_QUARANTINE")])
def test_what_the_mta_does_not_offer_makes_the_message_wait(missing: int, named: str) -> None:
    with running(EditingPool(), hold=True) as service, service.mta(Mta(actions=0x1FF & ~missing)) as mta:
        told = mta.deliver(MESSAGE)
        assert (told.letters, told.text[:9]) == ("y", b"451 4.3.0")
        line = service.line()
        assert (line["outcome"], line["verdict"]) == ("deferred", "cleaned")
        assert named in line["error"]
        assert "does not offer" in service.lines_of("negotiation")[0]


@pytest.mark.parametrize(("failure", "code", "rule"), [
    (ScanFailed("gone"), b"451 4.3.0", "system"),
    (Busy("too many"), b"451 4.3.2", "busy"),
    (ZeroDivisionError("bug"), b"451 4.3.0", "system"),
])  # fmt: skip
def test_a_failing_pool_is_a_temporary_failure(failure: Exception, code: bytes, rule: str) -> None:
    with running(InlinePool(failure=failure)) as service, service.mta() as mta:
        told = mta.deliver(MESSAGE)
        assert told.text.startswith(code)
        line = service.line()
        assert (line["outcome"], line["rule"]) == ("deferred", rule)


def test_a_scan_over_time_is_answered_and_shows_life_before() -> None:
    pool = InlinePool(hold=True)
    with running(pool, scan_timeout_s=0.3, progress_s=0.02) as service, service.mta() as mta:
        told = mta.deliver(MESSAGE)
        assert set(told.letters[:-1]) == {"p"}
        assert told.text.startswith(b"451 4.3.0")
        assert service.line()["error"] == "the scan took too long"


def test_no_progress_once_the_answer_is_there() -> None:
    with running(progress_s=0.001) as service, service.mta() as mta:
        for _ in range(30):
            told = mta.deliver(MESSAGE)
            assert told.letters.strip("p") == "a"
        assert mta.say("A") == ""


# -- limits


def test_a_message_that_is_too_big() -> None:
    with running(max_message_bytes=1000) as service, service.mta() as mta:
        told = mta.deliver(b"A: 1\r\n\r\n" + b"x" * 100_000)
        assert told.text.startswith(b"552 5.3.4 ")
        assert service.line()["rule"] == "limit"
        assert mta.deliver(MESSAGE).letter == "a"


@pytest.mark.parametrize("changed", [{"max_header_bytes": 100}, {"max_header_fields": 10}])
def test_a_header_that_is_too_big(changed: dict[str, int]) -> None:
    with running(**changed) as service, service.mta() as mta:
        told = mta.deliver(b"A: 1234567\r\n" * 11 + b"\r\n")
        assert told.text == b"552 5.3.4 Header is too big\0"
        assert service.line()["rule"] == "limit"


def test_too_many_recipients() -> None:
    with running(max_recipients=2) as service, service.mta() as mta:
        assert mta.deliver(MESSAGE, [b"<a@b>", b"<c@d>", b"<e@f>"]).text.startswith(b"452 4.5.3")
        assert service.line()["to"] == "a@b,c@d"


def test_no_room_for_one_more() -> None:
    pool = InlinePool(hold=True)
    with running(pool, max_jobs=1) as service, service.mta() as first, service.mta() as second:
        assert first.envelope()[0] == "c"
        for letter, data in first.mta.content(MESSAGE):
            first.send(first.mta.command(letter, data))
        assert pool.begun.acquire(timeout=20)
        letter, text = second.envelope()
        assert (letter, text[:9]) == ("y", b"451 4.3.2")
        pool.go()
        assert first.end(MESSAGE).letter == "a"
        service.until(lambda: len(service.final) == 2)
    assert sorted(line["rule"] for line in service.final) == ["busy", "default"]


def test_no_room_where_content_begins() -> None:
    """Without an answer to MAIL, the end says so."""
    with running(max_spooled_bytes=10) as service, service.mta() as mta:
        assert mta.content(MESSAGE).text.startswith(b"452 4.3.1")
        assert service.line()["rule"] == "busy"


def test_too_many_connections() -> None:
    with running(max_connections=1) as service, service.mta() as first, service.mta() as second:
        assert second.envelope() == ("y", b"451 4.3.2 Too many messages at the moment, try again later\0")
        assert service.line()["error"] == "2 connections"
        with MtaClient(service.address) as third:
            assert third.ended()
        assert service.lines_of("full")
        assert first.say("A") == ""


@pytest.mark.parametrize("sent", ["", "M", "L", "B"])
def test_silence(sent: str) -> None:
    """Between messages a mail server may take its time; content comes at once."""
    times = {"data_timeout_s": 0.05} if sent in ("L", "B") and sent else {"timeout_s": 0.05}
    with running(**times) as service, MtaClient(service.address).negotiate() as mta:
        if sent:
            mta.send(packet("M", texts(b"<a@b>")))
            assert mta.read()[0] == "c"
            mta.send({"M": b"", "L": packet("L", texts(b"A", b" 1")), "B": packet("B", b"x")}[sent])
        assert mta.ended()
        if sent:
            line = service.line()
            assert (line["outcome"], line["error"]) == ("aborted", "the mail server said nothing in time")


def test_what_is_sent_ahead_is_not_all_kept() -> None:
    """While a message is scanned, the next one stays where it is."""
    pool = InlinePool(hold=True)
    with running(pool) as service, service.mta() as mta:
        assert mta.envelope()[0] == "c"
        mta.send(packet("E"))
        assert pool.begun.acquire(timeout=20)
        (session,) = service.service._sessions
        mta.sock.setblocking(False)
        piece, sent = packet("B", b"x" * 60_000), 0
        for _ in range(1000):
            try:
                sent += mta.sock.send(piece)
            except BlockingIOError:
                break
            eventually(lambda: session._paused or session._machine.buffered > 0, "reading")
        assert sent < 60_000_000
        assert session._machine.buffered <= BACKLOG_BYTES + (1 << 18)  # and what came in one piece
        mta.sock.settimeout(20)
        pool.go()
        assert mta.end(b"").letter == "a"


def test_an_mta_that_takes_nothing() -> None:
    body = b"x" * (64 << 20)
    with running(EditingPool(body=body), data_timeout_s=0.2) as service, service.mta() as mta:
        assert mta.envelope()[0] == "c"
        for letter, data in mta.mta.content(MESSAGE):
            mta.send(mta.mta.command(letter, data))
        line = service.line()
        assert line["outcome"] == "aborted"


# -- messages that come to nothing


def test_an_mta_that_hangs_up_while_we_scan() -> None:
    pool = InlinePool(hold=True)
    with running(pool) as service:
        with service.mta() as mta:
            assert mta.envelope()[0] == "c"
            for letter, data in mta.mta.content(MESSAGE):
                mta.send(mta.mta.command(letter, data))
            assert pool.begun.acquire(timeout=20)
        line = service.line()
        assert (line["outcome"], line["error"]) == ("aborted", "the mail server hung up")
        assert pool.cancelled.wait(20)


@pytest.mark.parametrize("sent", ["M", "L", "B"])
@pytest.mark.parametrize("how", ["A", "Q", "K", "close"])
def test_what_is_given_up(sent: str, how: str) -> None:
    """Before any content, only a broken connection is worth a line."""
    with running() as service:
        with service.mta() as mta:
            assert mta.envelope()[0] == "c"
            mta.send({"M": b"", "L": packet("L", texts(b"A", b" 1")), "B": packet("B", b"x")}[sent])
            if how != "close":
                mta.send(packet(how))
        service.until_idle()
        if sent == "M" and how != "close":
            assert service.final == []
        else:
            line = service.line()
            assert (line["outcome"], line["rule"], line["queue_id"]) == ("aborted", "system", "4Q1")
            assert line["error"] == ("the mail server hung up" if how == "close" else "the mail server gave it up")


def test_a_client_of_the_mtas_is_forgotten_with_its_session() -> None:
    with running() as service, service.mta() as mta:
        assert mta.deliver(MESSAGE).letter == "a"
        mta.send(packet("K"))
        assert mta.deliver(MESSAGE).letter == "a"
        mta.connect(b"IPv6:2001:db8::1", "6")
        assert mta.deliver(MESSAGE).letter == "a"
    assert [(envelope.client, envelope.helo) for envelope in service.pool.envelopes] == [
        ("192.0.2.1", b"client.example"), ("", b""), ("2001:db8::1", b"client.example")]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "what"), [(b"EHLO x\r\n", "SMTP"), (b"GET / HTTP/1.0\r\n\r\n", "HTTP"), (b"\x16\x03\x01\x02\0\x01\0", "TLS")]
)
def test_somebody_who_speaks_something_else(first: bytes, what: str) -> None:
    with running() as service:
        with MtaClient(service.address) as client:
            client.send(first)
            assert client.ended()
        service.until_idle()
        (line,) = service.lines_of("protocol")
        assert f"looks like {what}" in line
        assert service.final == []


def test_a_probe_that_says_nothing_is_no_event() -> None:
    with running() as service:
        MtaClient(service.address).close()
        eventually(lambda: service.service.connections == 0, "the end")
        service.until_idle()
        assert service.lines == []


def test_a_broken_packet_within_a_message() -> None:
    with running() as service, service.mta() as mta:
        assert mta.envelope()[0] == "c"
        mta.send(packet("L", b"no end"))
        assert mta.ended()
        assert service.line()["outcome"] == "aborted"
        assert service.lines_of("protocol")


def test_a_bug_costs_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    import lazaretto.frontends.milter_session as module

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "answer", broken)
    with running() as service, service.mta() as mta:
        assert mta.deliver(MESSAGE).letter == "t"
        assert mta.ended()
        assert service.line()["outcome"] == "deferred"
        assert service.lines_of("crash")


def test_after_the_first_piece_the_only_failure_is_temporary() -> None:
    class Broken(EditingPool):
        async def scan(self, source: Any, envelope: Any = None) -> Any:
            report = await super().scan(source, envelope)
            top, body = report.edits

            class Gone(type(source)):  # type: ignore[misc]
                def chunks(self, *_: object, **__: object) -> Any:
                    yield b"x" * 100_000
                    raise OSError(5, "Input/output error")

            return report._replace(edits=(top, body._replace(data=Gone(b"x" * 100_000))))

    with running(Broken()) as service, service.mta() as mta:
        told = mta.deliver(MESSAGE)
        assert told.letters == "ibt"
        line = service.line()
        assert (line["outcome"], line["verdict"], line["error"]) == ("deferred", "cleaned", "Input/output error")
        assert mta.deliver(MESSAGE).letter == "t"


# -- {FP_SCANONLY}


def test_messages_that_are_not_to_be_scanned() -> None:
    with running() as service, service.mta() as mta:
        assert mta.deliver(MESSAGE, FP_SCANONLY=b"@example.org$:^root@").letter == "a"
        line = service.line()
        assert (line["outcome"], line["rule"]) == ("passed", "scan-only")
        assert service.pool.contents == []
        assert mta.deliver(MESSAGE, FP_SCANONLY=b"@example.net$").letter == "a"
        assert service.pool.contents == [MESSAGE]


# -- any sequence (issue 5)

FIELD = packet("L", texts(b"A", b" 1"))
PARTS: dict[str, bytes] = {
    "C": packet("C", b"h\0" + b"4" + struct.pack(">H", 1) + b"192.0.2.9\0"),
    "H": packet("H", b"h\0"),
    "M": macros("M", i=b"Q1") + packet("M", texts(b"<a@b>")),
    "R": macros("R", i=b"Q2") + packet("R", texts(b"<c@d>")),
    "L": FIELD,
    "B": packet("B", b"body\r\n"),
    "A": packet("A"),
    "K": packet("K"),
    "E": packet("E"),
}
WHOLE = st.sampled_from(["MRLBE", "MRE", "MLLE", "MRRBBE", "E", "LE", "BE", "MRLE"])
BROKEN = st.sampled_from(["MA", "MRA", "MRLA", "MRLBA", "A", "HA", "MRLBM", "LBH", "MLK", "MRLBC", "K", "H", "CH"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(WHOLE, BROKEN), max_size=8), st.data())
def test_a_message_is_answered_as_in_a_fresh_connection(scripts: list[str], data: st.DataObject) -> None:
    """Whatever came before, and however it is cut: same answers, same content, same sender and recipients, one final line each."""
    stream = b"".join(PARTS[letter] for script in scripts for letter in script)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    with tempfile.TemporaryDirectory() as folder, running(path=Path(folder) / "s") as service:
        with MtaClient(service.address).negotiate() as mta:
            for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                mta.send(stream[start:stop])
            mta.send(packet("Q"))
            answers = rest(mta)
        service.until_idle()
        seen = list(zip(service.pool.contents, service.pool.envelopes, strict=True))
        lines = [line["outcome"] for line in service.final]
        expected: list[str] = []
        fresh = []
        for script in effective(scripts):
            with MtaClient(service.address).negotiate() as mta:
                before = len(service.pool.contents)
                mta.send(b"".join(PARTS[letter] for letter in script) + packet("Q"))
                expected += rest(mta)
                fresh += list(zip(service.pool.contents[before:], service.pool.envelopes[before:], strict=True))
        service.until_idle()
    assert answers == expected
    assert [(content, envelope.mail_from, envelope.rcpt_to, envelope.queue_id) for content, envelope in seen] == [
        (content, envelope.mail_from, envelope.rcpt_to, envelope.queue_id) for content, envelope in fresh]  # fmt: skip
    assert lines.count("clean") == len(seen)


def effective(scripts: list[str]) -> list[str]:
    """Each message by itself: cut before what begins another, and behind what ends one."""
    messages: list[str] = []
    held = ""
    for letter in "".join(scripts):
        if letter in "MCH" and held.strip("CH"):
            messages.append(held)
            held = ""
        held += letter
        if letter in "EAK":
            messages.append(held)
            held = ""
    return [*messages, held]


def rest(mta: MtaClient) -> list[str]:
    """The letters of all that comes until the filter hangs up."""
    letters = []
    while True:
        try:
            letters.append(mta.read()[0])
        except EOFError:
            return letters
