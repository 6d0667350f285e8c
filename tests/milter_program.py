"""Our milter as a process of its own, with all its workers and scan processes.

    with MilterProgram() as milter:
        ...a mail server that asks milter.address

`settings` and `rules` as in smtp_service.Service, which has the rest.
"""

from __future__ import annotations

import sys

from milter_addresses import Address, free_address
from serving import eventually
from smtp_service import Service


class MilterProgram(Service):
    """`listen` is where it listens: a port of its own, unless one is given."""

    def __init__(self, listen: Address | None = None, *, engine: str = "yara", rules: str = "", **settings: object) -> None:
        super().__init__("none", rules=rules)
        self.listen = free_address() if listen is None else listen
        self.settings = {"process.scanners": 2, **{name.replace("__", "."): value for name, value in settings.items()}}
        self.configure()
        options = ["--config", str(self.configuration), "--state-dir", str(self.state), "--engine", engine]
        self.command = [sys.executable, "-m", "lazaretto", "milter", "--listen", self.listen.libmilter, *options]

    def start(self) -> None:
        super().start()
        eventually(self.listen.listens, "the milter")
