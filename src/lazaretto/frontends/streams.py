"""A transport over two descriptors: pipes, files, a terminal, whatever is at standard input and output.

asyncio's own takes pipes only, and those not in pairs.  Reading waits in the event loop where
the descriptor can be polled; a file never makes us wait.  Writing waits where it is: what is
written here are replies, and there is nobody else whom that could keep.

Errors:  connection_lost of the protocol is told what happened.
See:     spawn.py; asyncio.Transport
"""

from __future__ import annotations

import asyncio
import os
import select
from typing import Any

_READ = 1 << 16


class Streams(asyncio.Transport):
    """Gives `protocol` what comes from `source`, writes to `target`; owns both."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, source: int, target: int) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._source = source
        self._target = target
        self._reading = False
        self._closing = False
        self._pollable = True
        self._ended = False
        protocol.connection_made(self)
        loop.call_soon(self.resume_reading)

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        """Nothing is known."""
        return default

    def is_closing(self) -> bool:
        """Has it been closed?"""
        return self._closing

    def is_reading(self) -> bool:
        """May data come?"""
        return self._reading

    def can_write_eof(self) -> bool:
        """Only by closing."""
        return False

    def pause_reading(self) -> None:
        """No more data for now."""
        if self._reading:
            self._reading = False
            if self._pollable:
                self._loop.remove_reader(self._source)

    def resume_reading(self) -> None:
        """More data."""
        if self._reading or self._closing or self._ended:
            return
        self._reading = True
        if self._pollable:
            try:
                self._loop.add_reader(self._source, self._read)
            except OSError:  # EPERM: a file
                self._pollable = False
        if not self._pollable:
            self._loop.call_soon(self._read_file)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """All of it, now."""
        with memoryview(data) as view:
            done = 0
            while done < len(view) and not self._closing:
                try:
                    done += os.write(self._target, view[done:])
                except BlockingIOError:
                    select.select([], [self._target], [])
                except OSError as error:
                    self._close(error)

    def close(self) -> None:
        """Everything is written already."""
        self._close(None)

    def abort(self) -> None:
        """The same."""
        self._close(None)

    def _close(self, error: Exception | None) -> None:
        if not self._closing:
            self.pause_reading()
            self._closing = True
            self._loop.call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        for fd in {self._source, self._target}:
            os.close(fd)
        self._protocol.connection_lost(error)

    def _read_file(self) -> None:
        if self._reading:
            self._read()
            self._loop.call_soon(self._read_file)

    def _read(self) -> None:
        try:
            data = os.read(self._source, _READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._close(error)
            return
        if data:
            self._protocol.data_received(data)
            return
        self.pause_reading()
        self._ended = True
        if not self._protocol.eof_received():
            self.close()
