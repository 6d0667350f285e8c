"""Two milter clients that others wrote, instead of a mail server: Debian's miltertest, which runs Lua scripts, and PyPI's miltertest.

The scripts are in tests/milter_scripts; one that is not content ends with an error.  The Python package is a codec: here it makes
each packet and reads each answer, and what the answers come to is compared with what the pipeline makes of the message.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from miltertest import MilterConnection, codec, constants

import peers
import wrappings
from doubles import ClamdDouble
from milter_program import MilterProgram
from milter_site import BANNED, CLEAN, DISCARDED, INFECTED, POSTPONED, REJECTED, RULES, expected, lines_with, new_address, without_ids
from reference_milter import fields, split
from smtp_session import connect

SCRIPTS = Path(__file__).resolve().parents[1] / "milter_scripts"
BODIES = {"clean": CLEAN, "infected": INFECTED, "rejected": REJECTED, "postponed": POSTPONED, "discarded": DISCARDED}
LARGE = wrappings.attach(b"nothing", "notes.txt", body=b"A line of the text that stays.\r\n" * 10_000)


@pytest.fixture(scope="module")
def milter() -> Iterator[MilterProgram]:
    with MilterProgram(rules=RULES) as made:
        yield made
        assert "event=crash" not in made.log
        assert made.stop() == 0


# -- miltertest(8) -------------------------------------------------------------------------------------------------------


def scripted(name: str, milter: MilterProgram, folder: Path) -> str:
    """What the script has printed."""
    for body, message in BODIES.items():
        (folder / body).write_bytes(split(message)[1])
    defined = {"address": milter.listen.libmilter, "files": folder, "prelude": SCRIPTS / "prelude.lua"}
    options = [word for key, value in defined.items() for word in ("-D", f"{key}={value}")]
    command = [peers.require("miltertest"), "-v", *options, "-s", str(SCRIPTS / f"{name}.lua")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def scripts() -> list[str]:
    return sorted(path.stem for path in SCRIPTS.glob("*.lua") if path.stem not in ("prelude", "quarantine"))


@pytest.mark.parametrize("name", scripts())
def test_script(name: str, milter: MilterProgram, tmp_path: Path) -> None:
    assert scripted(name, milter, tmp_path)


def test_script_quarantine(tmp_path: Path) -> None:
    with MilterProgram(rules=RULES, milter__hold=True) as holding:
        scripted("quarantine", holding, tmp_path)


def test_scripts_can_fail(milter: MilterProgram, tmp_path: Path) -> None:
    """A control: what is no milter's answer is noticed."""
    with pytest.raises(AssertionError):
        scripted("quarantine", milter, tmp_path)


def test_what_the_scripts_leave_in_the_log(tmp_path: Path) -> None:
    """A given-up message has a line of its own, and nothing of it is in the next one's."""
    with MilterProgram() as milter:
        scripted("abort", milter, tmp_path)
        lines_with(milter, "queue_id=AFTER", 6)
        lines = milter.final_lines()
    for line in lines:
        assert ("wrong@example.org" in line) <= ("outcome=aborted" in line), line
        assert ("queue_id=GIVENUP" in line) <= ("outcome=aborted" in line), line
    assert sum("outcome=clean" in line for line in lines) == 6


# -- miltertest for Python -----------------------------------------------------------------------------------------------

_NOT_TOLD = {"C": 0x1, "H": 0x2, "M": 0x4, "R": 0x8, "B": 0x10, "L": 0x20, "N": 0x40, "T": 0x200}  # SMFIP_NO...
_NOT_ANSWERED = {"C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "L": 0x80, "N": 0x40000, "B": 0x80000}  # SMFIP_NR_...
ALL_ACTIONS, ALL_STEPS = constants.SMFI_V6_ACTS, constants.SMFI_V6_PROT
STEPS = ("C", "H", "M", "R", "T", "L", "N", "B")


class Mta:
    """A mail server that only asks.  `version`, `actions`, `steps`: what it offers, then what was agreed on."""

    def __init__(self, milter: MilterProgram, version: int = 6, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> None:
        self.sender = "sender@example.org"
        self.sock = connect(milter.listen.plain)
        self.conn = MilterConnection(self.sock)
        self.sock.sendall(codec.encode_msg("O", version=version, actions=actions, protocol=steps))
        letter, said = self.conn.recv()
        assert letter == "O"
        assert said["version"] == min(version, 6)
        self.actions, self.steps = said["actions"], said["protocol"]
        assert self.actions & ~actions == 0
        assert self.steps & ~steps == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.sock.close()

    def send(self, letter: str, **data: Any) -> None:
        self.sock.sendall(codec.encode_msg(letter, **data))

    def step(self, letter: str, **data: Any) -> None:
        """Tell it, if it is to be told; then "go on" has to come, if anything is to come."""
        if self.steps & _NOT_TOLD.get(letter, 0):
            return
        self.send(letter, **data)
        if not self.steps & _NOT_ANSWERED.get(letter, 0):
            assert self.conn.recv() == ("c", {}), letter

    def steps_of(self, message: bytes) -> list[tuple[str, dict[str, Any]]]:
        head, body = split(message)
        space = " " if self.steps & constants.SMFIP_HDR_LEADSPC else ""
        told: list[tuple[str, dict[str, Any]]] = [
            ("C", {"hostname": "client.example", "family": "4", "port": 1234, "address": "192.0.2.1"}),
            ("H", {"helo": "client.example"}),
            ("M", {"args": [f"<{self.sender}>", "SIZE=1000"]}),
            ("R", {"args": ["<recipient@example.org>"]}),
            ("T", {}),
        ]
        told += [("L", {"name": name.decode(), "value": space + value.decode()}) for name, value in fields(head)]
        told += [("N", {}), *(("B", {"buf": body[at : at + 65535].decode()}) for at in range(0, len(body), 65535))]
        return told

    def tell(self, message: bytes, only: Sequence[str] = STEPS) -> None:
        """All of a message but its end, of the steps in `only`."""
        for letter, data in self.steps_of(message):
            if letter in only:
                self.step(letter, **data)

    def end(self) -> list[tuple[str, dict[str, Any]]]:
        """The answers to a whole message, the one that ends it included."""
        self.send("E")
        answers = [self.conn.recv()]
        while answers[-1][0] not in "acrtdy":  # send_eom() of the package takes "q" for an end
            answers.append(self.conn.recv())
        return answers

    def ask(self, message: bytes) -> list[tuple[str, dict[str, Any]]]:
        self.tell(message)
        return self.end()


def carried_out(message: bytes, answers: list[tuple[str, dict[str, Any]]], steps: int) -> bytes:
    """The message, changed as the answers say; they must end by accepting it.  See docs/protocols/milter.md."""
    head, body = split(message)
    header = fields(head)
    space = 1 if steps & constants.SMFIP_HDR_LEADSPC else 0
    new_body = ""
    for letter, data in answers[:-1]:
        if letter == "b":
            new_body += data["buf"]
            assert len(data["buf"]) <= 65535
            continue
        assert not new_body, f"{letter} after the new body has begun"
        if letter in ("i", "h"):
            field = (data["name"].encode(), data["value"][space:].encode())
            header.insert(data["index"] if letter == "i" else len(header), field)
        elif letter == "m":
            places = [place for place, field in enumerate(header) if field[0].lower() == data["name"].encode().lower()]
            place = places[data["index"] - 1]
            value = data["value"][space:].encode()
            header[place : place + 1] = [(header[place][0], value)] if value else []
        else:
            raise AssertionError(f"{letter} {data}")
    assert answers[-1] in (("a", {}), ("c", {}))
    lines = b"".join(name + b": " + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in header)
    return lines + b"\r\n" + (new_body.encode() if any(letter == "b" for letter, _ in answers) else body)


def alike(one: bytes, other: bytes) -> bool:
    """The same but for what differs from scan to scan, and the spelling of a name that is kept."""

    def plain(data: bytes) -> bytes:
        return re.sub(rb"(?im)^content-type:", b"Content-Type:", without_ids(data))

    return plain(one) == plain(other)


OFFERS = {
    "version-6": (6, ALL_ACTIONS, ALL_STEPS),
    "version-6-without-steps": (6, ALL_ACTIONS, 0),
    "version-6-no-leading-space": (6, ALL_ACTIONS, ALL_STEPS & ~constants.SMFIP_HDR_LEADSPC),
    "version-6-answers": (6, ALL_ACTIONS, ALL_STEPS & ~sum(_NOT_ANSWERED.values())),
    "version-4": (4, 0x3F, 0x3FF),
    "version-3": (3, 0x3F, 0x1FF),
    "version-2": (2, constants.SMFI_V2_ACTS, constants.SMFI_V2_PROT),
    "version-7": (7, ALL_ACTIONS, ALL_STEPS),
}


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("message", [CLEAN, INFECTED, BANNED, LARGE], ids=["clean", "infected", "banned", "large"])
def test_offers(message: bytes, offer: str, milter: MilterProgram) -> None:
    with Mta(milter, *OFFERS[offer]) as mta:
        for _ in range(2):
            assert alike(carried_out(message, mta.ask(message), mta.steps), expected(message))


@pytest.mark.parametrize("lacking", [0x1, 0x2, 0x10], ids=["add-headers", "change-body", "change-headers"])
def test_lacking_actions(lacking: int, milter: MilterProgram) -> None:
    """What cannot be said is not said by half: the message waits, or nothing was to be said."""
    with Mta(milter, 6, ALL_ACTIONS & ~lacking) as mta:
        for message in (CLEAN, INFECTED):
            answers = mta.ask(message)
            if answers[-1][0] == "a":
                assert alike(carried_out(message, answers, mta.steps), expected(message))
            else:
                ((letter, data),) = answers
                assert letter == "y"
                assert data["smtpcode"] == "451"
        assert (answers[-1][0] == "a") == (lacking == 0x10)


def test_answers(milter: MilterProgram) -> None:
    with Mta(milter) as mta:
        assert mta.ask(REJECTED) == [("y", {"smtpcode": "554", "space": " ", "text": "5.7.1 No games here"})]
        ((letter, data),) = mta.ask(POSTPONED)
        assert (letter, data["smtpcode"]) == ("y", "451")
        assert data["text"].startswith("4.")
        assert mta.ask(DISCARDED) == [("d", {})]
        assert [letter for letter, _ in mta.ask(CLEAN)] == ["i", "a"]
        assert [letter for letter, _ in mta.ask(INFECTED)] == ["i", "b", "a"]


def test_hold() -> None:
    with MilterProgram(milter__hold=True) as holding, Mta(holding) as mta:
        answers = mta.ask(INFECTED)
        assert [letter for letter, _ in answers] in (["i", "q", "b", "a"], ["q", "i", "b", "a"])
        assert "malware" in next(data["reason"] for letter, data in answers if letter == "q")
        assert [letter for letter, _ in mta.ask(CLEAN)] == ["i", "a"]


@pytest.mark.parametrize("giving_up", ["A", "K"], ids=["abort", "quit-new-connection"])
@pytest.mark.parametrize("last", [*STEPS, "E"])
def test_given_up(last: str, giving_up: str, milter: MilterProgram) -> None:
    """After each step, the end included: the next message is answered as in a session of its own."""
    wrong, right = new_address().decode(), new_address().decode()
    with Mta(milter) as mta:
        mta.conn.send_macro("M", i="GIVENUP")
        mta.sender = wrong
        mta.tell(b"X-Wrong: yes\r\n" + INFECTED, STEPS[: STEPS.index(last) + 1] if last != "E" else STEPS)
        if last == "E":
            mta.end()
        mta.send(giving_up)
        mta.sender = right
        mta.tell(CLEAN, STEPS if giving_up == "K" else STEPS[2:])
        assert alike(carried_out(CLEAN, mta.end(), mta.steps), expected(CLEAN))
    (line,) = lines_with(milter, f"from={right} ")
    assert "outcome=clean " in line
    assert "GIVENUP" not in line
    lines_with(milter, f"from={wrong} ", last in ("L", "N", "B", "E"))  # what has no content yet is no message


@pytest.mark.parametrize("left_out", [(), *((step,) for step in STEPS), ("C", "H", "M", "R", "T"), ("L", "N"), STEPS], ids="".join)
@pytest.mark.parametrize("message", [CLEAN, INFECTED], ids=["clean", "infected"])
def test_missing_steps(left_out: tuple[str, ...], message: bytes, milter: MilterProgram) -> None:
    """What was not told is not there; the rest is scanned."""
    with Mta(milter, 6, ALL_ACTIONS, constants.SMFIP_HDR_LEADSPC) as mta:
        mta.tell(message, [step for step in STEPS if step not in left_out])
        answers = mta.end()
    head, body = split(message)
    told = (b"" if "L" in left_out else head) + b"\r\n" + (b"" if "B" in left_out else body)
    assert alike(carried_out(told, answers, constants.SMFIP_HDR_LEADSPC), expected(told))


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1000])
def test_pieces(size: int, milter: MilterProgram) -> None:
    """Packets cut anywhere; many in one piece."""
    with Mta(milter) as mta:
        told = [(letter, data) for letter, data in mta.steps_of(INFECTED) if not mta.steps & _NOT_TOLD.get(letter, 0)]
        waits = [letter for letter, _ in told if not mta.steps & _NOT_ANSWERED.get(letter, 0)]
        raw = b"".join(codec.encode_msg(letter, **data) for letter, data in told)
        for at in range(0, len(raw), size):
            mta.sock.sendall(raw[at : at + size])
        for _ in waits:
            assert mta.conn.recv() == ("c", {})
        assert alike(carried_out(INFECTED, mta.end(), mta.steps), expected(INFECTED))


def test_macros(milter: MilterProgram) -> None:
    """Empty lists, empty values, names with and without braces, some for steps that do not follow, repeated."""
    with Mta(milter) as mta:
        mta.conn.send_macro("C")
        mta.conn.send_macro("C", **{"j": "mta.example", "{daemon_name}": "", "{}": "x", "": "", "_": "client"})
        for letter, data in mta.steps_of(CLEAN):
            for names in ({}, {"i": "WRONG"}, {"i": "QUEUE7", "{auth_authen}": "", "{unknown}": "\N{SNOWMAN}"}):
                mta.conn.send_macro(letter, **names)
            mta.step(letter, **data)
        mta.conn.send_macro("E", i="QUEUE7")
        assert alike(carried_out(CLEAN, mta.end(), mta.steps), expected(CLEAN))
    lines_with(milter, "queue_id=QUEUE7 ")


@pytest.mark.parametrize("steps", [ALL_STEPS & ~sum(_NOT_ANSWERED.values()), 0], ids=["skip-offered", "skip-not-offered"])
def test_skip(steps: int, tmp_path: Path) -> None:
    """Of a message that is refused already, the MTA need not send the rest, if it waits for answers."""
    with MilterProgram(limits__max_message_bytes=10_000) as small, Mta(small, steps=steps) as mta:
        mta.tell(CLEAN, STEPS[:-1])
        said = ""
        for _ in range(5):
            mta.send("B", buf="One of many lines, all alike.\r\n" * 200)
            said += mta.conn.recv()[0]
            if said.endswith("s"):
                break
        assert said in (("ccs", "cs") if steps else ("ccccc",))
        ((letter, data),) = mta.end()
        assert (letter, data["smtpcode"]) == ("y", "552")
        assert [letter for letter, _ in mta.ask(CLEAN)] == ["i", "a"]


def test_progress(tmp_path: Path) -> None:
    """While a message is scanned, the MTA hears that we are at work."""
    release = threading.Event()
    with ClamdDouble(tmp_path / "s") as engine:
        held = MilterProgram(engine=f"clamd:{tmp_path}/s", milter__progress_s=0.1)

        def wait(command: str, honest: bytes) -> bytes:
            if command in ("zFILDES", "zINSTREAM"):
                release.wait(30)
            return honest

        engine.twist = wait
        with held, Mta(held) as mta:
            try:
                mta.tell(CLEAN)
                mta.send("E")
                for _ in range(3):
                    assert mta.conn._recv() == ("p", {})
            finally:
                release.set()
            answers = [mta.conn.recv(), mta.conn.recv()]
            assert [letter for letter, _ in answers] == ["i", "a"]


def test_quit(milter: MilterProgram) -> None:
    with Mta(milter) as mta:
        mta.ask(CLEAN)
        mta.send("Q")
        assert mta.conn.recv(eof_ok=True) is None
