"""Lazaretto in a real Postfix, wired as `lazaretto setup postfix` says, and as the manual of scan-mail.pl did.

Mail goes from a client through Postfix and Lazaretto to a double of a mail server, which keeps it.  Clean mail arrives as it
was but for what Postfix adds, infected mail cleaned, banned mail as configured; what is to be rejected is refused
before the queue.  Of many messages, each arrives once and has its line in the log.

With LAZARETTO_LONG=1, a thousand in each wiring.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import mail_programs
import peers
import programs
import wrappings
from eicar import EICAR
from lazaretto.cli.postfix import WIRINGS, Places, Wiring, front_text, services_text, wiring
from lazaretto.policy.keys import toml
from postfix import Postfix
from serving import eventually
from smtp_service import Service, alive
from smtp_session import Answer, Session
from smtp_sink import EXTENSIONS, XFORWARD, Sink

MANY = 1000 if os.environ.get("LAZARETTO_LONG") else 24
CLEAN = wrappings.attach(b"nothing to see here", "notes.txt") + b"\r\n"
INFECTED = wrappings.attach(EICAR, "notes.txt") + b"\r\n"
BANNED = wrappings.attach(b"MZ but harmless", "holiday.scr") + b"\r\n"
REFUSED = wrappings.attach(b"MZ but harmless", "game.exe") + b"\r\n"
RULES = """
[[rule]]
name = "no-games"
detail = "*.exe"
action = "reject"
text = "No games here"
"""
BEFORE = ("before-queue", "submission")
DOMAIN = "site.example"


class SyslogDouble:
    """Keeps the lines that are sent to its UNIX socket, which anybody may write to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        path.chmod(0o666)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while line := self._sock.recv(1 << 16):
            self.lines.append(line.decode())
        self._sock.close()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", str(self.path))
        self._thread.join(30)


class Wired:
    """A Postfix with a proxy: `address` takes mail; `sink` is where it ends up."""

    def __init__(
        self, name: str, postfix: Postfix, proxy: Service | None, sink: Sink, address: str, syslog: SyslogDouble | None = None
    ) -> None:
        self.name, self.postfix, self.proxy, self.sink, self.address = name, postfix, proxy, sink, address
        self.syslog = syslog
        self.given = 0  # messages that Lazaretto is to see

    def deliver(self, message: bytes, recipient: str = f"recipient@{DOMAIN}") -> Answer:
        self.given += 1
        with Session(self.address) as client:
            client.greet()
            answer = client.deliver(message, recipients=[f"<{recipient}>".encode()])
            client.say(b"QUIT")
            return answer

    def arrived(self, count: int = 1, *, bounces: bool = False) -> list[bytes]:
        """The next messages at the end of the way, without bounces, or only these: of an earlier test, one may come late."""

        def there() -> list[bytes]:
            return [one.data for one in self.sink.messages if one.sender.startswith(b"<>") is bounces]

        eventually(lambda: len(there()) >= count or bool(self.postfix.trouble()), "the message")
        assert len(there()) == count, self.postfix.log()
        return there()

    def final_lines(self) -> list[str]:
        lines = self.proxy.log.splitlines() if self.proxy is not None else self.syslog.lines if self.syslog is not None else []
        return [line for line in lines if " outcome=" in line]


def unchanged(delivered: bytes, message: bytes) -> bool:
    """Only Postfix has put fields on top (in the order of its own), and ours may be at the end of the header."""
    head, _, body = delivered.partition(b"\r\n\r\n")
    sent_head, _, sent_body = message.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\nX-Antivirus: [^\r\n]*\Z", b"", head)
    return body == sent_body and head.endswith(sent_head)


def python_for_others() -> tuple[str, Mapping[str, str]]:
    """A Python that users without rights can start, with all that is needed, and its environment."""
    found = {"PYTHONPATH": os.pathsep.join([programs.ROOT, sysconfig.get_path("platlib")]), "PYTHONDONTWRITEBYTECODE": "1"}
    # env is started with root's capabilities, what it starts is not.
    setpriv = [peers.require("setpriv"), "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info[1]}"):
        tried = subprocess.run([*setpriv, "env", python, "-c", "import lazaretto, yara_x"], env=found, capture_output=True, check=False)
        if not tried.returncode:
            return python, found
    return peers.missing("no Python that user nobody may run has what is needed")


def script(path: Path, module: str, **environment: str) -> Path:
    """A program for spawn(8)."""
    python, found = python_for_others()
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in {**found, "PATH": "/usr/bin:/bin", **environment}.items())
    code = f"import sys; sys.argv[0] = {str(path)!r}; from {module} import main; sys.exit(main())"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec env -i {settings} {shlex.quote(python)} -c {shlex.quote(code)} "$@"\n')
    path.chmod(0o755)
    return path


# -- as `lazaretto setup postfix` says --------------------------------------------------------------------------------


@contextmanager
def wired(name: str) -> Iterator[Wired]:
    with ExitStack() as stack:
        sink = stack.enter_context(Sink(lmtp=name == "lmtp", extensions=(*EXTENSIONS, XFORWARD)))
        postfix = Postfix(next_hop=sink.address)
        stack.callback(postfix.close)
        listen = f"unix:{postfix.root}/lazaretto" if name == "after-queue-unix" else f"127.0.0.1:{postfix.port('filter')}"
        next_hop = sink.address if name == "lmtp" else f"127.0.0.1:{postfix.port('back')}"
        made = wiring(name, Places(listen, next_hop, str(postfix.root / "bin" / "lazaretto"), "nobody"))
        put_in(postfix, made)
        ours = {setting.name: tomllib.loads(f"x = {setting.value}")["x"] for setting in made.ours}
        proxy, syslog = None, None
        if name == "spawn":
            home = home_of_nobody(postfix)
            syslog = SyslogDouble(home / "log")
            stack.callback(syslog.close)
            spawned(postfix, home, {**ours, "log.syslog": str(syslog.path)})
        else:
            ours["smtp.socket_mode"] = "0666"
            proxy = Service(next_hop, engine="yara", rules=RULES, **ours)
            stack.callback(proxy.close)
            proxy.start()
        postfix.start()
        address = postfix.smtp if name != "submission" else f"127.0.0.1:{postfix.port('submission')}"
        postfix.wait_for(address)
        yield Wired(name, postfix, proxy, sink, address, syslog)
        assert postfix.trouble() == []
        if proxy is not None:
            assert proxy.stop() == 0
            assert "event=crash" not in proxy.log


def put_in(postfix: Postfix, made: Wiring) -> None:
    """What the wiring says, into main.cf and master.cf."""
    postfix.main |= {setting.name: setting.value for setting in made.main}
    front = front_text(made)
    if made.name == "submission":
        postfix.master += f"{{submission}} inet n - n - - smtpd\n{front}"
    else:
        postfix.master = postfix.master.replace("smtpd\n", f"smtpd\n{front}", 1)
    postfix.master += services_text(made)
    if made.name == "lmtp":
        postfix.main["mydestination"] = DOMAIN


def home_of_nobody(postfix: Postfix) -> Path:
    home = postfix.root / "home"
    home.mkdir()
    home.chmod(0o777)
    return home


def spawned(postfix: Postfix, home: Path, ours: dict[str, object]) -> None:
    """The program that spawn(8) starts for each connection."""
    configuration = home / "lazaretto.toml"
    configuration.write_text("".join(f"{name} = {toml(value)}\n" for name, value in ours.items()) + RULES)
    places = {"LAZARETTO_CONFIG": str(configuration), "HOME": str(home), "XDG_STATE_HOME": str(home)}
    script(postfix.root / "bin" / "lazaretto", "lazaretto.cli.main", **places)


@pytest.fixture(scope="module", params=[name for name in WIRINGS if name != "milter"])  # which is in test_milter_setup.py
def site(request: pytest.FixtureRequest) -> Iterator[Wired]:
    with wired(request.param) as made:
        yield made


def test_clean_mail(site: Wired) -> None:
    site.sink.clear()
    assert site.deliver(CLEAN).code == 250
    (one,) = site.arrived()
    assert unchanged(one, CLEAN), one


def test_infected_mail(site: Wired) -> None:
    site.sink.clear()
    assert site.deliver(INFECTED).code == 250
    (one,) = site.arrived()
    assert not mail_programs.carries(one, EICAR)
    assert b"See attachment." in one
    assert b"malware" in one


def test_banned_mail(site: Wired) -> None:
    site.sink.clear()
    assert site.deliver(BANNED).code == 250
    (one,) = site.arrived()
    assert not mail_programs.carries(one, b"MZ but harmless")
    assert b"See attachment." in one
    assert b"policy.banned" in one


def test_mail_that_is_to_be_rejected(site: Wired) -> None:
    """Before the queue, the client hears it; after it, the sender gets it back."""
    site.sink.clear()
    answer = site.deliver(REFUSED)
    if site.name in BEFORE:
        assert answer == Answer(554, (b"5.7.1 No games here",))
        assert site.postfix.queue() == []
        assert site.sink.messages == []
        return
    assert answer.code == 250
    eventually(lambda: "status=bounced" in site.postfix.log(), "the bounce")
    assert "No games here" in site.postfix.log()
    if site.name != "lmtp":  # there, the sender is none of ours, and the server behind takes nothing else
        (bounce,) = site.arrived(bounces=True)
        assert b"No games here" in bounce


def test_many_messages(site: Wired) -> None:
    """Mixed, over several connections at a time; each has one line in the log, and arrives once, if it is to arrive."""
    site.sink.clear()
    before = site.given
    eventually(lambda: len(site.final_lines()) == before, "the lines of what was before")
    kinds = {"clean": CLEAN, "infected": INFECTED, "banned": BANNED, "refused": REFUSED}
    names = [(kind, f"<{kind}.{number}@mixed.example>") for number in range(MANY // 4) for kind in kinds]

    def deliver(one: tuple[str, str]) -> int:
        kind, name = one
        return site.deliver(kinds[kind].replace(b"<w@example.org>", name.encode())).code

    with ThreadPoolExecutor(8) as clients:
        codes = dict(zip(names, clients.map(deliver, names), strict=True))
    assert {code for (kind, _), code in codes.items() if kind != "refused"} == {250}
    assert {code for (kind, _), code in codes.items() if kind == "refused"} == {554 if site.name in BEFORE else 250}
    wanted = {name for kind, name in names if kind != "refused"}

    def ids() -> list[str]:
        heads = [one.data.partition(b"\r\n\r\n")[0] for one in site.sink.messages if not one.sender.startswith(b"<>")]
        return [name.decode() for head in heads for name in re.findall(rb"(?im)^Message-ID: (\S+)", head)]

    eventually(lambda: len(ids()) >= len(wanted) and site.postfix.queue() == [], "all messages")
    assert Counter(ids()) == Counter(wanted)
    for one in site.sink.messages:
        assert not mail_programs.carries(one.data, EICAR)
        if b"<clean." in one.data and not one.sender.startswith(b"<>"):
            assert one.data.endswith(CLEAN.partition(b"\r\n\r\n")[2])
    eventually(lambda: len(site.final_lines()) - before >= len(names), "a line for each")
    lines = site.final_lines()[before:]
    assert len(lines) == len(names)
    outcomes = Counter(found[1] for line in lines if (found := re.search(r"outcome=(\w+)", line)))
    assert outcomes == {"clean": MANY // 4, "cleaned": MANY // 2, "rejected": MANY // 4}


def test_mail_of_local_programs(site: Wired) -> None:
    """sendmail(1) does not go through smtpd: before the queue, nobody looks at it, as `setup postfix` says."""
    site.sink.clear()
    site.given += site.name not in BEFORE
    site.postfix.sendmail(INFECTED.replace(b"\r\n", b"\n"), "sender@example.org", f"recipient@{DOMAIN}")
    (one,) = site.arrived()
    assert mail_programs.carries(one, EICAR) == (site.name in BEFORE)


# -- as the manual of scan-mail.pl says ------------------------------------------------------------------------------

# Word for word: spaces, names and ports.
MAIN = "content_filter = smtp:[127.0.0.1]:10025"
MASTER = """\
    scan             unix  -    -    n    -    10    smtp
    localhost:10026  inet  n    -    n    -    10    smtpd
        -o content_filter=
        -o local_recipient_maps=
        -o relay_recipient_maps=
        -o myhostname=localhost.domain.tld
        -o smtpd_helo_restrictions=
        -o smtpd_client_restrictions=
        -o smtpd_sender_restrictions=
        -o smtpd_recipient_restrictions=permit_mynetworks,reject
        -o smtpd_use_tls=no
        -o mynetworks=127.0.0.0/8
"""
SPAWN = """\
    localhost:10025  inet  n    n    n    -    10    spawn
    user=nobody argv=/usr/local/f-prot/tools/scan-mail.pl -postfix 127.0.0.1:10026
"""
COMMAND = "scan-mail.pl -daemon -proxy -proxy_address 127.0.0.1:10025 -smtp_address 127.0.0.1:10026"
MANUAL = Path(os.environ.get("SCAN_MAIL_MANUAL", Path(programs.ROOT).parents[1] / "shared" / "spec" / "scan-mail.8.txt"))


@contextmanager
def as_in_the_manual(example: str) -> Iterator[Wired]:
    """With ports that are free instead of 10025 and 10026, and the program where this test has put it."""
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        postfix = Postfix(next_hop=sink.address)
        stack.callback(postfix.close)
        home = home_of_nobody(postfix)
        syslog = SyslogDouble(home / "log")
        stack.callback(syslog.close)

        def here(text: str) -> str:
            ports = {"10025": str(postfix.port("filter")), "10026": str(postfix.port("back")), "/usr/local/f-prot": str(postfix.root)}
            return re.sub("10025|10026|/usr/local/f-prot", lambda name: ports[name[0]], text)

        name, _, value = here(MAIN).partition(" = ")
        postfix.main[name] = value
        conf = home / "f-prot.conf"
        places = {"SCANMAIL_BACKUPDIR": home / "backup", "SCANMAIL_QUARANTINEDIR": home / "quarantine", "SCANMAIL_LOGHOST": syslog.path}
        settings = {**places, "SCANMAIL_ENGINES": "yara", "SCANMAIL_BANLIST": r"\.scr$", "SCANMAIL_LOGLEVEL": "info"}
        conf.write_text("".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items()))
        environment = {"SCANMAIL_CONFIG": str(conf), "HOME": str(home), "XDG_STATE_HOME": str(home), "LAZARETTO_STATE_DIR": str(home)}
        program = script(postfix.root / "tools" / "scan-mail.pl", "lazaretto.cli.scan_mail", **environment)
        if example == "spawn":
            postfix.master += here(unindented(MASTER + SPAWN))
        else:
            postfix.master += here(unindented(MASTER))
            _, *arguments = here(COMMAND).split()
            with conf.open("a") as file:
                file.write(f"SCANMAIL_PIDFILE={home}/scanmail.pid\n")
            stack.callback(stop_daemon, home / "scanmail.pid")
            subprocess.run([program, *arguments], check=True, timeout=60)
        postfix.start()
        yield Wired(example, postfix, None, sink, postfix.smtp, syslog)
        assert [line for line in postfix.trouble() if "smtpd_use_tls" not in line] == []


def unindented(text: str) -> str:
    """As it has to stand in master.cf, where a line that begins with a space continues the one before."""
    return re.sub(r"(?m)^    (?=scan|localhost)", "", text)


def stop_daemon(pid_file: Path) -> None:
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not alive(pid), "the end of the daemon")


def test_examples_are_the_manuals() -> None:
    if not MANUAL.exists():
        pytest.skip("the old manual is not here: name its text in $SCAN_MAIL_MANUAL")

    def words(text: str) -> str:
        return " ".join(text.split())

    text = words(MANUAL.read_text(encoding="utf-8"))
    for example in (MAIN, MASTER, MASTER + SPAWN, COMMAND):
        assert words(example) in text


@pytest.fixture(scope="module", params=["spawn", "proxy"])
def old_site(request: pytest.FixtureRequest) -> Iterator[Wired]:
    with as_in_the_manual(request.param) as made:
        yield made


def test_the_manuals_examples(old_site: Wired) -> None:
    site = old_site
    assert site.deliver(CLEAN).code == 250
    (clean,) = site.arrived()
    assert unchanged(clean, CLEAN), clean
    assert b"\r\nX-Antivirus: Scanned by " in clean
    for message, content in ((INFECTED, EICAR), (BANNED, b"MZ but harmless")):
        site.sink.clear()
        assert site.deliver(message).code == 250
        (one,) = site.arrived()
        assert not mail_programs.carries(one, content)
        assert b"See attachment." in one
        assert b"\r\nX-Antivirus: Scanned by " in one
    eventually(lambda: len(site.final_lines()) == 3, "three lines in the log")
    site.sink.clear()
    messages = {f"<{number}@mixed.example>": CLEAN for number in range(MANY // 4)}
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda name: site.deliver(CLEAN.replace(b"<w@example.org>", name.encode())), messages))
    assert {answer.code for answer in answers} == {250}
    got = site.arrived(len(messages))
    assert Counter(name for one in got for name in messages if name.encode() in one) == Counter(messages.keys())
    eventually(lambda: len(site.final_lines()) == 3 + len(messages), "a line for each")
