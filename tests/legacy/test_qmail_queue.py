"""qmail-queue's envelope: whole, byte by byte, with more after it, and wrong in each way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import EX_OK
from lazaretto.legacy import qmail_queue
from lazaretto.legacy.qmail_queue import MAX_ADDRESS, EnvelopeReader, Queued, QueueError
from lazaretto.model import Disposition


def read(*pieces: bytes) -> Queued | int:
    """The envelope, or the exit status."""
    reader = EnvelopeReader()
    try:
        for piece in pieces:
            if (queued := reader.feed(piece)) is not None:
                return queued
        raise reader.end()
    except QueueError as error:
        return error.status


LONG = b"x" * MAX_ADDRESS
CASES: list[tuple[bytes, Queued | int]] = [
    (b"Fa@b\0Tc@d\0\0", Queued(b"a@b", (b"c@d",), b"Fa@b\0Tc@d\0\0")),
    (b"Fa\0Tb\0Tc\0Tb\0\0", Queued(b"a", (b"b", b"c", b"b"), b"Fa\0Tb\0Tc\0Tb\0\0")),
    (b"F\0Tb\0\0", Queued(b"", (b"b",), b"F\0Tb\0\0")),
    (b"Fa\0\0", Queued(b"a", (), b"Fa\0\0")),
    (b"F\0T\0\0", Queued(b"", (b"",), b"F\0T\0\0")),
    (b"FF\0TT\0\0", Queued(b"F", (b"T",), b"FF\0TT\0\0")),
    (b"F\xff \n\0T\r\n\0\0", Queued(b"\xff \n", (b"\r\n",), b"F\xff \n\0T\r\n\0\0")),
    (b"F#@[]\0Tb\0\0", Queued(b"#@[]", (b"b",), b"F#@[]\0Tb\0\0")),
    (b"F" + LONG + b"\0T" + LONG + b"\0\0", Queued(LONG, (LONG,), b"F" + LONG + b"\0T" + LONG + b"\0\0")),
    (b"", 54),
    (b"F", 54),
    (b"Fa", 54),
    (b"Fa\0", 54),
    (b"Fa\0T", 54),
    (b"Fa\0Tb", 54),
    (b"Fa\0Tb\0", 54),
    (b"F" + LONG, 54),
    (b"\0", 91),
    (b"\0\0", 91),
    (b"Tb\0\0", 91),
    (b"fa\0\0", 91),
    (b"X", 91),
    (b"Fa\0Fb\0\0", 91),
    (b"Fa\0tb\0\0", 91),
    (b"Fa\0Tb\0X", 91),
    (b"F" + LONG + b"x", 11),
    (b"Fa\0T" + LONG + b"x\0\0", 11),
    (b"Fa\0T" + LONG + b"xx", 11),
]


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_envelopes(data: bytes, expected: Queued | int) -> None:
    assert read(data) == expected
    assert read(*[data[at : at + 1] for at in range(len(data))]) == expected
    if expected != 54:
        assert read(data + b"Tmore\0\0") == expected, "what follows does not count"


@given(st.binary(max_size=12).map(lambda value: value.replace(b"\0", b"")), st.lists(st.binary(max_size=12), max_size=6), st.data())
def test_whatever_is_written_is_read(sender: bytes, recipients: list[bytes], data: st.DataObject) -> None:
    wanted = tuple(recipient.replace(b"\0", b"") for recipient in recipients)
    raw = b"F" + sender + b"\0" + b"".join(b"T" + recipient + b"\0" for recipient in wanted) + b"\0"
    cut = data.draw(st.integers(0, len(raw)))
    assert read(raw[:cut], raw[cut:]) == Queued(sender, wanted, raw)
    assert cut == len(raw) or read(raw[:cut]) == 54


def test_the_whole_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmail_queue, "MAX_ENVELOPE_BYTES", 100)
    reader = EnvelopeReader()
    assert reader.feed(b"Fa\0" + b"T\0" * 48) is None
    with pytest.raises(QueueError) as raised:
        reader.feed(b"T\0")
    assert raised.value.status == 51


def test_no_outcome_but_a_rule_is_permanent() -> None:
    """A bounce loses mail: only a refusal by policy, and an address that qmail itself refuses, may have one."""
    constants = {name: value for name, value in vars(qmail_queue).items() if name.isupper() and isinstance(value, int) and value < 128}
    permanent = {name for name, value in constants.items() if qmail_queue.is_permanent(value)}
    assert permanent == {"REFUSED", "ADDRESS_TOO_LONG"}
    assert [name for name, value in constants.items() if value == EX_OK] == ["QUEUED"]


def test_every_disposition_has_its_status() -> None:
    assert set(qmail_queue.OF_DISPOSITION) == set(Disposition) - {Disposition.ACCEPT}
    assert qmail_queue.OF_DISPOSITION[Disposition.REJECT] == qmail_queue.OF_SERVER[4] == 31
    assert qmail_queue.OF_DISPOSITION[Disposition.DISCARD] == qmail_queue.OF_SERVER[5] == 0
    assert qmail_queue.OF_DISPOSITION[Disposition.TEMPFAIL] == 71
