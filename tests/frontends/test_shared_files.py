"""Files that clients name: what is refused, and that a refusal touches nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lazaretto.frontends import shared_files
from lazaretto.frontends.shared_files import Refused

SECRET = b"root:x:0:0"


class Place:
    """An allowed directory with a message and an output file, beside a secret."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "allowed"
        self.inner = self.root / "inner"
        self.inner.mkdir(parents=True)
        self.infile = self.inner / "in"
        self.outfile = self.inner / "out"
        self.secret = folder / "secret"
        self.infile.write_bytes(b"message")
        self.outfile.write_bytes(b"old")
        self.secret.write_bytes(SECRET)

    def open(self, infile: object = None, outfile: object = None, uid: int | None = None) -> tuple[int, int]:
        return shared_files.open_pair(_raw(infile or self.infile), _raw(outfile or self.outfile), [str(self.root)], uid)


def _raw(path: object) -> bytes:
    return path if isinstance(path, bytes) else os.fsencode(str(path))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    before = len(os.listdir("/proc/self/fd"))
    place = Place(tmp_path)
    yield place
    assert place.secret.read_bytes() == SECRET
    assert len(os.listdir("/proc/self/fd")) == before


def test_both_are_opened(place: Place) -> None:
    source, target = place.open()
    assert os.read(source, 100) == b"message"
    assert place.outfile.read_bytes() == b"old"  # not before the result is ready
    place.outfile.chmod(0o640)
    shared_files.replace(target, [b"new ", b"", b"content"])
    assert place.outfile.read_bytes() == b"new content"
    assert place.outfile.stat().st_mode & 0o7777 == 0o640
    shared_files.replace(target, [])
    assert place.outfile.read_bytes() == b""
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(source, b"x")
    os.close(source)
    os.close(target)


def symlink(place: Place) -> object:
    (place.inner / "link").symlink_to(place.secret)
    return place.inner / "link"


def directory_symlink(place: Place) -> object:
    (place.root / "link").symlink_to(place.secret.parent)
    return place.root / "link" / "secret"


def inward_symlink(place: Place) -> object:
    """Even one that stays inside: between the look and the opening it may point elsewhere."""
    (place.root / "link").symlink_to("inner")
    return place.root / "link" / "in"


def dangling(place: Place) -> object:
    (place.inner / "link").symlink_to("nowhere")
    return place.inner / "link"


def hard_link(place: Place) -> object:
    os.link(place.secret, place.inner / "link")
    return place.inner / "link"


def fifo(place: Place) -> object:
    os.mkfifo(place.inner / "fifo")
    return place.inner / "fifo"


def unix_socket(place: Place) -> object:
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.open(place.inner, os.O_RDONLY)
        sock.bind(f"/proc/self/fd/{here}/socket")  # the whole path may be too long for an address
        os.close(here)
    return place.inner / "socket"


def long_name(place: Place) -> object:
    return place.inner / ("n" * 300)


REFUSED: list[tuple[str, Callable[[Place], object]]] = [
    ("does not exist", lambda place: place.inner / "nobody"),
    ("does not exist", lambda place: place.root / "no" / "in"),
    ("is no regular file", lambda place: place.inner),
    ("is no regular file", fifo),
    ("is no regular file", unix_socket),
    ("symbolic link", symlink),
    ("symbolic link", directory_symlink),
    ("symbolic link", inward_symlink),
    ("symbolic link", dangling),
    ("is no directory", lambda place: place.infile / "x"),
    ("hard links", hard_link),
    ("too long", long_name),
    ("expected an absolute path", lambda place: b"relative"),
    ("expected an absolute path", lambda place: b"inner/in"),
    ("expected an absolute path", lambda place: b"/" + b"a/" * 3000),
    ("expected an absolute path", lambda place: _raw(place.infile) + b"\0"),
    ("expected a plain path", lambda place: b"/" + _raw(place.infile)),
    ("expected a plain path", lambda place: _raw(place.root) + b"//inner/in"),
    ("expected a plain path", lambda place: _raw(place.root) + b"/./inner/in"),
    ("expected a plain path", lambda place: _raw(place.root) + b"/../secret"),
    ("expected a plain path", lambda place: _raw(place.infile) + b"/"),
    ("expected a plain path", lambda place: b"/"),
    ("not below a directory", lambda place: place.secret),
    ("not below a directory", lambda place: place.root),
    ("not below a directory", lambda place: _raw(place.root) + b"2/in"),
    ("not below a directory", lambda place: b"/etc/shadow"),
    ("not below a directory", lambda place: b"/dev/null"),
]


@pytest.mark.parametrize("which", ["infile", "outfile"])
@pytest.mark.parametrize(("text", "named"), REFUSED, ids=lambda value: getattr(value, "__name__", str(value)))
def test_refused(place: Place, text: str, named: Callable[[Place], object], which: str) -> None:
    with pytest.raises(Refused, match=text):
        place.open(named(place)) if which == "infile" else place.open(outfile=named(place))
    assert place.infile.read_bytes() == b"message"
    assert place.outfile.read_bytes() == b"old"


def test_same_file_twice(place: Place) -> None:
    with pytest.raises(Refused, match="the same file"):
        place.open(outfile=place.infile)


def test_message_of_a_client_is_shown_in_part_and_readable(place: Place) -> None:
    with pytest.raises(Refused) as refused:
        place.open(infile=b"/\xff" + b"x" * 1000)
    assert len(str(refused.value)) < 300


def test_allowed_directory_may_be_a_symlink(place: Place, tmp_path: Path) -> None:
    (tmp_path / "tmp").symlink_to(place.root)
    inside, outside = (_raw(tmp_path / "tmp" / "inner" / name) for name in ("in", "out"))
    for fd in shared_files.open_pair(inside, outside, [str(tmp_path / "tmp") + "/"]):
        os.close(fd)


def test_root_as_allowed_directory(place: Place) -> None:
    for fd in shared_files.open_pair(_raw(place.infile), _raw(place.outfile), ["/"]):
        os.close(fd)


def test_inner_directory_counts_for_itself(place: Place, tmp_path: Path) -> None:
    """A symbolic link on the way to the second directory is not on the way below it."""
    (place.root / "link").symlink_to(place.inner)
    inside, outside = (_raw(place.root / "link" / name) for name in ("in", "out"))
    for fd in shared_files.open_pair(inside, outside, [str(place.root), str(place.root / "link")]):
        os.close(fd)


def test_owner_and_root_may_ask(place: Place) -> None:
    for uid in (None, 0, os.getuid()):
        for fd in place.open(uid=uid):
            os.close(fd)


def test_a_stranger_may_not_ask(place: Place) -> None:
    with pytest.raises(Refused, match="belong to another user"):
        place.open(uid=os.getuid() + 1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_different_owners(place: Place) -> None:
    os.chown(place.outfile, 12345, -1)
    with pytest.raises(Refused, match="different owners"):
        place.open()


def test_no_descriptors_left_is_temporary(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_options: object) -> int:
        raise OSError(24, os.strerror(24))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        with pytest.raises(OSError, match=r"cannot open .*in: Too many open files"):
            place.open()


def test_half_an_output_is_none(place: Place) -> None:
    source, target = place.open()

    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    def bug() -> Iterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(OSError, match="cannot write the output file: No space left"):
        shared_files.replace(target, breaks())
    assert place.outfile.read_bytes() == b""
    with pytest.raises(ZeroDivisionError):
        shared_files.replace(target, bug())
    assert place.outfile.read_bytes() == b""
    os.close(source)
    os.close(target)


def test_file_swapped_after_the_look(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between stat and open the client puts a symbolic link, or a FIFO, in the place of its file."""
    real = os.open

    def swap(make: Callable[[Path], None]) -> None:
        def opens(path: str | bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            if path == b"in":
                place.infile.unlink()
                make(place.infile)
            return real(path, flags, mode, dir_fd=dir_fd)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", opens)
            with pytest.raises(Refused, match=r"symbolic link|no regular file"):
                place.open()

    swap(lambda path: path.symlink_to(place.secret))
    place.infile.unlink()
    place.infile.write_bytes(b"message")
    swap(os.mkfifo)
