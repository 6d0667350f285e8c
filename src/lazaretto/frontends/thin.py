#!/bin/sh
""":"
for python in "${0%/*}/python3" python3; do
    command -v "$python" >/dev/null && exec "$python" -ISc '
import posix, sys
del sys.argv[0]
site = "%s/../lib/python%d.%d/site-packages" % (sys.argv[0].rpartition("/")[0], *sys.version_info[:2])
sys.path[:0] = [site + "/lazaretto/frontends"]
try:
    from thin import program
except ImportError:
    try:
        name, = [name for name in posix.listdir(site) if name.startswith("__editable__.lazaretto-") and name.endswith(".pth")]
        sys.path[0] = open(site + "/" + name).read().strip() + "/lazaretto/frontends"
        from thin import program
    except (ImportError, OSError, ValueError):
        exec(open(sys.argv[0]).read())
program()
' "$0" "$@"
done
echo "lazaretto-client: no python3 beside $0 or in PATH" >&2
exit 75

The thin client: a message from standard input through a running scan server to standard output.

This file is a program by itself, installed as `lazaretto-client`.  The shell runs the
lines above; for Python they are part of this text.  The interpreter beside the program, or
else one in PATH, starts without `site` (-S), which costs a third of all.  It looks for this
module, compiled, where pip has put it or where an editable installation points, else it
compiles the program, and loads next to nothing more.  That makes it cheap enough for
a procmail recipe (benchmarks/client.py).  `lazaretto client` is the same, started the
usual way.

Nothing is written before the whole answer is there.  The exit status is the promise:

    0   all of standard output is the message to use
    69  refused by a rule (no output)
    75  keep the original and try again: anything went wrong, also while writing
    99  dropped by a rule (no output)

Where standard output is a file, a failed write is taken back.

Limits:  MAX_PIPED_BYTES if standard input is no file, because the size is sent first;
         the answer is held in memory; --timeout-s for everything together; recipients
         that do not fit into the request's line are left out, all of them.
Errors:  none; one line on standard error says what went wrong.
BUGS:    Looking up a host name may take longer than the time limit.
See:     docs/protocols/scan-server.md, cli/client.py
"""

# ruff: noqa: EXE003 - the shebang names sh, see above
# It may be compiled at each start, by any Python from 3.9 on: short, and even collections.abc would be dear.

import posix
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterable, Iterator
    from typing import Any

SYSTEM_SOCKET = "/run/lazaretto/scan.sock"
SYSTEM_TCP = "127.0.0.1:11200"
TIMEOUT_S = 300.0  # a server with all its children busy lets us wait; procmail gives up after 960 s, pipe(8) of Postfix after 1000 s
MAX_PIPED_BYTES = 1 << 30  # held in memory; above what any server accepts unless told to
MAX_LINE = 8192  # of a request with its end; a reply gets as much
MAX_RECIPIENTS = 1000  # a line has at most 1024 attributes
CHUNK = 1 << 18

TEMPFAIL = 75
STATUS = {0: 0, 1: 0, 4: 69, 5: 99}  # of the server's codes; of all others TEMPFAIL

ATTRIBUTES = {"-f": "from", "--sender": "from", "-r": "to", "--recipient": "to", "--client": "client", "--queue-id": "id"}
SETTINGS = {"--connect": "connect", "--timeout-s": "timeout_s"}
USAGE = f"""\
usage: lazaretto-client [OPTION ...] < message > safe-message

Send a message to the running scan server and write the safe one.

  --connect ADDRESS      unix:PATH, HOST:PORT or [IPV6]:PORT (default: $LAZARETTO_SOCKET,
                         else unix:{SYSTEM_SOCKET} if it exists, else {SYSTEM_TCP})
  -f, --sender ADDRESS   envelope sender, for rules and the log
  -r, --recipient ADDRESS  envelope recipient, repeatable
  --client ADDRESS       address of the client that sent the message
  --queue-id ID          the mail system's name for the message, for the log
  --timeout-s SECONDS    for everything together (default: {TIMEOUT_S:g})
  -h, --help             this text

Exit status: 0 use the output; 75 keep the original, try again later; 69 refused
and 99 dropped by a rule (no output).
"""


class Trouble(Exception):
    """No answer that could be used; the text says why."""


def main(args: "list[str]") -> int:
    """Run the command line `args` (without the program); the exit status."""
    try:
        posix.fstat(1)  # if it is closed, the socket would get its number
        settings, attributes = parse(args)
        if "help" in settings:
            write(USAGE.encode())
            return 0
        size, chunks = message()
        deadline = time.monotonic() + seconds(settings.get("timeout_s", str(TIMEOUT_S)))
        code, text, answer = ask(settings.get("connect") or default_address(), request(size, attributes), chunks, deadline)
        if code in (0, 1):
            if size and not answer:
                raise Trouble("the server sent back nothing")
            write(answer)
        elif code != 5:
            complain(f"server says {code} {text}")
        return STATUS.get(code, TEMPFAIL)
    except Trouble as error:
        complain(str(error))
    except OSError as error:
        complain(error.strerror or str(error) or type(error).__name__)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the message stays with its owner
        complain(f"{type(error).__name__} {error}")
    return TEMPFAIL


def parse(args: "list[str]") -> "tuple[dict[str, str], list[tuple[str, bytes]]]":
    """Settings, and attributes of the request in the order given."""
    settings: dict[str, str] = {}
    attributes: list[tuple[str, bytes]] = []
    rest = iter(args)
    for arg in rest:
        name, equals, value = arg.partition("=") if arg[:2] == "--" else (arg[:2], arg[2:], arg[2:])
        if arg in ("-h", "--help"):  # as an option: a sender may be called so
            return {"help": ""}, []
        if name not in ATTRIBUTES and name not in SETTINGS:
            raise Trouble(f"unknown argument {arg!r}; --help lists the options")
        if not equals:
            try:
                value = next(rest)
            except StopIteration:
                raise Trouble(f"{name} needs a value") from None
        if name in SETTINGS:
            settings[SETTINGS[name]] = value
        else:
            attribute = ATTRIBUTES[name]
            if attribute in ("from", "to"):
                value = value.strip("<>")
            if attribute != "to":  # the last one counts
                attributes = [pair for pair in attributes if pair[0] != attribute]
            attributes.append((attribute, value.encode(sys.getfilesystemencoding(), "surrogateescape")))
    return settings, attributes


def seconds(text: str) -> float:
    """A number of seconds that is more than none."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise Trouble(f"--timeout-s needs a number of seconds, not {text!r}")
    return value


def default_address() -> str:
    """$LAZARETTO_SOCKET, else the usual places."""
    own = posix.environ.get(b"LAZARETTO_SOCKET", b"")
    if own:
        return own.decode(sys.getfilesystemencoding(), "surrogateescape")
    try:
        posix.stat(SYSTEM_SOCKET)
    except OSError:
        return SYSTEM_TCP
    return "unix:" + SYSTEM_SOCKET


def message(fd: int = 0) -> "tuple[int, Iterable[bytes]]":
    """Size and content of what can be read from `fd`: of a file chunk by chunk, of anything else after all has come."""
    status = posix.fstat(fd)
    if status.st_mode & 0o170000 == 0o100000:
        size = max(0, status.st_size - posix.lseek(fd, 0, 1))
        return size, _file(fd, size)
    chunks = []
    size = 0
    while chunk := posix.read(fd, CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_PIPED_BYTES:
            raise Trouble(f"more than {MAX_PIPED_BYTES} bytes on standard input")
    return size, chunks


def _file(fd: int, size: int) -> "Iterator[bytes]":
    while size:
        chunk = posix.read(fd, min(CHUNK, size))
        if not chunk:
            raise Trouble("standard input became shorter while it was read")
        size -= len(chunk)
        yield chunk


def request(size: int, attributes: "list[tuple[str, bytes]]") -> bytes:
    """The line that asks for a scan of `size` bytes."""
    words = [(name, f" {name}={quoted(value)}") for name, value in attributes]
    line = f"STREAM {size}" + "".join(word for _, word in words)
    if len(line) >= MAX_LINE or len(words) > MAX_RECIPIENTS:  # rules look at all recipients: never at some
        line = f"STREAM {size}" + "".join(word for name, word in words if name != "to")
    return line.encode() + b"\n"


def quoted(value: bytes) -> str:
    """Percent-encoded: all but visible ASCII, and the percent sign."""
    return "".join(chr(byte) if 32 < byte < 127 and byte != 37 else f"%{byte:02X}" for byte in value)


def ask(address: str, line: bytes, chunks: "Iterable[bytes]", deadline: float) -> "tuple[int, str, bytearray]":
    """Send the request and its message; code, text and message of the answer, which has arrived whole.

    `deadline` is a time of time.monotonic().  Trouble, or OSError if nobody is there.
    """
    sock = connect(address, deadline)
    try:
        try:
            pending = line  # the line alone would be a segment of its own, and wait for its acknowledgement
            for chunk in chunks:
                sock.settimeout(left(deadline))
                sock.sendall(pending + chunk)
                pending = b""
            if pending:
                sock.sendall(pending)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have answered before it had seen all
        answer = bytearray()
        while (end := answer.find(b"\n")) < 0:
            if len(answer) > MAX_LINE:
                raise Trouble("the server does not speak our protocol")
            answer += receive(sock, MAX_LINE, deadline)
        code, size, text = reply(bytes(answer[:end]))
        del answer[: end + 1]
        while len(answer) < size:
            answer += receive(sock, CHUNK, deadline)
        if len(answer) > size:
            raise Trouble("the server sent more than it said")
        return code, text, answer
    finally:
        sock.close()


def left(deadline: float) -> float:
    """Seconds to `deadline`."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise Trouble("no answer in time")
    return remaining


def connect(address: str, deadline: float) -> "socket":
    """A connected socket."""
    import _socket

    path = address[5:] if address[:5] == "unix:" else address
    if path[:1] == "/":
        found: list[tuple[int, Any]] = [(_socket.AF_UNIX, path)]
    else:
        host, _, port = address.rpartition(":")
        if host[:1] == "[" and host[-1:] == "]":
            host = host[1:-1]
        elif ":" in host:
            host = ""
        if not host or not port.isdigit() or not port.isascii() or not 0 < int(port[:6]) < 65536:
            raise Trouble(f"expected unix:/PATH, HOST:PORT or [IPV6]:PORT, not {address!r}")
        # As bytes: for text, Python loads its tables of international names.
        looked_up = _socket.getaddrinfo(host.encode(), int(port), 0, _socket.SOCK_STREAM)
        found = [(each[0], each[4]) for each in looked_up]
    reason = ""
    for family, where in found:
        sock = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            while True:
                sock.settimeout(left(deadline))
                try:
                    sock.connect(where)
                except BlockingIOError:  # a UNIX socket with too many waiting before us
                    time.sleep(0.05)
                else:
                    return sock
        except OSError as error:
            sock.close()
            reason = error.strerror or str(error)
    raise Trouble(f"cannot connect to {address}: {reason}")


def receive(sock: "socket", most: int, deadline: float) -> bytes:
    """Some bytes, not none."""
    sock.settimeout(left(deadline))
    data = sock.recv(most)
    if not data:
        raise Trouble("the server hung up before the end of its answer")
    return data


def reply(line: bytes) -> "tuple[int, int, str]":
    """Code, size and printable text of the line that begins an answer."""
    code, _, rest = line.partition(b" ")
    size, _, text = rest.partition(b" ")
    if len(code) != 1 or not code.isdigit() or not size.isdigit() or len(size) > 19:
        raise Trouble("the server does not speak our protocol")
    return int(code), int(size), "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in text)


def write(data: "bytes | bytearray") -> None:
    """All of `data` on standard output; if that is a file, all or nothing."""
    is_file = posix.fstat(1).st_mode & 0o170000 == 0o100000
    done = 0
    try:
        with memoryview(data) as view:
            while done < len(view):
                done += posix.write(1, view[done:])
        if is_file:
            posix.fsync(1)  # a full disk may show only now
    except BaseException:
        if is_file and done:
            start = posix.lseek(1, 0, 1) - done
            posix.ftruncate(1, start)
            posix.lseek(1, start, 0)
        raise


def complain(reason: str) -> None:
    """One line on standard error, in one write.  Nobody loses mail because nobody listens there."""
    text = "".join(char if char.isprintable() else "?" for char in f"lazaretto-client: {reason}")
    try:
        posix.write(2, text.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        pass


def program() -> None:
    """The process: does not return."""
    posix._exit(main(sys.argv[1:]))  # noqa: SLF001 - nothing is left to do but take down the interpreter


if __name__ == "__main__":
    program()
