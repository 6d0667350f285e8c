"""The scan server as it is installed, with YARA-X: 50 clients at once, among them strange ones, and nothing is left behind.

With LAZARETTO_LONG=1, 10,000 requests instead of some hundred.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import programs
import wrappings
from eicar import EICAR
from serving import Server, eventually, line, rest, stream

CLIENTS = 50
REQUESTS = 10_000 if os.environ.get("LAZARETTO_LONG") else 150
CLEAN = wrappings.single(b"Content-Type: text/plain\r\n", b"hello\r\n")
INFECTED = wrappings.attach(EICAR, "a.txt")
ANNOUNCED = b"X-Lazaretto-Status: clean\r\n"
SECRET = b"root:$6$salt$hash:19000:0:99999:7:::\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    short = Path(f"/tmp/lz-{os.urandom(6).hex()}")  # short enough for the address of a socket in it
    short.symlink_to(tmp_path_factory.mktemp("server"))
    (short / "spool").mkdir()
    (short / "secret").write_bytes(SECRET)
    (short / "c.toml").write_text(
        f'[server]\nlisten = ["127.0.0.1:0", "unix:{short}/s.sock"]\ndirectories = ["{short}/spool"]\nmax_children = 4\n'
    )
    command = programs.command("serve", "--config", f"{short}/c.toml", "--state-dir", f"{short}/state", "--engine", "yara")
    with Server(short, command) as server:
        yield server
        assert server.stop() == 0
        assert not os.path.lexists(server.socket)
    short.unlink()


def by_files(server: Server, number: int, message: bytes) -> tuple[bytes, bytes]:
    """The answer to a request with two files, as the old clients make it, and the output file."""
    infile, outfile = (server.folder / "spool" / f"{kind}{number}" for kind in ("fi", "fo"))
    infile.write_bytes(message)
    outfile.touch(0o600)
    answer = server.ask(f"{infile} {outfile}\n".encode())
    return answer, outfile.read_bytes()


def refused(server: Server, infile: object) -> bool:
    outfile = server.folder / "spool" / "fo-refused"
    outfile.touch()
    answer = server.ask(f"SCAN {infile} {outfile}\n".encode())
    return re.fullmatch(rb"3 [^\n]+\n", answer) is not None and outfile.read_bytes() == b""


def test_fifty_clients_and_strange_ones(server: Server) -> None:
    link = server.folder / "spool" / "link"
    link.symlink_to(server.folder / "secret")
    (server.folder / "spool" / "shadow").symlink_to("/etc/shadow")
    before = len(server.lines("outcome="))

    with server.connect() as silent, server.connect() as hanging, server.connect() as garbage:
        hanging.sendall(b"STREAM 1000\nabc")
        garbage.sendall(os.urandom(100_000).replace(b"\n", b"") + b"\n")

        def client(number: int) -> bool:
            if number % 10 == 9:
                return refused(
                    server, (link, server.folder / "spool" / "shadow", "/etc/shadow", server.folder / "secret")[number // 10 % 4]
                )
            if number % 3 == 0:
                answer = server.ask(stream(CLEAN))
                return answer == b"0 %d unchanged\n" % len(ANNOUNCED + CLEAN) + ANNOUNCED + CLEAN
            message = INFECTED if number % 3 == 1 else CLEAN
            answer, output = by_files(server, number, message)
            if message is CLEAN:
                return (answer, output) == (b"0 unchanged\n", ANNOUNCED + CLEAN)
            return answer == b"1 modified\n" and wrappings.b64(EICAR)[:60] not in output and b"See attachment." in output

        with ThreadPoolExecutor(CLIENTS) as pool:
            assert [number for number, well in enumerate(pool.map(client, range(CLIENTS))) if not well] == []
        assert line(garbage).startswith(b"3 bad request")
        silent.sendall(b"PING\n")
        assert line(silent) == b"0 PONG\n"

    eventually(lambda: len(server.lines("outcome=")) == before + CLIENTS + 1, "a final line for each message")
    assert (server.folder / "secret").read_bytes() == SECRET
    assert SECRET.strip().decode() not in server.log


def test_nothing_is_left_behind(server: Server) -> None:
    infile, outfile = (server.folder / "spool" / name for name in ("fi", "fo"))
    infile.write_bytes(CLEAN)
    outfile.touch()
    kinds = [
        stream(CLEAN) + b"QUIT\n",
        f"SCAN {infile} {outfile}\n".encode(),
        stream(INFECTED),
        b"PING\n",
        f"SCAN {infile} {server.folder}/spool/nobody\n".encode(),
        b"nonsense\n",
        stream(CLEAN)[:-1],
    ]
    server.ask(kinds[0])
    eventually(lambda: server.children == [], "an idle server")
    before = server.descriptors
    with server.connect() as kept:
        for number in range(REQUESTS):
            if number % 2:
                assert server.ask(kinds[number // 2 % len(kinds)])
            else:
                kept.sendall(b"PING\n")
                assert line(kept) == b"0 PONG\n"
    eventually(lambda: server.children == [], "no child")
    eventually(lambda: server.descriptors == before, "no descriptor more than before")
    assert serving_threads(server) == 1


def serving_threads(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/task"))


def test_tcp(server: Server) -> None:
    port = listening_port(server)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(stream(INFECTED) + b"QUIT\n")
        assert rest(client).startswith(b"1 ")


def listening_port(server: Server) -> int:
    """Of the one TCP socket that the process listens on."""
    inodes = {name.removeprefix("socket:[").removesuffix("]") for name in server.descriptors if name.startswith("socket:")}
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [row.split() for row in table][1:]
    (port,) = (int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes)
    return port
