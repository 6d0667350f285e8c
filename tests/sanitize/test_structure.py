"""One step towards the canonical form: edits for what is wanted, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ambiguous_mail import FILE, HEAD, MAIL, TEXT, leaf, multi
from lazaretto.mime import ambiguous, scanner
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Edit
from lazaretto.sanitize import structure


def stored(chunks: Iterable[bytes]) -> Source:
    return Source(b"".join(chunks))


def step(message: bytes) -> tuple[Edit, ...]:
    source = Source(message)
    root = scanner.parse(source)
    wanted: dict[tuple[int, ...], frozenset[str]] = {}
    for part, name in structure.anomalies(source, root):
        wanted[part.path] = wanted.get(part.path, frozenset()) | {name}
    return structure.repair(source, root, wanted, stored)


def after(message: bytes) -> bytes:
    return b"".join(render(Source(message), step(message)))


@pytest.mark.parametrize("message", [message for _, message in MAIL], ids=[name for name, _ in MAIL])
def test_each_class_gets_an_edit(message: bytes) -> None:
    assert step(message)
    assert after(message) != message


@pytest.mark.parametrize("message", [leaf(b"X-A: b"), multi(), multi(body=b"before\r\n--foo\r\n" + TEXT + b"--foo--\r\nafter\r\n")])
def test_what_is_unambiguous_gets_none(message: bytes) -> None:
    assert step(message) == ()


def test_nothing_is_done_about_what_is_not_wanted() -> None:
    source = Source(leaf(b"Content-Type: text/plain; x"))
    root = scanner.parse(source)
    assert structure.repair(source, root, {}, stored) == ()
    assert structure.repair(source, root, {(): frozenset(("mime.long-boundary",))}, stored) == ()


def test_only_the_part_that_is_ambiguous_is_touched() -> None:
    odd = b"Content-Type: text/plain; x\r\n\r\nhello\r\n"
    message = multi(body=b"before\r\n--foo\r\n" + odd + b"--foo\r\n" + FILE + b"--foo--\r\nafter\r\n")
    (edit,) = step(message)
    at = message.index(odd)
    assert (edit.span.start, edit.data) == (at, b"Content-Type: text/plain\r\n\r\n")


def test_the_same_message_gets_the_same_boundary_and_another_gets_another() -> None:
    first = multi(b"multipart/mixed; boundary=foo; boundary=bar")
    assert after(first) == after(first)
    boundary = after(first).split(b"boundary=")[1].split(b"\r\n")[0].strip(b'"')
    other = first.replace(b"hello", b"world")
    assert boundary not in after(other)
    assert after(first).count(b"--" + boundary) == 3


def test_the_likeliest_boundary_is_one_whose_delimiters_are_there() -> None:
    body = b"--bar\r\n" + TEXT + b"--bar--\r\n"
    for kind in (
        b"multipart/mixed; boundary=foo; boundary=bar",
        b"multipart/mixed; boundary=foo",
        b"multipart/mixed",
        b"multipart/mixed\r\nboundary=bar",
    ):
        assert after(multi(kind, body)).split(b"\r\n\r\n", 1)[1].count(TEXT) == 1
        assert b"bar" not in after(multi(kind, body))


def test_max_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"".join(b"--b%d\r\nContent-Type: text/plain\r\n\r\nx\r\n" % number for number in range(60))
    monkeypatch.setattr(structure, "MAX_CANDIDATES", 0)
    assert b"multipart" not in after(multi(b"multipart/mixed", body))


def test_guess_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "GUESS_BYTES", 100)
    body = b"x" * 200 + b"\r\n--foo\r\n" + TEXT + b"--foo--\r\n"
    assert b"multipart" not in after(multi(b"multipart/mixed", body))
    assert b"multipart" in after(multi(b"multipart/mixed", body[150:]))


def test_a_digest_gets_headers_for_its_messages() -> None:
    body = b"--foo\r\n\r\nContent-Type: text/plain\r\n\r\nhello\r\n--foo--\r\n"
    assert b"--foo\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: text/plain\r\n" in after(
        multi(b"multipart/digest; boundary=foo", body)
    )


def test_messages_get_their_version() -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\nContent-Type: text/plain; x\r\n\r\nhello\r\n"
    message = multi(body=b"--foo\r\n" + inner + b"--foo--\r\n").replace(b"MIME-Version: 1.0\r\n", b"")
    output = after(message)
    assert output.count(b"MIME-Version: 1.0") == 2
    assert output.index(b"MIME-Version") < output.index(b"Content-Type: multipart")


def test_sealed_parts_get_none() -> None:
    sealed = multi(b"multipart/signed; boundary=foo; boundary=bar", b"--foo\r\nContent-Type: text/plain; x\r\n\r\nhello\r\n--foo--\r\n")
    assert step(sealed) == ()
    assert step(HEAD + b"Content-Type: application/pkcs7-mime; x\r\n\r\nhello\r\n") == ()


def test_a_text_without_any_header_gets_none() -> None:
    assert step(b"hello\r\nworld\r\n") == ()


def test_where_bare_crs_and_nuls_are() -> None:
    message = (
        HEAD
        + b"X: \0\r\nContent-Type: multipart/mixed; boundary=foo\r\n\r\na\rb\r\n--foo\r\n"
        + TEXT
        + b"\0\r\n--foo\r\n"
        + FILE
        + b"--foo--\r\n"
    )
    source = Source(message)
    found = {(part.path, name) for part, name in structure.located(source, scanner.parse(source))}
    assert found == {((), "mime.bare-cr"), ((), "mime.nul"), ((1,), "mime.nul")}
    assert {name for _, name in found} <= ambiguous.CANONICAL
