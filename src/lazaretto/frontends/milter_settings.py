"""What the milter is told: the [milter] keys, and what it needs from [limits] and [filter].

Errors:  none.
See:     policy/keys.py, what each is for
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lazaretto.frontends.smtp_settings import SCAN_MARGIN_S
from lazaretto.limits import DEFAULT, Limits
from lazaretto.wire.milter import Actions, Steps
from lazaretto.wire.milter_filter import Wanted

# What no verdict depends on need not be told; and only MAIL, where a message can be refused early, and its end are worth waiting for.
STEPS = Steps.NO_EOH | Steps.NO_DATA | Steps.NO_UNKNOWN | Steps.SKIP | Steps.LEADING_SPACE
STEPS |= (
    Steps.NR_CONNECT | Steps.NR_HELO | Steps.NR_RCPT | Steps.NR_DATA | Steps.NR_HEADER | Steps.NR_EOH | Steps.NR_BODY | Steps.NR_UNKNOWN
)
ACTIONS = Actions.ADD_HEADERS | Actions.CHANGE_HEADERS | Actions.CHANGE_BODY


class MilterSettings(NamedTuple):
    """One worker's; times in seconds, sizes in bytes."""

    max_connections: int = 1000
    max_jobs: int = 100
    max_spooled_bytes: int = 1 << 30
    max_message_bytes: int = DEFAULT.max_message_bytes
    max_header_bytes: int = DEFAULT.max_header_bytes
    max_header_fields: int = DEFAULT.max_header_fields
    max_recipients: int = 10_000
    timeout_s: float = 7200.0
    data_timeout_s: float = 300.0
    progress_s: float = 5.0
    scan_timeout_s: float = DEFAULT.max_scan_s + SCAN_MARGIN_S
    hold: bool = False
    spool_directory: str = ""
    spool_memory_bytes: int = DEFAULT.spool_memory_bytes

    @classmethod
    def of(cls, settings: Mapping[str, object], limits: Limits = DEFAULT, spool_directory: str = "") -> MilterSettings:
        """From Config.settings, Config.limits and Config.spool_directory."""
        same = ("max_connections", "max_jobs", "max_spooled_bytes", "max_recipients", "timeout_s", "data_timeout_s", "progress_s", "hold")
        values: dict[str, Any] = {name: settings[f"milter.{name}"] for name in same}
        return cls(
            max_message_bytes=limits.max_message_bytes,
            max_header_bytes=limits.max_header_bytes,
            max_header_fields=limits.max_header_fields,
            scan_timeout_s=limits.max_scan_s + SCAN_MARGIN_S,
            spool_directory=spool_directory,
            spool_memory_bytes=limits.spool_memory_bytes,
            **values,
        )

    @property
    def wanted(self) -> Wanted:
        """What is asked of the MTA: no more than a verdict may need."""
        return Wanted(ACTIONS | (Actions.QUARANTINE if self.hold else Actions(0)), STEPS)
