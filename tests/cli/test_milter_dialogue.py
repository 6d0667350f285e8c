"""The client that asks a milter, against milters that do what the protocol allows, and what it does not."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from lazaretto.cli.milter_dialogue import MilterDialogue, Outcome
from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.milter import MAX_CHUNK_BYTES, Actions
from listening import HANG_UP
from mail_server_double import MailServerDouble
from milter_filter_double import MilterFilterDouble, framed

CONTENT = b"From: a@b\r\nSubject: folded\r\n twice\r\n\tthrice\r\nX-Empty:\r\n\r\nHello.\r\n"


def test_a_message() -> None:
    with MilterFilterDouble() as milter, MilterDialogue(milter.address) as peer:
        assert peer.offered == (6, Actions.ADD_HEADERS | Actions.CHANGE_BODY | Actions.CHANGE_HEADERS, 0)
        assert peer.send(b"", [b"c@d", b"e@f"], CONTENT) == Outcome("end", "accept")
        peer.close()
    assert milter.commands == [
        b"O" + struct.pack(">III", 6, 0x1FF, 0),
        b"Clocalhost\x004\0\0127.0.0.1\0",
        b"Hlocalhost\0",
        b"DMi\0doctor\0",
        b"M<>\0",
        b"R<c@d>\0",
        b"R<e@f>\0",
        b"T",
        b"LFrom\0a@b\0",
        b"LSubject\0folded\n twice\n\tthrice\0",
        b"LX-Empty\0\0",
        b"N",
        b"BHello.\r\n",
        b"E",
        b"Q",
    ]


def test_an_old_milter_is_told_less() -> None:
    with MilterFilterDouble(version=2, steps=0x1 | 0x2 | 0x20) as milter, MilterDialogue(milter.address) as peer:
        assert peer.send(b"a@b", [b"c@d"], CONTENT).word == "accept"
    assert b"".join(command[:1] for command in milter.commands)[:7] == b"ODMRNBE"


def test_a_body_goes_in_pieces() -> None:
    body = b"x" * (MAX_CHUNK_BYTES + 2)
    with MilterFilterDouble() as milter, MilterDialogue(milter.address) as peer:
        peer.send(b"", [b"c@d"], b"A: b\r\n\r\n" + body)
    pieces = [command[1:] for command in milter.commands if command[:1] == b"B"]
    assert (b"".join(pieces), [len(piece) for piece in pieces]) == (body, [MAX_CHUNK_BYTES, 2])


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ([b"c"], Outcome("end", "accept")),
        ([b"p", b"p", b"a"], Outcome("end", "accept")),
        ([b"r"], Outcome("end", "reject")),
        ([b"t"], Outcome("end", "tempfail")),
        ([b"d"], Outcome("end", "discard")),
        ([b"4"], Outcome("end", "shutdown")),
        ([b"y550 5.7.1 no\r\n550 5.7.1 never\0"], Outcome("end", "reply", "550 5.7.1 no / 550 5.7.1 never")),
        (
            [b"hX-A\0v\0", b"i\0\0\0\1X-B\0v\0", b"m\0\0\0\2Subject\0v\0", b"bone", b"btwo", b"qheld\0", b"c"],
            Outcome("end", "accept", "", ("adds X-A", "adds X-B", "changes Subject", "replaces the body", "has it held")),
        ),
        (
            [b"+<a>\0", b"-<b>\0", b"2<c>\0\0", b"e<d>\0\0", b"a"],
            Outcome("end", "accept", "", ("adds a recipient", "takes out a recipient", "adds a recipient", "changes the sender")),
        ),
    ],
)
def test_every_end(end: list[bytes], expected: Outcome) -> None:
    with MilterFilterDouble(end=end) as milter, MilterDialogue(milter.address) as peer:
        assert peer.send(b"a@b", [b"c@d"], CONTENT) == expected


@pytest.mark.parametrize(
    ("letter", "step"),
    [(b"C", "connect"), (b"H", "helo"), (b"M", "mail"), (b"R", "rcpt"), (b"T", "data"), (b"L", "header"), (b"B", "body")],
)
def test_an_early_end(letter: bytes, step: str) -> None:
    with MilterFilterDouble({letter: b"t"}) as milter, MilterDialogue(milter.address) as peer:
        assert peer.send(b"a@b", [b"c@d"], CONTENT) == Outcome(step, "tempfail")


def test_skip_is_no_end() -> None:
    with MilterFilterDouble({b"B": b"s"}) as milter, MilterDialogue(milter.address) as peer:
        assert peer.send(b"a@b", [b"c@d"], CONTENT).step == "end"


def test_over_a_unix_socket(tmp_path: Path) -> None:
    with MilterFilterDouble(path=tmp_path / "s") as milter, MilterDialogue(milter.address) as peer:
        assert peer.offered.version == 6


@pytest.mark.parametrize(
    ("greeting", "complaint"),
    [
        (framed(b"O" + struct.pack(">III", 7, 0, 0)), "version 7"),
        (framed(b"O" + struct.pack(">III", 1, 0, 0)), "version 1"),
        (framed(b"O" + struct.pack(">III", 6, 0x200, 0)), "not offered"),
        (framed(b"O" + struct.pack(">III", 6, 0, 0x80)), "not offered"),
        (framed(b"O\0\0"), "expected an answer to the offer"),
        (framed(b"c"), "expected an answer to the offer"),
        (framed(b"Z"), "expected a milter packet"),
        (b"220 mail.example ESMTP\r\n", "SMTP"),
        (b"\xff\xff\xff\xff", "expected a milter packet"),
        (b"\0\0" + HANG_UP, "within a packet"),
        (HANG_UP, "hangs up"),
    ],
)
def test_who_is_no_milter(greeting: bytes, complaint: str) -> None:
    with MilterFilterDouble(greeting=greeting) as milter, pytest.raises(RemoteProtocolError, match=complaint):
        MilterDialogue(milter.address)


def test_a_mail_server_is_recognised() -> None:
    with MailServerDouble() as server, pytest.raises(RemoteProtocolError, match="SMTP"):
        MilterDialogue(server.address)


@pytest.mark.parametrize("end", [[b"O"], [HANG_UP], [b"\xfe"]])
def test_an_end_that_is_none(end: list[bytes]) -> None:
    with (
        MilterFilterDouble(end=end) as milter,
        MilterDialogue(milter.address) as peer,
        pytest.raises(RemoteProtocolError, match=r"expected a milter packet|hangs up|answer to the end"),
    ):
        peer.send(b"a@b", [b"c@d"], CONTENT)


def test_a_step_that_is_answered_with_a_change() -> None:
    with (
        MilterFilterDouble({b"M": b"hX\0y\0"}) as milter,
        MilterDialogue(milter.address) as peer,
        pytest.raises(RemoteProtocolError, match="expected an answer to mail"),
    ):
        peer.send(b"a@b", [b"c@d"], CONTENT)


def test_answers_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lazaretto.cli.milter_dialogue.MAX_ANSWERS", 3)
    with (
        MilterFilterDouble(end=[b"p"] * 4) as milter,
        MilterDialogue(milter.address) as peer,
        pytest.raises(RemoteProtocolError, match="3 answers"),
    ):
        peer.send(b"a@b", [b"c@d"], CONTENT)


def test_who_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        MilterDialogue(f"127.0.0.1:{silent.getsockname()[1]}", 0.05)
    with pytest.raises(OSError, match=r"refused|No such file"):
        MilterDialogue("unix:/no/such")
    with pytest.raises(OSError, match="service"):
        MilterDialogue("127.0.0.1:no-such-service")
