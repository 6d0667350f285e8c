"""A configuration written out: every setting, and where it comes from.

The text is TOML, and read again it gives the same settings.

Errors:  none.
See:     `lazaretto check-config`
"""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto.policy.config import Config, EngineTable
from lazaretto.policy.keys import KEYS, SECTIONS, toml, toml_key

_WIDTH = 60  # comments of longer lines stand where the line ends

_Line = tuple[str, object]  # TOML, and the origin: a Place, "default", or "" for none


def describe(config: Config) -> str:
    """All sections, then engines, then rules in the order in which they are tried."""
    lines = [*_settings(config), *_engines(config), *_rules(config)]
    return "\n".join(f"{text:{_WIDTH}}  # {_printable(str(origin))}" if origin else text for text, origin in lines[1:]) + "\n"


def _settings(config: Config) -> Iterator[_Line]:
    for section in SECTIONS:
        yield "", ""
        yield f"[{section}]", ""
        for key in KEYS:
            if key.section == section:
                yield f"{key.name} = {toml(config.values[key.full])}", config.origins.get(key.full, "default")


def _engines(config: Config) -> Iterator[_Line]:
    for engine in config.engines:
        yield "", ""
        yield f"[engines.{engine.name}]", engine.place
        yield f"kind = {toml(engine.kind)}", engine.places.get("kind", "default")
        yield f"required = {toml(engine.required)}", engine.places.get("required", "default")
        yield from _options(engine)
    if config.attachments.options:
        yield "", ""
        yield "[attachments]", config.attachments.place
        yield from _options(config.attachments)


def _options(table: EngineTable) -> Iterator[_Line]:
    for name, value in table.options.items():
        if name != "required" or table.name == table.kind == "attachments":
            yield f"{toml_key(name)} = {toml(value)}", table.places[name]


def _rules(config: Config) -> Iterator[_Line]:
    for rule, place in zip(config.policy.rules, config.rule_places, strict=True):
        yield "", ""
        yield "[[rule]]", place
        yield f"name = {toml(rule.name)}", ""
        for name, patterns in rule.conditions:
            yield f"{name} = {toml(patterns)}", ""
        yield f"action = {toml(rule.action.name.lower().replace('_', '-'))}", ""
        if rule.quarantine is not None:
            yield f"quarantine = {toml(rule.quarantine)}", ""
        if rule.save is not None:
            yield f"save = {toml(rule.save)}", ""
        if rule.alarm:
            yield "alarm = true", ""
        if rule.text:
            yield f"text = {toml(rule.text)}", ""


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
