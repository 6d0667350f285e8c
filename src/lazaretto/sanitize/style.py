"""How what we write looks: the parts of the configuration that no verdict depends on.

Errors:  none.
See:     plan.py, which carries it out; policy/keys.py, the sections [headers] and [defang]
"""

from __future__ import annotations

from typing import NamedTuple

from lazaretto.sanitize.renaming import Renaming


class Style(NamedTuple):
    """One for all messages."""

    renaming: Renaming = Renaming()


DEFAULT = Style()
