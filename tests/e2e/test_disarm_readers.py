"""Disarmed documents in programs that others wrote: LibreOffice, poppler, qpdf.  They open, and the text is what it was."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import disarming
import documents
import peers
from disarming import TEXT
from disarming_ole import CODE, objects_of
from lazaretto.content.cfb import CompoundFile
from lazaretto.content.sniff import sniff
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import disarm

# The originals ask for a program or a network, and LibreOffice shows an error where that was.
_AFTER_ONLY = {"links.docx", "dde.xlsx", "macrosheet.xlsm"}
# Written by LibreOffice itself from a new file, for we cannot write old ones.
_OLD = {"old.doc": ("clean.docx", "Macros/"), "old.xls": ("clean.xlsx", "_VBA_PROJECT_CUR/")}
_NAMES = [*disarming.OFFICE, *(f"{name}.rtf" for name in disarming.RTF if name != "picture"), *_OLD]
_SHOWN = {
    "fields.docx": ("shown last", "shown simply"),
    "links.docx": ("link 2", "link 3"),
    "dde.xlsx": ("7", "8"),
    "object.rtf": ("shown", "end"),
}


def disarmed(data: bytes) -> bytes:
    result = disarm.disarm(sniff(Source(data)), Source(data), Meter())
    assert result.content is not None, result
    return result.content


def text_of(path: Path) -> list[str]:
    done = subprocess.run([peers.require("pdftotext"), "-layout", str(path), "-"], capture_output=True, timeout=60, check=True)
    return done.stdout.decode().split()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """What LibreOffice shows of a document, by its name; one process opens all, for it takes seconds to start."""
    office, folder = peers.require("soffice"), tmp_path_factory.mktemp("office")
    originals = {name: make() for name, (make, _) in disarming.OFFICE.items()}
    originals |= {f"{name}.rtf": data for name, data in disarming.RTF.items() if name != "picture"}
    for name, data in originals.items():
        (folder / f"after-{name}").write_bytes(disarmed(data))
        if name not in _AFTER_ONLY:
            (folder / f"before-{name}").write_bytes(data)
    for name, (plain, prefix) in _OLD.items():
        (folder / f"plain-{plain}").write_bytes(disarming.CLEAN[plain]())
        convert(office, folder, name.rpartition(".")[2], folder / f"plain-{plain}")
        data = with_macros(next((folder / "out").glob(f"plain-*{name[-4:]}")).read_bytes(), prefix)
        (folder / f"before-{name}").write_bytes(data)
        (folder / f"after-{name}").write_bytes(disarmed(data))
    paths = [*folder.glob("before-*"), *folder.glob("after-*")]
    # no two files may differ only in the ending
    convert(office, folder, "pdf", *(path.rename(path.with_name(path.name.replace(".", "-", 1) + path.suffix)) for path in paths))
    return lambda name: text_of(folder / "out" / (name.replace(".", "-", 1) + ".pdf"))


def convert(office: str, folder: Path, kind: str, *files: Path) -> None:
    options = [
        f"-env:UserInstallation=file://{folder}/profile",
        "--headless",
        "--norestore",
        "--convert-to",
        kind,
        "--outdir",
        str(folder / "out"),
    ]
    subprocess.run([office, *options, *map(str, files)], capture_output=True, timeout=180, check=True)


def with_macros(data: bytes, prefix: str) -> bytes:
    """A file of LibreOffice's, with macros and an object besides."""
    file = CompoundFile(Source(data))
    streams = {"/".join(stream.path): file.read(stream, stream.size)[: stream.size] for stream in file.streams}
    return documents.compound_file(streams | documents.vba_project({"ThisDocument": CODE, "Module1": CODE}, prefix) | objects_of(prefix))


@pytest.mark.parametrize("name", _NAMES)
def test_libreoffice(pages: Callable[[str], list[str]], name: str) -> None:
    after = pages(f"after-{name}")
    assert TEXT.replace(" ", "") in "".join(after)
    for shown in _SHOWN.get(name, ()):
        assert shown in " ".join(after)
    if name not in _AFTER_ONLY:
        assert after == pages(f"before-{name}")


def test_poppler_and_qpdf(tmp_path: Path) -> None:
    from disarming_pdf import ACTING, CASES, make

    qpdf = peers.require("qpdf")
    for name, (change, _) in CASES.items():
        before, after, plain = (tmp_path / f"{name}-{step}.pdf" for step in ("before", "after", "plain"))
        before.write_bytes(make(change))
        after.write_bytes(disarmed(before.read_bytes()))
        assert text_of(after) == text_of(before) == TEXT.split()
        done = subprocess.run([qpdf, "--check", "--warning-exit-0", str(after)], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert b"WARNING" not in done.stderr + done.stdout
        subprocess.run([qpdf, "--qdf", "--object-streams=disable", str(after), str(plain)], check=True, timeout=60)
        shown = plain.read_bytes().decode("latin-1")
        assert not [word for word in ACTING if word in shown], name
        found = subprocess.run([peers.require("pdfdetach"), "-list", str(after)], capture_output=True, timeout=60, check=False)
        assert found.stdout.strip() == b"0 embedded files"
        scripts = subprocess.run([peers.require("pdfinfo"), "-js", str(after)], capture_output=True, timeout=60, check=False)
        assert scripts.stdout.strip() == b""
