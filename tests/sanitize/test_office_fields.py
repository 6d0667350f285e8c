"""Which fields of Word act."""

from __future__ import annotations

import pytest

from lazaretto.sanitize.office_fields import acts, local, ordinary


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (["DDEAUTO c:\\x"], "dde"),
        ([' "dde" x'], "dde"),
        (["D", "DE", "AUTO x"], "dde"),
        (["D\u00adD\u200bE x"], "dde"),
        ([None, " c:\\x"], "dde"),
        (["  ", None], "dde"),
        (["DD", None, " x"], "dde"),
        (["INCLUDETEXT http://192.0.2.1/"], "field"),
        (["IncludePicture x"], "field"),
        (["LINK Excel.Sheet x"], "field"),
        (['HYPERLINK "javascript:x"'], "field"),
        (['HYPERLINK \\l "ms-msdt:x"'], "field"),
        (["HYPERLINK \\\\192.0.2.1\\x"], "field"),
        (['HYPERLINK "https://example.org/link?dde"'], ""),
        (["HYPERLINK \\l mark"], ""),
        (["PAGE"], ""),
        (["ddelink"], ""),
        (["IF ", None, " = 1 a b"], ""),
        (["= 1 + ", None], ""),
        ([""], ""),
        ([], ""),
        (["123"], ""),
    ],
)
def test_fields(code: list[str | None], kind: str) -> None:
    assert acts(code) == kind


def test_ordinary_addresses() -> None:
    for address in ("https://example.org", "HTTP://x", "mailto:a@example.org", "tel:1", "#here", "a.docx", "folder/a.docx", "", "sip:x"):
        assert ordinary(address)
    for address in ("javascript:x", "file:///x", "c:\\x", "\\\\192.0.2.1\\x", "//192.0.2.1/x", " ms-msdt:x", "data:text/html,x"):
        assert not ordinary(address)


def test_local_paths() -> None:
    for path in ("Normal.dotm", " C:\\Users\\a\\x.dotx", "file:///C:/x.dot", "file:///c:\\x.dot", "My template.dot"):
        assert local(path)
    for path in (
        "http://x/y",
        "\\\\192.0.2.1\\x",
        "//192.0.2.1/x",
        "file://192.0.2.1/x",
        "file:///\\\\x\\y",
        "C:\\\\x",
        "a/b.dot",
        "mhtml:x",
        "",
    ):
        assert not local(path)
