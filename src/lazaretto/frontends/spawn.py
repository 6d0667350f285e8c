"""One SMTP session on standard input and output, for Postfix' spawn(8) and inetd.

    standard = spawn.Standard()         before anything else
    status = standard.serve(scanner, settings, log)
    status = standard.refuse()          if there is no scanner

spawn(8) connects standard input, output and error to the client.  Whatever a program
says there besides SMTP, a traceback too, is a reply to somebody: so the client gets descriptors of its own,
and what remains of the standard ones leads nowhere.  Standard error stays where it is if it leads to
somebody else, as it does when started by hand.

Messages are scanned in a process of their own, which is forked for the first one.

Exit status: 0 the client has gone or been sent away; 75 it was told 421 because nothing could be started.

Limits:  of smtp_settings.py; streams.py for a client that is no socket.
Errors:  none.
See:     smtp_session.py; spawn(8), command_time_limit in postconf(5)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lazaretto.errors import EX_OK, EX_TEMPFAIL
from lazaretto.model import Envelope, Report

if TYPE_CHECKING:
    import asyncio

    from lazaretto.frontends.smtp_settings import SmtpSettings
    from lazaretto.mime.source import Source
    from lazaretto.scan.job import Scanner

Log = Callable[[str, int], None]

GRACE_S = 30.0  # after SIGTERM, for the message in hand
REFUSAL = b"421 4.3.0 Service not available, try again later\r\n"


class Standard:
    """The client on standard input and output: `input` and `output` are its descriptors from now on.

    `is_socket`: they are one socket.  `hushed`: standard error led to the client, and leads nowhere now.
    """

    def __init__(self) -> None:
        self.input, self.output = (os.dup(fd) for fd in (0, 1))
        status = [os.fstat(fd) for fd in (0, 1)]
        self.is_socket = stat.S_ISSOCK(status[0].st_mode) and os.path.samestat(*status)
        try:
            self.hushed = any(os.path.samestat(each, os.fstat(2)) for each in status)
        except OSError:
            self.hushed = True  # closed: the next file that is opened must not become standard error
        for fd in (0, 1, 2) if self.hushed else (0, 1):
            _nowhere(fd)

    def refuse(self) -> int:
        """Nothing could be started: say so as SMTP has it.  The exit status."""
        try:
            os.write(self.output, REFUSAL)
        except OSError:
            pass  # nobody to tell
        return EX_TEMPFAIL

    def serve(self, scanner: Scanner, settings: SmtpSettings, log: Log) -> int:
        """The session, from greeting to end; the exit status."""
        import asyncio

        asyncio.run(self._serve(scanner, settings, log))
        return EX_OK

    async def _serve(self, scanner: Scanner, settings: SmtpSettings, log: Log) -> None:
        import asyncio
        import signal
        import socket

        from lazaretto.frontends import failure, tasks
        from lazaretto.frontends.smtp_proxy import SmtpService
        from lazaretto.frontends.smtp_session import Session
        from lazaretto.frontends.streams import Streams
        from lazaretto.scan import report as reporting

        def crashed(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            what = failure.reason(error) if isinstance(error, BaseException) else "no exception"
            log(reporting.line({"event": "crash", "error": f"{context.get('message', '')}: {what}"}), 3)

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(crashed)
        pool = OnDemand(scanner, log)
        service = SmtpService(settings, pool, log, frontend="spawn")
        session = Session(service, half_close=not self.is_socket)
        if self.is_socket:
            os.close(self.output)
            await loop.connect_accepted_socket(lambda: session, socket.socket(fileno=self.input))
        else:
            Streams(loop, session, self.input, self.output)
        loop.add_signal_handler(signal.SIGTERM, lambda: tasks.start(service.drain(GRACE_S), "drain"))
        await service.finished()
        await pool.close()


class OnDemand:
    """A pool of one process, forked for the first message."""

    def __init__(self, scanner: Scanner, log: Log) -> None:
        from lazaretto.frontends.scan_pool import PoolSettings, ScanPool

        self._pool = ScanPool(scanner, PoolSettings(size=1), log)
        self._started = False

    async def scan(self, source: Source, envelope: Envelope = Envelope()) -> Report:
        """As ScanPool.scan."""
        from lazaretto.frontends.scan_pool import ScanFailed

        if not self._started:
            try:
                self._pool.start()
            except OSError as error:
                raise ScanFailed(str(error)) from None
            self._started = True
        return await self._pool.scan(source, envelope)

    async def close(self) -> None:
        """As ScanPool.close."""
        if self._started:
            await self._pool.close()


def _nowhere(fd: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != fd:
        os.dup2(null, fd)
        os.close(null)
