"""The client that waits, against servers that do what SMTP allows, and what it does not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lazaretto.cli.dialogue import Dialogue
from lazaretto.errors import ConfigError, RemoteProtocolError
from mail_server_double import MailServerDouble
from serving import eventually


def test_a_message() -> None:
    with MailServerDouble() as server:
        with Dialogue(server.address) as peer:
            assert peer.greeting.code == 220
            assert peer.hello() == {b"8BITMIME": b"", b"SIZE": b"1000"}
            answer = peer.send(b"", [b"a@b", b"c@d"], b"A: b\r\n\r\n.\r\nlast")
            assert (answer.step, str(answer.reply)) == ("end of data", "250 2.0.0 taken")
        eventually(lambda: server.commands[-1:] == [b"QUIT"], "the good-bye")
    assert server.commands == [b"EHLO localhost", b"MAIL FROM:<>", b"RCPT TO:<a@b>", b"RCPT TO:<c@d>", b"DATA", b"QUIT"]
    assert server.contents == [b"A: b\r\n\r\n..\r\nlast\r\n"]


def test_over_a_unix_socket(tmp_path: Path) -> None:
    with MailServerDouble(path=tmp_path / "s") as server, Dialogue(server.address, lmtp=True, name="me.example") as peer:
        assert b"SIZE" in peer.hello()
    assert server.commands[0] == b"LHLO me.example"


@pytest.mark.parametrize(
    ("verb", "step", "commands"), [(b"MAIL", "MAIL", 2), (b"RCPT", "RCPT", 3), (b"DATA", "DATA", 4), (b".", "end of data", 4)]
)
def test_a_refusal(verb: bytes, step: str, commands: int) -> None:
    with MailServerDouble({verb: b"550 5.7.1 no\r\n"}) as server, Dialogue(server.address) as peer:
        peer.hello()
        answer = peer.send(b"a@b", [b"c@d"], b"\r\n")
        assert (answer.step, answer.reply.code) == (step, 550)
        assert len(server.commands) == commands


def test_a_hello_that_is_refused() -> None:
    with MailServerDouble({b"EHLO": b"502 no\r\n"}) as server, Dialogue(server.address) as peer:
        assert peer.hello() == {}


@pytest.mark.parametrize("greeting", [b"", b"hello\r\n", b"220-half"])
def test_who_speaks_no_smtp(greeting: bytes) -> None:
    with MailServerDouble(greeting=greeting + b"(hang up)") as server, pytest.raises(RemoteProtocolError):
        Dialogue(server.address)


def test_who_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        Dialogue(f"127.0.0.1:{silent.getsockname()[1]}", 0.05)
    with pytest.raises(OSError, match=r"refused|No such file"):
        Dialogue("unix:/no/such")
    with pytest.raises(ConfigError):
        Dialogue("nowhere")
