"""A transport over two descriptors: pipes, files, and ends that go away."""

from __future__ import annotations

import asyncio
import os
import tempfile

import pytest

from lazaretto.frontends.streams import Streams


class Echo(asyncio.Protocol):
    """Gives back what it gets, then END, and remembers what happened."""

    def __init__(self, *, hold: bool = False) -> None:
        self.received = b""
        self.hold = hold
        self.over: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, Streams)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.transport.write(data)
        if self.hold:
            self.transport.pause_reading()
            self.transport.pause_reading()
            assert not self.transport.is_reading()
            asyncio.get_running_loop().call_soon(self.transport.resume_reading)

    def eof_received(self) -> bool:
        self.transport.write(b"END")
        asyncio.get_running_loop().call_soon(self.transport.close)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.over.set_result(error)


def run(source: int, target: int, *, hold: bool = False) -> tuple[bytes, Exception | None]:
    async def main() -> tuple[bytes, Exception | None]:
        protocol = Echo(hold=hold)
        Streams(asyncio.get_running_loop(), protocol, source, target)
        error = await asyncio.wait_for(protocol.over, 20)
        assert protocol.transport.is_closing()
        for fd in (source, target):
            with pytest.raises(OSError, match="Bad file"):
                os.fstat(fd)
        return protocol.received, error

    return asyncio.run(main())


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_all_that_comes_and_then_the_end(kind: str, hold: bool) -> None:
    data = os.urandom(200_000) if kind == "file" else b"x" * 60_000  # what a pipe takes without a reader
    answers, target = os.pipe()
    os.set_blocking(target, False)
    if kind == "pipe":
        source, sender = os.pipe()
        os.write(sender, data)
        os.close(sender)
    else:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            source = os.dup(file.fileno())
        os.close(target)
        target = os.open(os.devnull, os.O_WRONLY)
    received, error = run(source, target, hold=hold)
    assert (received, error) == (data, None)
    if kind == "pipe":
        with open(answers, "rb") as file:
            assert file.read() == data + b"END"
    else:
        os.close(answers)


def test_nobody_reads_any_more() -> None:
    source, sender = os.pipe()
    reader, target = os.pipe()
    os.close(reader)
    os.write(sender, b"hello")
    _, error = run(source, target)
    os.close(sender)
    assert isinstance(error, BrokenPipeError)


def test_a_target_that_is_full_is_waited_for() -> None:
    import threading

    source, sender = os.pipe()
    reader, target = os.pipe()
    os.set_blocking(target, False)
    data = b"y" * 300_000
    got = bytearray()

    def feed() -> None:
        with open(sender, "wb") as file:
            file.write(data)

    def drain() -> None:
        with open(reader, "rb") as file:
            while piece := file.read(1000):
                got.extend(piece)

    threads = [threading.Thread(target=each) for each in (feed, drain)]
    for thread in threads:
        thread.start()
    received, error = run(source, target)
    for thread in threads:
        thread.join(20)
    assert error is None
    assert (received, bytes(got)) == (data, data + b"END")


def test_a_source_that_cannot_be_read() -> None:
    source = os.open(tempfile.gettempdir(), os.O_RDONLY)
    target = os.open(os.devnull, os.O_WRONLY)
    _, error = run(source, target)
    assert isinstance(error, IsADirectoryError)
