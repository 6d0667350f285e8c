"""Which module does which file, and what the configuration may ask for."""

from __future__ import annotations

import pytest

from disarming import RTF
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.policy.forms import DISARMED
from lazaretto.sanitize import disarm
from lazaretto.sanitize.disarmed import NOTHING


def test_formats() -> None:
    assert disarm.format_of("docm") == disarm.format_of("xlsb") == "ooxml"
    assert disarm.format_of("rtf") == "rtf"
    assert disarm.format_of("html") == disarm.format_of("") == ""
    assert disarm.FORMATS == DISARMED  # what policy knows by name


@pytest.mark.parametrize("type_id", ["docx", "rtf", "pdf", "html", "svg"])
def test_nothing_is_nothing(type_id: str) -> None:
    result = disarm.disarm(type_id, Source(b"nothing"), Meter())
    assert result.content is None
    assert result == NOTHING or result.refused


def test_by_type() -> None:
    assert disarm.disarm("rtf", Source(RTF["dde"]), Meter()).removed
    assert disarm.disarm("text", Source(RTF["dde"]), Meter()) == NOTHING


def test_what_is_prepared_is_there() -> None:
    for type_id in ("pdf", "text"):
        disarm.prepare(type_id)
    assert {"pdf"} == disarm.OUTSIDE
