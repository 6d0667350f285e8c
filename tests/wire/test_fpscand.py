from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogue import CLOSE, Step, dialogues, steps
from lazaretto.errors import LocalProtocolError, RemoteProtocolError
from lazaretto.wire.fpscand import (
    MAX_EXTRA_LINES,
    MAX_LINE_BYTES,
    MAX_STREAM_BYTES,
    Client,
    Closed,
    Meaning,
    Result,
    State,
    Version,
    option,
    parse_result,
    parse_version,
    worst,
)


def events(client: Client) -> Iterator[Result | Version | Closed]:
    while (event := client.next_event()) is not None:
        yield event


def asked(name: bytes = b"n", content: bytes = b"x") -> Client:
    """A client that waits for the answer about a stream."""
    client = Client()
    client.scan_stream(name, len(content))
    if content:
        client.chunk(content)
    return client


def outcome(results: list[Result | Version | Closed]) -> str:
    known = [result for result in results if isinstance(result, Result)]
    if not known:
        return "error down"
    result = worst(known)
    if result.meaning() is Meaning.FOUND:
        return f"found {result.malware}"
    if result.meaning() is Meaning.ERROR:
        return "error limit" if "too long" in result.text else "error down"
    return "clean"


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("path", dialogues("fpscand"), ids=lambda path: path.stem)
def test_dialogue(path: Path, size: int) -> None:
    """The machine alone, fed in pieces of `size` bytes."""
    client, name, content = Client(), b"", b""
    told: list[Result | Version | Closed] = []
    for number, (verb, data) in enumerate(steps(path)):
        data = data.replace(b"NAME", name)
        if verb == "scan":
            content, told, name = data, [], b"n%d" % number
        elif verb == "connection":
            client = Client()
        elif verb == "C:":
            out = client.scan_stream(name, len(content))
            assert out + (client.chunk(content) if content else b"") == data
        elif verb == "S:":
            pieces = [b""] if data == CLOSE else [data[start : start + size] for start in range(0, len(data), size)]
            try:
                for piece in pieces:
                    client.receive_data(piece)
                    told += events(client)
            except RemoteProtocolError:
                told = []
        else:
            assert outcome(told) == data.decode()


def test_dialogues_are_there() -> None:
    assert {"clean-and-found", "several-lines", "idle-closed"} <= {path.stem for path in dialogues("fpscand")}
    assert steps(dialogues("fpscand")[0])[0] == Step("scan", b"a")


# -- the grammar


@pytest.mark.parametrize(
    ("line", "result"),
    [
        (b"0 <clean> /tmp/a", Result(0, "clean", b"/tmp/a")),
        (b"1 <infected: EICAR_Test_File> /tmp/eicar.com", Result(1, "infected: EICAR_Test_File", b"/tmp/eicar.com")),
        (
            b"1 <contains infected objects: EICAR_Test_File> /tmp/e.zip->eicar.com",
            Result(1, "contains infected objects: EICAR_Test_File", b"/tmp/e.zip", (b"eicar.com",)),
        ),
        (b"1 <infected: A> /a->b->c d->e", Result(1, "infected: A", b"/a", (b"b", b"c d", b"e"))),
        (b"4 <interrupted> /tmp/a", Result(4, "interrupted", b"/tmp/a")),
        (b"16 <Stream is too long>", Result(16, "Stream is too long")),
        (b"16 <Stream is too long> ", Result(16, "Stream is too long")),
        (b"0 <clean> /tmp/with blank <and> more", Result(0, "clean", b"/tmp/with blank <and> more")),
        (b"1 <infected: <odd>> /a", Result(1, "infected: <odd>", b"/a")),
        (b"1 <a> b>", Result(1, "a", b"b>")),
        (b"0 <>", Result(0, "")),
        (b"0 <clean> \xff\n", None),
        (b"0 <clean> \xff", Result(0, "clean", b"\xff")),
        (b"1 <infected: \x1b[2J\xff> a", Result(1, "infected: ?[2J\ufffd", b"a")),
        (b"", None),
        (b"0", None),
        (b"0 clean /tmp/a", None),
        (b"0 <clean", None),
        (b"0 <clean>/tmp/a", None),
        (b"0  <clean> a", None),
        (b" 0 <clean> a", None),
        (b"-1 <clean> a", None),
        (b"0x1 <clean> a", None),
        (b"123456 <clean> a", None),
        ("\u0661 <clean> a".encode(), None),
    ],
)
def test_lines(line: bytes, result: Result | None) -> None:
    assert parse_result(line) == result


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("infected: EICAR_Test_File", "EICAR_Test_File"),
        ("contains infected objects: W32/A: B", "B"),
        ("infected: Trojan:W32/x", "Trojan:W32/x"),
        ("infected", ""),
        ("infected: ", ""),
    ],
)
def test_the_name_follows_the_last_colon(text: str, name: str) -> None:
    assert Result(1, text).malware == name


@pytest.mark.parametrize("code", range(256))
def test_every_code(code: int) -> None:
    """The bits, one rule after the other."""
    meaning = Result(code, "text", b"a").meaning()
    if code & 3 or (code & 128 and code & (4 | 16 | 32)):
        assert meaning is Meaning.FOUND
    elif code & (4 | 16 | 32):
        assert meaning is Meaning.ERROR
    else:
        assert meaning is (Meaning.DISINFECTED if code & 128 else Meaning.CLEAN)
    assert Result(code, "text", b"a").partial == bool(code & 72)
    assert Result(code, "text").meaning() >= Meaning.ERROR  # nothing said about what was asked


@pytest.mark.parametrize(
    ("code", "text", "meaning", "harmless_meaning"),
    [
        (0, "clean", Meaning.CLEAN, Meaning.CLEAN),
        (0, "CLEAN", Meaning.CLEAN, Meaning.CLEAN),
        (1, "clean", Meaning.FOUND, Meaning.FOUND),
        (0, "infected: X", Meaning.FOUND, Meaning.FOUND),
        (0, "Contains INFECTED objects: X", Meaning.FOUND, Meaning.FOUND),
        (8, "unwanted program: X", Meaning.FOUND, Meaning.FOUND),
        (0, "suspicious: X", Meaning.FOUND, Meaning.CLEAN),
        (2, "suspicious: X", Meaning.FOUND, Meaning.CLEAN),
        (2, "infected: X", Meaning.FOUND, Meaning.FOUND),
        (3, "suspicious: X", Meaning.FOUND, Meaning.FOUND),
        (18, "suspicious: X", Meaning.FOUND, Meaning.ERROR),
        (128, "infected: X", Meaning.DISINFECTED, Meaning.DISINFECTED),
        (128, "disinfected: X", Meaning.DISINFECTED, Meaning.DISINFECTED),
        (192, "disinfected: X", Meaning.DISINFECTED, Meaning.DISINFECTED),
        (129, "infected: X", Meaning.FOUND, Meaning.FOUND),
        (130, "suspicious: X", Meaning.FOUND, Meaning.DISINFECTED),
        (0, "disinfected", Meaning.CLEAN, Meaning.CLEAN),
        (256, "clean", Meaning.ERROR, Meaning.ERROR),
        (99999, "clean", Meaning.FOUND, Meaning.FOUND),
    ],
)
def test_words_and_suspicion(code: int, text: str, meaning: Meaning, harmless_meaning: Meaning) -> None:
    """`harmless_meaning`: if suspicions do not count."""
    result = Result(code, text, b"a")
    assert (result.meaning(), result.meaning(suspicious=False)) == (meaning, harmless_meaning)


def test_the_worst() -> None:
    clean, cleaned, error, found = (Result(code, "x", b"a") for code in (0, 128, 16, 1))
    assert worst([clean, found, error]) is found
    assert worst([clean, error, cleaned]) is error
    assert worst([clean, cleaned]) is cleaned
    assert worst([Result(2, "suspicious", b"a"), error], suspicious=False) is error


def test_version() -> None:
    line = b"FPSCAND:6.3.3.5015 ENGINE:4.6.2.117 PROTOCOL:1.0 SIGNATURE:2011021307484ee4bb8a4a5b5d0f8bc97a70b2d7e8f9 UPTIME:1:02:03:04"
    assert parse_version(line) == Version("6.3.3.5015", "4.6.2.117", "1.0", "2011-02-13 07:48", "1:02:03:04")
    assert parse_version(b"FPSCAND:6") == Version("6")
    assert parse_version(b"FPSCAND: SIGNATURE:2011 x") == Version("")
    assert parse_version(b"HTTP/1.0 400") is None


@pytest.mark.parametrize("text", ["--scanlevel=2", "--adware", "--macros_safe", "--x=a,b:c/d"])
def test_options(text: str) -> None:
    assert option(text) == text.encode()


@pytest.mark.parametrize("text", ["", "-x", "--", "--a b", "--a=", "--a=b c", "--a\n", "FILE", "--=1", "--\u00e4", "--a=\u00e4"])
def test_wrong_options(text: str) -> None:
    with pytest.raises(ValueError, match="expected --name"):
        option(text)


# -- the machine


def test_requests() -> None:
    client = Client()
    assert client.scan_file(b"/tmp/a b", (b"--disinfect", b"--archive=2")) == b"SCAN --disinfect --archive=2 FILE /tmp/a b\n"
    client.receive_data(b"128 <disinfected: X> /tmp/a b\n")
    assert list(events(client)) == [Result(128, "disinfected: X", b"/tmp/a b")]
    assert client.scan_stream(b"n", 3) == b"SCAN STREAM n SIZE 3\n"
    assert client.chunk(b"ab") + client.chunk(b"c") == b"abc"
    client.receive_data(b"0 <clean> n\r\n")
    assert list(events(client)) == [Result(0, "clean", b"n")]
    assert client.help() == b"HELP\n"
    client.receive_data(b"FPSCAND:6.1 PROTOCOL:1.0\n")
    assert list(events(client)) == [Version("6.1", protocol="1.0")]
    client.receive_data(b"Send HELP COMMAND for more\n")
    assert list(events(client)) == []
    assert client.quit() == b"QUIT\n"
    with pytest.raises(LocalProtocolError):
        client.help()


def test_a_queue_is_answered_in_any_order() -> None:
    client = Client()
    out = (
        client.queue()
        + client.scan_file(b"/a")
        + client.scan_stream(b"s", 1)
        + client.chunk(b"x")
        + client.scan_file(b"/b")
        + client.start()
    )
    assert out == b"QUEUE\nSCAN FILE /a\nSCAN STREAM s SIZE 1\nxSCAN FILE /b\nSCAN\n"
    client.receive_data(b"1 <infected: X> /b\n0 <clean> s\n")
    assert [result.object for result in events(client) if isinstance(result, Result)] == [b"/b", b"s"]
    client.receive_data(b"0 <clean> /a\n")
    assert list(events(client)) == [Result(0, "clean", b"/a")]
    assert client.state is State.IDLE
    assert client.scan_file(b"/c") == b"SCAN FILE /c\n"


def test_of_a_queue_an_answer_without_a_name_counts_as_one() -> None:
    client = Client()
    for call in (client.queue, lambda: client.scan_file(b"/a"), lambda: client.scan_file(b"/b"), client.start):
        call()
    client.receive_data(b"16 <Stream is too long>\n0 <clean> /a\n")
    assert [event.code for event in events(client) if isinstance(event, Result)] == [16, 0]
    assert client.state is State.IDLE


def test_an_early_answer_ends_the_conversation() -> None:
    client = Client()
    client.scan_stream(b"n", 100)
    client.chunk(b"x")
    client.receive_data(b"16 <Stream is too long>\n")
    assert list(events(client)) == [Result(16, "Stream is too long")]
    assert client.state is State.CLOSED  # what we sent on would be read as requests


@pytest.mark.parametrize("answer", [b"0 <clean> n\n", b"128 <disinfected: X> n\n"])
def test_clean_before_the_content_was_sent_is_no_answer(answer: bytes) -> None:
    client = Client()
    client.scan_stream(b"n", 100)
    client.chunk(b"x")
    client.receive_data(answer)
    with pytest.raises(RemoteProtocolError, match="before the content"):
        client.next_event()


@pytest.mark.parametrize("answer", [b"0 <clean> other\n", b"\n", b"clean\n", b"0 <clean> nn\n", b"0 <clean> N\n", b"0 <clean> n/x\n"])
def test_nonsense(answer: bytes) -> None:
    client = asked()
    client.receive_data(answer)
    with pytest.raises(RemoteProtocolError):
        client.next_event()
    assert client.state is State.CLOSED
    assert client.next_event() is None


def test_a_late_answer_is_not_taken_for_that_of_the_next_question() -> None:
    client = asked(b"one")
    client.receive_data(b"0 <clean> one\n0 <cl")
    assert list(events(client)) == [Result(0, "clean", b"one")]
    assert client.halfway
    with pytest.raises(RemoteProtocolError, match="more than one answer"):
        client.scan_file(b"/two")
    client = asked(b"one")
    client.receive_data(b"0 <clean> one\n")
    assert list(events(client)) == [Result(0, "clean", b"one")]
    client.scan_file(b"/two")
    client.receive_data(b"0 <clean> one\n")
    with pytest.raises(RemoteProtocolError, match="not asked"):
        client.next_event()


def test_unasked() -> None:
    client = Client()
    client.receive_data(b"0 <clean> n\n")
    with pytest.raises(RemoteProtocolError, match="not asked"):
        client.next_event()


def test_not_an_fpscand() -> None:
    client = Client()
    client.help()
    client.receive_data(b"HTTP/1.0 400 Bad Request\r\n")
    with pytest.raises(RemoteProtocolError, match="not the answer of an fpscand"):
        client.next_event()


def test_the_end() -> None:
    client = asked()
    client.receive_data(b"0 <cle")
    client.receive_data(b"")
    assert list(events(client)) == [Closed("0 <cle")]
    client = asked()
    client.receive_data(b"0 <clean> n\n")
    client.receive_data(b"")
    assert list(events(client)) == [Result(0, "clean", b"n"), Closed()]


def test_of_a_long_line_the_beginning_counts() -> None:
    for size in (MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 5 * MAX_LINE_BYTES):
        client = asked()
        line = b"1 <infected: X> n->"
        client.receive_data(line + b"y" * (size - len(line)) + b"\n1 <infected: Y> n\n")
        first, second = events(client)
        assert isinstance(first, Result)
        assert (first.object, len(first.members[0])) == (b"n", min(size, MAX_LINE_BYTES) - len(line))
        assert second == Result(1, "infected: Y", b"n")
        assert not client.halfway


def test_an_endless_line_stays_small() -> None:
    client = asked()
    for _ in range(100):
        client.receive_data(b"x" * 10_000)
        try:
            list(events(client))
        except RemoteProtocolError:
            break
    assert client.state is State.CLOSED
    client = asked()
    client.receive_data(b"1 <infected: X> n->" + b"x" * MAX_LINE_BYTES)
    assert len(list(events(client))) == 1
    for _ in range(100):
        client.receive_data(b"x" * 10_000)
        assert list(events(client)) == []
        assert len(client._buffer) <= MAX_LINE_BYTES


def test_endless_lines_stop_at_the_limit() -> None:
    client = asked()
    client.receive_data(b"0 <clean> n\n" * (MAX_EXTRA_LINES + 1))
    assert len(list(events(client))) == MAX_EXTRA_LINES + 1
    client.receive_data(b"0 <clean> n\n")
    with pytest.raises(RemoteProtocolError):
        client.next_event()


@pytest.mark.parametrize(
    "misuse",
    [
        lambda client: client.chunk(b"x"),
        lambda client: client.start(),
        lambda client: client.scan_file(b"relative"),
        lambda client: client.scan_file(b"/a\nQUIT"),
        lambda client: client.scan_file(b"/a\r"),
        lambda client: client.scan_file(b"/a\0"),
        lambda client: client.scan_file(b"/a->b"),
        lambda client: client.scan_file(b"/a", (b"--x y",)),
        lambda client: client.scan_stream(b"a b", 1),
        lambda client: client.scan_stream(b"", 1),
        lambda client: client.scan_stream(b"a", -1),
        lambda client: client.scan_stream(b"a", MAX_STREAM_BYTES + 1),
        lambda client: (client.scan_stream(b"a", 1), client.chunk(b"xy")),
        lambda client: (client.scan_stream(b"a", 1), client.quit()),
        lambda client: (client.scan_stream(b"a", 0), client.scan_stream(b"b", 0)),
        lambda client: (client.help(), client.help()),
        lambda client: (client.queue(), client.start()),
        lambda client: (client.queue(), client.scan_file(b"/a"), client.scan_file(b"/a")),
        lambda client: (client.queue(), client.help()),
    ],
)
def test_misuse(misuse: Callable[[Client], object]) -> None:
    with pytest.raises(LocalProtocolError):
        misuse(Client())


@given(
    st.lists(
        st.sampled_from([b"0 <clean> n\n", b"1 <infected: X> n->m\r\n", b"16 <x>\n", b"0 <clean>", b" n", b"\n", b"\r", b"128 <", b"> n\n"])
        | st.binary(max_size=20),
        max_size=10,
    )
)
def test_any_bytes_any_chunking(pieces: list[bytes]) -> None:
    """Nothing but RemoteProtocolError is raised, and how the bytes were cut makes no difference."""
    pieces = [piece for piece in pieces if piece]

    def told(chunks: list[bytes]) -> list[object]:
        client = asked()
        result: list[object] = []
        try:
            for chunk in [*chunks, b""]:
                client.receive_data(chunk)
                result += events(client)
        except RemoteProtocolError as error:
            result.append(str(error))
        return result

    whole = b"".join(pieces)
    assert told(pieces) == told([whole] if whole else []) == told([whole[i : i + 1] for i in range(len(whole))])


@given(st.binary(max_size=60))
def test_only_a_line_with_a_harmless_code_is_clean(line: bytes) -> None:
    result = parse_result(line)
    if result is not None and result.meaning() is Meaning.CLEAN:
        assert re.match(rb"0*(0|8|64|72) <[^>]*", line)
        assert result.object
