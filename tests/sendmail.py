"""A private Sendmail: unpacked, not installed; its own configuration and queue, ports of loopback only.

    with Sendmail(next_hop=sink.address, milters=["inet:10025@127.0.0.1"]) as sendmail:
        attempt(sendmail.smtp, message)

All mail is taken, and goes to `next_hop`, a HOST:PORT.  `settings` are more lines for the .mc file.  What is wrong with a filter
fails the message for now (F=T), as `lazaretto setup sendmail` has it.

Sendmail asks the machine for its name, and waits for a minute if that has no dot: what stands in for the user database
(tests/peers.py) tells it another one.

See:  scripts/debian-unpacked.txt, the packages; sendmail-cf's README, the .mc file
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import peers
from serving import PATIENCE_S, eventually
from smtp_session import listens

TIMEOUTS = "C:10s;S:10s;R:20s;E:60s"
_MC = """\
divert(0)dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `sendmail.example')dnl
define(`MAIL_SETTINGS_DIR', `{root}/')dnl
define(`QUEUE_DIR', `{root}/queue')dnl
define(`STATUS_FILE', `{root}/status')dnl
define(`HELP_FILE', `')dnl
define(`ALIAS_FILE', `')dnl
define(`confPID_FILE', `{root}/pid')dnl
define(`confSERVICE_SWITCH_FILE', `{root}/switch')dnl
define(`confLOG_LEVEL', `0')dnl
define(`confDELIVERY_MODE', `background')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_ICONNECT', `5s')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl
define(`confCHECKPOINT_INTERVAL', `1')dnl
define(`SMART_HOST', `relay:[{host}]')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {port}')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`nocanonify')dnl
DAEMON_OPTIONS(`Name=four, Family=inet, Addr=127.0.0.1, Port={smtp}')dnl
{more}
MAILER(`smtp')dnl
"""


class Sendmail:
    """`smtp` is where it takes mail, `smtp6` the same on ::1 if `ipv6` is given."""

    def __init__(
        self, *, next_hop: str, milters: Sequence[str] = (), settings: str = "", ipv6: bool = False, timeouts: str = TIMEOUTS
    ) -> None:
        self.m4 = peers.require("m4")
        if os.geteuid() != 0:
            peers.missing("Sendmail takes a queue of ours only from root")
        self.root = Path(tempfile.mkdtemp(prefix="lz-sendmail-", dir="/tmp"))
        self.process: subprocess.Popen[bytes] | None = None
        self.binary, self.environment = peers.unpacked("usr/libexec/sendmail/sendmail", self.root, "smmsp")
        self.root.chmod(0o755)
        port = _free_port()
        self.smtp, self.smtp6 = f"127.0.0.1:{port}", f"[::1]:{port}"
        host, _, hop = next_hop.rpartition(":")
        more = [settings] if settings else []
        if ipv6:
            more.append(f"DAEMON_OPTIONS(`Name=six, Family=inet6, Addr=::1, Port={port}')dnl")
        for number, milter in enumerate(milters):
            more.append(f"INPUT_MAIL_FILTER(`filter{number}', `S={milter}, F=T, T={timeouts}')dnl")
        self.text = _MC.format(root=self.root, host=host, port=hop, smtp=port, more="\n".join(more))

    def configure(self) -> None:
        hosts = "127.0.0.1 sendmail.example localhost\n::1 localhost\n"
        for name, content in (("t.mc", self.text), ("switch", "hosts files\n"), ("hosts", hosts)):
            (self.root / name).write_text(content)
        (self.root / "queue").mkdir(mode=0o700, exist_ok=True)
        self.environment |= {"NSS_WRAPPER_HOSTS": str(self.root / "hosts"), "NSS_WRAPPER_HOSTNAME": "sendmail.example"}
        macros = peers.UNPACKED / "usr/share/sendmail/cf"
        command = [self.m4, f"-D_CF_DIR_={macros}/", str(macros / "m4/cf.m4"), str(self.root / "t.mc")]
        made = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_S)
        (self.root / "t.cf").write_bytes(made.stdout)
        (self.root / "t.cf").chmod(0o644)

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

    def start(self) -> None:
        self.configure()
        command = [self.binary, "-C", str(self.root / "t.cf"), "-bD", "-q1s"]  # "-X FILE" would log all that is said
        with (self.root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
            )
        started = self.process
        eventually(lambda: listens(self.smtp) or started.poll() is not None, "Sendmail's start")
        assert started.poll() is None, self.output()

    def close(self) -> None:
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)  # with those that serve a client, or run the queue
            except ProcessLookupError:
                pass
            self.process.wait(PATIENCE_S)
            self.process = None
        shutil.rmtree(self.root, ignore_errors=True)

    # -- what it tells ----------------------------------------------------------------------------------------

    def output(self) -> str:
        """What it has complained about."""
        return (self.root / "output").read_text(errors="replace")

    def queue(self, kind: str = "q") -> list[str]:
        """Ids of messages that wait; of kind "h" those that are held in quarantine."""
        return sorted(name[2:] for name in os.listdir(self.root / "queue") if name.startswith(f"{kind}f"))

    def control_file(self, message_id: str, kind: str = "q") -> str:
        """What Sendmail has written about a message that waits.  Lines begin with a letter: H is a header field, q the reason."""
        return (self.root / "queue" / f"{kind}f{message_id}").read_text(errors="replace")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
