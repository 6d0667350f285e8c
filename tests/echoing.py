"""Workers under a supervisor, as a process of its own; and clients for them.  What they do is an echo that obeys a few orders.

    with echoing.Service(folder, places=2) as service:
        with service.connect() as client:
            client.ask("hello")          "hello"

pid              the worker's process id and the text of the configuration it works under
hold PATH        an answer as soon as there is a file at PATH
start            starts a program that sleeps; its process id
stall            the worker never does anything again
end              the worker ends, all by itself

Also a program: `python echoing.py TESTS FOLDER SETTINGS` serves until it is stopped.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, cast

from lazaretto.errors import ConfigError
from lazaretto.frontends import supervisor, worker
from lazaretto.frontends.control import Ledger
from lazaretto.frontends.listeners import listen
from lazaretto.frontends.notify import Notifier
from lazaretto.frontends.supervisor import Plan, Role, Supervisor
from lazaretto.frontends.tasks import start
from lazaretto.frontends.worker import Alone, Work

GOODBYE = "421 going"


class Echo:
    """A Duty.  A client is idle between its lines."""

    def __init__(self, text: str, ledger: Ledger) -> None:
        self.text = text
        self.ledger = ledger
        self.lines = 0
        self.sessions: set[_Session] = set()
        self.draining = False

    def protocol(self) -> asyncio.BaseProtocol:
        return _Session(self)

    async def drain(self, grace_s: float) -> None:
        self.draining = True
        for session in [*self.sessions]:
            session.go()
        deadline = time.monotonic() + grace_s
        while self.sessions and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    def counters(self) -> Mapping[str, float]:
        return {"lines_total": self.lines, "sessions": len(self.sessions)}

    async def close(self) -> None:
        for session in [*self.sessions]:
            session.transport.abort()


class _Session(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, echo: Echo) -> None:
        self.echo = echo
        self.buffer = b""
        self.held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.echo.sessions.add(self)
        if self.echo.draining:
            self.go()

    def connection_lost(self, _error: Exception | None) -> None:
        self.echo.sessions.discard(self)

    def data_received(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            self.echo.lines += 1
            self.obey(*line.decode().partition(" ")[::2])

    def obey(self, word: str, argument: str) -> None:
        if word == "hold":
            self.hold_on(1)
            start(self.hold(argument), "hold")
        elif word == "stall":
            while True:
                signal.pause()
        elif word == "end":
            os._exit(0)
        elif word == "start":
            program = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.say(str(program.pid))
        elif word == "pid":
            self.say(f"{os.getpid()} {self.echo.text}")
        else:
            self.say(f"{word} {argument}".strip())

    def hold_on(self, change: int) -> None:
        self.held += change
        if change > 0:
            self.echo.ledger.begun()
        else:
            self.echo.ledger.dropped()

    async def hold(self, path: str) -> None:
        while not os.path.exists(path):
            await asyncio.sleep(0.005)
        self.hold_on(-1)
        self.say("held")
        if self.echo.draining:
            self.go()

    def say(self, text: str) -> None:
        self.transport.write(text.encode() + b"\n")

    def go(self) -> None:
        if not self.held:
            self.say(GOODBYE)
            self.transport.close()


class Client:
    """One connection."""

    def __init__(self, path: str) -> None:
        import serving

        self.sock = serving.connect(path)
        self.file = self.sock.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        try:
            self.file.close()
        except OSError:
            pass
        self.sock.close()

    def send(self, line: str) -> None:
        self.file.write(line.encode() + b"\n")
        self.file.flush()

    def hear(self) -> str:
        """The next line; "" at the end of the connection, however it comes."""
        try:
            return self.file.readline().decode().rstrip("\n")
        except ConnectionError:
            return ""

    def ask(self, line: str) -> str:
        self.send(line)
        return self.hear()

    @property
    def pid(self) -> int:
        return int(self.ask("pid").split()[0])


class Service:
    """`settings`: places (0: no supervisor), those of supervisor.Settings, and those of worker.Settings as worker_*."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None, pass_fds: tuple[int, ...] = (), **settings: object) -> None:
        import programs

        self.folder = folder
        self.socket = str(folder / "s.sock")
        self.log_file = folder / "log"
        command = [sys.executable, __file__, os.path.dirname(__file__), str(folder), json.dumps(settings)]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**programs.environment(folder), **(env or {})}, stderr=log, stdin=subprocess.DEVNULL, pass_fds=pass_fds
            )

    def __enter__(self) -> Self:
        try:
            eventually(lambda: "event=started" in self.log or self.process.poll() is not None, "the start")
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def lines(self, word: str) -> list[str]:
        return [line for line in self.log.splitlines() if word in line]

    def connect(self) -> Client:
        return Client(self.socket)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait for the end: the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def configure(self, text: str) -> None:
        """Write the configuration and have it read: the line of the log about it."""
        (self.folder / "configuration").write_text(text)
        before = len(self.lines("event=reload"))
        self.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(self.lines("event=reload")) > before, f"the reload of {text}")

    @property
    def children(self) -> list[int]:
        return children(self.process.pid)


PATIENCE_S = 30.0


def eventually(condition: Callable[[], bool], what: str) -> None:
    import serving

    serving.eventually(condition, what)


def children(pid: int) -> list[int]:
    """Of process `pid`, those included that have ended and were not collected."""
    try:
        return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except FileNotFoundError:
        return []


def alive(pid: int) -> bool:
    """Is it there, and no zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def main(folder: str, given: str) -> int:
    """The program."""
    settings = json.loads(given)
    places = settings.pop("places", 1)
    beats = {name.removeprefix("worker_"): settings.pop(name) for name in list(settings) if name.startswith("worker_")}
    times = worker.Settings(**beats)
    listeners = listen([settings.pop("address", f"unix:{folder}/s.sock")])

    def log(text: str, level: int) -> None:
        os.write(2, f"{text} level={level}\n".encode())

    def text() -> str:
        try:
            found = Path(folder, "configuration").read_text(encoding="utf-8")
        except FileNotFoundError:
            found = ""
        if found == "wrong":
            raise ConfigError("expected something else", "configuration", 1)
        return found

    def make_work() -> Work:
        found = text()

        async def begin(ledger: Ledger) -> Echo:
            if found == "broken":
                raise OSError(5, "Input/output error")
            return Echo(found, ledger)

        return Work(begin, log)

    def make() -> Plan:
        work = make_work()
        role = Role("smtp", places, lambda control, sockets: worker.work(work.begin, control, sockets, log, times))
        return Plan((role,), log)

    notifier = Notifier.of(os.environ)
    above: Supervisor | Alone
    if places:
        if "back_off_s" in settings:
            settings["back_off_s"] = tuple(settings["back_off_s"])
        above = Supervisor(make, {"smtp": listeners}, notifier, supervisor.Settings(**settings))
    else:
        above = Alone(make_work, listeners, notifier, times)

    def tell(*_: object) -> None:
        Path(folder, "counters.new").write_text(json.dumps(above.samples()))
        os.rename(f"{folder}/counters.new", f"{folder}/counters")

    signal.signal(signal.SIGUSR2, tell)
    try:
        return above.run()
    except supervisor.StartError as error:
        log(f"start: {error}", 3)
        return 1
    finally:
        for listener in listeners:
            listener.close()


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    sys.exit(main(*sys.argv[2:]))
