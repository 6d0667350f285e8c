"""A private Postfix: its own configuration, queue and data directories, ports of loopback only, no chroot.

    with Postfix(main={"content_filter": "smtp:[127.0.0.1]:10025"}, services=MASTER, next_hop=sink.address) as postfix:
        postfix.sendmail(message, "sender@example.org", "recipient@example.org")

All mail for others goes to `next_hop`.  Starting it needs root; then the daemons run as
user "postfix", whom the package makes.  Lines for master.cf and main.cf may say {name}
for a port of its own: see Postfix.port.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import peers

PATIENCE_S = 30.0
NOTHING: Mapping[str, str] = {}

# The least that a mail server needs which takes mail by SMTP and from sendmail(1), and sends all of it on.
_MASTER = """\
pickup     unix  n - n 1 1 pickup
cleanup    unix  n - n - 0 cleanup
qmgr       unix  n - n 1 1 qmgr
rewrite    unix  - - n - - trivial-rewrite
bounce     unix  - - n - 0 bounce
defer      unix  - - n - 0 bounce
trace      unix  - - n - 0 bounce
verify     unix  - - n - 1 verify
proxymap   unix  - - n - - proxymap
local      unix  - n n - - local
smtp       unix  - - n - - smtp
lmtp       unix  - - n - - lmtp
relay      unix  - - n - - smtp
error      unix  - - n - - error
retry      unix  - - n - - error
discard    unix  - - n - - discard
anvil      unix  - - n - 1 anvil
scache     unix  - - n - 1 scache
showq      unix  n - n - - showq
flush      unix  n - n 1000? 0 flush
postlog    unix-dgram n - n - 1 postlogd
"""

_QUEUE: dict[str, tuple[int, str]] = dict.fromkeys(
    "active bounce corrupt defer deferred flush hold incoming private saved trace".split(), (0o700, "root")
)
_QUEUE |= {"maildrop": (0o1730, "postdrop"), "public": (0o2710, "postdrop"), "pid": (0o755, "root")}


class Queued(NamedTuple):
    """What postqueue(1) tells of a message that waits: `queue` is "hold" where a filter has put it in quarantine."""

    id: str
    queue: str
    reasons: tuple[str, ...]  # why it waits, one for each recipient, as far as they are known


class Postfix:
    """One instance.  `smtp` is where it takes mail; `port(name)` makes a free port and remembers it under its name.

    `main` are parameters, `services` more entries for master.cf, `front` options of the smtpd that takes mail.
    """

    def __init__(self, *, next_hop: str, main: Mapping[str, str] = NOTHING, services: str = "", front: str = "") -> None:
        self.binary = peers.require("postfix")
        if os.geteuid() != 0:
            peers.missing("Postfix can only be started by root")
        self.root = Path(tempfile.mkdtemp(prefix="lz-postfix-", dir="/tmp"))  # not where only root may go
        self.root.chmod(0o755)
        self.ports: dict[str, int] = {}
        self.started = False
        self.smtp = f"127.0.0.1:{self.port('smtp')}"
        self.next_hop, self.main = next_hop, dict(main)
        self.master = f"{{smtp}} inet n - n - - smtpd\n{front}{_MASTER}{services}"

    def port(self, name: str) -> int:
        """A port that nobody listens on now, always the same for the same name."""
        if name not in self.ports:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.ports[name] = free.getsockname()[1]
        return self.ports[name]

    # -- life -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def configure(self) -> None:
        for name in ("config", "queue", "data"):
            (self.root / name).mkdir(exist_ok=True)
        shutil.chown(self.root / "data", "postfix")
        for name, (mode, group) in _QUEUE.items():
            folder = self.root / "queue" / name
            folder.mkdir(exist_ok=True)
            shutil.chown(folder, "root" if name == "pid" else "postfix", group)
            folder.chmod(mode)
        (self.root / "queue" / "quick-start").touch()  # nothing to check
        usual = {
            "compatibility_level": "3.6",
            "queue_directory": str(self.root / "queue"),
            "data_directory": str(self.root / "data"),
            "maillog_file": str(self.root / "log"),
            "maillog_file_prefixes": str(self.root),
            "multi_instance_enable": "yes",
            "myhostname": "postfix.example",
            "mydestination": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "relayhost": _relayhost(self.next_hop),
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "smtp_host_lookup": "native",
            "smtp_dns_support_level": "disabled",
            "smtputf8_enable": "yes",
            "default_process_limit": "20",
            "smtpd_client_connection_rate_limit": "0",
            "smtpd_client_connection_count_limit": "0",
            "authorized_flush_users": "root",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "1s",
            "queue_run_delay": "1s",
            "transport_retry_time": "1s",
        }
        settings = {**usual, **self.main}
        text = "".join(f"{name} = {self.fill(value)}\n" for name, value in settings.items())
        (self.root / "config" / "main.cf").write_text(text)
        (self.root / "config" / "master.cf").write_text(self.fill(self.master))
        os.utime(self.root / "config" / "main.cf", (0, 0))  # Postfix waits for two seconds before it reads a file that is being edited

    def fill(self, text: str) -> str:
        """The text with ports for {names}."""
        return re.sub(r"\{(\w+)\}", lambda name: str(self.port(name[1])), text)

    def start(self) -> None:
        self.configure()
        done = self.run(self.binary, "start")
        self.started = True
        assert done.returncode == 0, self.log() + done.stderr
        self.wait_for(self.smtp)

    def wait_for(self, address: str) -> None:
        """Until somebody listens there."""
        host, port = address.rsplit(":", 1)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with socket.create_connection((host, int(port)), PATIENCE_S):
                    return
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.01)

    def close(self) -> None:
        if self.started:
            self.run(self.binary, "stop")
            self.started = False
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
        environment = {"MAIL_CONFIG": str(self.root / "config"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options)  # type: ignore[call-overload, no-any-return]

    # -- use --------------------------------------------------------------------------------------------------

    def sendmail(self, message: bytes, sender: str, *recipients: str) -> None:
        """Inject as local programs do; lines of the message end in LF."""
        environment = {"MAIL_CONFIG": str(self.root / "config"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        command = [peers.require("sendmail"), "-i", "-f", sender, *recipients]
        subprocess.run(command, input=message, env=environment, check=True, timeout=PATIENCE_S)

    def log(self) -> str:
        """All of the log so far."""
        file = self.root / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def trouble(self) -> list[str]:
        """Lines of the log that say that something is wrong with Postfix or its configuration, not with the machine's clocks."""
        lines = [line for line in self.log().splitlines() if re.search(r" (fatal|panic|error|warning): ", line)]
        return [line for line in lines if not re.search(r"file system clock is|resetting file time stamps", line)]

    def queue(self) -> list[Queued]:
        """The messages that wait."""
        done = self.run(peers.require("postqueue"), "-j")
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        reasons = [tuple(one["delay_reason"] for one in message["recipients"] if "delay_reason" in one) for message in found]
        return [Queued(message["queue_id"], message["queue_name"], why) for message, why in zip(found, reasons, strict=True)]

    def remove(self, queue_id: str) -> None:
        """Delete a message that waits."""
        done = self.run(peers.require("postsuper"), "-d", queue_id)
        assert done.returncode == 0, done.stderr

    def flush(self) -> None:
        """Try all messages again, now."""
        self.run(peers.require("postqueue"), "-f")


def _relayhost(address: str) -> str:
    if address.startswith("unix:"):
        return f"lmtp:{address}"
    host, _, port = address.rpartition(":")
    return f"[{host.strip('[]')}]:{port}"
