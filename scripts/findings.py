"""List the finding names of the code that docs/findings.md does not explain, and those it explains in vain.

    python scripts/findings.py           what is missing or too much; exit status 1 if anything
    python scripts/findings.py --all     every name, with the files it stands in

Names are found as string literals of the form family.some-name, in modules; those
of f-strings have a star ("*.broken": for any format).  Those
of limits are worked out here; those of our own YARA rules stand in their metadata.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from lazaretto.limits import Limits

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "lazaretto"
PAGE = ROOT / "docs" / "findings.md"

NAME = re.compile(r"(?:[a-z0-9]+|\*)\.[a-z][a-z0-9]*(?:-(?:[a-z0-9]+|\*))*")
# A YARA rule and, if its metadata have one, the name of its findings.
RULE = re.compile(r"^(?:private\s+|global\s+)*rule\s+(\w+)(?:[^{]*\{\s*meta:\s*name = \"([^\"]+)\")?", re.MULTILINE)
# The star is a reason: down, timeout, limit, encrypted, broken, unsupported.
REASONS = {"engine.*": "scan/inquiry.py", "clamd.*": "engines/clamd.py", "command.*": "engines/command.py"}
# Literals that look like a finding and are not: the first word of one never is.
NOT_A_FAMILY = {
    "backup",
    "conf",
    "email",
    "headers",
    "lazaretto",
    "log",
    "os",
    "policy",
    "metrics",
    "milter",
    "notices",
    "process",
    "quarantine",
    "server",
    "smtp",
    "socket",
    "sys",
    "untitled",
}
# File names, as in "winmail.dat"; the last word of a finding is none of these.
NOT_A_NAME = {
    "cf",
    "lazaretto-*",
    "formats",  # disarm.formats is a key
    "profile",  # html.profile is a key
    "bas",
    "bin",
    "ole",
    "rtf",
    "conf",
    "dat",
    "eml",
    "exe",
    "html",
    "json",
    "py",
    "sock",
    "tar",
    "toml",
    "txt",
    "xml",
    "yar",
    "yarc",
    "zip",
}


def literals(tree: ast.Module) -> Iterator[str]:
    """String constants of a module, docstrings left out; of f-strings the whole, with a star for what is put in."""
    passed: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body and isinstance(node.body[0], ast.Expr):
            passed.add(node.body[0].value)
        elif isinstance(node, ast.JoinedStr):
            passed.update(node.values)
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in passed:
            yield node.value


def names() -> dict[str, set[str]]:
    """Finding name -> where it stands."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, where in REASONS.items():
        found[name].add(where)
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE).as_posix()
        for text in literals(ast.parse(path.read_text(encoding="utf-8"))):
            if text in Limits._fields:  # LimitExceeded("max_ratio") becomes limit.max-ratio
                found["limit." + text.replace("_", "-")].add(where)
            elif NAME.fullmatch(text) and text.partition(".")[0] not in NOT_A_FAMILY and text.partition(".")[2] not in NOT_A_NAME:
                found[text].add(where)
    for path in sorted(PACKAGE.rglob("*.yar")):
        for rule, name in RULE.findall(path.read_text(encoding="utf-8")):
            found[name or rule].add(path.relative_to(PACKAGE).as_posix())
    return dict(found)


def documented() -> set[str]:
    """First column of the tables of docs/findings.md."""
    if not PAGE.exists():
        return set()
    return set(re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def main(arguments: list[str]) -> int:
    found = names()
    if "--all" in arguments:
        for name in sorted(found):
            print(name, *sorted(found[name]), sep="\t")
        return 0
    missing, vain = sorted(set(found) - documented()), sorted(documented() - set(found))
    for name in missing:
        print(f"not in docs/findings.md: {name} ({', '.join(sorted(found[name]))})")
    for name in vain:
        print(f"only in docs/findings.md: {name}")
    return int(bool(missing or vain))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
