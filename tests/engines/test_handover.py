from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from doubles import context, item_of
from lazaretto.engines import handover
from lazaretto.engines.base import ScanContext
from lazaretto.engines.options import Options
from lazaretto.errors import ConfigError, LimitExceeded
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Item


def taking(kept: list[bytes]) -> ScanContext:
    def cleaned(_item: Item, chunks: Iterable[bytes]) -> None:
        kept.append(b"".join(chunks))

    return ScanContext(time.monotonic() + 10, cleaned=cleaned)


def test_the_copy_is_private_and_goes(tmp_path: Path) -> None:
    data = os.urandom(2 * CHUNK + 1)
    with handover.copied(Source(data), handover.Place(str(tmp_path))) as name:
        path = Path(name)
        assert path.read_bytes() == data
        assert path.name == "content"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.parent.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mode", "directory"), [(0o640, 0o710), (0o660, 0o710), (0o644, 0o711), (0o604, 0o701), (0o600, 0o700)])
def test_others_may_read_it_if_told_so(tmp_path: Path, mode: int, directory: int) -> None:
    with handover.copied(Source(b"x"), handover.Place(str(tmp_path), mode, os.getgid())) as name:
        assert stat.S_IMODE(os.stat(name).st_mode) == mode
        assert stat.S_IMODE(os.stat(os.path.dirname(name)).st_mode) == directory
        assert os.stat(name).st_gid == os.getgid()


def test_a_copy_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"), handover.copied(Source(b"x"), handover.Place(str(tmp_path / "missing"))):
        pytest.fail("there is no copy")


def test_taken_back(tmp_path: Path) -> None:
    kept: list[bytes] = []
    item = item_of(b"before" * CHUNK)
    with handover.copied(item.content, handover.Place(str(tmp_path))) as name:
        Path(name).write_bytes(b"after" * CHUNK)
        assert handover.take_back(name, item, taking(kept))
        Path(name).write_bytes(b"")  # nothing is left
        assert handover.take_back(name, item, taking(kept))
    assert kept == [b"after" * CHUNK, b""]


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "made", [lambda _path: None, lambda path: path.unlink(), _link, _pipe, _directory, lambda path: path.write_bytes(b"before")]
)
def test_nothing_to_take_back(tmp_path: Path, made: Callable[[Path], object]) -> None:
    kept: list[bytes] = []
    item = item_of(b"before")
    with handover.copied(item.content, handover.Place(str(tmp_path))) as name:
        made(Path(name))
        assert not handover.take_back(name, item, taking(kept))
        assert handover.is_changed(name, item.content) == (not os.path.isfile(name) or os.path.islink(name))
    assert kept == []


def test_is_changed() -> None:
    for data in (b"", b"x" * (CHUNK + 1)):
        with handover.copied(Source(data)) as name:
            assert not handover.is_changed(name, Source(data))
            Path(name).write_bytes(data[:-1] + b"y")
            assert handover.is_changed(name, Source(data))


def test_nobody_wants_it_back() -> None:
    kept: list[bytes] = []
    item = item_of(b"before")
    with handover.copied(item.content) as name:
        Path(name).write_bytes(b"after")
        assert not handover.take_back(name, item, context())
        assert not handover.take_back(name, item._replace(is_message=True), taking(kept))
    assert kept == []


def test_more_than_a_limit_is_not_taken() -> None:
    def cleaned(_item: Item, chunks: Iterable[bytes]) -> None:
        assert b"".join(chunks) == b"after"
        raise LimitExceeded("max_member_bytes")

    item = item_of(b"before")
    with handover.copied(item.content) as name:
        Path(name).write_bytes(b"after")
        assert not handover.take_back(name, item, ScanContext(time.monotonic() + 10, cleaned=cleaned))


def test_place_from_options() -> None:
    options = Options("av", {"temp_dir": "/x", "file_mode": "0660", "file_group": "7"})
    assert handover.place(options) == handover.Place("/x", 0o660, 7)
    options.done()
    assert handover.place(Options("av", {"file_group": "root"})).group == 0
    assert handover.place(Options("av", {})) == handover.PRIVATE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("file_mode", "0755"),
        ("file_mode", "0400"),
        ("file_mode", "0066"),
        ("file_mode", "rw"),
        ("file_mode", ""),
        ("file_mode", "06400"),
        ("file_mode", 416),
        ("file_mode", "0o640"),
        ("file_group", "no-such-group"),
        ("temp_dir", 1),
    ],
)
def test_wrong_options(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"\[engines\.av\] {key}: "):
        handover.place(Options("av", {key: value}))
