"""The filter's side of the milter protocol: conversations, the table of states, what may be sent when."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogue import dialogues
from lazaretto.errors import LocalProtocolError, RemoteProtocolError
from lazaretto.wire import milter as wire
from lazaretto.wire import milter_commands as told
from lazaretto.wire import milter_replies as say
from lazaretto.wire.milter import Actions, Packets, Steps, packet
from lazaretto.wire.milter_filter import NEXT, Closed, Event, Filter, Negotiated, State, Wanted
from milter_dialogue import run_pure, steps, steps_of
from milter_double import macros, texts

ALL = Wanted(Actions(0x1FF), Steps(0))
PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocols" / "milter.md"


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize("path", dialogues("milter"), ids=lambda path: path.stem)
def test_conversations(path: Path, size: int) -> None:
    run_pure(steps(path), size)


def offer(version: int = 6, actions: int = 0x1FF, steps: int = 0x1FFFFF) -> bytes:
    return packet(wire.OPTNEG, b"".join(number.to_bytes(4, "big") for number in (version, actions, steps)))


def negotiated(wanted: Wanted = ALL, **offered: int) -> Filter:
    machine = Filter(wanted)
    machine.receive_data(offer(**offered))
    assert isinstance(machine.next_event(), Negotiated)
    return machine


def feed(machine: Filter, *packets: bytes) -> list[Event]:
    """All events; each that waits is answered with CONTINUE, but for the last."""
    if packets:
        machine.receive_data(b"".join(packets))
    events: list[Event] = []
    while (event := machine.next_event()) is not None:
        events.append(event)
        if machine.waiting and not isinstance(event, told.EndOfBody):
            machine.proceed()
    return events


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6, 7, 4294967295])
def test_version_is_the_smaller_one(version: int) -> None:
    assert negotiated(version=version).version == min(version, 6)


def test_only_what_is_offered_is_taken() -> None:
    machine = Filter(Wanted(Actions.CHANGE_BODY | Actions.QUARANTINE, Steps.SKIP | Steps.NR_BODY))
    machine.receive_data(offer(2, Actions.CHANGE_BODY, Steps.NR_BODY))
    event = machine.next_event()
    assert isinstance(event, Negotiated)
    assert event == (2, Actions.CHANGE_BODY, Steps.NR_BODY, Actions.QUARANTINE, event.reply)
    assert event.reply == packet(b"O", bytes([0, 0, 0, 2, 0, 0, 0, 2, 0, 8, 0, 0]))
    assert machine.lacking(Actions.QUARANTINE | Actions.CHANGE_BODY) == Actions.QUARANTINE


def test_lists_of_macros_go_to_an_mta_that_takes_them() -> None:
    wanted = Wanted(Actions.SET_SYMBOLS, symbols=((2, b"i {mail_addr}"),))
    for actions, tail in ((0x100, b"\0\0\0\x02i {mail_addr}\0"), (0, b"")):
        machine = Filter(wanted)
        machine.receive_data(offer(actions=actions))
        event = machine.next_event()
        assert isinstance(event, Negotiated)
        assert event.reply[17:] == tail


def test_larger_pieces_where_both_agree() -> None:
    body = packet(b"B", b"x" * ((1 << 20) - 1))
    machine = negotiated(Wanted(steps=Steps.DATA_1M), steps=Steps.DATA_1M)
    assert feed(machine, body) == [told.Body(body[5:])]
    machine = negotiated(Wanted(steps=Steps.DATA_256K), steps=Steps.DATA_1M)
    with pytest.raises(RemoteProtocolError):
        feed(machine, body)


def test_more_behind_the_numbers_is_no_fault() -> None:
    """A version to come may have more to say."""
    machine = Filter(ALL)
    machine.receive_data(packet(b"O", offer()[5:] + b"more"))
    assert isinstance(machine.next_event(), Negotiated)


# -- states


COMMANDS: dict[type, bytes] = {
    told.Negotiate: offer(),
    told.Connect: packet(b"C", b"a\0U"),
    told.Helo: packet(b"H", b"a\0"),
    told.Mail: packet(b"M", b"a\0"),
    told.Recipient: packet(b"R", b"a\0"),
    told.Data: packet(b"T"),
    told.Header: packet(b"L", b"a\0b\0"),
    told.EndOfHeaders: packet(b"N"),
    told.Body: packet(b"B", b"a"),
    told.EndOfBody: packet(b"E"),
    told.Abort: packet(b"A"),
    told.NewConnection: packet(b"K"),
    told.Unknown: packet(b"U", b"a\0"),
}
WAY = {State.IDLE: b"", State.ENVELOPE: b"M", State.HEADERS: b"L", State.BODY: b"N"}
SAMPLE = {b"M": COMMANDS[told.Mail], b"L": COMMANDS[told.Header], b"N": COMMANDS[told.EndOfHeaders]}


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", WAY)
def test_every_command_in_every_state(state: State, kind: type) -> None:
    machine = negotiated()
    feed(machine, *(SAMPLE[letter.to_bytes(1, "big")] for letter in WAY[state]))
    assert machine.state is state
    following = NEXT[state].get(kind)
    implied = kind in (told.Mail, told.Connect, told.Helo) and state is not State.IDLE
    if implied:
        assert following is None
        events = feed(machine, COMMANDS[kind])
        assert [type(event) for event in events] == [told.Abort, kind]
        assert machine.state is NEXT[State.IDLE][kind]
    elif following is None:
        with pytest.raises(RemoteProtocolError, match=f"{kind.__name__} in state {state.value}"):
            feed(machine, COMMANDS[kind])
    else:
        (event,) = feed(machine, COMMANDS[kind])
        assert type(event) is kind
        if kind is told.EndOfBody:
            machine.send(packet(wire.ACCEPT))
            following = State.IDLE
        assert machine.state is following


def test_the_table_of_the_module_is_the_one_it_has() -> None:
    import lazaretto.wire.milter_filter as module

    shown: set[tuple[str, str, str]] = set()
    for line in re.findall(r"^    (START|IDLE|ENVELOPE|HEADERS|BODY) +(\w[\w, ]*?) {2,}([A-Z]+)", module.__doc__ or "", re.MULTILINE):
        shown |= {(line[0].lower(), name, line[2].lower()) for name in line[1].split(", ")}
    real = {(state.value, kind.__name__, following.value) for state, kinds in NEXT.items() for kind, following in kinds.items()}
    everywhere = {("Abort", "idle"), ("NewConnection", "idle")}
    inner = ("envelope", "headers", "body")
    left = {row for row in real - shown if not (row[0] in inner and (row[1:] in everywhere or row[1] == "EndOfBody"))}
    assert left == set()
    assert shown - real == {("start", "Quit", "closed")}


@pytest.mark.parametrize("state", WAY)
def test_quit_in_every_state(state: State) -> None:
    machine = negotiated()
    feed(machine, *(SAMPLE[letter.to_bytes(1, "big")] for letter in WAY[state]))
    assert feed(machine, packet(b"Q"), packet(b"M", b"a\0")) == [told.Quit()]
    assert machine.state is State.CLOSED


def test_the_end_of_input_is_an_event_once() -> None:
    machine = negotiated()
    machine.receive_data(b"")
    assert machine.next_event() == Closed(State.IDLE)
    assert machine.next_event() is None


# -- answers


def at_end(wanted: Wanted = ALL, actions: int = 0x1FF) -> Filter:
    machine = negotiated(wanted, actions=actions)
    feed(machine, COMMANDS[told.Mail], COMMANDS[told.EndOfBody])
    assert machine.waiting
    return machine


CHANGES = {
    Actions.ADD_HEADERS: [say.add_header(b"a", b"b"), say.insert_header(0, b"a", b"b")],
    Actions.CHANGE_HEADERS: [say.change_header(1, b"a", b"b")],
    Actions.CHANGE_BODY: [packet(wire.REPLACE_BODY, b"x")],
    Actions.QUARANTINE: [say.quarantine("why")],
    Actions.ADD_RCPT: [say.add_recipient(b"<a@b>")],
    Actions.DELETE_RCPT: [say.delete_recipient(b"<a@b>")],
    Actions.CHANGE_FROM: [say.change_sender(b"<a@b>")],
    Actions.ADD_RCPT_PAR: [packet(wire.ADD_RCPT_PAR, b"<a@b>\0")],
}


@pytest.mark.parametrize("action", CHANGES)
def test_changes_need_their_flag(action: Actions) -> None:
    for data in CHANGES[action]:
        assert at_end().send(data) == data
        with pytest.raises(LocalProtocolError, match=str(action.name)):
            at_end(actions=0x1FF & ~action).send(data)


@pytest.mark.parametrize("data", [data for group in CHANGES.values() for data in group] + [packet(wire.PROGRESS)])
def test_changes_come_at_the_end_only(data: bytes) -> None:
    machine = negotiated()
    machine.receive_data(COMMANDS[told.Mail])
    machine.next_event()
    with pytest.raises(LocalProtocolError, match="end of a message only"):
        machine.send(data)


def test_nothing_but_pieces_after_the_first_piece() -> None:
    machine = at_end()
    machine.send(packet(wire.REPLACE_BODY, b"x"))
    assert machine.changing
    for data in (say.add_header(b"a", b"b"), say.quarantine("late"), packet(wire.REJECT), say.reply_code(554, "5.7.1", ["no"])):
        with pytest.raises(LocalProtocolError, match="after a piece of the new body"):
            machine.send(data)
        assert machine.waiting
    machine.send(packet(wire.PROGRESS))
    machine.send(packet(wire.REPLACE_BODY, b"y"))
    machine.send(packet(wire.TEMPFAIL))
    assert not machine.waiting
    assert not machine.changing


def test_nobody_waits() -> None:
    machine = negotiated(Wanted(steps=Steps.NR_BODY))
    feed(machine, COMMANDS[told.Body])
    assert machine.proceed() == b""
    with pytest.raises(LocalProtocolError, match="nobody waits"):
        machine.send(packet(wire.CONTINUE))


def test_skip() -> None:
    for agreed, letter in ((Steps.SKIP, b"B"), (Steps(0), b"B"), (Steps.SKIP, b"M")):
        machine = negotiated(Wanted(steps=agreed))
        machine.receive_data(packet(letter, b"a\0"))
        machine.next_event()
        if agreed and letter == b"B":
            assert machine.send(packet(wire.SKIP)) == b"\0\0\0\x01s"
            assert not machine.waiting
        else:
            with pytest.raises(LocalProtocolError, match="SKIP"):
                machine.send(packet(wire.SKIP))


def test_what_is_no_answer() -> None:
    with pytest.raises(LocalProtocolError, match="no answer"):
        at_end().send(packet(b"O"))


@pytest.mark.parametrize(("kind", "code", "over"), [
    (told.Mail, wire.REJECT, True),
    (told.Mail, wire.CONTINUE, False),
    (told.Recipient, wire.REJECT, False),  # of the recipient
    (told.Recipient, wire.ACCEPT, True),
    (told.Recipient, wire.DISCARD, True),
    (told.Header, wire.TEMPFAIL, True),
    (told.Body, wire.ACCEPT, True),
])  # fmt: skip
def test_what_ends_a_message(kind: type, code: bytes, over: bool) -> None:
    machine = negotiated()
    machine.receive_data(COMMANDS[kind])
    machine.next_event()
    machine.send(packet(code))
    assert (machine.state is State.IDLE) == over


def test_the_next_command_waits_for_the_answer_to_the_last() -> None:
    machine = negotiated()
    machine.receive_data(COMMANDS[told.EndOfBody] + COMMANDS[told.Mail])
    assert machine.next_event() == told.EndOfBody()
    assert machine.next_event() is None
    assert machine.buffered == 7
    machine.send(packet(wire.ACCEPT))
    assert machine.next_event() == told.Mail(b"a")


# -- macros


def test_macros_belong_to_the_command_behind_them() -> None:
    machine = negotiated()
    feed(machine, macros("C", daemon_name=b"one"), COMMANDS[told.Connect], macros("M", i=b"Q1"), COMMANDS[told.Mail])
    assert (machine.macros.get(b"i"), machine.macros.get(b"daemon_name")) == (b"Q1", b"one")
    feed(machine, macros("M", i=b"Q2"))
    assert machine.macros.get(b"i") == b"Q1"  # the command is not here yet
    feed(machine, COMMANDS[told.Mail])
    assert machine.macros.get(b"i") == b"Q2"
    feed(machine, packet(b"A"))
    assert (machine.macros.get(b"i"), machine.macros.get(b"daemon_name")) == (None, b"one")
    feed(machine, packet(b"K"))
    assert machine.macros.get(b"daemon_name") is None


def test_macros_before_the_negotiation() -> None:
    machine = Filter(ALL)
    with pytest.raises(RemoteProtocolError, match="MacroList in state start"):
        feed(machine, macros("C", j=b"x"))


# -- any sequence


PACKETS = st.one_of(
    st.sampled_from([*COMMANDS.values()]),
    st.builds(lambda names: macros("M", **dict.fromkeys(names, b"v")), st.lists(st.sampled_from(["i", "mail_addr", "x"]), max_size=3)),
    st.builds(lambda name, value: packet(b"L", texts(name, value)), st.sampled_from([b"A", b"B"]), st.sampled_from([b"", b" 1"])),
)


@given(st.lists(PACKETS, max_size=12), st.data())
def test_cuts_make_no_difference(packets: list[bytes], data: st.DataObject) -> None:
    stream = offer() + b"".join(packets)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    results = []
    for pieces in ([stream], [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]):
        machine = Filter(Wanted(Actions(0), Steps.NR_HEADER))
        seen: list[object] = []
        try:
            for piece in pieces:
                if piece:
                    machine.receive_data(piece)
                while (event := machine.next_event()) is not None:
                    seen.append(event)
                    seen.append(machine.send(packet(wire.ACCEPT)) if isinstance(event, told.EndOfBody) else machine.proceed())
        except RemoteProtocolError as error:
            seen.append(str(error))
        results.append(seen)
    assert results[0] == results[1]


# -- the page


def examples() -> list[str]:
    """Indented blocks that begin with an offer."""
    blocks = re.findall(r"^    offer .*\n(?:    .*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks]


@pytest.mark.parametrize("size", [1, 1 << 16])
@pytest.mark.parametrize("number", range(3))
def test_the_examples_of_the_page(number: int, size: int) -> None:
    assert len(examples()) == 3
    run_pure(steps_of(examples()[number], PAGE.name), size)


def test_the_bytes_of_the_page() -> None:
    shown = re.findall(r"^    ((?:[0-9a-f]{2} )+) +([A-Za-z]): ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(shown) == 4
    for digits, letter in shown:
        packets = Packets(b"OMEa")
        packets.receive_data(bytes.fromhex(digits))
        found = packets.next_packet()
        assert found is not None
        assert (found.code.decode(), packets.buffered) == (letter, 0)


def test_the_page_has_every_command_and_every_answer_of_ours() -> None:
    rows = set(re.findall(r"^\| `(.)` \| (SMFI[CR]_\w+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    source = Path(wire.__file__).read_text(encoding="utf-8")
    names = {(letter, name) for letter, name in re.findall(r'b"(.)"  # (SMFI[CR]_\w+)', source)}
    assert rows <= names
    assert {row for row in names if row[1].startswith("SMFIC_")} <= rows
