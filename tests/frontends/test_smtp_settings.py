"""Settings come from the configuration's keys; addresses and networks are understood."""

from __future__ import annotations

import pytest

from lazaretto.errors import ConfigError
from lazaretto.frontends.smtp_settings import Address, SmtpSettings, address, is_among, networks
from lazaretto.policy.config import parse


def of(text: str) -> SmtpSettings:
    config = parse([("test", text)])
    return SmtpSettings.of(config.settings, config.limits, config.spool_directory)


def test_defaults_of_the_configuration_are_those_of_the_type() -> None:
    usual = of('smtp.hostname = "localhost"')
    assert usual == SmtpSettings(Address("127.0.0.1", 10026), trusted=networks(["127.0.0.0/8", "::1/128"]))


def test_every_key_arrives() -> None:
    settings = of("""
        limits.max_message_bytes = 1001
        limits.max_scan_s = 7.0
        limits.spool_memory_bytes = 1002
        filter.spool_directory = "/var/tmp"
        [smtp]
        next_hop = "[::1]:26"
        protocol = "lmtp"
        next_hop_protocol = "smtp"
        hostname = "mx.example"
        max_connections = 1
        max_jobs = 2
        max_spooled_bytes = 3
        max_recipients = 4
        max_errors = 5
        command_timeout_s = 6.0
        data_timeout_s = 7.0
        next_hop_connect_timeout_s = 8.0
        next_hop_timeout_s = 9.0
        end_of_data_timeout_s = 10.0
        hop_limit = 11
        end_of_data = "normalise"
        stray = "reject"
        trusted = ["192.0.2.0/24"]
    """)
    expected = (Address("::1", 26), b"mx.example", True, False, 1, 2, 3, 1001, 4, 5, 6.0, 7.0, 8.0, 9.0, 10.0, 37.0, 11)
    assert settings == (*expected, "normalise", "reject", networks(["192.0.2.0/24"]), "/var/tmp", 1002)


@pytest.mark.parametrize(("client", "next_hop"), [("smtp", "smtp"), ("lmtp", "lmtp")])
def test_the_next_hop_speaks_as_clients_do(client: str, next_hop: str) -> None:
    settings = of(f'smtp.protocol = "{client}"')
    assert (settings.lmtp, settings.next_hop_lmtp) == (client == "lmtp", next_hop == "lmtp")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:26", Address("127.0.0.1", 26)),
        ("mx.example:25", Address("mx.example", 25)),
        ("[2001:db8::1]:10026", Address("2001:db8::1", 10026)),
        ("unix:/run/next hop", Address("", 0, "/run/next hop")),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    assert address(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("where", "listen", "ours"),
    [
        ("127.0.0.1:25", [], False),
        ("127.0.0.1:25", ["127.0.0.1:26", "unix:/run/a", "127.0.0.1:25"], True),
        ("127.0.0.1:25", ["127.0.0.2:25"], False),
        ("127.0.0.1:25", ["0.0.0.0:25"], True),
        ("localhost:25", ["[::1]:25"], True),
        ("[::1]:25", ["[::]:25"], True),
        ("mx.example:25", ["0.0.0.0:25"], False),
        ("mx.example:25", ["mx.example:25"], True),
        ("unix:/run/a", ["unix:/run/../run/a"], True),
        ("unix:/run/a", ["unix:/run/b", "127.0.0.1:25"], False),
    ],
)
def test_a_next_hop_that_is_ourselves(where: str, listen: list[str], ours: bool) -> None:
    assert is_among(address(where), listen) is ours


@pytest.mark.parametrize("text", ["", "mx.example", "2001:db8::1:25", "unix:relative", "mx:port"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(ConfigError, match="next_hop"):
        address(text)


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::ffff:127.0.0.1", True),
        ("::1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_trust(host: str, trusted: bool) -> None:
    assert of("").trusts(host) is trusted


def test_no_network() -> None:
    with pytest.raises(ConfigError, match="trusted"):
        networks(["127.0.0.0/33"])
