from __future__ import annotations

import os
from pathlib import Path

from doubles import item_in_file, item_of
from lazaretto.engines.descriptor import path_of, reopen
from lazaretto.mime.source import Source


def test_content_in_a_file_without_a_name(tmp_path: Path) -> None:
    with item_in_file(tmp_path, b"content") as item:
        path = path_of(item.content)
        assert path is not None
        assert Path(path).read_bytes() == b"content"
        os.lseek(item.content.fd or 0, 3, os.SEEK_SET)
        fd = reopen(item.content)
        assert fd is not None
        assert os.read(fd, 100) == b"content"  # from the beginning,
        assert os.lseek(item.content.fd or 0, 0, os.SEEK_CUR) == 3  # and the original stays where it was
        assert not os.get_inheritable(fd)
        os.close(fd)


def test_no_path(tmp_path: Path) -> None:
    assert path_of(item_of(b"in memory").content) is None
    assert reopen(item_of(b"in memory").content) is None
    with item_in_file(tmp_path, b"content") as item:
        part = Source(b"cont", item.content.fd)  # the file is more than the content
        assert path_of(part) is None
        closed = os.dup(item.content.fd or 0)
    os.close(closed)
    assert path_of(Source(b"content", closed)) is None
    assert reopen(Source(b"content", closed)) is None
