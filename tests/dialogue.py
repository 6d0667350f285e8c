r"""Conversations as text (tests/dialogs/*/*.dlg).

    # remark
    scan TEXT          our caller asks about this content
    connection         a new connection is made
    C: BYTES           what we must send
    S: BYTES           what the peer answers
    S: (close)         the peer hangs up
    = OUTCOME          what our caller must be told
    do CALL            what our caller does with a client
    reply CODE TEXT    what our caller answers with a server

BYTES and TEXT use the escapes of Python: \0 \n \x41.  The first connection is implied.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

DIRECTORY = Path(__file__).parent / "dialogs"
CLOSE = b"(close)"


class Step(NamedTuple):
    verb: str  # scan connection C: S: = do reply
    data: bytes


def dialogues(protocol: str) -> list[Path]:
    return sorted((DIRECTORY / protocol).glob("*.dlg"))


def steps(path: Path) -> list[Step]:
    result = []
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        verb, _, rest = line.partition(" ")
        assert verb in ("scan", "connection", "C:", "S:", "=", "do", "reply"), f"{path.name}:{number}: {line}"
        result.append(Step(verb, rest.encode("ascii").decode("unicode_escape").encode("latin-1")))
    return result
