"""The nouns: envelope, part, item, finding, verdict, edit, report.

Value types are NamedTuples and plain classes with __slots__, not dataclasses:
`dataclasses` pulls in `inspect` and costs the stdin filter 12 ms at each start.
Keep it so.

See: docs/architecture.md section "Words"
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lazaretto.mime.source import Source

Path = tuple[int, ...]  # of a part: () is the root, (2, 1) the first child of its second child


class Span(NamedTuple):
    """Half-open byte range of one Source."""

    start: int
    stop: int


class Envelope(NamedTuple):
    """What the MTA told us, never what the header claims.  RFC 5321 s2.3.1"""

    mail_from: bytes | None = None  # None: not told; b"": the null reverse-path
    rcpt_to: tuple[bytes, ...] = ()
    client: str = ""
    helo: bytes = b""
    queue_id: str = ""
    macros: tuple[tuple[str, str], ...] = ()  # what a mail server tells a milter besides: ("auth_authen", "joe")


class Field(NamedTuple):
    """One header field, as positions and as text."""

    name: str  # lower case, as a lenient client reads it
    span: Span  # name to line end, folds included: what a deletion removes
    value: bytes  # raw, folds kept, without the line end


class Part(NamedTuple):
    """One MIME entity, as positions: it owns no bytes."""

    path: Path
    header: Span  # from the entity's first byte (even if junk stands before the first field), without the blank line
    body: Span  # raw, still transfer-encoded, without the line end that belongs to the delimiter
    media_type: str  # lower case, "text/plain" if none is declared
    encoding: str  # lower case Content-Transfer-Encoding, "7bit" if none is declared
    names: tuple[str, ...] = ()  # every reading of every file name
    fields: tuple[Field, ...] = ()
    children: tuple[Part, ...] = ()
    anomalies: tuple[str, ...] = ()  # "mime.no-final-boundary"


class Item(NamedTuple):
    """A piece of content that engines look at: a part decoded, a member unpacked, a reading.

    Engines see items and nothing else.  `part` is what an edit can replace.
    """

    part: Path  # nearest part of the outer message
    trail: tuple[str, ...]  # how we got there: ("2", "inner.zip", "a.exe") in an archive that is part 2
    names: tuple[str, ...]  # every reading of its file name; () if it has none
    media_type: str  # as declared; "" if nobody said
    content: Source
    type: str  # as found in the bytes (content.sniff), "data" if unknown
    digest: bytes = b""  # SHA-256 of the content
    is_message: bool = False  # the raw message itself
    is_file: bool = True  # False: something we made (macro text, a PDF's objects); it has no name policy
    covered: bool = False  # plain text whose very bytes the scan of the raw message has seen
    doubtful: bool = False  # exists only in a reading of ambiguous structure
    files: tuple[str, ...] = ()  # every file name on the way, its own at the end: ("invoice.zip", "inner.zip", "a.exe")


class Kind(Enum):
    """What a finding is about."""

    MALWARE = "malware"
    BANNED = "banned"  # name or type not allowed here
    ACTIVE = "active"  # runs by itself: macro, script, launch action
    MALFORMED = "malformed"  # deviation or ambiguity noticed while reading
    UNSCANNABLE = "unscannable"  # content nobody could look into; see Reason
    DISINFECTED = "disinfected"  # an engine took malware out of it; what is left is at hand (ScanContext.cleaned)
    DISARMED = "disarmed"  # it does something by itself that can be taken out, and what is left is of use
    ERROR = "error"  # the engine could not answer; see Reason


class Reason(Enum):
    """Why something was not scanned."""

    DOWN = "down"
    TIMEOUT = "timeout"
    LIMIT = "limit"
    ENCRYPTED = "encrypted"
    BROKEN = "broken"
    UNSUPPORTED = "unsupported"


class Finding(NamedTuple):
    """One statement by one engine (or reader) about one item."""

    engine: str
    kind: Kind
    name: str  # "Eicar-Test-Signature", "zip.encrypted"; stable, documented
    part: Path = ()
    detail: str = ""
    reason: Reason | None = None  # with UNSCANNABLE and ERROR only
    trail: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Disposition(IntEnum):
    """Of the message; a larger one is more severe."""

    ACCEPT = 0
    DISCARD = 1
    TEMPFAIL = 2
    REJECT = 3


class Treatment(IntEnum):
    """Of a part; a larger one is more severe."""

    KEEP = 0
    CANONICALISE = 1
    DISINFECT = 2
    DISARM = 3
    DEFANG = 4
    MANGLE = 5
    REPLACE = 6


class Verdict(NamedTuple):
    """What policy decided.  Front ends and sanitize only carry it out."""

    disposition: Disposition
    treatments: tuple[tuple[Path, Treatment], ...] = ()
    quarantine: bool = False
    tags: tuple[tuple[bytes, bytes], ...] = ()  # fields to put on top
    rule: str = "default"  # which rule decided
    text: str = ""  # for a refusal: what the sender is told
    saved: tuple[Path, ...] = ()  # parts whose content is to be kept in files of their own before they are cut out
    alarm: bool = False  # the filter is to end with a status of its own, though the message is written


class Edit(NamedTuple):
    """Replace `span` of the original by `data`; an empty span inserts, empty data deletes."""

    span: Span
    data: bytes | Source


class Report(NamedTuple):
    """All that leaves a scan: small, picklable, JSON-able (edits apart)."""

    scan_id: str
    findings: tuple[Finding, ...]
    verdict: Verdict
    edits: tuple[Edit, ...]  # (): send the original bytes
    elapsed_ms: float
    engines: tuple[tuple[str, str], ...]  # name, version or signature date
    digest: str = ""  # SHA-256 of the original, hexadecimal
    quarantine_id: str = ""  # under which the original was kept, "" if it was not
    saved: tuple[str, ...] = ()  # files that keep single parts
    backup: str = ""  # file that keeps the message as it came
    rewritten: tuple[str, ...] = ()  # small changes to what stayed, such as "shell-script"
    engine_ms: tuple[tuple[str, float], ...] = ()  # how long each engine that was asked took for all of the message
