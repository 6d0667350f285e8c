"""A message put together from the commands of the milter protocol, and its envelope."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.frontends.milter_message import MAX_MACROS, Message, envelope
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.wire.milter_commands import Connect, MacroList, Macros, Mail, Recipient
from milter_double import divided


class Bounds:
    jobs = 0
    spooled_bytes = 0

    def taken(self) -> None:
        self.jobs += 1

    def released(self, _has_line: bool) -> None:
        self.jobs -= 1


def message(bounds: Bounds | None = None, *, leading_space: Any = True, **changed: int) -> Message:
    return Message(MilterSettings(**changed), bounds or Bounds(), leading_space=leading_space)  # type: ignore[arg-type]


def content(made: Message) -> bytes | None:
    source = made.content()
    return None if source is None else b"".join(source.chunks())


FIELD = st.tuples(
    st.sampled_from([b"A", b"Long-Name", b"x"]), st.sampled_from([b"", b" a", b"a", b" a\r\n b", b"\r\n\tc", b"  two", b" \xff"])
)


@given(st.lists(FIELD, max_size=6), st.binary(max_size=50), st.integers(1, 20))
def test_fields_and_body_come_back(fields: list[tuple[bytes, bytes]], body: bytes, size: int) -> None:
    whole = b"".join(name + b":" + value + b"\r\n" for name, value in fields) + b"\r\n" + body
    made, bounds = message(), Bounds()
    for name, value in fields:
        made.header(name, value.replace(b"\r\n", b"\n"))
    for at in range(0, len(body), size):
        made.body(body[at : at + size])
    assert content(made) == whole
    assert [whole[span.start : span.stop] for span in made.fields] == [name + b":" + value + b"\r\n" for name, value in fields]
    assert divided(whole)[1] == body
    made.close()
    assert (bounds.jobs, bounds.spooled_bytes) == (0, 0)


def test_line_ends_that_have_their_cr_keep_it() -> None:
    made = message()
    made.header(b"A", b" a\r\n b\n c")
    assert content(made) == b"A: a\r\n b\r\n c\r\n\r\n"


@pytest.mark.parametrize(("value", "field"), [(b"a", b"A: a\r\n"), (b" a", b"A:  a\r\n"), (b"", b"A:\r\n"), (b"\n a", b"A: \r\n a\r\n")])
def test_a_leading_space_that_was_eaten(value: bytes, field: bytes) -> None:
    made = message(leading_space=False)
    made.header(b"A", value)
    assert content(made) == field + b"\r\n"


def test_bounds_count_from_the_first_content_on() -> None:
    bounds = Bounds()
    made = message(bounds)
    made.mail(Mail(b"<a@b>"))
    assert (bounds.jobs, made.begun) == (0, False)
    made.header(b"A", b" x")
    assert (bounds.jobs, bounds.spooled_bytes, made.begun) == (1, 6, True)
    made.close()
    assert (bounds.jobs, bounds.spooled_bytes) == (0, 0)


@pytest.mark.parametrize(
    "changed", [{"max_header_bytes": 20}, {"max_header_fields": 3}, {"max_message_bytes": 20}, {"max_spooled_bytes": 20}]
)
def test_limits(changed: dict[str, int]) -> None:
    bounds = Bounds()
    made = message(bounds, **changed)
    for _ in range(4):
        made.header(b"A", b" 12")
    made.body(b"x")
    assert content(made) is None
    assert made.refusal is not None
    assert made.refusal.rule in ("limit", "busy")
    made.close()
    assert (bounds.jobs, bounds.spooled_bytes) == (0, 0)


def test_no_more_jobs() -> None:
    made = message(max_jobs=0)
    made.body(b"x")
    assert content(made) is None
    assert made.refusal is not None
    assert made.refusal.reply.code == 451


def test_recipients() -> None:
    made = message(max_recipients=2)
    for who in (b"<a@b>", b"c@d", b"<e@f>"):
        made.recipient(Recipient(who))
    assert made.transaction.recipients == [b"a@b", b"c@d"]
    assert made.refusal is not None
    assert made.refusal.reply.code == 452


def known(**values: bytes) -> Macros:
    macros = Macros()
    macros.take(MacroList(b"M", tuple((name.encode(), value) for name, value in values.items())))
    macros.settle()
    return macros


@pytest.mark.parametrize(("client", "macros", "address"), [
    (Connect(b"h", b"4", 25, b"192.0.2.1"), {}, "192.0.2.1"),
    (Connect(b"h", b"6", 25, b"IPv6:2001:db8::1"), {}, "2001:db8::1"),
    (Connect(b"h", b"6", 25, b"::ffff:192.0.2.1"), {}, "192.0.2.1"),
    (Connect(b"h", b"L", 0, b"/run/x"), {}, ""),
    (Connect(b"h", b"U"), {"client_addr": b"192.0.2.2"}, "192.0.2.2"),
    (Connect(b"unknown", b"U"), {"client_addr": b"unknown"}, ""),
    (Connect(b"h", b"6", 25, b"IPv6:0:0:0:0:0:0:0:1"), {}, "::1"),
    (Connect(b"h", b"4", 25, b"\xff"), {}, ""),
    (None, {"client_addr": b"IPv6:::1"}, "::1"),
    (Connect(b"h", b"4", 25, b"192.0.2.1"), {"client_addr": b"192.0.2.2"}, "192.0.2.1"),
])  # fmt: skip
def test_the_client(client: Connect | None, macros: dict[str, bytes], address: str) -> None:
    assert envelope(message(), client, b"", known(**macros)).client == address


def test_the_sender() -> None:
    made = message()
    assert envelope(made, None, b"", known()).mail_from is None
    assert envelope(made, None, b"", known(mail_addr=b"<m@x>")).mail_from == b"m@x"
    made.mail(Mail(b"<>"))
    assert envelope(made, None, b"", known(mail_addr=b"<m@x>")).mail_from == b""


def test_macros_are_text_and_bounded() -> None:
    found = envelope(message(), None, b"h", known(i=b"Q1", auth_authen=b"j\xc3\xb6e", odd=b"\xff", long=b"x" * 5000))
    assert found.queue_id == "Q1"
    assert dict(found.macros)["auth_authen"] == "jöe"
    assert dict(found.macros)["odd"] == "\\xff"
    assert len(dict(found.macros)["long"]) == 256
    many = known(**{f"m{number}": b"" for number in range(200)})
    assert len(envelope(message(), None, b"", many).macros) == MAX_MACROS
