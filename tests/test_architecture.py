"""The rules of docs/architecture.md that a program can check: who imports whom, what pure rooms may touch, what the tree looks like."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "lazaretto"
TESTS = ROOT / "tests"

# Lower rows first.  A module imports from lower rows and from its own room, never from a sibling in its row.
ROWS = (
    {"errors", "limits", "model", "regex"},
    {"mime", "wire"},
    {"content"},
    {"engines", "policy", "sanitize", "store"},
    {"scan"},
    {"frontends", "legacy", "web"},
    {"cli"},
    {"__main__"},
)
ROW = {room: number for number, rooms in enumerate(ROWS) for room in rooms}
PURE = {"mime", "wire", "content", "policy", "sanitize", "legacy"}
IMPURE_MODULES = {"asyncio", "datetime", "glob", "http", "os", "pathlib", "random", "secrets", "shutil", "signal"}
IMPURE_MODULES |= {"socket", "ssl", "subprocess", "tempfile", "threading", "time"}
IMPURE_CALLS = {"open", "input", "print", "io.open"}
LEAN = {"mime", "content", "model", "scan", "errors", "limits", "policy", "sanitize", "engines", "store"}  # loaded by every filter

# Modules without a test file of their own.  This list may only shrink; the reason stands beside each.
UNTESTED = {
    "__main__.py": "one call of cli.main, run by tests/test_startup.py",
    "model.py": "declarations only",
    "content/container.py": "declarations only",
    "engines/base.py": "declarations only",
}
MAX_LINES = 400


class Import(NamedTuple):
    module: str  # as written, or "lazaretto.mime.source"
    line: int
    typing_only: bool


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(tree: ast.AST, typing_only: bool = False) -> Iterator[Import]:
    """Every import, also those inside functions; those under `if TYPE_CHECKING` are marked."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, typing_only)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: relative import"
            yield Import(node.module or "", node.lineno, typing_only)
            for alias in node.names:  # "from lazaretto.mime import source"
                yield Import(f"{node.module}.{alias.name}", node.lineno, typing_only)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from imports(ast.Module([child], []), typing_only=True)
            for child in node.orelse:
                yield from imports(ast.Module([child], []), typing_only)
        else:
            yield from imports(node, typing_only)


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names that are called or read as an attribute of a module, with their line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            yield ast.unparse(node.func), node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno


def within(module: str, names: set[str]) -> bool:
    """Is `module` one of `names`, or inside one?"""
    return any(module == name or module.startswith(name + ".") for name in names)


def test_every_room_has_its_row() -> None:
    assert {room_of(path) for path in modules()} <= set(ROW)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    room = room_of(path)
    wrong = []
    for item in imports(parse(path)):
        parts = item.module.split(".")
        if parts[0] != "lazaretto" or len(parts) < 2 or parts[1] not in ROW:
            continue
        # The nouns name types that live one floor up; only the ground floor may, and only for the type checker.
        if item.typing_only and ROW[room] == 0:
            continue
        if parts[1] != room and ROW[parts[1]] >= ROW[room] and not ROW[room] == ROW[parts[1]] == 0:
            wrong.append(f"{name_of(path)}:{item.line} imports {item.module}")
    assert not wrong


@pytest.mark.parametrize("path", [path for path in modules() if room_of(path) in PURE], ids=name_of)
def test_pure_rooms_do_no_io(path: Path) -> None:
    tree = parse(path)
    wrong = [
        f"line {item.line}: import {item.module}" for item in imports(tree) if within(item.module, IMPURE_MODULES) and not item.typing_only
    ]
    wrong += [f"line {line}: {name}" for name, line in calls(tree) if name in IMPURE_CALLS]
    assert not wrong, name_of(path)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_nothing_banned_is_used(path: Path) -> None:
    tree = parse(path)
    banned = {"email"}
    if room_of(path) != "frontends":
        banned.add("asyncio")
    if room_of(path) in LEAN:
        banned.add("dataclasses")
    wrong = [f"line {item.line}: import {item.module}" for item in imports(tree) if within(item.module, banned)]
    wrong += [f"line {line}: {name}" for name, line in calls(tree) if name in {"print", "asyncio.create_task"}]
    assert not wrong, name_of(path)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_module_is_a_page(path: Path) -> None:
    assert ast.get_docstring(parse(path)), f"{name_of(path)} has no docstring"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_packages_are_empty() -> None:
    folders = {path.parent for path in modules()}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
    assert [str(path) for path in PACKAGE.rglob("__init__.py") if path.read_bytes()] == []


def test_each_module_has_its_test_file() -> None:
    def test_file(name: str) -> Path:
        module = Path(name)
        return TESTS / module.parent / f"test_{module.name}"

    names = {name_of(path) for path in modules()}
    lacking = {name for name in names if not test_file(name).is_file()}
    assert lacking - set(UNTESTED) == set()
    assert set(UNTESTED) & names - lacking == set(), "these have a test file now: take them off the list"


def test_each_test_file_has_its_module() -> None:
    """tests/ROOM/test_MODULE.py, or test_MODULE_ASPECT.py where one file would be too long."""
    orphans = []
    for room in (room for room in ROW if (PACKAGE / room).is_dir()):
        names = [path.stem for path in (PACKAGE / room).glob("*.py")]
        for path in sorted((TESTS / room).glob("test_*.py")):
            about = path.stem.removeprefix("test_")
            if not any(about == name or about.startswith(name + "_") for name in names):
                orphans.append(str(path.relative_to(TESTS)))
    assert orphans == []
