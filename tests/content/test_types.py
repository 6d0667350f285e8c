"""The table of types, its page in the documentation, and contradictions between content and labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content.types import TYPES, ZIPPED, disagreement

PAGE = Path(__file__).resolve().parents[2] / "docs" / "types.md"
GROUPS = {"archive", "executable", "script", "document", "image", "audio", "video", "text", "mail", "disk-image", "other"}

# What other modules ask for by name.
ARCHIVES = (
    "zip gzip bzip2 xz lzma zstd compress tar 7z rar iso udf cab lha cpio ar rpm xar arj ace lrzip lzop lz4 lzip dmg vhd vhdx zoo arc sit"
)
DOCUMENTS = "ole msi msg docx docm xlsx xlsm xlsb pptx pptm ooxml odf pdf rtf html svg xml hta onenote lnk chm tnef p7m pgp-message"
MAIL = "mbox message ics vcf mht text"


def test_table() -> None:
    assert set(f"{ARCHIVES} {DOCUMENTS} {MAIL} data empty".split()) <= TYPES.keys()
    assert {info.group for info in TYPES.values()} == GROUPS
    assert TYPES.keys() >= ZIPPED
    for type_id, info in TYPES.items():
        assert info.description, type_id
        labels = (*info.extensions, *info.media_types)
        assert list(labels) == [label.lower() for label in labels]
        assert len(set(labels)) == len(labels)
        assert all("." not in extension for extension in info.extensions)
        assert all("/" in media_type for media_type in info.media_types)


def rows() -> list[str]:
    """The table of docs/types.md."""
    lines = []
    for type_id, info in sorted(TYPES.items(), key=lambda entry: (entry[1].group, entry[0])):
        lines.append(f"| `{type_id}` | {info.group} | {info.description} | {' '.join(info.extensions)} | {' '.join(info.media_types)} |")
    return lines


def test_documentation_shows_the_table() -> None:
    table = PAGE.read_text("utf-8").partition("## Table")[2]
    assert [line for line in table.splitlines() if line.startswith("| `")] == rows()


HIDDEN = [
    ("pe", "image/jpeg", ["photo.jpg"], "type.executable-as-image"),
    ("pe", "image/png", [], "type.executable-as-image"),
    ("pe", "application/octet-stream", ["invoice.pdf"], "type.executable-as-document"),
    ("pe", "", ["notes.TXT "], "type.executable-as-text"),
    ("pe", "application/zip", ["a.zip"], "type.executable-as-archive"),
    ("pe", "audio/mpeg", ["setup.exe"], "type.executable-as-audio"),
    ("elf", "", ["a.mp4"], "type.executable-as-video"),
    ("lnk", "", ["a.docx"], "type.executable-as-document"),
    ("msi", "application/msword", ["a.doc"], "type.executable-as-document"),
    ("hta", "text/html", ["a.html"], "type.executable-as-document"),
    ("apk", "", ["a.jpg"], "type.executable-as-image"),
    ("pe", "message/rfc822", [], "type.executable-as-mail"),
    ("zip", "image/jpeg", ["a.jpg"], "type.mismatch"),
    ("html", "image/png", ["a.png"], "type.mismatch"),
    ("svg", "image/png", ["a.png"], "type.mismatch"),
    ("onenote", "application/pdf", ["a.pdf"], "type.mismatch"),
    ("html", "application/pdf", ["a.pdf"], "type.mismatch"),
    ("rar", "", ["a.pdf"], "type.mismatch"),
    ("iso", "text/plain", ["a.txt"], "type.mismatch"),
    ("ole", "", ["a.txt"], "type.mismatch"),
    ("vbscript", "", ["a.jpg"], "type.mismatch"),
    ("rtf", "audio/wav", ["a.wav"], "type.mismatch"),
]

HONEST = [
    ("pe", "application/octet-stream", ["setup.exe"]),
    ("pe", "application/octet-stream", ["setup.xyz"]),
    ("pe", "", []),
    ("msi", "", ["setup.msi"]),
    ("jar", "application/zip", ["source.zip"]),
    ("docx", "application/zip", ["a.docx"]),
    ("docx", "application/x-zip-compressed", ["a.zip"]),
    ("zip", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ["a.docx"]),
    ("rtf", "application/msword", ["a.doc"]),
    ("html", "application/vnd.ms-excel", ["a.xls"]),
    ("xml", "application/vnd.ms-excel", ["a.xls"]),
    ("docx", "application/msword", ["a.doc"]),
    ("ole", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ["encrypted.docx"]),
    ("text", "application/vnd.ms-excel", ["a.xls"]),
    ("mht", "application/msword", ["a.doc"]),
    ("jpeg", "image/png", ["a.png"]),
    ("jpeg", "application/pdf", ["scan.pdf"]),
    ("pdf", "text/plain", ["report"]),
    ("pdf", "application/postscript", ["figure.ai"]),
    ("gzip", "application/x-tar", ["a.tar"]),
    ("rar", "application/zip", ["a.zip"]),
    ("gzip", "image/svg+xml", ["a.svgz"]),
    ("html", "text/plain", ["a.txt"]),
    ("xml", "text/plain", ["a.log"]),
    ("script", "text/plain", ["a.txt"]),
    ("message", "text/plain", ["a.txt"]),
    ("p7m", "application/pkcs7-signature", ["smime.p7s"]),
    ("svg", "image/svg+xml", ["a.svg"]),
    ("tnef", "application/ms-tnef", ["winmail.dat"]),
    ("data", "image/png", ["a.png"]),
    ("text", "image/png", ["a.png"]),
    ("empty", "image/png", ["a.png"]),
    ("nonsense", "image/png", ["a.png"]),
    ("zip", "image/png", ["a.zip"]),  # one label is right
]


@pytest.mark.parametrize(("type_id", "media_type", "names", "finding"), HIDDEN)
def test_contradiction(type_id: str, media_type: str, names: list[str], finding: str) -> None:
    assert disagreement(type_id, media_type, names) == finding


@pytest.mark.parametrize(("type_id", "media_type", "names"), HONEST)
def test_careless_but_honest(type_id: str, media_type: str, names: list[str]) -> None:
    assert disagreement(type_id, media_type, names) is None


@pytest.mark.parametrize("type_id", TYPES)
def test_own_labels_never_contradict(type_id: str) -> None:
    info = TYPES[type_id]
    for extension in info.extensions:
        assert disagreement(type_id, "", [f"a.{extension}"]) is None
    for media_type in info.media_types:
        assert disagreement(type_id, media_type, []) is None
    assert disagreement(type_id, "application/octet-stream", ["x.unknown"]) is None


@given(st.sampled_from(sorted(TYPES)), st.text(max_size=30), st.lists(st.text(max_size=30), max_size=4))
def test_any_labels(type_id: str, media_type: str, names: list[str]) -> None:
    finding = disagreement(type_id, media_type, names)
    assert finding is None or finding.startswith("type.")
