"""The milter as a process of its own, with all its workers and scan processes; see smtp_service.py.

with MilterProcess(engine="yara") as service, session(service.address) as mta:
    mta.deliver(message)
"""

from __future__ import annotations

from smtp_service import Service


class MilterProcess(Service):
    """`address` is its UNIX socket, `tcp` the other one; settings as those of Service."""

    def __init__(self, *arguments: str, engine: str = "none", rules: str = "", **settings: object) -> None:
        super().__init__("127.0.0.1:1", *arguments, engine=engine, rules=rules)
        self.command = [part.replace("lazaretto.cli.proxy", "lazaretto.cli.milter") for part in self.command]
        host, _, port = self.tcp.rpartition(":")
        self.configure(**{"milter__listen": [self.address, f"inet:{port}@{host}"], **settings})
