from __future__ import annotations

import gzip
import io
import sys
import tarfile
import zipfile
from importlib import import_module

import pytest

from eicar import EICAR
from lazaretto.content import archive, libarch
from lazaretto.content.sniff import TYPES
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason
from unpacking import CORPUS, unpack, uudecode


@pytest.mark.parametrize("type_id", archive.WALKERS)
def test_every_walker_exists_and_names_its_problems(type_id: str) -> None:
    module, _, function = archive.WALKERS[type_id].partition(":")
    assert callable(getattr(import_module(f"lazaretto.content.{module}"), function))
    found = unpack(type_id, b"")
    assert all(problem.name.startswith(f"{type_id}.") for problem in found.problems)


@pytest.mark.parametrize("type_id", sorted(archive.UNSUPPORTED))
def test_what_nobody_opens(type_id: str) -> None:
    (problem,) = unpack(type_id, b"data").problems
    assert (problem.name, problem.reason) == (f"{type_id}.unsupported", Reason.UNSUPPORTED)


def test_every_packed_type_is_opened_or_reported() -> None:
    packed = {name for name, info in TYPES.items() if info.group in ("archive", "disk-image")}
    assert packed - archive.WALKERS.keys() - archive.UNSUPPORTED - {"zip", "jar", "apk"} == set()


def test_other_types_are_no_containers() -> None:
    assert list(archive.walk("pdf", Source(b"%PDF"), Meter())) == []


def test_layers() -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        info = tarfile.TarInfo("eicar.com")
        info.size = len(EICAR)
        tar.addfile(info, io.BytesIO(EICAR))
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as packed:
        packed.writestr("a.tgz", gzip.compress(inner.getvalue()))
    data = outer.getvalue()
    for type_id in ("zip", "gzip", "tar"):
        (data,) = unpack(type_id, data).datas
    assert data == EICAR


@pytest.mark.skipif(not CORPUS.exists(), reason="corpus is not at hand")
def test_sample_of_the_libarchive_corpus() -> None:
    """Those formats that are read here; what libarchive itself reads may crash old versions of it."""
    for path in sorted((CORPUS / "files/libarchive-libarchive").rglob("*.uu")):
        data = uudecode(path.read_bytes())
        name = path.name
        if "zip" in name.replace("7zip", "") and not libarch.available():
            continue
        kinds = {
            b"PK": "zip",
            b"\x1f\x8b": "gzip",
            b"BZ": "bzip2",
            b"\xfd7": "xz",
            b"\x1f\x9d": "compress",
            b"LZ": "lzip",
            b"\x28\xb5": "zstd",
        }
        type_id = kinds.get(data[:2]) or ("tar" if data[257:262] == b"ustar" else "")
        if type_id:
            found = unpack(type_id, data)
            assert found.members or found.problems or data[:4] == b"PK\3\4" or type_id == "tar", name


def test_import_is_lean() -> None:
    import subprocess

    code = "import sys, lazaretto.content.archive; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": "src"}
    ).stdout.split()
    assert not {"zlib", "lzma", "bz2", "libarchive", "lazaretto.content.libarch"} & set(loaded) - {"zlib"}
