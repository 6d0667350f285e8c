"""`scan-mail`, also called `scan-mail.pl`: the mail scanner of F-PROT, with its command line and its f-prot.conf.

    scan-mail < message > safe message          for procmail, maildrop, Sieve
    scan-mail -server, scan-mail -daemon        the same for many clients
    scan-mail -proxy                            SMTP for another server
    scan-mail -milter ADDRESS|FILE              the milter protocol, for Sendmail; FILE is a sendmail.cf with our line X
    scan-mail -postfix ADDRESS                  SMTP on standard input and output, for Postfix' spawn(8)

Everything that is configured becomes the text of a lazaretto.toml: first what the old mail
scanner did by itself and what f-prot.conf says ($SCANMAIL_CONFIG, else /etc/f-prot.conf), then
the arguments for the sanitizer (cli/sanitizer.py), then Lazaretto's own configuration where there is one (cli/setup.py), then the command
line; what is later counts.  `lazaretto migrate` shows what becomes of f-prot.conf.

$SENDER and $RECIPIENT, where the mail system sets them, are the envelope, for rules and the log.
$LAZARETTO_STATE_DIR is where caches live, if not where `lazaretto` has them.

Exit status of the filter: as of `lazaretto filter`, but 75 for a wrong command line or
configuration, too: with any other, some mail system would bounce.  -postfix says 421 to its client
then, besides.  A server that cannot be started ends with 1.

Errors:  none; a line on standard error.
See:     docs/scan-mail.md; legacy/options.py, legacy/profile.py, legacy/sendmail_cf.py, frontends/stdio.py
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

from lazaretto.cli import setup
from lazaretto.errors import EX_OK, EX_TEMPFAIL, ConfigError
from lazaretto.legacy import options
from lazaretto.legacy.options import Invocation, UsageError
from lazaretto.model import Envelope
from lazaretto.scan.report import failure_line, line

if TYPE_CHECKING:
    from lazaretto.frontends.spawn import Standard
    from lazaretto.policy.config import Config
    from lazaretto.scan.job import Scanner

Log = Callable[[str, int], None]

EX_FAILED = 1  # of a server that does not start
LOG_WARNING = 4
FPROT_CONF = "/etc/f-prot.conf"
_FIND_CLAMD_S = 0.5  # as in scan/assemble.py
_PATHS = ("SCANMAIL_CONFIG", "LAZARETTO_CONFIG", "LAZARETTO_STATE_DIR")  # of the environment
_SERVERS = ("server", "proxy", "milter")
_MILTER_ADDRESSES = ("inet:", "inet6:", "unix:", "local:")


class Chosen(NamedTuple):
    """What command line and files ask for."""

    config: Config
    specs: tuple[str, ...]  # engines, as --engine has them; (): as configured
    log: Log
    warnings: tuple[str, ...]  # about f-prot.conf and the sanitizer's lines


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (default: sys.argv); the exit status."""
    status = _run(sys.argv[1:] if argv is None else argv)
    if argv is None:
        os._exit(status)  # the process is ours, and the interpreter would take it down object by object
    return status


def _run(arguments: list[str]) -> int:
    spawned = _is_spawned()
    try:
        invocation = options.parse(arguments)
    except UsageError as error:
        if spawned:
            from lazaretto.frontends.spawn import Standard

            return _refuse_session(Standard(), "command-line", str(error))
        _complain("command-line", f"{error}; -help shows what there is")
        return EX_TEMPFAIL
    if invocation.mode == "help":
        return _help()
    if invocation.mode == "postfix":
        return _spawned(invocation)
    failed = EX_FAILED if invocation.mode in _SERVERS else EX_TEMPFAIL
    try:
        if invocation.mode == "server":
            return _serve(invocation)
        if invocation.mode in ("proxy", "milter"):
            return _supervised(invocation)
        from lazaretto.frontends import stdio

        chosen = choose(invocation)
        _warn(invocation, chosen)
        scanner = _scanner(chosen)
    except ConfigError as error:
        if (dump := getattr(error, "dump", "")) and os.isatty(2):  # as the sanitizer did; a mail system's log gets one line
            setup.to_stderr(f"Current configuration:\n{dump}")
        _complain("configuration", str(error))
        return failed
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, the message stays with its owner
        setup.to_stderr(failure_line(f"cannot start: {type(error).__name__}: {error}"))
        return failed
    try:
        return stdio.run(scanner, _envelope(), chosen.log)
    finally:
        scanner.close()


def _envelope() -> Envelope:
    """What Postfix' local(8), qmail-command(8) and Dovecot's Sieve tell the programs that they start."""
    sender, recipient = (os.environb.get(name) for name in (b"SENDER", b"RECIPIENT"))
    return Envelope(sender, (recipient,) if recipient else ())


def choose(invocation: Invocation, directory: str = "") -> Chosen:
    """The configuration that counts.  `directory`: where relative names of the sanitizer's files begin, "": here.

    ConfigError for what is wrong with it, or with the sanitizer's lines.
    """
    from lazaretto.legacy import fprot_conf, profile
    from lazaretto.policy import config

    named = os.environ.get("SCANMAIL_CONFIG")
    path = named or FPROT_CONF
    conf = fprot_conf.read(_fprot_conf(path, required=bool(named)), path, os.environ)
    clamd = ""
    if profile.scans_some(conf):  # only a table can say so, and the table has to have an address
        from lazaretto.engines.registry import find_clamd

        clamd = find_clamd(_FIND_CLAMD_S) or ""
    page = profile.page_of(conf, profile.prefix(os.path.abspath(sys.argv[0])), clamd)
    warnings = tuple(conf.unknown())
    if invocation.sanitizer:
        from lazaretto.cli import sanitizer

        warnings += tuple(f"sanitizer: {note}" for note in sanitizer.translate(page, invocation.sanitizer, directory, conf))
    texts = [(f"profile of {path}", page.text())]
    texts += setup.read_config(setup.config_path(None))
    milter, odd = _milter_address(invocation.milter, directory) if invocation.mode == "milter" else ("", ())
    texts.append(("command line", _command_line(invocation, milter)))
    chosen = config.parse(texts)
    return Chosen(chosen, profile.specs(conf), setup.log(chosen), (*warnings, *odd))


def _fprot_conf(path: str, *, required: bool) -> bytes:
    from lazaretto.cli.sanitizer import read_plain
    from lazaretto.legacy.shell import MAX_BYTES

    try:
        return read_plain(path, MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not required:
            return b""
        raise ConfigError(f"cannot be read: {error.strerror}", path) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path) from error


def _milter_address(value: str, directory: str) -> tuple[str, tuple[str, ...]]:
    """Where the milter listens: an address, or what a sendmail.cf says.  And what is odd about it."""
    if value.startswith(_MILTER_ADDRESSES):
        return value, ()
    from lazaretto.cli.sanitizer import read_plain
    from lazaretto.legacy import sendmail_cf

    path = os.path.join(directory, value)
    try:
        data = read_plain(path, sendmail_cf.MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path) from error
    if len(data) > sendmail_cf.MAX_BYTES:
        raise ConfigError(f"larger than {sendmail_cf.MAX_BYTES} bytes", path)
    ours, warning = sendmail_cf.choose(data.decode("latin-1"), path)
    warnings = [warning] if warning else []
    if ours.flag not in ("T", "R"):
        warnings.append(f"{path}:{ours.line}: X{ours.name} has no F=T, so Sendmail takes mail unscanned when we cannot be reached")
    return (f"unix:{ours.address}" if ours.address.startswith("/") else ours.address), tuple(warnings)


def _command_line(invocation: Invocation, milter: str) -> str:
    """The options, as a lazaretto.toml would say it."""
    from lazaretto.policy.keys import toml

    lines = []
    if invocation.backup != "off":
        lines.append(f'backup.mode = "{invocation.backup}"')
    if invocation.debug or invocation.verbose:
        lines.append(f'log.level = "{"debug" if invocation.debug else "info"}"')
    if invocation.mode == "proxy":
        lines.append(f'smtp.listen = ["{invocation.proxy_address}"]')
        lines.append(f'smtp.next_hop = "{invocation.smtp_address}"')
    if milter:
        lines.append(f"milter.listen = {toml([milter])}")
    return "\n".join(lines)


def _scanner(chosen: Chosen) -> Scanner:
    from lazaretto.scan import assemble
    from lazaretto.store.quarantine import default_state_dir

    state = default_state_dir(os.environ, os.geteuid())
    return assemble.scanner(chosen.config, chosen.specs, state, os.uname().nodename)


def _warn(invocation: Invocation, chosen: Chosen) -> None:
    """What was asked for and has no effect, or looks like a mistake, a line for each."""
    log = chosen.log
    for warning in (*invocation.warnings, *chosen.warnings):
        log(line({"warning": warning}), LOG_WARNING)


def _settle(invocation: Invocation) -> tuple[Chosen, str]:
    """What a server begins with: the configuration, and the directory in which it was started.  ConfigError."""
    for name in _PATHS:  # a daemon leaves this directory, and looks there again
        if os.environ.get(name):
            os.environ[name] = os.path.abspath(os.environ[name])
    directory = os.getcwd()
    chosen = choose(invocation, directory)  # while there is somebody to read what is wrong with it
    if invocation.daemon and not chosen.config.settings["log.syslog"]:
        raise ConfigError("SCANMAIL_LOGHOST: expected another place than standard error: there is none in the background")
    _warn(invocation, chosen)
    return chosen, directory


def _supervised(invocation: Invocation) -> int:
    """Serve SMTP, or be a milter, until told to stop; the exit status.  ConfigError at the start."""
    from lazaretto.cli import launch

    chosen, directory = _settle(invocation)

    def load() -> launch.Loaded:
        again = choose(invocation, directory)
        return launch.Loaded(again.config, lambda: _scanner(again), again.log)

    pid_files = cast("tuple[str, ...]", chosen.config.settings["server.pid_files"]) if invocation.daemon else ()
    service = {"proxy": "smtp"}.get(invocation.mode, invocation.mode)
    return EX_FAILED if launch.start(load, {service}, pid_files, daemon=invocation.daemon) else EX_OK


def _serve(invocation: Invocation) -> int:
    """Serve until told to stop; the exit status.  ConfigError at the start."""
    from lazaretto.cli.serve import start
    from lazaretto.frontends.server import Served, Settings

    chosen, directory = _settle(invocation)

    def make() -> Served:
        again = choose(invocation, directory)
        return Served(_scanner(again), again.log)

    settings = Settings.of(chosen.config.settings)
    if invocation.server_port is not None:
        sockets = (address for address in settings.listen if address.startswith("unix:"))
        settings = settings._replace(listen=(f"127.0.0.1:{invocation.server_port}", *sockets))
    if not invocation.daemon:  # whoever started us knows the process
        settings = settings._replace(pid_files=())
    return EX_FAILED if start(make, settings, daemon=invocation.daemon) else EX_OK


def _is_spawned() -> bool:
    """Is standard error the client's socket, too?  Then nothing may be said there."""
    try:
        streams = os.fstat(0), os.fstat(2)
    except OSError:
        return False
    return stat.S_ISSOCK(streams[0].st_mode) and os.path.samestat(*streams)


def _spawned(invocation: Invocation) -> int:
    """One SMTP session; the exit status."""
    from lazaretto.frontends.spawn import Standard

    standard = Standard()
    try:
        from lazaretto.frontends.smtp_settings import Address, SmtpSettings

        chosen = choose(invocation)
        _warn(invocation, chosen)
        settings = SmtpSettings.of(chosen.config.settings, chosen.config.limits, chosen.config.spool_directory)
        scanner = _scanner(chosen)
    except ConfigError as error:
        return _refuse_session(standard, "configuration", str(error))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, the message stays with its owner
        return _refuse_session(standard, "system", f"cannot start: {type(error).__name__}: {error}")
    next_hop = Address(*invocation.smtp_address)
    return standard.serve(scanner, settings._replace(next_hop=next_hop, lmtp=False, next_hop_lmtp=False), chosen.log)


def _refuse_session(standard: Standard, rule: str, error: str) -> int:
    from lazaretto.cli import spawn

    return spawn.refuse(standard, rule, error, "scan-mail.pl")


def _help() -> int:
    name = os.path.basename(sys.argv[0])
    data = options.help_text(name if name in ("scan-mail", "scan-mail.pl") else "scan-mail").encode("ascii")
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:  # nobody reads it, then
        return EX_TEMPFAIL
    return EX_OK


def _complain(rule: str, error: str) -> None:
    setup.to_stderr(line({"outcome": "deferred", "rule": rule, "error": error}))


if __name__ == "__main__":
    sys.exit(main())
