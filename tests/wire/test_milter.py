"""Packets of the milter protocol: cut anywhere, of any length, hostile ones; and what does not look like one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire import milter
from lazaretto.wire.milter import MAX_CHUNK_BYTES, MAX_DATA_BYTES, Actions, Packet, Packets, Steps, looks_like, packet
from peers import missing

HEADER_FILE = Path("/usr/include/libmilter/mfdef.h")
ALL = st.lists(st.builds(Packet, st.sampled_from([bytes([code]) for code in b"ABCDEHKLMNOQRTU"]), st.binary(max_size=20)), max_size=6)


def read(data: bytes, size: int) -> list[Packet]:
    packets = Packets()
    found = []
    for at in range(0, len(data), size):
        packets.receive_data(data[at : at + size])
        while (one := packets.next_packet()) is not None:
            found.append(one)
    assert packets.buffered == 0
    return found


@given(ALL, st.integers(1, 40))
def test_any_cut(packets: list[Packet], size: int) -> None:
    assert read(b"".join(packet(*one) for one in packets), size) == packets


def test_trailing_data_is_kept() -> None:
    packets = Packets()
    packets.receive_data(packet(b"Q") + b"\0\0")
    assert packets.next_packet() == Packet(b"Q", b"")
    assert packets.next_packet() is None
    assert packets.buffered == 2
    packets.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match="ended within a packet, 2 bytes"):
        packets.next_packet()


def test_the_end_between_packets() -> None:
    packets = Packets()
    packets.receive_data(packet(b"Q"))
    packets.receive_data(b"")
    assert packets.ended
    assert packets.next_packet() == Packet(b"Q", b"")
    assert packets.next_packet() is None


def test_many_small_packets_in_one_piece() -> None:
    """Nothing is moved for each of them: quadratic would be 10^10 bytes."""
    one = packet(b"L", b"a\0b\0")
    assert len(read(one * 100_000, 1 << 30)) == 100_000


@pytest.mark.parametrize("size", [0, 1 + max(MAX_DATA_BYTES, MAX_CHUNK_BYTES + 1) + 1, 1 << 24, (1 << 31) - 1, (1 << 32) - 1])
def test_lengths_that_are_refused_at_once(size: int) -> None:
    packets = Packets()
    packets.receive_data(size.to_bytes(4, "big"))
    with pytest.raises(RemoteProtocolError, match=f"not one of {size} bytes"):
        packets.next_packet()


@pytest.mark.parametrize(("code", "most"), [(b"B", MAX_CHUNK_BYTES + 1), (b"E", MAX_CHUNK_BYTES + 1), (b"L", MAX_DATA_BYTES)])
def test_the_largest_packet_of_each_kind(code: bytes, most: int) -> None:
    assert read(packet(code, b"x" * most), 1 << 16) == [Packet(code, b"x" * most)]
    packets = Packets()
    packets.receive_data((most + 2).to_bytes(4, "big") + code)
    with pytest.raises(RemoteProtocolError):
        packets.next_packet()


@pytest.mark.parametrize(("steps", "most"), [(Steps.DATA_256K, 1 << 18), (Steps.DATA_1M, 1 << 20), (Steps(0), 1 << 16)])
def test_larger_pieces_that_were_agreed_on(steps: Steps, most: int) -> None:
    packets = Packets()
    packets.allow(steps)
    packets.receive_data(packet(b"B", b"x" * most))
    found = packets.next_packet()
    assert found is not None
    assert len(found.data) == most
    packets.receive_data((most + 2).to_bytes(4, "big") + b"B")
    with pytest.raises(RemoteProtocolError):
        packets.next_packet()


def test_a_letter_that_is_none() -> None:
    packets = Packets()
    packets.receive_data(packet(b"a"))
    with pytest.raises(RemoteProtocolError, match="expected a milter packet"):
        packets.next_packet()


def test_letters_of_the_other_side() -> None:
    packets = Packets(b"acp")
    packets.receive_data(packet(b"a"))
    assert packets.next_packet() == Packet(b"a", b"")


@pytest.mark.parametrize(("first", "what"), [
    (b"EHLO", "SMTP"), (b"ehlo x", "SMTP"), (b"QUIT\r\n", "SMTP"), (b"220 mail", "a greeting of an SMTP server"),
    (b"GET / HTTP/1.1", "HTTP"), (b"POST", "HTTP"), (b"PRI * HTTP/2", "HTTP"),
    (b"\x16\x03\x01\x02", "TLS"), (b"SSH-2.0", "SSH"), (b"PROXY TCP4", "the PROXY protocol"),
    (b"\r\n\r\n\0\r\nQUIT\n", "the PROXY protocol"),
    (b"zINSTREAM\0", "clamd's protocol"), (b"hello", "text"), (b"\0\0\0\x0dO", ""), (b"\xff\xff\xff\xff", ""),
])  # fmt: skip
def test_what_it_looks_like(first: bytes, what: str) -> None:
    assert looks_like(first) == what


@pytest.mark.parametrize("first", [b"EHLO x\r\n", b"GET /", b"\x16\x03\x01\x02\0"])
def test_the_first_packet_says_what_it_looks_like(first: bytes) -> None:
    packets = Packets()
    packets.receive_data(first)
    with pytest.raises(RemoteProtocolError, match="looks like"):
        packets.next_packet()
    later = Packets()
    later.receive_data(packet(b"Q") + first)
    assert later.next_packet() is not None
    with pytest.raises(RemoteProtocolError, match="not one of"):
        later.next_packet()


def test_names_are_those_of_libmilter() -> None:
    """Each name in a comment has the value beside it."""
    if not HEADER_FILE.exists():
        missing("libmilter's mfdef.h is not here (libmilter-dev)")
    theirs = dict(re.findall(r"#\s*define\s+(SMFI[CRP]_\w+)\s+('.'|0x[0-9a-fA-F]+|SMFIP_\w+)", HEADER_FILE.read_text()))
    theirs = {name: theirs.get(value, value) for name, value in theirs.items()}
    source = Path(milter.__file__).read_text()
    ours = re.findall(r'(b"."|0x[0-9a-f]+)  # (SMFI[CRP]_\w+)', source)
    assert len(ours) > 45
    for value, name in ours:
        wanted = theirs[name]
        assert (value[2:-1] == wanted[1:-1]) if wanted[0] == "'" else (int(value, 16) == int(wanted, 16)), name
    assert {name for name in theirs if name[:6] in ("SMFIC_", "SMFIR_")} - {name for _, name in ours} <= {"SMFIC_OPTNEG"}


def test_actions_are_those_of_libmilter() -> None:
    header = HEADER_FILE.with_name("mfapi.h")
    if not header.exists():
        missing("libmilter's mfapi.h is not here (libmilter-dev)")
    theirs = dict(re.findall(r"#\s*define\s+(SMFIF_\w+)\s+(0x[0-9a-fA-F]+)L", header.read_text()))
    ours = dict(re.findall(r"(0x[0-9a-f]+)  # (SMFIF_\w+)", Path(milter.__file__).read_text()))
    assert len(ours) == len(Actions) == 9
    assert {name: int(value, 16) for value, name in ours.items()} == {name: int(theirs[name], 16) for name in ours.values()}
