"""The SMTP proxy between programs that nobody here wrote: swaks, smtp-source and Exim bring mail; smtp-sink and aiosmtpd take it.

What clients say about a message arrives as they said it.
"""

from __future__ import annotations

import os
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import peers
import wrappings
from eicar import EICAR
from serving import eventually
from smtp_service import Service
from smtp_session import Session, listens, stuffed
from smtp_sink import EXTENSIONS, XFORWARD, Sink

LONG = bool(os.environ.get("LAZARETTO_LONG"))
CLEAN = wrappings.attach(b"nothing to see here", "notes.txt") + b"\r\n"
INFECTED = wrappings.attach(EICAR, "notes.txt") + b"\r\n"


@pytest.fixture(scope="module")
def hop() -> Iterator[Sink]:
    with Sink(extensions=(*EXTENSIONS, XFORWARD)) as sink:
        yield sink


@pytest.fixture(scope="module")
def shared(hop: Sink) -> Iterator[Service]:
    with Service(hop.address, engine="yara", process__workers=2) as proxy:
        yield proxy
        assert "event=crash" not in proxy.log
        assert proxy.stop() == 0
        assert proxy.family() == []


@pytest.fixture
def sink(hop: Sink) -> Iterator[Sink]:
    hop.clear()
    yield hop
    hop.twist = lambda _step, _line, honest: honest


# -- what is passed on ---------------------------------------------------------------------------------------------

ARGUMENTS: Sequence[tuple[str, bytes, bytes]] = (
    ("nothing", b"<>", b"<a@example.org>"),
    ("eight-bit", b"<a@example.org> BODY=8BITMIME SIZE=1000", b"<b@example.org>"),
    ("dsn", b"<a@example.org> RET=HDRS ENVID=QQ314159+2B", b"<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+40x@example.org"),
    ("utf-8", "<jürgen@exämple.org> SMTPUTF8 BODY=8BITMIME".encode(), "<δοκιμή@παράδειγμα.org>".encode()),
    ("quoted", rb'<"a \"b\" <c> d"@example.org>', rb'<"x@y z"@example.org>'),
    ("route", b"<@one.example,@two.example:a@example.org>", b"<@three.example:b@example.org>"),
    ("literal", b"<a@[192.0.2.1]>", b"<b@[IPv6:2001:db8::1]>"),
    ("unknown", b"<a@example.org> AUTH=<> MT-PRIORITY=3 X-NEW", b"<b@example.org> X-OTHER=1"),
    ("no-space", b"<a@example.org>", b"<postmaster>"),
    ("long", b"<" + b"a" * 64 + b"@" + b"b" * 180 + b".org>", b"<" + b"c" * 64 + b"@" + b"d" * 180 + b".org>"),
)


@pytest.mark.parametrize(("sender", "recipient"), [one[1:] for one in ARGUMENTS], ids=[one[0] for one in ARGUMENTS])
def test_envelopes_arrive_unchanged(sender: bytes, recipient: bytes, shared: Service, sink: Sink) -> None:
    with Session(shared.address) as client:
        client.greet()
        assert client.deliver(b"Subject: x\r\n\r\ntext\r\n", sender, [recipient, b"<second@example.org>"]).code == 250
    (one,) = sink.messages
    assert (one.sender, one.recipients) == (sender, (recipient, b"<second@example.org>"))


@pytest.mark.parametrize(
    "message",
    [
        CLEAN,
        b"",
        b"\r\n",
        b"no header\r\n",
        b"Subject: only\r\n\r\n",
        b"Subject: bytes\r\n\r\n" + bytes(byte for byte in range(256) if byte not in b"\r\n") * 10 + b"\r\n",
        "Subject: ΰτφ-8\r\nX-Ünknown: ja\r\n\r\nsehr schön\r\n".encode(),
        b"Subject: long\r\n\r\n" + b"x" * 100_000 + b"\r\n",
        b"X-Long: " + b"y" * 120_000 + b"\r\n\r\nbody\r\n",
        b"Subject: strays\r\n\r\none\rtwo\nthree\r\n",
    ],
    ids=["mime", "empty", "line", "no-header", "no-body", "all-bytes", "utf-8", "long-line", "long-header", "strays"],
)
def test_contents_arrive_unchanged(message: bytes, shared: Service, sink: Sink) -> None:
    with Session(shared.tcp) as client:
        client.greet()
        assert client.deliver(message).code == 250
    assert [one.data for one in sink.messages] == [message]


def test_clients_that_were_before_arrive_unchanged(shared: Service, sink: Sink) -> None:
    lines = [
        b"XFORWARD NAME=spike.example ADDR=192.0.2.1 PROTO=ESMTP",
        b"XFORWARD PORT=4711 HELO=spike+3Dexample+2Borg IDENT=ABC123 SOURCE=REMOTE",
        b"XFORWARD ADDR=IPV6:2001:db8::1 NAME=[UNAVAILABLE]",
    ]
    with Session(shared.address) as client:
        assert XFORWARD in client.greet().lines
        assert [client.say(line).code for line in lines] == [250, 250, 250]
        assert client.deliver(CLEAN).code == 250
    (one,) = sink.messages

    def told(given: Sequence[bytes]) -> dict[str, str]:
        words = [word.decode().split("=", 1) for line in given for word in line.split()[1:]]
        return dict(words)

    assert told(one.xforward) == told(lines)


def test_only_what_both_have_is_announced() -> None:
    with Sink(extensions=(b"SIZE 1000", b"CHUNKING", b"STARTTLS", b"BINARYMIME", b"ETRN", b"DSN")) as sink, Service(sink.address) as proxy:
        with Session(proxy.address) as client:
            names = {line.split()[0] for line in client.greet().lines[1:]}
        assert names >= {b"SIZE", b"DSN"}
        assert not names & {b"CHUNKING", b"STARTTLS", b"BINARYMIME", b"ETRN", b"8BITMIME", b"SMTPUTF8"}
        with Session(proxy.address) as client:
            client.greet(b"HELO old.example")
            assert client.deliver(CLEAN).code == 250


def test_recipients_are_refused_at_once_and_one_by_one(shared: Service, sink: Sink) -> None:
    sink.twist = lambda step, line, honest: b"550 5.1.1 No such user\r\n" if step == "RCPT" and b"unknown" in line else honest
    with Session(shared.address) as client:
        client.greet()
        assert client.say(b"MAIL FROM:<a@example.org>").code == 250
        codes = [client.say(b"RCPT TO:<%s@example.org>" % name).code for name in (b"one", b"unknown", b"two")]
        assert codes == [250, 550, 250]
        assert client.say(b"DATA").code == 354
        client.send(stuffed(CLEAN))
        assert client.answer().code == 250
    assert sink.messages[0].recipients == (b"<one@example.org>", b"<two@example.org>")


def test_lmtp_answers_for_each_recipient() -> None:
    with Sink(lmtp=True) as sink, Service(sink.address, "--lmtp") as proxy, Session(proxy.address) as client:
        sink.twist = lambda step, line, honest: b"452 4.2.2 Full\r\n" if step == "END" and b"full" in line else honest
        client.greet(b"LHLO client.example")
        client.begin(recipients=[b"<one@example.org>", b"<full@example.org>", b"<two@example.org>"])
        client.send(stuffed(CLEAN))
        assert [client.answer().code for _ in range(3)] == [250, 452, 250]
        assert [one.data for one in sink.messages] == [CLEAN, CLEAN]


# -- clients -------------------------------------------------------------------------------------------------------


def swaks(address: str, *options: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    host, _, port = address.rpartition(":")
    command = [peers.require("swaks"), "--server", host, "--port", port, "--from", "sender@example.org", "--timeout", "20", *options]
    if data is not None:
        command += ["--data", f"@{data}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "options", [(), ("--pipeline",), ("--protocol", "SMTP"), ("--xclient-optional",)], ids=["plain", "pipelining", "helo", "xclient"]
)
def test_swaks(options: Sequence[str], shared: Service, sink: Sink, tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_bytes(CLEAN.replace(b"\r\n", b"\n"))
    done = swaks(shared.tcp, "--to", "one@example.org,two@example.org", *options, data=file)
    assert done.returncode == 0, done.stdout
    (one,) = sink.messages
    assert one.data.rstrip() == CLEAN.rstrip()
    assert one.recipients == (b"<one@example.org>", b"<two@example.org>")


def test_swaks_with_an_infected_file(shared: Service, sink: Sink, tmp_path: Path) -> None:
    file = tmp_path / "virus.txt"
    file.write_bytes(EICAR)
    done = swaks(shared.tcp, "--to", "one@example.org", "--attach-type", "text/plain", "--attach", f"@{file}", "--attach-body", "See file.")
    assert done.returncode == 0, done.stdout
    (one,) = sink.messages
    assert EICAR not in one.data
    assert wrappings.b64(EICAR) not in one.data
    assert b"See file." in one.data
    assert b"malware" in one.data


def test_swaks_is_refused(shared: Service, sink: Sink) -> None:
    """Its exit status says where."""
    sink.twist = lambda step, _line, honest: b"550 5.1.1 No such user\r\n" if step == "RCPT" else honest
    assert swaks(shared.tcp, "--to", "unknown@example.org").returncode == 24
    sink.twist = lambda step, _line, honest: b"550 5.7.1 Not this\r\n" if step == "END" else honest
    assert swaks(shared.tcp, "--to", "one@example.org").returncode == 26
    assert sink.messages == []


@pytest.mark.parametrize("options", [(), ("-d",)], ids=["one-each", "kept-open"])
def test_smtp_source_with_a_hundred_sessions(options: Sequence[str], shared: Service, sink: Sink) -> None:
    count = 5000 if LONG else 200
    command = [
        peers.require("smtp-source"),
        "-s",
        "100",
        "-m",
        str(count),
        "-l",
        "5000",
        "-f",
        "a@example.org",
        "-t",
        "b@example.org",
        "-N",
    ]
    subprocess.run([*command, *options, shared.tcp], check=True, timeout=300)
    assert len(sink.messages) == count
    assert len({one.recipients for one in sink.messages}) == count
    sizes = {len(one.data) for one in sink.messages}
    assert max(sizes) - min(sizes) < 20  # of numbers in the header
    assert min(sizes) > 5000


def test_smtp_source_to_smtp_sink(tmp_path: Path) -> None:
    """Not one of ours at either end: what smtp-sink counts is what smtp-source has sent."""
    hop = tmp_path / "hop"
    count = 2000 if LONG else 100
    command = [peers.require("smtp-sink"), "-c", *(("-u", "nobody") if os.geteuid() == 0 else ()), f"unix:{hop}", "100"]
    counters = tmp_path / "counters"
    with counters.open("wb") as output:
        sink = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        eventually(lambda: listens(f"unix:{hop}"), "smtp-sink")
        with Service(f"unix:{hop}") as proxy:
            sent = [peers.require("smtp-source"), "-s", "20", "-m", str(count), "-l", "20000", "-r", "5", f"unix:{proxy.folder}/s"]
            subprocess.run(sent, check=True, timeout=300)
    finally:
        sink.kill()
        sink.wait()
    assert re.findall(rb"mesg=(\d+)", counters.read_bytes())[-1:] == [str(count).encode()]


_EXIM = """\
spool_directory = {root}/spool
log_file_path = {root}/%slog
exim_path = {binary}
primary_hostname = exim.example
exim_user = nobody
exim_group = nogroup
never_users =
keep_environment = ^LD_ : ^NSS_WRAPPER_
trusted_users = root
tls_advertise_hosts =
disable_ipv6 = true
smtputf8_advertise_hosts = *
allow_utf8_domains = true
qualify_domain = example.org
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  transport = proxy
  self = send
  host_find_failed = defer
begin transports
proxy:
  driver = smtp
  port = {port}
  allow_localhost
  hosts_try_fastopen =
  hosts_require_tls =
  hosts_avoid_tls = *
begin retry
* * F,1h,1s
"""


def exim(root: Path) -> tuple[str, Mapping[str, str]]:
    """Exim and its environment: the machine's own or, as it cannot be installed beside Postfix, one that is unpacked."""
    if os.geteuid() != 0:
        peers.missing("Exim takes a configuration of ours only from root")
    installed = shutil.which("exim4", path="/usr/sbin")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    binary, environment = (installed, environment) if installed else peers.unpacked("usr/sbin/exim4", root, "Debian-exim")
    tried = subprocess.run([binary, "-C", "/dev/null", "-bV"], env=environment, capture_output=True, text=True, check=False)
    return (binary, environment) if tried.returncode == 0 else peers.missing(f"Exim does not run here: {tried.stderr}")


def test_exim(shared: Service, sink: Sink) -> None:
    root = Path(tempfile.mkdtemp(prefix="lz-exim-", dir="/tmp"))  # not where only root may go
    try:
        root.chmod(0o777)
        _test_exim(*exim(root), root, shared, sink)
    finally:
        shutil.rmtree(root)


def _test_exim(binary: str, environment: Mapping[str, str], root: Path, shared: Service, sink: Sink) -> None:
    file = root / "exim.conf"
    file.write_text(_EXIM.format(binary=binary, root=root, port=shared.tcp.rpartition(":")[2]))
    file.chmod(0o644)

    said = ""
    for message, recipients in ((CLEAN, ("one@example.org", "two@example.org")), (INFECTED, ("one@example.org",))):
        command = [binary, "-C", str(file), "-v", "-odf", "-i", "-f", "sender@example.org", *recipients]
        done = subprocess.run(command, input=message.replace(b"\r\n", b"\n"), env=environment, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        said += done.stderr.decode()
    assert said.count("Completed") == 2, said
    assert said.count('C="250 2.0.0 Taken') == 3, said  # one for each recipient
    clean, infected = sink.messages
    assert clean.recipients == (b"<one@example.org>", b"<two@example.org>")
    assert clean.data.endswith(CLEAN.partition(b"\r\n\r\n")[2])
    assert wrappings.b64(EICAR) not in infected.data


def test_client_ends_its_side_after_quit(shared: Service, sink: Sink) -> None:
    """As Exim does, with the end of its last message: it waits for both answers."""
    with Session(shared.tcp) as client:
        client.greet()
        client.begin()
        client.send(stuffed(CLEAN) + b"QUIT\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert [client.answer().code, client.answer().code] == [250, 221]
        assert client.rest() == b""
    assert [one.data for one in sink.messages] == [CLEAN]


def test_python(shared: Service, sink: Sink) -> None:
    host, _, port = shared.tcp.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=30) as client:
        client.ehlo()
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        assert client.sendmail("jürgen@example.org", ["δ@example.org"], CLEAN, options, ["NOTIFY=NEVER"]) == {}
    (one,) = sink.messages
    assert one.sender.startswith("<jürgen@example.org>".encode())
    assert one.recipients == ("<δ@example.org> NOTIFY=NEVER".encode(),)
    assert one.data == CLEAN


# -- next hops -----------------------------------------------------------------------------------------------------


def test_aiosmtpd_as_next_hop() -> None:
    controllers = pytest.importorskip("aiosmtpd.controller")
    got: list[tuple[str, list[str], bytes, list[str], list[str]]] = []

    class Handler:
        async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
            if "unknown" in address:
                return "550 5.1.1 No such user"
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
            return "250 OK"

        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            got.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content, envelope.mail_options, envelope.rcpt_options))
            return "250 2.0.0 Taken"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = controllers.Controller(Handler(), hostname="127.0.0.1", port=port, enable_SMTPUTF8=True, data_size_limit=1 << 24)
    controller.start()
    try:
        with Service(f"127.0.0.1:{port}") as proxy, Session(proxy.address) as client:
            names = {line.split()[0] for line in client.greet().lines[1:]}
            assert names >= {b"SIZE", b"8BITMIME", b"SMTPUTF8"}
            client.say("MAIL FROM:<jürgen@example.org> BODY=8BITMIME SMTPUTF8".encode())
            assert client.say(b"RCPT TO:<unknown@example.org>").code == 550
            assert client.say("RCPT TO:<δ@example.org>".encode()).code == 250
            assert client.say(b"DATA").code == 354
            client.send(stuffed(CLEAN + b".\r\n..\r\n" + b"\xff\0\r\n"))
            assert client.answer().lines == (b"2.0.0 Taken",)
            for size in (0, 1, 900_000):
                assert client.deliver(b"Subject: x\r\n\r\n" + b"line of text\r\n" * (size // 14)).code == 250
    finally:
        controller.stop()
    sender, recipients, content, options, _ = got[0]
    assert (sender, recipients) == ("jürgen@example.org", ["δ@example.org"])
    assert content == CLEAN + b".\r\n..\r\n" + b"\xff\0\r\n"
    assert set(options) == {"BODY=8BITMIME", "SMTPUTF8"}
    assert len(got) == 4
