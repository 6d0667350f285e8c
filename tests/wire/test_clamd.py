from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogue import CLOSE, Step, dialogues, steps
from lazaretto.errors import LocalProtocolError, RemoteProtocolError
from lazaretto.model import Reason
from lazaretto.wire.clamd import (
    MAX_CHUNK_BYTES,
    MAX_REPLY_BYTES,
    Client,
    Closed,
    Reply,
    ReplyKind,
    State,
    parse_scan_reply,
    unscannable,
)


def ask(client: Client, content: bytes) -> bytes:
    out = client.instream()
    if content:
        out += client.chunk(len(content)) + content
    return out + client.finish()


def events(client: Client) -> Iterator[Reply | Closed]:
    while (event := client.next_event()) is not None:
        yield event


def outcome(event: Reply | Closed) -> str:
    if isinstance(event, Closed) or event.kind is ReplyKind.ERROR:
        reason = event.reason if isinstance(event, Reply) else Reason.DOWN
        assert reason
        return f"error {reason.value}"
    if event.kind is ReplyKind.FOUND:
        reason = unscannable(event.signature)
        return f"unscannable {reason.value}" if reason else f"found {event.signature}"
    return str(event.kind.value)


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("path", dialogues("clamd"), ids=lambda path: path.stem)
def test_dialogue(path: Path, size: int) -> None:
    """The machine alone, fed in pieces of `size` bytes."""
    client = Client()
    content = b""
    told: list[str] = []
    for verb, data in steps(path):
        if verb == "scan":
            content = data
        elif verb == "connection":
            client, told = Client(), []
        elif verb == "C:":
            assert ask(client, content) == data
        elif verb == "S:":
            try:
                for start in range(0, len(data), size) if data != CLOSE else (0,):
                    client.receive_data(data[start : start + size] if data != CLOSE else b"")
                    told += [outcome(event) for event in events(client)]
            except RemoteProtocolError:
                told.append("error down")
        else:
            assert told[0] == data.decode()  # after it the daemon may hang up
            told = []


def test_dialogues_are_there() -> None:
    assert {"clean-and-found", "size-limit", "idle-session"} <= {path.stem for path in dialogues("clamd")}
    assert steps(dialogues("clamd")[0])[0] == Step("scan", b"a")


@pytest.mark.parametrize(
    ("text", "kind", "signature", "reason"),
    [
        ("stream: OK", ReplyKind.CLEAN, "", None),
        ("fd[12]: OK", ReplyKind.CLEAN, "", None),
        ("stream: Win.Test.EICAR_HDB-1 FOUND", ReplyKind.FOUND, "Win.Test.EICAR_HDB-1", None),
        ("fd[7]: Eicar-Test-Signature.UNOFFICIAL FOUND", ReplyKind.FOUND, "Eicar-Test-Signature.UNOFFICIAL", None),
        # ExtendedDetectionInfo of older versions
        ("stream: Eicar(44d88612fea8a8f36de82e1278abb02f:68) FOUND", ReplyKind.FOUND, "Eicar(44d88612fea8a8f36de82e1278abb02f:68)", None),
        ("Some.Virus FOUND", ReplyKind.FOUND, "Some.Virus", None),
        ("stream:  FOUND", ReplyKind.FOUND, "unnamed", None),
        ("INSTREAM size limit exceeded. ERROR", ReplyKind.ERROR, "", Reason.LIMIT),
        ("stream: Time limit reached ERROR", ReplyKind.ERROR, "", Reason.TIMEOUT),
        ("stream: Can't allocate memory ERROR", ReplyKind.ERROR, "", Reason.DOWN),
        ("stream: Access denied. ERROR", ReplyKind.ERROR, "", Reason.DOWN),
        ("stream: ok", ReplyKind.ERROR, "", Reason.DOWN),
        ("stream: OK ", ReplyKind.ERROR, "", Reason.DOWN),
        ("OK", ReplyKind.ERROR, "", Reason.DOWN),
        ("x stream: OK", ReplyKind.ERROR, "", Reason.DOWN),
        ("stream: FOUND OK", ReplyKind.ERROR, "", Reason.DOWN),
        ("FOUND", ReplyKind.ERROR, "", Reason.DOWN),
        ("stream: NOTFOUND", ReplyKind.ERROR, "", Reason.DOWN),
        ("", ReplyKind.ERROR, "", Reason.DOWN),
    ],
)
def test_scan_replies(text: str, kind: ReplyKind, signature: str, reason: Reason | None) -> None:
    assert parse_scan_reply(text) == Reply(kind, text, signature, reason)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("Heuristics.Encrypted.Zip", Reason.ENCRYPTED),
        ("Heuristics.Encrypted.PDF.UNOFFICIAL", Reason.ENCRYPTED),
        ("Heuristics.Limits.Exceeded", Reason.LIMIT),
        ("Heuristics.Limits.Exceeded.MaxScanSize", Reason.LIMIT),
        ("Heuristics.Broken.Media.PNG.CrcMismatch", Reason.BROKEN),
        ("Heuristics.Phishing.Email.SpoofedDomain", None),
        ("Win.Heuristics.Encrypted.Zip", None),
        ("Eicar-Test-Signature", None),
    ],
)
def test_what_is_no_detection(signature: str, reason: Reason | None) -> None:
    assert unscannable(signature) is reason


def test_commands() -> None:
    client = Client(keep=False)
    assert client.ping() == b"zPING\0"
    assert Client(keep=False).version() == b"zVERSION\0"
    assert Client(keep=False).version_commands() == b"zVERSIONCOMMANDS\0"
    client.receive_data(b"PONG\0")
    assert client.next_event() == Reply(ReplyKind.PONG, "PONG")
    assert client.state is State.CLOSED  # without a session clamd hangs up

    client = Client()
    assert client.fildes() == b"zIDSESSION\0zFILDES\0\0"
    client.receive_data(b"1: fd[9]: OK\0")
    assert client.next_event() == Reply(ReplyKind.CLEAN, "fd[9]: OK")
    assert client.version() == b"zVERSION\0"
    client.receive_data(b"2: ClamAV 1.4.6/27000/Sun Nov 22 08:00:00 2026\0")
    assert client.next_event() == Reply(ReplyKind.VERSION, "ClamAV 1.4.6/27000/Sun Nov 22 08:00:00 2026")
    assert client.end() == b"zEND\0"
    assert Client().end() == b""


@pytest.mark.parametrize("answer", [b"NO\0", b"UNKNOWN COMMAND\0", b"x ERROR\0"])
def test_a_refused_command_is_an_error(answer: bytes) -> None:
    client = Client(keep=False)
    client.ping() if answer == b"NO\0" else client.version()
    client.receive_data(answer)
    event = client.next_event()
    assert isinstance(event, Reply)
    assert event.kind is ReplyKind.ERROR


def test_the_longest_reply() -> None:
    for size, fits in ((MAX_REPLY_BYTES, True), (MAX_REPLY_BYTES + 1, False)):
        client = Client()
        ask(client, b"x")
        text = b"1: " + b"x" * (size - 3 - 6) + b" FOUND"
        client.receive_data(text + b"\0")
        if fits:
            event = client.next_event()
            assert isinstance(event, Reply)
            assert event.kind is ReplyKind.FOUND
        else:
            with pytest.raises(RemoteProtocolError, match="longer than"):
                client.next_event()


def test_an_endless_reply_stops_at_the_limit() -> None:
    client = Client()
    ask(client, b"x")
    with pytest.raises(RemoteProtocolError, match="longer than"):  # noqa: PT012 - the loop is the point
        for _ in range(MAX_REPLY_BYTES + 1):
            client.receive_data(b"x")
            assert client.next_event() is None


def test_an_early_reply_ends_the_conversation() -> None:
    client = Client()
    client.instream()
    client.chunk(100)
    client.receive_data(b"1: INSTREAM size limit exceeded. ERROR\0")
    event = client.next_event()
    assert isinstance(event, Reply)
    assert event.reason is Reason.LIMIT
    assert client.state is State.CLOSED


def test_clean_before_the_content_was_sent_is_no_answer() -> None:
    client = Client()
    client.instream()
    client.receive_data(b"1: stream: OK\0")
    with pytest.raises(RemoteProtocolError):
        client.next_event()


def test_an_answer_ahead_of_its_question_is_refused() -> None:
    client = Client()
    ask(client, b"x")
    client.receive_data(b"1: stream: OK\x002: stream: OK\0")
    assert client.next_event() == Reply(ReplyKind.CLEAN, "stream: OK")
    with pytest.raises(RemoteProtocolError):
        client.instream()
    assert client.state is State.CLOSED


def test_unasked() -> None:
    for keep in (True, False):
        client = Client(keep)
        client.receive_data(b"1: stream: OK\0")
        with pytest.raises(RemoteProtocolError):
            client.next_event()


def test_misuse() -> None:
    client = Client()
    with pytest.raises(LocalProtocolError):
        client.chunk(1)
    with pytest.raises(LocalProtocolError):
        client.finish()
    client.instream()
    for size in (0, -1, MAX_CHUNK_BYTES + 1):
        with pytest.raises(LocalProtocolError):
            client.chunk(size)
    with pytest.raises(LocalProtocolError):
        client.ping()
    with pytest.raises(LocalProtocolError):
        client.end()


def test_control_characters_do_not_reach_the_log() -> None:
    client = Client()
    ask(client, b"x")
    client.receive_data(b"1: stream: Evil\r\nNov 22 sshd: accepted\x1b[2J FOUND\0")
    event = client.next_event()
    assert isinstance(event, Reply)
    assert event.signature.isprintable()


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_any_chunking(pieces: list[bytes]) -> None:
    """Nothing but RemoteProtocolError is raised, and how the bytes were cut makes no difference."""
    pieces = [piece for piece in pieces if piece]

    def told(chunks: list[bytes]) -> list[object]:
        client = Client()
        ask(client, b"x")
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


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"]), max_size=40))
def test_only_found_is_found(text: str) -> None:
    reply = parse_scan_reply(text)
    assert (reply.kind is ReplyKind.FOUND) == text.endswith(" FOUND")
    assert (reply.kind is ReplyKind.CLEAN) == (text == "stream: OK" or (text.startswith("fd[") and text.endswith("]: OK")))
