"""Walking the Part tree.

See: model.Part, mime/scanner.py (which builds it)
"""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto.model import Part, Path


def walk(root: Part) -> Iterator[Part]:
    """Every part, parents before children, in the order of the message."""
    stack = [root]
    while stack:
        part = stack.pop()
        yield part
        stack.extend(reversed(part.children))


def find(root: Part, path: Path) -> Part | None:
    """The part at `path`, or None."""
    return next((part for part in walk(root) if part.path == path), None)


def owner(root: Part, offset: int) -> Part:
    """The innermost part whose header or body holds `offset`; a multipart for its preamble and epilogue."""
    part = root
    while True:
        for child in part.children:
            if child.header.start <= offset < max(child.body.stop, child.header.stop):
                part = child
                break
        else:
            return part


def ancestors(root: Part, path: Path) -> Iterator[Part]:
    """The parts above `path`, outermost first."""
    for length in range(len(path)):
        part = find(root, path[:length])
        if part is not None:
            yield part
