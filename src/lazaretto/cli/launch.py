"""What `serve`, `proxy`, `milter`, `scan-mail -proxy` and `-milter` have in common: from a configuration to the processes that serve it.

    start(load, {"smtp"}, pid_files, daemon=True)

In this order: configuration, sockets, PID files, privileges dropped, scanner, processes. So what can be
wrong is seen before anything runs, and the scanner is made by whoever will run it.

Errors:  none; a line on standard error and the exit status: 1 it could not start, 78 the configuration is wrong.
See:     frontends/supervisor.py, frontends/worker.py; docs/processes.md
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from lazaretto.cli import setup
from lazaretto.errors import EX_CONFIG, EX_OK, ConfigError, LazarettoError

if TYPE_CHECKING:
    import argparse

    from lazaretto.frontends.daemon import Tell
    from lazaretto.frontends.listeners import Listener
    from lazaretto.frontends.metrics import Endpoint
    from lazaretto.frontends.notify import Activated, Notifier
    from lazaretto.frontends.pid_files import PidFiles
    from lazaretto.frontends.scan_pool import PoolSettings
    from lazaretto.frontends.supervisor import Plan, Role, Supervisor
    from lazaretto.frontends.worker import Alone, Begin, Work
    from lazaretto.policy.config import Config
    from lazaretto.scan.job import Scanner

EX_FAILED = 1


class Loaded(NamedTuple):
    """A configuration that was read, with what the command line says put in."""

    config: Config
    scanner: Callable[[], Scanner]
    log: Callable[[str, int], None]


def start(load: Callable[[], Loaded], services: set[str], pid_files: Sequence[str] | None = None, *, daemon: bool = False) -> int:
    """Serve until told to stop; the exit status.

    `services`: of "smtp", "milter" and "server", which are names of sockets and sections of the configuration.  `load` is called again
    at HUP.  `pid_files`: None for those of [server].
    """
    from lazaretto.frontends import failure
    from lazaretto.frontends.daemon import detach
    from lazaretto.frontends.notify import activated

    tell: Tell = complain
    try:
        given = activated(os.environ)
        first = load()
        if daemon and not first.config.settings["log.syslog"]:
            raise ConfigError('log.syslog: expected a place such as "/dev/log": in the background there is no standard error')
        if daemon:
            tell = detach()
        _Launch(load, first, services, given).run(first.config.settings["server.pid_files"] if pid_files is None else pid_files, tell)
    except ConfigError as error:
        tell(f"configuration: {error}", EX_CONFIG)
        return EX_CONFIG
    except (OSError, LazarettoError) as error:
        tell(failure.reason(error))
        return EX_FAILED
    return EX_OK


def complain(problem: str, status: int = EX_FAILED) -> None:
    """A Tell for those who stay in the foreground."""
    if problem and status:
        setup.to_stderr(f"lazaretto: {problem}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every daemon has."""
    parser.add_argument("--pid-file", metavar="FILE", action="append", default=[], help="repeatable (default: [server] pid_files)")
    parser.add_argument("--daemon", action="store_true", help="go into the background, once everything is ready")


def make_absolute(options: argparse.Namespace) -> None:
    """A daemon leaves this directory, one that drops privileges its home, and both look for the same files again."""
    options.pid_file = [*map(os.path.abspath, options.pid_file)]
    options.config = setup.config_path(options.config)
    if options.daemon:
        options.config = os.path.abspath(options.config) if options.config else None
        options.state_dir = os.path.abspath(options.state_dir) if options.state_dir else None


def load(options: argparse.Namespace, lines: Sequence[str]) -> Loaded:
    """The configuration, with what the command line says as its last text.  ConfigError."""
    from lazaretto.policy.config import parse

    config = parse([*setup.read_config(setup.config_path(options.config)), ("command line", "\n".join(lines))])
    return Loaded(config, lambda: setup.scanner(options, config), setup.log(config))


def _smtp(config: Config, pool: PoolSettings, scanner: Scanner, log: Callable[[str, int], None]) -> Begin:
    from lazaretto.frontends import smtp_worker
    from lazaretto.frontends.smtp_settings import SmtpSettings, is_among

    settings = SmtpSettings.of(config.settings, config.limits, config.spool_directory)
    if is_among(settings.next_hop, cast("Sequence[str]", config.settings["smtp.listen"])):
        raise ConfigError(f"smtp.next_hop: {settings.next_hop} is where the proxy itself listens; mail would go round in circles")
    return smtp_worker.duty(settings, pool, scanner, log)


def _milter(config: Config, pool: PoolSettings, scanner: Scanner, log: Callable[[str, int], None]) -> Begin:
    from lazaretto.frontends import milter_worker
    from lazaretto.frontends.milter_settings import MilterSettings

    return milter_worker.duty(MilterSettings.of(config.settings, config.limits, config.spool_directory), pool, scanner, log)


# What workers with scan processes can be.
_POOLED: dict[str, Callable[[Config, PoolSettings, Scanner, Callable[[str, int], None]], Begin]] = {"smtp": _smtp, "milter": _milter}


class _Launch:
    def __init__(self, load: Callable[[], Loaded], first: Loaded, services: set[str], given: Sequence[Activated]) -> None:
        self.load = load
        self.first: Loaded | None = first
        self.settings = first.config.settings
        self.services = services
        self.given = given
        self.bound: list[Listener] = []  # by ourselves
        self.above: Supervisor | Alone | None = None

    def run(self, pid_files: object, tell: Tell) -> None:
        from lazaretto.frontends import privileges
        from lazaretto.frontends.notify import Notifier
        from lazaretto.frontends.pid_files import PidFiles

        who = privileges.identity(str(self.settings["process.user"]), str(self.settings["process.group"]))
        notifier = Notifier.of(os.environ)
        opened: list[Callable[[], None]] = []
        try:
            listeners = self.listeners(opened)
            files = PidFiles(cast("Sequence[str]", pid_files), os.getpid())
            opened.append(files.close)
            endpoint = self.endpoint()
            if endpoint is not None:
                opened.append(endpoint.close)
                self.bound.append(endpoint.listener)
            for listener in self.bound:
                if listener.address.startswith("unix:/"):
                    privileges.give(listener.address.removeprefix("unix:"), who, group=listener.gid < 0)
            privileges.drop(who)
            self.above = self.alone(listeners, notifier) if self.is_small else self.supervisor(listeners, notifier, files)
            if endpoint is not None:
                self.above.watch(endpoint)
            self.above.run(lambda: tell(""))
        finally:
            for close in reversed(opened):
                close()

    def listeners(self, opened: list[Callable[[], None]]) -> dict[str, list[Listener]]:
        """By service: sockets that somebody has bound for us, else those of the configuration."""
        from lazaretto.frontends.listeners import Listener, listen

        found: dict[str, list[Listener]] = {name: [] for name in sorted(self.services)}
        only = next(iter(found)) if len(found) == 1 else ""
        for name, sock in self.given:
            service = name if name in found else only
            if not service:
                expected = " or ".join(f"FileDescriptorName={name}" for name in found)
                raise ConfigError(f"LISTEN_FDNAMES: expected {expected}, not {name!r}")
            found[service].append(Listener.given(sock))
            opened.append(found[service][-1].close)
        for service, group in found.items():
            if not group:
                addresses, mode = (self.settings[f"{service}.{key}"] for key in ("listen", "socket_mode"))
                group += listen(cast("Sequence[str]", addresses), cast("int", mode), str(self.settings.get(f"{service}.socket_group", "")))
                opened += [listener.close for listener in group]
                self.bound += group
            if not group:
                raise ConfigError(f"[{service}] listen: expected at least one address")
        return found

    def endpoint(self) -> Endpoint | None:
        address = str(self.settings["metrics.listen"])
        if not address:
            return None
        from lazaretto.frontends import metrics

        def samples() -> Mapping[str, float]:
            return self.above.samples() if self.above is not None else {}

        def troubles() -> Sequence[str]:
            return metrics.troubles(samples(), self.above is not None and self.above.ready)

        return metrics.Endpoint(address, samples, troubles)

    # -- what a configuration comes to

    def again(self) -> Loaded:
        """The configuration; the first time, as it was read already."""
        loaded, self.first = self.first or self.load(), None
        return loaded

    @property
    def is_small(self) -> bool:
        """Is one process to do it all?  It can be the SMTP proxy, or the milter."""
        return len(self.services) == 1 and self.services <= {*_POOLED} and self.settings["process.workers"] == 0

    def alone(self, listeners: Mapping[str, Sequence[Listener]], notifier: Notifier) -> Alone:
        from lazaretto.frontends.worker import Alone

        (service,) = self.services
        return Alone(lambda: self.work(service, self.again()), listeners[service], notifier)

    def supervisor(self, listeners: Mapping[str, Sequence[Listener]], notifier: Notifier, files: PidFiles) -> Supervisor:
        from lazaretto.frontends.supervisor import Supervisor

        return Supervisor(self.plan, listeners, notifier, private=[files.close])

    def work(self, service: str, loaded: Loaded, scanner: Scanner | None = None) -> Work:
        """What a worker of that service does."""
        from lazaretto.frontends.scan_pool import PoolSettings
        from lazaretto.frontends.worker import Work

        config = loaded.config
        scanner = scanner or loaded.scanner()
        begin = _POOLED[service](config, PoolSettings.of(config.settings), scanner, loaded.log)
        return Work(begin, loaded.log, scanner.close)

    def plan(self) -> Plan:
        """All services, each in processes of its own, with one scanner that they inherit."""
        from lazaretto.frontends.supervisor import Plan
        from lazaretto.frontends.warmup import warm

        loaded = self.again()
        scanner = loaded.scanner()
        warm(scanner)
        roles = [self.role(service, loaded, scanner) for service in _POOLED if service in self.services]
        if "server" in self.services:
            roles.append(self.server_role(loaded, scanner))
        return Plan(tuple(roles), loaded.log, scanner.close)

    def role(self, service: str, loaded: Loaded, scanner: Scanner) -> Role:
        from lazaretto.frontends import worker
        from lazaretto.frontends.supervisor import Role

        work = self.work(service, loaded, scanner)
        places = cast("int", loaded.config.settings["process.workers"]) or 1
        return Role(service, places, lambda control, listeners: worker.work(work.begin, control, listeners, loaded.log))

    def server_role(self, loaded: Loaded, scanner: Scanner) -> Role:
        from lazaretto.frontends import server
        from lazaretto.frontends.control import Control
        from lazaretto.frontends.supervisor import Role

        inherited = [server.Served(scanner, loaded.log)]

        def make() -> server.Served:
            if inherited:
                return inherited.pop()
            again = self.load()
            return server.Served(again.scanner(), again.log)

        def work(control: Control, listeners: Sequence[Listener]) -> int:
            settings = server.Settings.of(loaded.config.settings)._replace(pid_files=())
            return server.serve(make, settings, control.ready, listeners, control.sock)

        return Role("server", 1, work, rereads=True)
