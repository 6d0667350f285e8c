"""An engine of your own: the whole contract, in a file that you can copy.

Put it into a package of yours and name the class in that package's metadata:

    [project.entry-points."lazaretto.engines"]
    skeleton = "your_package.engine:Skeleton"

Then `--engine skeleton`, or in the configuration:

    [engines.skeleton]
    kind = "skeleton"
    word = "plague"

See: docs/engines.md "Adding an engine"; tests/engines/test_registry.py runs this file
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.options import Options
from lazaretto.model import Finding, Item, Kind

MARK = b"plague"


class Skeleton:
    """Finds one word."""

    by_content = True  # the answer depends on the bytes alone, so identical content is asked once

    def __init__(self, name: str, word: bytes = MARK, required: bool = True) -> None:
        self.name = name  # labels the findings
        self.required = required  # if it cannot answer, the message is deferred
        self._word = word

    @classmethod
    def from_config(cls, name: str, table: Mapping[str, object]) -> Skeleton:
        """Read the options; a wrong one is a ConfigError, so that `lazaretto check-config` finds it."""
        options = Options(name, table)
        engine = cls(name, options.text("word", MARK.decode()).encode(), options.flag("required", True))
        options.done()
        return engine

    def wants(self, item: Item) -> bool:
        """Cheap: is this item worth scanning?"""
        return item.content.size >= len(self._word)

    def scan(self, item: Item, ctx: ScanContext) -> Iterator[Finding]:  # noqa: ARG002 - nothing here waits
        """State facts.  What to do about them is the policy's business.

        If you cannot answer, raise EngineError(Reason.DOWN, "why"): never give no findings instead.
        Keep nothing for the next message.  If you wait for anything, stop at ctx.deadline, which is
        on the scale of time.monotonic(), with EngineError(Reason.TIMEOUT, "...").
        """
        # item.content.data is bytes or an mmap: search it in place, do not copy it.
        if item.content.data.find(self._word) >= 0:
            yield Finding(self.name, Kind.MALWARE, "skeleton.word", detail="the word is in it")

    def info(self, timeout_s: float) -> EngineInfo:  # noqa: ARG002
        """For `lazaretto engines` and the report; raises nothing, takes at most timeout_s."""
        return EngineInfo("skeleton 1.0", signatures="1 word")

    def close(self) -> None:
        """Give back what you hold: connections, files."""
