"""File names as systems make them, and what is judged of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content.names import (
    DECEPTIVE,
    DEFAULT_POLICY,
    MAX_FORMS,
    MAX_NAME,
    NamePolicy,
    double_extension,
    extension,
    forms,
    judge,
    printable,
)

# Each of these is a.js to somebody.
A_JS = [
    "a.js",
    "A.JS",
    "a.js.",
    "a.js. . .",
    "a.js ",
    "a.js\t",
    "a.js\u00a0",
    "a.js\u3000",
    " a.js",
    '"a.js"',
    "'a.js'",
    '"a.js',
    'a.js"x',
    'a."js"',
    "a.js\0",
    "a.js\0.txt",
    "\0a.js",
    "a\0.js",
    "a.js%00.txt",
    "a.js\n.txt",
    "a.js\r\n",
    "a.\r\njs",
    "a%2ejs",
    "a%2Ejs",
    "a%252ejs",
    "a.%6a%73",
    "a.js::$DATA",
    "a.js:$DATA",
    "a.js:Zone.Identifier",
    "C:\\temp\\a.js",
    "C:a.js",
    "\\\\host\\share\\a.js",
    "../../a.js",
    "/etc/a.js",
    "a.txt/../a.js",
    "x\\y/a.js",
    "a.js/",
    "a.\\js",
    "\\a\\.\\j\\s",
    "a.j\u200bs",
    "a.j\udce2\udc80\udc8bs",
    "a\u200d.js",
    "a.js\u200e",
    "a.\u202ejs",
    "\ufeffa.js",
    "a.j\u00ads",
    "a.j\x01s",
    "a.j\u00e2\u0080\u008bs",  # zero width space in UTF-8, read as latin-1
    "a.ｊｓ",
    "a．js",
    "a。js",
    "a․js",
    "𝐚.𝐣𝐬",
    "a.(x)js",
    "a.js(x)",
    "a.js?",
    "a.j*s",
    "=?utf-8?Q?a.js?=",
    "=?utf-8?B?YS5qcw==?=",
    "=?utf-8?Q?a?= =?utf-8?Q?.js?=",
    "a.=?utf-8?Q?js?=",
    "=?utf-8?Q?a.js",
    "=?utf-7?Q?a+AC4-js?=",
    "=?utf-16le?B?YQAuAGoAcwA=?=",
    "=?utf-8?Q?a%2Ejs?=",
]


@pytest.mark.parametrize("name", A_JS)
def test_forms_of_a_js(name: str) -> None:
    assert "a.js" in forms(name)
    assert "name.banned-extension" in dict(judge([name], DEFAULT_POLICY))


LONG = [
    "x" * 3000 + ".js",
    "x" * 252 + ".js.txt",  # cut at 255
    "dir/" * 900 + "x.js",
    "y\\" * 100 + "x" * 252 + ".js" + "z" * 9000,
    "%20" * 5000 + "x.js",
    "x.js" + " " * 60_000,
    "x" * (MAX_NAME - 3) + ".js",
]


@pytest.mark.parametrize("name", LONG)
def test_long_names(name: str) -> None:
    assert "name.banned-extension" in dict(judge([name], DEFAULT_POLICY))


HONEST = [
    "report.2024.pdf",
    "a.tar.gz",
    "Rechnung Nr. 12.pdf",
    "Grüße.docx",
    "отчёт.pdf",
    "报告。最终版.docx",
    "פירוט \u200fחשבון.pdf",
    "\u202bדוח.pdf\u202c",
    "👨\u200d👩\u200d👧.jpg",
    "می\u200cخواهم.txt",
    "cafe\u0301.png",
    "image001.png",
    "smime.p7s",
    "winmail.dat",
    "signature.asc",
    "cert.crt",
    "script.py",
    "data.mat",
    "Re: 12:30 meeting.eml",
    "Re: www.example.com: offer.pdf",
    "word/document.xml",
    "xl/worksheets/sheet1.xml",
    "50% off.pdf",
    "100%25.txt",
    "report (1).pdf",
    "archive.tar.bz2",
    "version 1.2.3",
    "example.community",
    "no extension",
    "js",
    "exe",
    "a.js.txt",
    "Name________________.docx",
    "ATT00001.htm",
    "{not a class id}.txt",
    "conference.txt",
    "nullable.c",
    ".profile",
    "",
    ".",
    "..",
]


@pytest.mark.parametrize("name", HONEST)
def test_honest_names(name: str) -> None:
    found = {finding for finding, _ in judge([name], DEFAULT_POLICY)}
    assert found.isdisjoint(DECEPTIVE), found
    assert found <= {"name.path", "name.trailing-dot"}


FINDINGS = [
    ("name.double-extension", "photo.jpg.scr"),
    ("name.double-extension", "photo.jpg .scr"),
    ("name.double-extension", "invoice.pdf.exe."),
    ("name.double-extension", "invoice.PDF______.exe"),
    ("name.hidden-extension", "invoice.pdf" + " " * 30 + ".exe"),
    ("name.hidden-extension", "invoice.pdf   .html"),
    ("name.hidden-extension", "invoice" + " " * 60 + ".docm"),
    ("name.rtlo", "invoice_\u202efdp.docm"),
    ("name.rtlo", "invoice_\u2067fdp.docm"),
    ("name.clsid", "readme.txt.{3050F4D8-98B5-11CF-BB82-00AA00BDCE0B}"),
    ("name.nul", "a.txt\0.pdf"),
    ("name.nul", "a.txt%00.pdf"),
    ("name.trailing-dot", "a.txt."),
    ("name.trailing-dot", "a.txt "),
    ("name.device", "CON"),
    ("name.device", "aux.c"),
    ("name.device", "dir/LPT1.txt"),
    ("name.device", "com\u00b9.txt"),
    ("name.device", "nul .txt"),
    ("name.alternate-stream", "a.txt::$DATA"),
    ("name.alternate-stream", "a.txt:b.exe"),
    ("name.control", "a\x01.txt"),
    ("name.control", "a.t\u200bxt"),
    ("name.path", "../a.txt"),
    ("name.path", "a/../../b.txt"),
    ("name.path", "C:\\a.txt"),
    ("name.path", "/etc/passwd"),
    ("name.path", "\\\\host\\a.txt"),
    ("name.long", "x" * 252 + ".txt"),
    ("name.long", "ä" * 130 + ".txt"),
    ("name.banned-extension", "www.example.com"),
    ("name.banned-extension", ".js"),
]


@pytest.mark.parametrize(("finding", "name"), FINDINGS)
def test_findings(finding: str, name: str) -> None:
    assert finding in dict(judge([name], DEFAULT_POLICY))


@pytest.mark.parametrize("name", ["a.txt.", "a\x01.txt", "../a.txt", "a.txt\0", "CON", "a.txt::$DATA", "x" * 300])
def test_odd_is_not_deceptive(name: str) -> None:
    found = judge([name], DEFAULT_POLICY)
    assert found
    assert {finding for finding, _ in found}.isdisjoint(DECEPTIVE)


def test_policy() -> None:
    policy = NamePolicy(frozenset(("docm",)), (re.compile(r"\Ainvoice_"),))
    assert [finding for finding, _ in judge(["A.DOCM"], policy)] == ["name.banned-extension"]
    assert judge(["a.jar"], policy) == []
    assert judge(["Invoice_7.zip"], policy) == [("name.banned", "invoice_7.zip")]
    assert [finding for finding, _ in judge(["a.pdf.exe"], policy)] == ["name.double-extension"]  # a disguise, even of what is allowed


def test_every_name_counts_and_each_finding_comes_once() -> None:
    assert judge(["a.txt", "b.exe", "c.exe"], DEFAULT_POLICY) == [("name.banned-extension", "exe: b.exe")]
    assert judge([], DEFAULT_POLICY) == []


def test_extension() -> None:
    assert extension("a.tar.gz") == "gz"
    assert extension("a") == ""
    assert extension(".js") == "js"
    assert extension("a. js") == "js"
    assert extension("") == ""
    assert extension("a.{3050f4d8-98b5-11cf-bb82-00aa00bdce0b}") == "{3050f4d8-98b5-11cf-bb82-00aa00bdce0b}"


def test_double_extension() -> None:
    assert double_extension("a.pdf.exe") == "pdf"
    assert double_extension("a.pdf . exe") == "pdf"
    assert double_extension("a.min.js") == ""
    assert double_extension("a.exe") == ""
    assert double_extension("a") == ""


def test_printable() -> None:
    assert printable("a\u202eb\n") == "a\\u202eb\\n"
    assert len(printable("x" * 1000)) == 120
    assert printable("grün") == "grün"


STRANGE = [
    "=?utf-8?Q?",
    "?=",
    "=?x?b?",
    "%",
    "%00",
    "%2e",
    ".",
    "..",
    "/",
    "\\",
    ":",
    "::$DATA",
    '"',
    "'",
    "(",
    ")",
    "\0",
    "\r\n",
    " ",
    "\u202e",
    "\u200b",
]
STRANGE += ["。", "\ud800", "\ufdfa", "{", "}", "exe", "js", "pdf", "\u0301", "_", "*", "{3050F4D8-98B5-11CF-BB82-00AA00BDCE0B}"]


@given(st.lists(st.sampled_from(STRANGE) | st.text(max_size=3), max_size=30).map("".join))
def test_any_name(name: str) -> None:
    found = forms(name)
    assert len(found) <= MAX_FORMS
    assert len(set(found)) == len(found)
    for form in found:
        assert form == form.casefold()
        assert len(form) <= 2 * 512
        assert "\0" not in form
        assert "/" not in form.rstrip("/") or "\\" in name
        extension(form)
        double_extension(form)
    for _, detail in judge([name], DEFAULT_POLICY):
        assert detail.isprintable()
        assert len(detail) <= 1300


@pytest.mark.parametrize("unit", [*STRANGE, "a.b:", "=?utf-8?Q?a=", "=?x?q?=?", "\u0323\u0301", ".a   ", "%41", "\x01\u0100"])
def test_long_repetitions(unit: str) -> None:
    """Anything quadratic would not end."""
    name = unit * (MAX_NAME // len(unit))
    assert len(forms(name + ".js")) <= MAX_FORMS
    judge([name + name], DEFAULT_POLICY)


def test_dangerous_forms_do_not_drown() -> None:
    """However many readings there are, the dangerous one is among them."""
    noise = "".join(f"=?utf-8?Q?{n}=25{n:02x}?=(c):\\" for n in range(20))
    assert "name.banned-extension" in dict(judge([noise + "x.exe"], DEFAULT_POLICY))
    assert len(forms(noise + "\0\n\r%00x.exe")) < MAX_FORMS
