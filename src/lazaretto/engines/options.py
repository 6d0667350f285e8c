"""The options of one engine, read from its configuration table with checks.

    options = Options("clamd", table)
    addresses = options.texts("addresses")
    options.done()                          # whatever was not asked for is unknown

Errors:  ConfigError "[engines.NAME] KEY: what was expected"; the reader of the
         configuration file adds file and line.
See:     docs/engines.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lazaretto.errors import ConfigError


class Options:
    """Typed access to a table; each method takes a key and its default."""

    __slots__ = ("_known", "_name", "_table")

    def __init__(self, name: str, table: Mapping[str, object]) -> None:
        self._name = name
        self._table = table
        self._known = {"kind", "name"}

    def error(self, key: str, message: str) -> ConfigError:
        """The exception for a wrong value of `key`, to be raised by the caller."""
        return ConfigError(f"[engines.{self._name}] {key}: {message}")

    def _get(self, key: str) -> object:
        self._known.add(key)
        return self._table.get(key)

    def flag(self, key: str, default: bool) -> bool:
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(key, "expected true or false")
        return value

    def text(self, key: str, default: str = "") -> str:
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(key, "expected a text in quotes")
        return value

    def texts(self, key: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        value = self._get(key)
        if value is None:
            return tuple(default)
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise self.error(key, 'expected a list of texts, such as ["a", "b"]')
        return tuple(str(v) for v in value)

    def table(self, key: str) -> Mapping[str, object] | None:
        value = self._get(key)
        if value is not None and not isinstance(value, dict):
            raise self.error(key, "expected a table, such as {a = 1}")
        return value

    def tables(self, key: str) -> tuple[Mapping[str, object], ...]:
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.error(key, f"expected [[engines.{self._name}.{key}]], with two brackets, for each of them")
        return tuple(value)

    def numbers(self, key: str, default: Sequence[int]) -> tuple[int, ...]:
        value = self._get(key)
        if value is None:
            return tuple(default)
        if not isinstance(value, list | tuple) or not all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            raise self.error(key, "expected a list of numbers, such as [0, 8]")
        return tuple(int(v) for v in value)

    def integer(self, key: str, default: int, low: int = 0) -> int:
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self.error(key, f"expected a whole number, {low} or more")
        return value

    def seconds(self, key: str, default: float) -> float:
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
            raise self.error(key, "expected a number of seconds above 0")
        return float(value)

    def done(self) -> None:
        """ConfigError if the table has a key that nobody asked for."""
        for key in self._table:
            if key not in self._known:
                raise self.error(key, f"unknown option; known are {', '.join(sorted(self._known - {'kind', 'name'}))}")
