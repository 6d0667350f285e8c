"""One address, whatever the spelling."""

from __future__ import annotations

import pytest

from lazaretto.cli.milter_address import Address, read
from lazaretto.frontends.listeners import native

V4 = Address("127.0.0.1", "12200")
V6 = Address("::1", "12200")
UNIX = Address(path="/run/l/s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:12200", V4),
        ("localhost:12200", V4),
        ("inet:12200@127.0.0.1", V4),
        ("inet:12200@[127.0.0.1]", V4),
        ("INET:12200@localhost", V4),
        ("inet:127.0.0.1:12200", V4),
        ("inet:localhost:12200", V4),
        ("[::1]:12200", V6),
        ("inet6:12200@::1", V6),
        ("inet6:12200@[::1]", V6),
        ("inet:[::1]:12200", V6),
        ("inet:12200", V4),
        ("inet:12200@", V4),
        ("inet6:12200", V6),
        ("inet:milter-x@mail.example", Address("mail.example", "milter-x")),
        ("unix:/run/l/s", UNIX),
        ("local:/run/l/s", UNIX),
        ("/run/l/s", UNIX),
        ("unix:l/s", Address(path="l/s")),
    ],
)
def test_every_spelling(text: str, expected: Address) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("address", [V4, V6, UNIX, Address("mail.example", "9"), Address("::", "7")])
def test_what_is_written_is_read_again(address: Address) -> None:
    for text in (address.ours, address.sendmail, address.postfix("/q")):
        assert read(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "x", "h:", ":25", "h:1:", "h{}:1", "a b:1", "[::1:25"),
        *("unix:", "local:", "unix:/a b", "unix:/a,b", "unix:/a\0"),
        *("inet:", "inet:@", "inet:@h", "inet:0@h", "inet:65536@h", "inet:²@h", "inet:1@a@b", "inet:1@[::1"),
    ],
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        read(text)


def test_within_the_queue_directory() -> None:
    """Postfix counts names without a slash from there, and within chroot, all of them."""
    inside = Address(path="/var/spool/postfix/l/s")
    assert inside.postfix("/var/spool/postfix") == "unix:l/s"
    assert Address(path="/var/spool/postfix2/s").postfix("/var/spool/postfix") == "unix:/var/spool/postfix2/s"
    for chroot in (True, False):
        assert read("unix:l/s").seen_from("/var/spool/postfix", chroot=chroot) == inside
    assert UNIX.seen_from("/q", chroot=False) == UNIX
    assert UNIX.seen_from("/q/", chroot=True) == Address(path="/q/run/l/s")
    assert V4.seen_from("/q", chroot=True) == V4


@pytest.mark.parametrize(
    "text", ["inet:12200", "inet6:12200", "inet:12200@127.0.0.1", "inet6:12200@[::1]", "local:/run/l/s", "127.0.0.1:12200"]
)
def test_the_milter_listens_there(text: str) -> None:
    assert native(text) == read(text).ours
