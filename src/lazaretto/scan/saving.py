"""What is kept of a part in a file of its own: its content, decoded, and what it is called.

Errors:  none.
See:     store/saved.py; job.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lazaretto.mime import transfer, tree
from lazaretto.mime.source import Source
from lazaretto.model import Part, Path, Treatment
from lazaretto.sanitize.blocks import Block


def contents(source: Source, root: Part, path: Path, blocks: Sequence[Block] = ()) -> Iterator[tuple[Path, str, Iterable[bytes]]]:
    """Key, name and content: of the part, or if only `blocks` of it go, of each of these that is cut out.

    A key begins with the path of the part.
    """
    part = tree.find(root, path) or root
    for number, block in enumerate(blocks):
        if block.treatment is Treatment.REPLACE:
            encoded = next(iter(transfer.find_encoded(source, block.span)), None)
            yield (*path, -1 - number), block.name or "unnamed", encoded.chunks() if encoded is not None else source.chunks(block.span)
    if blocks:
        return
    name = part.names[0] if part.names else "message.eml" if part.children else "unnamed"
    if part.children:
        yield path, name, source.chunks(None if part is root else part.body)
    else:
        yield path, name, transfer.decode(source, part.body, part.encoding)
