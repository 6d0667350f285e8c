"""The milter protocol, the filter's side: the same events for any cut, bounded, and answers only where one is awaited."""

from __future__ import annotations

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire import milter as wire
from lazaretto.wire.milter import MAX_DATA_BYTES, Actions, Steps, packet
from lazaretto.wire.milter_commands import EndOfBody, Header
from lazaretto.wire.milter_filter import Closed, Event, Filter, Negotiated, State, Wanted


def _offer(version: int, actions: int, steps: int) -> bytes:
    return packet(wire.OPTNEG, b"".join(number.to_bytes(4, "big") for number in (version, actions, steps)))


_MESSAGE = packet(b"D", b"M{i}\0Q1\0") + packet(b"M", b"<a@b>\0SIZE=1\0") + packet(b"R", b"<c@d>\0")
_MESSAGE += packet(b"L", b"Subject\0 x\n y\0") + packet(b"N") + packet(b"B", b"body\r\n") + packet(b"E")
_CLIENT = packet(b"C", b"host\x004\0\x19192.0.2.1\0") + packet(b"H", b"me\0")
SEEDS = [
    _offer(6, 0x1FF, 0x1FFFFF) + _CLIENT + _MESSAGE + _MESSAGE + packet(b"Q"),
    _offer(2, 0x3F, 0x7F) + _CLIENT + _MESSAGE + packet(b"A") + packet(b"K") + _CLIENT,
    _offer(6, 0x1FF, 0x301FFFFF) + packet(b"E", b"last") + packet(b"U", b"x\0") + packet(b"T"),
    _offer(6, 0, 0) + packet(b"C", b"h\x006\0\0IPv6:::1\0") + packet(b"D", b"C{}\0\0{\0x") + packet(b"C", b"h\0U") + packet(b"M", b"\0"),
    _offer(6, 0x1FF, 0x1FFFFF) + packet(b"M", b"<a@b>\0") + b"\xff\xff\xff\xff" + b"x" * 100,
    b"EHLO a\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
]
WANTED = (
    Wanted(Actions(0x1FF), Steps.NR_HEADER | Steps.NR_BODY | Steps.LEADING_SPACE, ((2, b"i"),)),
    Wanted(Actions(0x3F), Steps.SKIP | Steps.DATA_256K),
)


def _events(data: bytes, size: int, wanted: Wanted) -> list[Event | str | bytes]:
    machine = Filter(wanted)
    seen: list[Event | str | bytes] = []
    try:
        for piece in [*(data[at : at + size] for at in range(0, len(data), size)), b""]:
            machine.receive_data(piece)
            while (event := machine.next_event()) is not None:
                seen.append(event)
                if isinstance(event, Negotiated):
                    assert not event.actions & event.missing
                    assert 2 <= event.version <= 6
                elif isinstance(event, EndOfBody):
                    assert machine.waiting
                    assert machine.next_event() is None
                    seen.append(machine.send(packet(wire.PROGRESS)))
                    seen.append(machine.send(packet(wire.ACCEPT)))
                    assert machine.state is State.IDLE
                else:
                    assert not (isinstance(event, Header) and machine.steps & Steps.NR_HEADER and machine.waiting)
                    seen.append(machine.proceed())
                assert not machine.waiting
            assert machine.buffered <= MAX_DATA_BYTES + 5 or size > MAX_DATA_BYTES
        assert machine.state is State.CLOSED or machine.buffered == 0
    except RemoteProtocolError as error:
        seen.append(str(error))
    assert len([*machine.macros]) <= 16 * 256
    return seen


def target(data: bytes) -> None:
    """Same events and answers for any cut; they end with the end of input, a QUIT or one error."""
    for wanted in WANTED:
        whole = _events(data, len(data) or 1, wanted)
        for size in (len(data) // 4096 + 1, 7):
            again = _events(data, size, wanted)
            if isinstance(whole[-1], str):  # how much of the bytes a complaint shows depends on how much there was
                assert isinstance(again[-1], str)
                again, whole_ = again[:-1], whole[:-1]
            else:
                whole_ = whole
            assert again == whole_
        assert isinstance(whole[-1], str | bytes | Closed)
