from __future__ import annotations

import pytest

from lazaretto.engines.options import Options
from lazaretto.errors import ConfigError

TABLE: dict[str, object] = {
    "kind": "x",
    "name": "y",
    "flag": True,
    "text": "t",
    "texts": ["a", "b"],
    "numbers": [1, 2],
    "integer": 5,
    "seconds": 1.5,
}


def test_values_and_defaults() -> None:
    options = Options("av", TABLE)
    assert (options.flag("flag", False), options.flag("none", True)) == (True, True)
    assert (options.text("text"), options.text("none", "d")) == ("t", "d")
    assert (options.texts("texts"), options.texts("none", ["d"])) == (("a", "b"), ("d",))
    assert (options.numbers("numbers", ()), options.numbers("none", [7])) == ((1, 2), (7,))
    assert (options.integer("integer", 1), options.integer("none", 9)) == (5, 9)
    assert (options.seconds("seconds", 1), options.seconds("integer", 1), options.seconds("none", 2)) == (1.5, 5.0, 2)
    options.done()


def test_what_nobody_asked_for_is_unknown() -> None:
    options = Options("av", {"flag": True, "flog": True})
    options.flag("flag", False)
    with pytest.raises(ConfigError, match=r"\[engines\.av\] flog: unknown option; known are flag$"):
        options.done()


@pytest.mark.parametrize(
    ("method", "value"),
    [
        *[("flag", value) for value in (0, 1, "yes", ["true"])],
        *[("text", value) for value in (0, True, ["a"])],
        *[("texts", value) for value in ("a", [1], ["a", 1], {"a": 1})],
        *[("numbers", value) for value in (1, ["1"], [True], [1.5])],
        *[("integer", value) for value in (-1, 1.0, True, "1")],
        *[("seconds", value) for value in (0, -1.0, True, "1", float("inf"), float("nan"))],
    ],
)
def test_wrong_values(method: str, value: object) -> None:
    options = Options("av", {"key": value})
    with pytest.raises(ConfigError, match=r"^\[engines\.av\] key: expected"):
        getattr(options, method)("key", None)
