"""Names: nothing hidden is shown, nothing dangerous is used."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.sanitize.names import MAX_BYTES, MAX_CHARACTERS, defang, display

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # lone surrogates too


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.docx", "report_docx.txt"),
        ("readme.txt", "readme.txt"),
        ("README.TXT", "README.txt"),
        ("../../etc/passwd", "passwd.txt"),
        ("C:\\Windows\\invoice.pdf.exe", "invoice_pdf_exe.txt"),
        ("C:evil.exe", "C_evil_exe.txt"),
        ("invoice\u202efdp.exe", "invoice_fdp_exe.txt"),
        ("a.exe\0.txt", "a_exe_.txt"),
        ("a.exe. . .", "a_exe.txt"),
        ("evil.exe/", "evil_exe.txt"),
        ("x.{00020420-0000-0000-C000-000000000046}", "x__00020420-0000-0000-C000-000000000046_.txt"),
        ("-rf", "rf.txt"),
        (".htaccess", "_htaccess.txt"),
        ("CON", "_CON.txt"),
        ("nul.txt", "_nul.txt"),
        ("com1 .txt", "_com1.txt"),
        ("LPT\u00b9.exe", "LPT1_exe.txt"),
        ("LPT\u00b9", "_LPT1.txt"),
        ("", "attachment.txt"),
        ("...", "attachment.txt"),
        ("///", "attachment.txt"),
        ("\u200b\u3164", "attachment.txt"),
        ("Rechnung März.pdf", "Rechnung März_pdf.txt"),
        ("请求.zip", "请求_zip.txt"),
        ("हिन्दी.doc", "हिन्दी_doc.txt"),
        ("a\uff0fb\uff0eexe", "b_exe.txt"),
        ("a\u2044b\u2215c.exe", "a_b_c_exe.txt"),
        ('a";b=\r\nX: y.exe', "a__b=__X_ y_exe.txt"),
        ("%2e%2e%2fx.exe", "_2e_2e_2fx_exe.txt"),
        ("\ud800x.exe", "_x_exe.txt"),
    ],
)
def test_defang(name: str, expected: str) -> None:
    assert defang(name) == expected


def test_other_suffix() -> None:
    assert defang("a.docm", ".defanged.txt") == "a_docm.defanged.txt"
    assert defang("a_docm.defanged.txt", ".defanged.txt") == "a_docm.defanged.txt"


@given(ANY_TEXT)
def test_defanged_names_are_harmless(name: str) -> None:
    safe = defang(name)
    assert safe.endswith(".txt")
    assert safe.count(".") == 1
    assert safe.isprintable()
    assert not set(safe) & set("/\\:*?\"<>|;%&'`$\r\n\t\0")
    assert safe[0] not in " .-"
    assert 4 < len(safe) <= MAX_CHARACTERS
    assert len(safe.encode("utf-8")) <= MAX_BYTES
    assert unicodedata.normalize("NFKC", safe).count(".") == 1
    assert defang(safe) == safe


@pytest.mark.parametrize("character", ["a", "é", "漢", "\U00020000", "\ufdfa", ".", "\u0301", "\u202e"])
def test_long_names_are_cut(character: str) -> None:
    safe = defang(character * 100_000 + ".exe")
    assert safe.endswith(".txt")
    assert len(safe) <= MAX_CHARACTERS
    assert len(safe.encode()) <= MAX_BYTES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Rechnung März.pdf", "Rechnung März.pdf"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("a\r\nb\0\x7f\x9b", "a\\x0d\\x0ab\\x00\\x7f\\x9b"),
        ("\u200b\u2028\ufe0f\ud800", "\\u200b\\u2028\\ufe0f\\ud800"),
        ("\U000e0101", "\\U000e0101"),
        ("x" * 200, "x" * 120 + "..."),
    ],
)
def test_display(name: str, expected: str) -> None:
    assert display(name) == expected


@given(ANY_TEXT, st.integers(1, 50))
def test_display_hides_nothing(name: str, room: int) -> None:
    shown = display(name, room)
    assert shown.isprintable()
    assert len(shown) <= room + 3
    shown.encode("utf-8")
