"""Syslog lines and names: by RFC 3164, one line whatever the text, nothing hidden in it."""

from __future__ import annotations

import locale
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.wire.syslog import (
    FACILITIES,
    LEVELS,
    MAX_LOCAL_BYTES,
    MAX_REMOTE_BYTES,
    Address,
    format_3164,
    parse_address,
    parse_facility,
    parse_level,
)

MOMENT = time.struct_time((2026, 7, 1, 9, 5, 3, 2, 182, 0))
HEAD = "<20>Jul  1 09:05:03 scan-mail.pl[4711]: "


def line(text: str | bytes, **changes: object) -> bytes:
    options: dict[str, object] = {"level": 4, "facility": 2, "ident": "scan-mail.pl", "pid": 4711, "moment": MOMENT}
    return format_3164(text, **options | changes)  # type: ignore[arg-type]


def shown(text: str | bytes, **changes: object) -> str:
    """What stands after the head."""
    whole = line(text, **changes).decode("utf-8")
    assert whole.startswith(HEAD)
    return whole[len(HEAD) :]


def test_numbers_of_rfc_3164() -> None:
    assert [LEVELS[name] for name in "emerg alert crit err warning notice info debug".split()] == list(range(8))
    assert (LEVELS["panic"], LEVELS["error"], LEVELS["warn"]) == (0, 3, 4)
    first = "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp"
    assert [FACILITIES[name] for name in first.split()] == list(range(12))
    assert [FACILITIES[f"local{n}"] for n in range(8)] == list(range(16, 24))
    assert FACILITIES["security"] == FACILITIES["auth"]


def test_numbers_are_those_of_the_system() -> None:
    import syslog

    assert all(getattr(syslog, f"LOG_{name.upper()}", number) == number for name, number in LEVELS.items())
    assert all(getattr(syslog, f"LOG_{name.upper()}", number << 3) == number << 3 for name, number in FACILITIES.items())


@pytest.mark.parametrize(
    ("text", "level"), [("4", 4), ("warning", 4), ("LOG_WARNING", 4), (" Warn\n", 4), ("0", 0), ("07", 7), ("PANIC", 0)]
)
def test_levels(text: str, level: int) -> None:
    assert parse_level(text) == level


@pytest.mark.parametrize("text", ["", "8", "-1", "4.0", "٤", "log_", "warnings", "LOG_LOG_ERR", "mail", "0" * 5000])
def test_not_levels(text: str) -> None:
    with pytest.raises(ConfigError, match="syslog level: expected 0 to 7, emerg"):
        parse_level(text)


@pytest.mark.parametrize(("text", "facility"), [("mail", 2), ("LOG_MAIL", 2), ("2", 2), ("Local7", 23), ("23", 23), ("security", 4)])
def test_facilities(text: str, facility: int) -> None:
    assert parse_facility(text) == facility


@pytest.mark.parametrize("text", ["", "24", "-1", "local8", "local", "log_", "err", "99999"])
def test_not_facilities(text: str) -> None:
    with pytest.raises(ConfigError, match="syslog facility: expected mail, daemon"):
        parse_facility(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/dev/log", Address("unix", "/dev/log")),
        ("unix:/run/x", Address("unix", "/run/x")),
        ("udp:loghost", Address("udp", "", "loghost", 514)),
        ("udp:192.0.2.1:5514", Address("udp", "", "192.0.2.1", 5514)),
        ("tcp:[::1]:601", Address("tcp", "", "::1", 601)),
        ("tcp:[2001:db8::1]", Address("tcp", "", "2001:db8::1", 514)),
        ("/" + "x" * 106, Address("unix", "/" + "x" * 106)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *"log unix:log udp: tcp::514 udp:host: udp:host:0 udp:host:65536 udp:host:x udp:host:٥ udp:::1 udp:::1:514".split(),
        *"tcp:[]:1 tcp:[::1 UDP:host http:host:1".split(),
        *("", "udp:host:" + "9" * 5000, "/" + "x" * 107, "/" + "é" * 54),
    ],
)
def test_not_addresses(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected|brackets|too long"):
        parse_address(text)


def test_a_line() -> None:
    assert line("id=1 action=replaced") == HEAD.encode() + b"id=1 action=replaced"
    remote = line("text", hostname="mx1", level=6, facility=23, ident="lazaretto", pid=1)
    assert remote == b"<190>Jul  1 09:05:03 mx1 lazaretto[1]: text"
    late = time.struct_time((2026, 12, 31, 23, 59, 60, 3, 365, 0))
    assert line("", level=0, facility=0, moment=late) == b"<0>Dec 31 23:59:60 scan-mail.pl[4711]: "


def test_months_are_english_in_any_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: pytest.fail("strftime gives the locale's names"))
    before = locale.setlocale(locale.LC_TIME)
    months = [line("", moment=time.struct_time((2026, month, 9, 0, 0, 0, 0, 1, 0)))[4:10] for month in range(1, 13)]
    assert b" ".join(months) == b"Jan  9 Feb  9 Mar  9 Apr  9 May  9 Jun  9 Jul  9 Aug  9 Sep  9 Oct  9 Nov  9 Dec  9"
    assert locale.setlocale(locale.LC_TIME) == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain = text", "plain = text"),
        ("100% %s%n", r"100\x25 \x25s\x25n"),
        ("a\r\nb\tc\0d\x1b[0m\x7f", r"a\x0d\x0ab\x09c\x00d\x1b[0m\x7f"),
        ("größe 文件", "größe 文件"),
        ("\x85\xa0\u202e\u2028\ufeff\U000e0041", r"\x85\xa0\u202e\u2028\ufeff\U000e0041"),
        ("a\udcffb\udc80", r"a\xffb\x80"),  # from a file name or the environment
        ("\ud800\udfff", r"\ud800\udfff"),
        (b"a\xffb gr\xc3\xb6\xc3", r"a\xffb grö\xc3"),
        (b"\xc0\xaf\xed\xa0\x80", r"\xc0\xaf\xed\xa0\x80"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_nothing_is_hidden(text: str | bytes, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("ident", "expected"),
    [
        ("scan-mail.pl", "scan-mail.pl"),
        ("postfix/smtpd", "postfix/smtpd"),
        ("a b:c[1]%n\n", "a_b_c_1__n_"),
        ("é", "_"),
        ("", "-"),
        ("x" * 99, "x" * 32),
    ],
)
def test_ident(ident: str, expected: str) -> None:
    assert line("", ident=ident, pid=1) == f"<20>Jul  1 09:05:03 {expected}[1]: ".encode()


@pytest.mark.parametrize(("hostname", "expected"), [("a b\n%", "a_b__ "), ("fe80::1", "fe80::1 "), ("x" * 999, "x" * 255 + " ")])
def test_hostname(hostname: str, expected: str) -> None:
    assert line("", hostname=hostname) == f"<20>Jul  1 09:05:03 {expected}scan-mail.pl[4711]: ".encode()


ROOM = MAX_REMOTE_BYTES - len(HEAD)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * ROOM, "x" * ROOM),
        ("x" * (ROOM + 1), "x" * (ROOM - 3) + "..."),
        ("x" * 100_000, "x" * (ROOM - 3) + "..."),
        ("x" * (ROOM - 2) + "é", "x" * (ROOM - 2) + "é"),
        ("x" * (ROOM - 1) + "é", "x" * (ROOM - 3) + "..."),
        ("x" * (ROOM - 4) + "é" + "x" * 9, "x" * (ROOM - 4) + "..."),  # never half a character
        ("x" * (ROOM - 4) + "%", "x" * (ROOM - 4) + r"\x25"),
        ("x" * (ROOM - 3) + "%", "x" * (ROOM - 3) + "..."),  # nor half an escape
        ("x" * (ROOM - 6) + "\u202e" + "x" * 9, "x" * (ROOM - 6) + "..."),
    ],
)
def test_cut(text: str, expected: str) -> None:
    assert shown(text, max_bytes=MAX_REMOTE_BYTES) == expected


def test_local_lines_may_be_longer() -> None:
    room = MAX_LOCAL_BYTES - len(HEAD)
    assert shown("x" * room) == "x" * room
    assert shown("x" * (room + 1)) == "x" * (room - 3) + "..."
    assert shown(b"\xff" * 100_000) == r"\xff" * ((room - 3) // 4) + "..."
    assert shown("😀".encode() * 100_000) == "😀" * ((room - 3) // 4) + "..."


ANY_TEXT = st.text(st.characters(codec=None), max_size=600) | st.binary(max_size=600)


@given(
    ANY_TEXT,
    st.integers(0, 7),
    st.integers(0, 23),
    st.text(st.characters(codec=None), max_size=50),
    st.text(st.characters(codec=None), max_size=300),
    st.sampled_from([512, MAX_REMOTE_BYTES, MAX_LOCAL_BYTES]),
)
def test_whatever_the_text(text: str | bytes, level: int, facility: int, ident: str, hostname: str, max_bytes: int) -> None:
    whole = format_3164(text, level=level, facility=facility, ident=ident, pid=1, moment=MOMENT, hostname=hostname, max_bytes=max_bytes)
    decoded = whole.decode("utf-8")  # valid, always
    assert len(whole) <= max_bytes
    assert decoded.isprintable()  # so it is one line too
    assert "%" not in decoded
    match = re.match(r"<(\d{1,3})>Jul  1 09:05:03 ([A-Za-z0-9_.:-]+ )?[A-Za-z0-9_.+@/-]{1,32}\[1\]: ", decoded)
    assert match is not None
    assert int(match[1]) == facility * 8 + level


@given(st.text(st.characters(codec=None), max_size=100))
def test_harmless_text_is_not_touched(text: str) -> None:
    harmless = "".join(character for character in text if character.isprintable() and character != "%")
    assert shown(harmless) == harmless
