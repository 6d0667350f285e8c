"""The clamd engine and a real clamd: every outcome that docs/engines.md promises."""

from __future__ import annotations

import binascii
import io
import os
import select
import signal
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles import context, item_in_file, item_of
from eicar import EICAR
from lazaretto.engines.clamd import Clamd
from lazaretto.errors import EngineError
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Finding, Kind, Reason, Span
from peers import MARKER, RealClamd

MIB = 1 << 20


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealClamd]:
    daemon = RealClamd(
        tmp_path_factory.mktemp("clamd"), "StreamMaxLength 1M", "CommandReadTimeout 1", "ReadTimeout 5", "AlertEncrypted yes"
    )
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture(params=["unix", "tcp"])
def engine(clamd: RealClamd, request: pytest.FixtureRequest) -> Iterator[Clamd]:
    engine = engine_at(getattr(clamd, request.param))
    yield engine
    engine.close()


@pytest.fixture
def running(clamd: RealClamd) -> Iterator[RealClamd]:
    """For tests that stop or kill it: it runs again afterwards."""
    yield clamd
    if clamd.process is None or clamd.process.poll() is not None:
        clamd.start()
    clamd.signal(signal.SIGCONT)


def engine_at(*addresses: str) -> Clamd:
    return Clamd.from_config("clamd", {"addresses": list(addresses)})


def names(engine: Clamd, content: bytes, **fields: object) -> list[str]:
    return [finding.name for finding in engine.scan(item_of(content, **fields), context(30))]


def failure(engine: Clamd, content: bytes, seconds: float = 30) -> Reason:
    with pytest.raises(EngineError) as caught:
        engine.scan(item_of(content), context(seconds))
    return caught.value.reason


def encrypted_zip() -> bytes:
    """A zip whose one member claims to be encrypted."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", os.urandom(100))
    data = bytearray(stream.getvalue())
    data[data.find(b"PK\3\4") + 6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    return bytes(data)


def uuencoded(data: bytes) -> bytes:
    lines = b"".join(binascii.b2a_uu(data[i : i + 45]) for i in range(0, len(data), 45))
    return b"begin 644 a.com\n" + lines + b"`\nend\n"


def test_found_and_clean(engine: Clamd) -> None:
    assert names(engine, EICAR) == ["Test.Eicar.UNOFFICIAL"]
    assert names(engine, b"harmless") == []
    assert names(engine, b"") == []
    assert names(engine, MARKER) == ["Test.Marker.UNOFFICIAL"]
    assert names(engine, MARKER + b" ") == []
    assert names(engine, os.urandom(700_000) + EICAR) == ["Test.Eicar.UNOFFICIAL"]


def test_version(engine: Clamd) -> None:
    info = engine.info(10)
    assert info.reachable
    assert info.version.startswith("ClamAV ")


def test_a_mail_whose_first_line_does_not_say_so(engine: Clamd) -> None:
    message = b"Return-Path: <a@example.org>\nSubject: x\n\nhello\n" + uuencoded(EICAR)
    assert names(engine, message, is_message=True) == ["Test.Eicar.UNOFFICIAL"]


def test_a_descriptor(clamd: RealClamd, tmp_path: Path) -> None:
    engine = engine_at(clamd.unix)
    with item_in_file(tmp_path, b"x" * (2 * MIB) + EICAR) as item:  # larger than StreamMaxLength: this did not go as a stream
        for _ in range(2):
            assert engine.scan(item, context()) == [Finding("clamd", Kind.MALWARE, "Test.Eicar.UNOFFICIAL")]
    with item_in_file(tmp_path, b"harmless") as item:
        assert engine.scan(item, context()) == []
    engine.close()


def test_encrypted(engine: Clamd) -> None:
    (finding,) = engine.scan(item_of(encrypted_zip()), context())
    assert (finding.kind, finding.reason) == (Kind.UNSCANNABLE, Reason.ENCRYPTED)
    assert finding.detail.startswith("Heuristics.Encrypted.Zip")


def test_the_stream_limit(engine: Clamd) -> None:
    for _ in range(2):
        assert names(engine, b"x" * MIB) == []
        assert failure(engine, b"x" * (MIB + 1)) is Reason.LIMIT
        assert failure(engine, b"x" * (30 * MIB)) is Reason.LIMIT  # it hangs up while we send
        assert names(engine, EICAR) == ["Test.Eicar.UNOFFICIAL"]


def test_a_session_that_the_daemon_ended(clamd: RealClamd) -> None:
    engines = [engine_at(clamd.unix), engine_at(clamd.tcp)]
    for engine in engines:
        assert names(engine, b"x") == []
    for engine in engines:
        (session,) = engine._daemons._kept.values()
        assert select.select([session.sock], [], [], 30)[0], "CommandReadTimeout is 1 s"
        assert names(engine, EICAR) == ["Test.Eicar.UNOFFICIAL"]
        engine.close()


def test_stopped_and_continued(running: RealClamd, engine: Clamd) -> None:
    assert names(engine, b"x") == []
    running.signal(signal.SIGSTOP)
    assert failure(engine, EICAR, seconds=1) is Reason.TIMEOUT  # in the kept session
    assert failure(engine, EICAR, seconds=1) is Reason.TIMEOUT  # in a new one: the kernel accepts for it
    running.signal(signal.SIGCONT)
    assert names(engine, EICAR) == ["Test.Eicar.UNOFFICIAL"]


def test_killed_in_the_middle_of_a_scan(running: RealClamd, engine: Clamd) -> None:
    running.signal(signal.SIGSTOP)
    sending = threading.Event()

    class Content(Source):
        def chunks(self, span: Span | None = None, size: int = CHUNK) -> Iterator[bytes]:
            sending.set()  # the connection stands: it asks for the first bytes
            return super().chunks(span, size)

    reasons: list[Reason] = []

    def scan() -> None:
        with pytest.raises(EngineError) as caught:
            engine.scan(item_of(b"")._replace(content=Content(b"x" * MIB)), context(30))
        reasons.append(caught.value.reason)

    thread = threading.Thread(target=scan)
    thread.start()
    assert sending.wait(10)
    running.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert reasons == [Reason.DOWN]
    assert failure(engine, b"x") is Reason.DOWN  # nobody there
    running.start()
    assert names(engine, EICAR) == ["Test.Eicar.UNOFFICIAL"]  # and nobody had to tell the engine


def test_restarted_between_two_scans(running: RealClamd, engine: Clamd) -> None:
    assert names(engine, b"x") == []
    running.stop()
    running.start()
    assert names(engine, EICAR) == ["Test.Eicar.UNOFFICIAL"]


def test_fail_over(clamd: RealClamd) -> None:
    engine = engine_at(f"unix:{clamd.directory}/none", "127.0.0.1:1", clamd.tcp)
    assert names(engine, EICAR) == ["Test.Eicar.UNOFFICIAL"]
    engine.close()
