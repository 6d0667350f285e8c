from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import item_of
from lazaretto.content.candidates import (
    MAX_CANDIDATES,
    MAX_LENGTH,
    candidates,
    default_names,
    expressions,
    file_types,
    is_body_text,
    labels,
    matches_all,
    search,
)
from lazaretto.mime import scanner
from lazaretto.mime.source import Source

EXE = b"MZ\x90\0\x03\0\0\0"


@pytest.mark.parametrize(
    ("names", "media_type", "data", "expected"),
    [
        (("a.pdf",), "application/pdf", b"%PDF-1", {"a.pdf"}),
        (("A.PDF",), "application/pdf", b"%PDF-1", {"A.PDF", "a.pdf"}),
        (("a.txt",), "text/plain", EXE, {"a.txt", "filetype.exe", "filetype.txt"}),
        (("a.dat",), "application/octet-stream", b"\x89PNG", {"a.dat", "filetype.png"}),
        ((), "text/plain", b"hello", {"unnamed.txt", "filetype.txt"}),
        ((), "text/html", b"<p>", {"unnamed.html", "filetype.html"}),
        ((), "image/jpeg", b"\xff\xd8", {"unnamed.jpg", "filetype.jpeg"}),
        ((), "image/tiff", b"x", {"unnamed.tif", "filetype.tiff"}),
        ((), "image/gif", b"x", {"unnamed.gif", "filetype.gif"}),
        ((), "image/png", b"GIF89a", {"unnamed.png", "filetype.png", "filetype.gif"}),
        ((), "application/ms-tnef", b"x", {"winmail.dat"}),
        ((), "application/x-ms-dos-executable", b"x", {"unnamed.exe", "filetype.exe"}),
        (("untitled.exe",), "application/x-msdownload", b"x", {"untitled.exe", "unnamed.exe", "filetype.exe"}),  # mime.filenames made it up
        ((), "application/pdf", b"%PDF-1", {"unnamed.txt"}),
        ((), "", EXE, {"unnamed.txt", "filetype.exe"}),
        (("\n",), "text/plain", b"x", {"unnamed.txt", "filetype.txt"}),  # nobody could show that name
        ((), "message/rfc822", b"Subject: x\n\n", set()),
        (("a.eml",), "message/rfc822", b"Subject: x\n\n", {"a.eml"}),
        ((), "multipart/mixed", b"x", set()),
    ],
)
def test_candidates(names: tuple[str, ...], media_type: str, data: bytes, expected: set[str]) -> None:
    item = item_of(data, names=names, media_type=media_type)
    found = candidates(item)
    assert set(found.names) == expected
    assert found.complete
    assert set(found.given) <= expected


@pytest.mark.parametrize(
    "name", ["a.exe. ", "C:\\x\\a.exe", "a.exe\0.txt", "=?utf-8?B?YS5leGU=?=", "a.ex\u200be", "a.exe::$DATA", "a%2eexe"]
)
def test_every_form_of_a_name_counts(name: str) -> None:
    assert search(expressions([r"^a\.exe$"]), candidates(item_of(b"x", names=(name,))).names)


def test_the_text_of_a_mail_is_no_program() -> None:
    body = item_of(b"MZ Bank, Mainz", media_type="text/plain", type="text")
    assert is_body_text(body)
    assert file_types(body) == ("txt",)
    for changed in (body._replace(names=("letter.txt",)), body._replace(type="mz"), body._replace(media_type="application/octet-stream")):
        assert not is_body_text(changed)
        assert "exe" in file_types(changed)


def test_default_names_by_type() -> None:
    assert default_names(item_of(b"", media_type="application/vnd.ms-tnef")) == ("winmail.dat",)
    assert default_names(item_of(b"", media_type="application/zip")) == ("unnamed.txt",)
    assert default_names(item_of(b"", media_type="message/global")) == ()


def test_a_long_name_is_cut_to_its_end() -> None:
    found = candidates(item_of(b"x", names=("start" + "a" * 100_000 + ".exe",)))
    assert max(map(len, found.names)) <= MAX_LENGTH
    assert search(expressions([r"a\.exe$"]), found.names)
    assert search(expressions(["^start"]), found.names)  # as a file system cuts it
    assert found.complete


def test_too_many_names() -> None:
    found = candidates(item_of(b"x", names=tuple(f"{n}.dat" for n in range(MAX_CANDIDATES + 10))))
    assert not found.complete
    assert len(found.names) <= MAX_CANDIDATES + 4096
    assert candidates(item_of(b"x", names=tuple(f"{n}.dat" for n in range(MAX_CANDIDATES - 10)))).complete


def test_expressions_are_compiled_one_by_one_and_without_case() -> None:
    patterns = expressions([r"(?s)a.b", r"\.EXE$", "x|y"])
    assert search(patterns, ["q", "c.exe"]) == ("c.exe", r"\.EXE$")
    assert search(patterns, ["A\nB"]) == ("A\nB", "(?s)a.b")
    assert search(patterns, ["c"]) is None
    assert search((), ["c"]) is None


@pytest.mark.parametrize("text", ["(", "a**", "[", "(?P<x", r"\p{L}", "(" * 200, "a{99999999999999999999}", "a(?i)b"])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression"):
        expressions(["fine", text])


def test_classes_of_perl_are_refused_not_misread() -> None:
    with pytest.raises(ValueError, match=r"has a class \[:alpha:\]"):
        expressions(["[[:alpha:]]"])


@pytest.mark.filterwarnings("error")
def test_no_warning_reaches_the_log() -> None:
    assert search(expressions(["^[[]+$", "a[&&b]"]), ["[["]) == ("[[", "^[[]+$")
    assert not matches_all("[[]--[a&&b]")


@pytest.mark.parametrize("text", [".*", ".", ".+", "^.*$", "^.*", "(?i).*", "(?s).+", "", "a*", "(exe)?", "(?:exe)?", "x|", ".*?", "a|.*"])
def test_matches_all(text: str) -> None:
    assert matches_all(text)


@pytest.mark.parametrize(
    "text",
    [r"\.exe$", "^$", "^a?$", "$^", "(?!x)", "^(?!.*exe$).*", r"\b.*", r"\Z", "a", ".exe", "(?<=a)", "(?=)", "[^x]*", "(", "(?<!x)", ".."],
)
def test_matches_not_all_or_not_for_sure(text: str) -> None:
    assert not matches_all(text)


@given(
    st.one_of(st.sampled_from(["^.*$", ".+$", "."]), st.text(alphabet="aex.*?+|()^$\\[]!:=<i{}0", max_size=8)),
    st.text(alphabet="ab.\n\r\0\u2028 ", max_size=6),
)
def test_what_is_said_to_match_all_matches_every_file(text: str, name: str) -> None:
    if matches_all(text):
        assert search(expressions([text]), candidates(item_of(b"", names=(name,))).names)


@given(
    st.lists(st.text(max_size=40), max_size=5), st.binary(max_size=600), st.sampled_from(["", "text/plain", "image/png", "message/rfc822"])
)
def test_names_are_bounded_and_none_is_empty(names: list[str], data: bytes, media_type: str) -> None:
    found = candidates(item_of(data, names=tuple(names), media_type=media_type))
    assert all(0 < len(name) <= MAX_LENGTH for name in found.names)
    assert len(set(found.names)) == len(found.names)
    assert set(found.given) <= set(found.names)
    if not media_type.startswith("message/"):
        assert found.names


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"Content-Description: foo.exe\r\n", ("foo.exe",)),
        (b"Content-Description: =?utf-8?Q?foo=2Eexe?=\r\n", ("foo.exe",)),
        (b"Content-Description: no name\r\n", ()),
        (b"Content-Description: The end.\r\n", ()),
        (b"Content-ID: <foo.exe@host.example.com>\r\n", ("foo.exe",)),
        (b"Content-ID: <foo@host.com>\r\n", ()),
        (b"Content-ID: <foo.exe>\r\n", ("foo.exe",)),
        (b"Subject: foo.exe\r\n", ()),
        (b"Content-ID: <a.b@x>\r\n" * 99, ("a.b",) * 16),
    ],
)
def test_labels(header: bytes, found: tuple[str, ...]) -> None:
    assert labels(scanner.parse(Source(header + b"\r\n")).fields) == found


def test_labels_are_names_but_not_given_ones() -> None:
    named = candidates(item_of(b"x", names=("a.txt",)), labels=("foo.exe",))
    assert "foo.exe" in named.names
    assert named.given == candidates(item_of(b"x", names=("a.txt",))).given
