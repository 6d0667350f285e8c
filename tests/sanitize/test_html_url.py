"""Addresses: known schemes stay, all others go."""

from __future__ import annotations

import pytest

from lazaretto.sanitize.html_url import Url, link, load


@pytest.mark.parametrize(
    "kept",
    [
        "http://example.org/",
        "HTTPS://example.org/?a=b:c",
        "mailto:a@example.org",
        "tel:+49",
        "cid:1@example.org",
        "#part",
        "",
        "page.html",
        "/path",
        "//example.org/x",
        "?q=javascript:1",
        "{{ unsubscribe }}",
        "[url]",
        "a/b:c",
        "ftp://example.org",
    ],
)
def test_links_that_stay(kept: str) -> None:
    assert link(kept) == Url(kept)


@pytest.mark.parametrize(
    ("gone", "why"),
    [
        ("javascript:x", "javascript"),
        ("JaVaScRiPt:x", "javascript"),
        (" \x01javascript:x", "javascript"),
        ("java\tscri\npt:x", "javascript"),
        ("java\u200bscript:x", "javascript"),
        ("java script:x", "javascript"),
        ("javascript :x", "javascript"),
        ("vbscript:x", "vbscript"),
        ("data:text/html,x", "data"),
        ("data:image/png;base64,AAAA", "data"),
        ("file:///etc", "file"),
        ("C:\\x", "c"),
        ("ms-msdt:/id", "ms-msdt"),
        ("search-ms:query", "search-ms"),
        ("blob:x", "blob"),
        ("about:blank", "about"),
        ("\\\\host\\share", "unc"),
        ("/\\host", "unc"),
    ],
)
def test_links_that_go(gone: str, why: str) -> None:
    assert link(gone) == Url("", why)


def test_line_ends_vanish() -> None:
    assert link("  http://exam\nple.org/\t ") == Url("http://example.org/")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://example.org/a.png", Url("http://example.org/a.png", "", True)),
        ("//example.org/a.png", Url("//example.org/a.png", "", True)),
        ("/a.png", Url("/a.png", "", True)),
        ("a.png", Url("a.png")),
        ("cid:a", Url("cid:a")),
        ("data:image/png;base64,AAAA", Url("data:image/png;base64,AAAA")),
        ("data:image/svg+xml;base64,AAAA", Url("", "data")),
        ("data:image/svg+xml,<svg>", Url("", "data")),
        ("data:text/html;base64,AAAA", Url("", "data")),
        ("data:image/png,<script>", Url("", "data")),
        ("javascript:x", Url("", "javascript")),
        ("mailto:x", Url("", "mailto")),
        ("\\\\host\\share\\a.png", Url("", "unc")),
    ],
)
def test_what_is_loaded(value: str, expected: Url) -> None:
    assert load(value) == expected


def test_fonts_only_where_fonts_are() -> None:
    font = "data:font/woff2;base64,AAAA"
    assert load(font) == Url("", "data")
    assert load(font, font=True) == Url(font)
