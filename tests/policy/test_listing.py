"""describe(): every key with its origin, and TOML that says the same again."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from lazaretto.policy.config import Config, parse
from lazaretto.policy.keys import KEYS, toml
from lazaretto.policy.listing import describe

SAMPLE = """[policy]
malware = "reject"
quarantine = []
[engines.clamd]
required = false
addresses = ["a\\"\\\\\\n\\u202e"]
"odd key" = {x = 1.5, 'y z' = [true, 1979-05-27 07:32:00]}
[attachments]
required = 3
[[rule]]
name = "r"
kind = "active"
sender = ["*@Example.org", ""]
action = "replace-message"
quarantine = false
text = "\\u00fc"
"""


def without_places(config: Config) -> tuple[object, ...]:
    engines = [(engine.name, engine.kind, engine.required, engine.options.keys() | {"required"}) for engine in config.engines]
    return config.limits, config.policy, engines, config.attachments.options, config.values, config.quarantine_directory


def test_every_key_with_its_origin() -> None:
    lines = describe(parse([("/etc/l.toml", SAMPLE)])).splitlines()
    for key in KEYS:
        assert len([line for line in lines if line.startswith(f"{key.name} = ")]) >= 1
    shown = {" ".join(line.split()) for line in lines}
    assert {
        'malware = "reject" # /etc/l.toml:2',
        'banned = "replace" # default',
        "quarantine = [] # /etc/l.toml:3",
        "[engines.clamd] # /etc/l.toml:4",
        'kind = "clamd" # default',
        "required = false # /etc/l.toml:5",
        'addresses = ["a\\"\\\\\\U0000000a\\U0000202e"] # /etc/l.toml:6',
        "required = 3 # /etc/l.toml:9",
        "[[rule]] # /etc/l.toml:10",
        'action = "replace-message"',
    } <= shown


def test_read_again_it_says_the_same() -> None:
    for texts in ([], [("f", SAMPLE)], [("f", SAMPLE), ("g\n#", SAMPLE.replace('"r"', '"r2"'))]):
        config = parse(texts)
        again = parse([("listing", describe(config))])
        assert without_places(again) == without_places(config)


@given(
    st.recursive(st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
)
def test_toml_round_trip(value: object) -> None:
    assert tomllib.loads(f"x = {toml(value)}")["x"] == value
