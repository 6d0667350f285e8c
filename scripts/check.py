"""Check that the documentation and the code name the same things; exit status 1 with one line for each that does not.

RFCs       every one cited in the tree is listed in docs/rfc.tsv, every one listed is cited
links      relative links in *.md and "docs/..." in modules lead somewhere
commands   every command, option and engine kind is in README.md or docs/
limits     every one is in docs/policy.md
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from lazaretto.cli.main import COMMANDS
from lazaretto.engines.registry import ENGINES
from lazaretto.limits import Limits

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "lazaretto"
TABLE = ROOT / "docs" / "rfc.tsv"
STATUS = {"Yes", "Partial", "No"}


def pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]


def code() -> list[Path]:
    return [path for top in ("src", "tests", "fuzz", "benchmarks", "examples") for path in sorted((ROOT / top).rglob("*.py"))]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def cited(path: Path) -> set[int]:
    return {int(number) for number in re.findall(r"\bRFC ?(\d{3,5})\b", text(path))}


def rfcs() -> Iterator[str]:
    listed: set[int] = set()
    for number, line in enumerate(text(TABLE).splitlines()[1:], 2):
        cells = line.split("\t")
        if len(cells) != 4 or not cells[0].isdigit() or cells[1] not in STATUS or not cells[2] or bool(cells[3]) == (cells[1] == "No"):
            yield f"docs/rfc.tsv:{number}: expected number, Yes|Partial|No, title, where (empty for No)"
            continue
        listed.add(int(cells[0]))
        for where in cells[3].split():
            if not (PACKAGE / where).exists():
                yield f"docs/rfc.tsv:{number}: no {where} in the package"
            elif int(cells[0]) not in cited(PACKAGE / where):
                yield f"docs/rfc.tsv:{number}: {where} does not cite RFC {cells[0]}"
    for path in [*code(), *pages()]:
        for number in sorted(cited(path) - listed):
            yield f"{path.relative_to(ROOT)}: RFC {number} is not in docs/rfc.tsv"


def links() -> Iterator[str]:
    for path in pages():
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text(path)):
            if not (path.parent / target).exists():
                yield f"{path.relative_to(ROOT)}: no {target}"
    for path in code():
        for target in re.findall(r"\b((?:docs|examples|tests|benchmarks|src)/[a-z0-9_./-]*\w\.(?:md|tsv|py|toml))\b", text(path)):
            if not (ROOT / target).exists():
                yield f"{path.relative_to(ROOT)}: no {target}"


def options() -> set[str]:
    """Every option that a command line parser of ours knows."""
    found: set[str] = set()
    for path in sorted((PACKAGE / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"--[a-z][a-z-]+", node.value):
                found.add(node.value)
    return found


def commands() -> Iterator[str]:
    written = "\n".join(map(text, pages()))
    for name in COMMANDS:
        if f"lazaretto {name}" not in written:
            yield f"command {name} is not documented"
    for option in sorted(options()):
        if not re.search(re.escape(option) + r"(?![\w-])", written):
            yield f"option {option} is not documented"
    engines = text(ROOT / "docs" / "engines.md")
    for engine in sorted(ENGINES):
        if f"`{engine}`" not in engines:
            yield f"engine {engine} is not in docs/engines.md"


def limits() -> Iterator[str]:
    written = text(ROOT / "docs" / "policy.md")
    for name in Limits._fields:
        if f"`{name}`" not in written:
            yield f"limit {name} is not in docs/policy.md"


def main() -> int:
    problems = [problem for check in (rfcs, links, commands, limits) for problem in check()]
    for problem in problems:
        print(problem)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
