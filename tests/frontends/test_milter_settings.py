"""The keys of [milter] as a worker has them, and what is asked of an MTA."""

from __future__ import annotations

from lazaretto.frontends.milter_settings import ACTIONS, STEPS, MilterSettings
from lazaretto.policy import config
from lazaretto.wire.milter import Actions, Steps


def test_defaults_are_those_of_the_configuration() -> None:
    chosen = config.parse()
    assert MilterSettings.of(chosen.settings, chosen.limits, chosen.spool_directory) == MilterSettings()


def test_each_key_arrives() -> None:
    text = "[milter]\nmax_connections = 1\nmax_jobs = 2\nmax_spooled_bytes = 3\nmax_recipients = 4\ntimeout_s = 5\n"
    text += "data_timeout_s = 6\nprogress_s = 7\nhold = true\n[limits]\nmax_message_bytes = 8\nmax_header_bytes = 9\nmax_scan_s = 10\n"
    text += 'max_header_fields = 11\nspool_memory_bytes = 12\n[filter]\nspool_directory = "/x"\n'
    chosen = config.parse([("x", text)])
    made = MilterSettings.of(chosen.settings, chosen.limits, chosen.spool_directory)
    assert made == (1, 2, 3, 8, 9, 11, 4, 5.0, 6.0, 7.0, 40.0, True, "/x", 12)


def test_only_what_a_verdict_needs_is_asked_for() -> None:
    assert MilterSettings().wanted.actions == Actions.ADD_HEADERS | Actions.CHANGE_HEADERS | Actions.CHANGE_BODY == ACTIONS
    assert MilterSettings(hold=True).wanted.actions == ACTIONS | Actions.QUARANTINE
    assert MilterSettings().wanted.symbols == ()


def test_what_a_scan_needs_is_told_and_where_a_message_can_be_refused_is_waited() -> None:
    for step in (Steps.NO_CONNECT, Steps.NO_HELO, Steps.NO_MAIL, Steps.NO_RCPT, Steps.NO_HEADERS, Steps.NO_BODY, Steps.NR_MAIL):
        assert not STEPS & step
