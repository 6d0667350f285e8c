"""Many idle mail servers, one that stalls in the body, one that announces 4 GB: others are served all the same, and memory is bounded.

With LAZARETTO_LONG=1, a thousand idle connections and fifty active ones. The figures are printed: pytest -rP.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack

from milter_double import MtaClient, packet, session
from milter_process import MilterProcess
from serving import eventually
from smtp_service import descriptors_for, high_water

LONG = bool(os.environ.get("LAZARETTO_LONG"))
IDLE, ACTIVE, EACH = (1000, 50, 20) if LONG else (200, 10, 5)
MOST_BYTES = 20_000_000  # more than before; a length that is believed would be 4 GB, a connection has some kilobytes


def message(number: int) -> bytes:
    """No two are equal, so each is scanned."""
    return b"Subject: number %d\r\n\r\nNothing to see here.\r\n" % number


def test_idle_and_odd_mail_servers_delay_nobody() -> None:
    with (
        descriptors_for(IDLE + ACTIVE),
        MilterProcess(engine="yara", milter__max_connections=IDLE + ACTIVE + 10) as service,
        ExitStack() as stack,
    ):
        (worker,) = service.workers
        before = high_water(worker)
        idle = [stack.enter_context(session(service.address)) for _ in range(IDLE)]
        stalled = stack.enter_context(session(service.address))
        assert stalled.envelope()[0] == "c"
        stalled.send(packet("B", b"x" * 60_000) + (65_000).to_bytes(4, "big") + b"B" + b"half of it")
        for length in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"):
            with MtaClient(service.address).negotiate() as liar:
                liar.send(length)
                assert liar.ended()
        answers: list[tuple[str, float]] = []

        def deliver(client: MtaClient, first: int) -> None:
            for number in range(first, first + EACH):
                begun = time.perf_counter()
                letter = client.deliver(message(number)).letter
                answers.append((letter, time.perf_counter() - begun))

        clients = [stack.enter_context(session(service.address)) for _ in range(ACTIVE)]
        threads = [threading.Thread(target=deliver, args=(client, place * EACH)) for place, client in enumerate(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [letter for letter, _ in answers] == ["a"] * (ACTIVE * EACH)
        grown = high_water(worker) - before
        assert grown < MOST_BYTES
        assert idle[-1].deliver(message(-1)).letter == "a"
        longest = max(seconds for _, seconds in answers)
        figures = f"longest {longest * 1000:.0f} ms; worker {before / 1e6:.1f} MB, then {grown / 1e6:.1f} more"
        print(f"{IDLE} idle, {ACTIVE} active: {figures}")  # noqa: T201 - for who asks with -rP
        stalled.close()
        eventually(lambda: len(service.final_lines()) == ACTIVE * EACH + 2, "all final lines")
        assert sum("outcome=aborted" in line for line in service.final_lines()) == 1
        assert len([line for line in service.log.splitlines() if "event=protocol" in line]) == 3  # two lengths, and half a packet
