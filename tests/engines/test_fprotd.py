from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from doubles import HANG_UP, SILENCE, context, item_in_file, item_of
from fprotd_double import HEADER, FprotdDouble, document
from lazaretto.engines import fprotd
from lazaretto.engines.base import ScanContext
from lazaretto.engines.connection import Address, Connection
from lazaretto.engines.fprotd import Fprotd, parse_addresses
from lazaretto.errors import ConfigError, EngineError, RemoteProtocolError
from lazaretto.model import Finding, Item, Kind, Reason
from lazaretto.wire.fprotd import MAX_REPLY_BYTES


@pytest.fixture
def daemon() -> Iterator[FprotdDouble]:
    double = FprotdDouble()
    yield double
    double.close()


@pytest.fixture
def other() -> Iterator[FprotdDouble]:
    double = FprotdDouble()
    yield double
    double.close()


def nobody() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def engine_at(*addresses: str, **options: object) -> Fprotd:
    return Fprotd.from_config("fprotd", {"addresses": list(addresses), "retry_pause_s": 0.001, **options})


def failure(engine: Fprotd, data: bytes = b"x", seconds: float = 10) -> EngineError:
    with pytest.raises(EngineError) as caught:
        engine.scan(item_of(data), context(seconds))
    return caught.value


def test_clean_and_infected(daemon: FprotdDouble, tmp_path: Path) -> None:
    engine = engine_at(daemon.address, temp_dir=str(tmp_path))
    assert engine.scan(item_of(b"harmless"), context()) == []
    assert engine.scan(item_of(b"EVIL"), context()) == [Finding("fprotd", Kind.MALWARE, "Double.Evil")]
    assert engine.scan(item_of(b"MAYBE"), context()) == [Finding("fprotd", Kind.MALWARE, "fprotd.infected")]
    with item_in_file(tmp_path, b"EVIL in a file") as item:
        assert [finding.name for finding in engine.scan(item, context())] == ["Double.Evil"]
    assert daemon.contents == [b"harmless", b"EVIL", b"MAYBE", b"EVIL in a file"]
    assert daemon.arguments[0] == ["-archive", "-ai", "-dumb", "-remote-dtd"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_mail_says_is_not_in_the_path(daemon: FprotdDouble, tmp_path: Path) -> None:
    directory = tmp_path / "a b?%\n\xe4"
    directory.mkdir()
    engine = engine_at(daemon.address, temp_dir=str(directory))
    assert engine.scan(item_of(b"EVIL", names=("../../x HTTP/1.0\r\n",)), context())
    (path,) = daemon.paths
    assert Path(path).name == "content"
    assert Path(path).parent.parent == directory


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [(b"LOCKED", Reason.ENCRYPTED, "4 not scanned"), (b"x", Reason.DOWN, "may it read our copy?")],
)
def test_no_answer_is_never_clean(daemon: FprotdDouble, data: bytes, reason: Reason, detail: str) -> None:
    if data == b"x":
        daemon.twist = lambda _honest: document(1, "error")
    error = failure(engine_at(daemon.address), data)
    assert error.reason is reason
    assert detail in error.detail
    assert len(daemon.paths) == 1  # it did answer: nobody else is asked


# -- disinfection


def taking(kept: list[bytes]) -> ScanContext:
    def cleaned(_item: Item, chunks: Iterable[bytes]) -> None:
        kept.append(b"".join(chunks))

    return ScanContext(time.monotonic() + 10, cleaned=cleaned)


def test_disinfected(daemon: FprotdDouble) -> None:
    kept: list[bytes] = []
    engine = engine_at(daemon.address)
    item = item_of(b"before CURABLE after")
    assert engine.scan(item, taking(kept)) == [Finding("fprotd", Kind.DISINFECTED, "Double.Curable")]
    assert kept == [b"before  after"]
    assert "-disinf" in daemon.arguments[-1]
    assert engine.scan(item_of(b"EVIL"), taking(kept)) == [Finding("fprotd", Kind.MALWARE, "Double.Evil")]
    assert engine.scan(item_of(b"fine"), taking(kept)) == []
    assert len(kept) == 1


def test_not_disinfected_when_nobody_wants_it(daemon: FprotdDouble) -> None:
    kept: list[bytes] = []
    item = item_of(b"CURABLE")
    found = [Finding("fprotd", Kind.MALWARE, "Double.Curable")]
    assert engine_at(daemon.address).scan(item, context()) == found
    assert engine_at(daemon.address, disinfect=False).scan(item, taking(kept)) == found
    assert all("-disinf" not in arguments for arguments in daemon.arguments)
    assert kept == []


@pytest.mark.parametrize("before", [lambda _path: None, os.unlink])
def test_disinfected_and_nothing_to_show_for_it_is_infected(daemon: FprotdDouble, before: Callable[[str], None]) -> None:
    kept: list[bytes] = []
    daemon.before = before
    daemon.twist = lambda _honest: document(13, "disinfected", ("Double.Liar",))
    assert engine_at(daemon.address).scan(item_of(b"x"), taking(kept)) == [Finding("fprotd", Kind.MALWARE, "Double.Liar")]
    assert kept == []


def test_clean_but_changed_is_infected(daemon: FprotdDouble) -> None:
    kept: list[bytes] = []
    daemon.before = os.unlink
    engine = engine_at(daemon.address)
    assert engine.scan(item_of(b"x"), taking(kept)) == [Finding("fprotd", Kind.MALWARE, "fprotd.infected")]
    assert engine.scan(item_of(b"x"), context()) == []  # it was not asked to change anything: that is an accident with our copy
    assert kept == []


def test_a_daemon_that_dies_over_a_half_disinfected_file_leaves_nothing_to_the_next(daemon: FprotdDouble, other: FprotdDouble) -> None:
    def half(path: str) -> None:
        with open(path, "wb") as file:
            file.write(b"half")

    daemon.before = half
    daemon.twist = lambda _honest: HANG_UP
    kept: list[bytes] = []
    engine = engine_at(daemon.address, other.address)
    assert engine.scan(item_of(b"a CURABLE b"), taking(kept)) == [Finding("fprotd", Kind.DISINFECTED, "Double.Curable")]
    assert other.contents == [b"a CURABLE b"]
    assert kept == [b"a  b"]
    assert daemon.paths != other.paths


# -- several ports


def test_the_next_port_and_who_answered_last_comes_first(daemon: FprotdDouble) -> None:
    dead = nobody()
    engine = engine_at(dead, daemon.address)
    assert engine.scan(item_of(b"EVIL"), context())
    assert engine._addresses[0] == Address(host="127.0.0.1", port=daemon.port)
    assert engine.scan(item_of(b"EVIL"), context())
    assert daemon.connections == 2


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (HANG_UP, "without an answer"),
        (b"", "without an answer"),
        (HEADER, "no document"),
        (document(9, "clean")[:-30], "XML"),
        (document(9, "clean").replace(b"</fprot-results>", b""), "cut off"),
        (b"\x00\xff\n" * 1000, "unexpected reply"),
        (b"16 <Unknown command>\r\n\r\n", "unexpected reply"),
        (HEADER + b"<fprot-results>" + b"x" * MAX_REPLY_BYTES, "longer than"),
        (
            HEADER + b'<!DOCTYPE a [<!ENTITY nine "9">]><fprot-results><summary code="&nine;">clean</summary></fprot-results>',
            "without code",
        ),
        (HEADER + b'<fprot-results><summary code="9"/></fprot-results><fprot-results/>', "second document"),
    ],
)
def test_misbehaviour_is_no_answer(daemon: FprotdDouble, other: FprotdDouble, reply: bytes, said: str) -> None:
    daemon.twist = lambda _honest: reply
    error = failure(engine_at(daemon.address))
    assert error.reason is Reason.DOWN
    assert said in error.detail
    assert error.detail.startswith(f"{daemon.address}: ")
    assert daemon.connections == 2  # two rounds
    assert [finding.name for finding in engine_at(daemon.address, other.address).scan(item_of(b"EVIL"), context())] == ["Double.Evil"]


def test_an_answer_before_the_question_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(Address(host="127.0.0.1", port=listener.getsockname()[1]), time.monotonic() + 10)
        hasty, _ = listener.accept()
        with closing(connection):
            hasty.sendall(document(9, "clean"))
            hasty.close()
            both_are_here = select.poll()
            both_are_here.register(connection.sock, select.POLLRDHUP)
            assert both_are_here.poll(10_000)
            with pytest.raises(RemoteProtocolError, match="before the question"):
                fprotd._ask(connection, b"/x", (), time.monotonic() + 10)


def test_silence_ends_at_the_deadline_and_is_asked_last_from_then_on(daemon: FprotdDouble, other: FprotdDouble) -> None:
    daemon.twist = lambda _honest: SILENCE
    engine = engine_at(daemon.address, other.address)
    error = failure(engine, seconds=0.3)
    assert error.reason is Reason.TIMEOUT
    assert other.connections == 0
    assert engine.scan(item_of(b"EVIL"), context())
    assert daemon.connections == 1


def test_half_a_reply_and_then_silence(daemon: FprotdDouble) -> None:
    daemon.twist = lambda honest: honest[:-10] + SILENCE
    assert failure(engine_at(daemon.address), seconds=0.2).reason is Reason.TIMEOUT


def test_another_daemon_is_not_waited_for(daemon: FprotdDouble, other: FprotdDouble) -> None:
    """fpscand listens at the same port, and keeps the connection open."""
    daemon.twist = lambda _honest: b"16 <Unknown command>\n" + SILENCE
    assert engine_at(daemon.address, other.address).scan(item_of(b"EVIL"), context(30))


def test_a_deadline_in_the_past(daemon: FprotdDouble) -> None:
    assert failure(engine_at(daemon.address), seconds=-1).reason is Reason.TIMEOUT
    assert daemon.connections == 0


def test_two_rounds_and_one_pause_which_ends_before_the_deadline(daemon: FprotdDouble) -> None:
    pauses: list[float] = []
    daemon.twist = lambda _honest: HANG_UP
    where = Address(host="127.0.0.1", port=daemon.port)

    def engine(pause_s: float) -> Fprotd:
        return Fprotd("fprotd", (where, where._replace(port=int(nobody().rpartition(":")[2]))), retry_pause_s=pause_s, sleep=pauses.append)

    asked = engine(5)
    assert failure(asked, seconds=10).reason is Reason.DOWN
    assert pauses == [5]
    assert daemon.connections == 2
    failure(asked, seconds=10)  # nobody was there a moment ago
    assert pauses == [5]
    assert daemon.connections == 3
    failure(engine(5), seconds=4)  # the pause would outlast the deadline
    assert pauses == [5]
    assert daemon.connections == 4


def test_a_daemon_that_comes_back_during_the_pause(daemon: FprotdDouble) -> None:
    daemon.twist = lambda _honest: HANG_UP

    def sleep(_seconds: float) -> None:
        daemon.twist = lambda honest: honest

    engine = Fprotd("fprotd", (Address(host="127.0.0.1", port=daemon.port),), sleep=sleep)
    assert engine.scan(item_of(b"EVIL"), context())


def test_the_copy_for_a_daemon_of_another_user(daemon: FprotdDouble) -> None:
    seen: list[int] = []
    daemon.before = lambda path: seen.extend((os.stat(path).st_mode & 0o777, os.stat(os.path.dirname(path)).st_mode & 0o777))
    engine_at(daemon.address, file_mode="0660", file_group=str(os.getgid())).scan(item_of(b"x"), context())
    engine_at(daemon.address).scan(item_of(b"x"), context())
    assert seen == [0o660, 0o710, 0o600, 0o700]


# -- the rest of the contract


def test_info(daemon: FprotdDouble) -> None:
    dead = nobody()
    info = engine_at(dead, daemon.address).info(5)
    assert (info.version, info.reachable, info.detail) == ("fprotd/4.6.8-double", True, daemon.address)
    assert daemon.paths == ["/dev/null"]
    daemon.twist = lambda _honest: SILENCE
    info = engine_at(dead, daemon.address).info(0.2)
    assert not info.reachable
    assert f"{dead} does not answer" in info.detail
    assert f"{daemon.address} does not answer: timed out" in info.detail


def test_wants_and_close() -> None:
    engine = Fprotd.from_config("fprotd", {"required": False})
    assert [address.port for address in engine._addresses] == [10200, 10201, 10202, 10203, 10204]
    assert not engine.required
    assert engine.wants(item_of(b"x"))
    assert engine.wants(item_of(b"x", covered=True))
    assert not engine.wants(item_of(b"x", is_message=True))
    engine.close()


@pytest.mark.parametrize(
    ("text", "first", "number"),
    [
        ("localhost", ("localhost", 10200), 5),
        ("127.0.0.1:10201", ("127.0.0.1", 10201), 1),
        ("127.0.0.1:10200-10204", ("127.0.0.1", 10200), 5),
        ("[::1]", ("::1", 10200), 5),
        ("[::1]:7", ("::1", 7), 1),
    ],
)
def test_addresses(text: str, first: tuple[str, int], number: int) -> None:
    found = parse_addresses(text)
    assert (found[0].host, found[0].port) == first
    assert len(found) == number
    assert str(found[0]) in (text, f"{text}:10200", text.partition("-")[0])


@pytest.mark.parametrize(
    "text", ["", ":10200", "h:", "h:0", "h:65536", "h:2-1", "h:1-65", "h:x", "::1", "unix:/x", "/x", "[::1", "h:10200 ", "h:1-"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_addresses(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"addresses": []}, "addresses: expected at least one"),
        ({"addresses": ["h:1-60", "h:61-120"]}, "at most 64"),
        ({"addresses": ["h:x"]}, "addresses: expected host"),
        ({"arguments": ["archive"]}, "arguments: expected options"),
        ({"arguments": ["-a b"]}, "arguments: expected options"),
        ({"arguments": ["-a\n"]}, "arguments: expected options"),
        ({"arguments": ["-disinf"]}, "see disinfect"),
        ({"file_mode": "0777"}, "file_mode: expected permissions"),
        ({"retry_pause_s": 0}, "retry_pause_s: expected a number"),
        ({"port": 10200}, "port: unknown option"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=r"\[engines\.fprotd\]") as caught:
        Fprotd.from_config("fprotd", options)
    assert message in str(caught.value)
