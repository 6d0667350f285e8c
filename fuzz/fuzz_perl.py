"""Any text is a pattern for re or a ValueError; a pattern is visible, needs no flags, and stays the same next to others."""

from __future__ import annotations

import re
import warnings

from lazaretto.legacy.perl import translate

SEEDS = [
    rb"\.(ade|exe|vbs)$",
    rb"^\Qa.b\E[[:alpha:]_][^\H\d-]{2,3}?\z",
    rb"(?<n>a)(?'m'b)\k<n>\g{-1}(?P=m)(?i)x|y",
    rb"(?x) a b # c" + b"\n[ ]++(?s:.)(?m)^$",
    rb"(?<=a)(?<!b)(?=c)(?!d)(?>e)(?#f)\x{263a}\o{101}\cA\N{U+41}\R\N\h\V",
    rb"(?R)\K\G(*FAIL)(?{1})(?(1)a|b)(?|a)\p{L}\1",
    rb"[\]\[^-]a][[:^print:]&&~~||][]-]",
]


def target(data: bytes) -> None:
    expression = data.decode("utf-8", "surrogateescape")
    try:
        pattern = translate(expression)
    except ValueError as error:
        refused = str(error)
    else:
        assert pattern.isprintable()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(pattern)
            re.compile(f"(?:{pattern})|x", re.IGNORECASE)
        assert not compiled.flags & ~re.UNICODE
        return
    assert refused
