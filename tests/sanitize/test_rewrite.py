"""Small changes to what stays: only where the configuration asks for them, only to what is too long or a script."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.mime import scanner, transfer
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Part
from lazaretto.sanitize import rewrite
from lazaretto.sanitize.rewrite import Rewriting

ALL = Rewriting(long_fields=True, shell_scripts=True)


def nothing(_part: Part) -> bool:
    return False


def rewritten(
    message: bytes, how: Rewriting = ALL, stays: Callable[[Part], bool] = nothing, names: frozenset[str] = frozenset(), eol: bytes = b"\r\n"
) -> tuple[bytes, list[str]]:
    source = Source(message)
    changes = list(rewrite.changes(source, scanner.parse(source), how, stays, names, eol))
    return b"".join(render(source, [edit for change in changes for edit in change.edits])), [change.what for change in changes]


def headed(*fields: bytes, body: bytes = b"text\r\n") -> bytes:
    return b"".join(field + b"\r\n" for field in (b"From: a@x", *fields)) + b"\r\n" + body


SCRIPT = headed(body=b"#!/bin/sh\r\nrm -rf /\r\n")
LONG = headed(b"Subject: " + b"a" * 300 + b".exe", b"Comments: " + b"w" * 257)


@pytest.mark.parametrize("message", [SCRIPT, LONG])
def test_without_configuration_nothing(message: bytes) -> None:
    assert rewritten(message, Rewriting()) == (message, [])


def test_each_on_its_own() -> None:
    assert rewritten(SCRIPT, Rewriting(long_fields=True)) == (SCRIPT, [])
    assert rewritten(LONG, Rewriting(shell_scripts=True)) == (LONG, [])


def test_long_fields() -> None:
    output, what = rewritten(LONG)
    assert what == ["long-subject", "long-word"]
    assert output == headed(
        b"Subject: DEFANGED[1] " + b"a" * 146 + b".exe",
        b"Comments: DEFANGED[2]:" + b"w" * 256 + b'" "w',
    )


def test_a_subject_keeps_whole_words_and_its_folds_go() -> None:
    words = b"\r\n ".join([b"word%02d" % number for number in range(60)] + [b"a.exe"])
    output, what = rewritten(headed(b"Subject:  " + words, b"To: b@x"))
    kept = b" ".join(b"word%02d" % number for number in range(40, 60)) + b" a.exe"
    assert (what, output) == (["long-subject"], headed(b"Subject:  DEFANGED[1] " + kept, b"To: b@x"))
    assert len(kept) <= rewrite.KEPT_SUBJECT


def test_a_date() -> None:
    output, what = rewritten(headed(b"Date: " + b"d" * 65 + b"\r\n e" * 1), eol=b"\r\n")
    assert (what, output) == (["long-date"], headed(b"Date: " + b"d" * 65, b"X-DEFANGED-Date: [1] e"))


@pytest.mark.parametrize(
    "field",
    [
        b"Subject: " + b"a" * 252 + b".exe",  # 256
        b"Subject: " + b"word " * 100,  # no file name
        b"Date: " + b"d" * 65,
        b"Comments: " + b"w" * 256,
        b"DKIM-Signature: b=" + b"w" * 700,
        b"ARC-Seal: b=" + b"w" * 700,
        b"X-Anything: " + b"w" * 700,
        b"Received: from " + b"w" * 700,
        b"Content-Description: " + b"w" * 700,
        b"Comments : " + b"w" * 700,  # clients read it differently
        b"Comments: \0" + b"w" * 700,
        b"Comments: \r" + b"w" * 700,
    ],
)
def test_fields_that_stay(field: bytes) -> None:
    assert rewritten(headed(field)) == (headed(field), [])


def test_fields_that_something_else_is_done_to() -> None:
    assert rewritten(LONG, names=frozenset(("subject", "comments"))) == (LONG, [])


def test_messages_in_messages_but_not_parts() -> None:
    inner = b"Comments: " + b"w" * 300 + b"\r\n\r\nhello\r\n"
    message = headed(b"Content-Type: message/rfc822", body=inner)
    assert rewritten(message)[1] == ["long-word"]
    multipart = headed(b"Content-Type: multipart/mixed; boundary=b", body=b"--b\r\n" + inner + b"--b--\r\n")
    assert rewritten(multipart) == (multipart, [])


INSERTED = b"#!/bin/sh\r\necho DEFANGED.1\r\nexit\r\n"


@pytest.mark.parametrize(
    ("before", "encoding"),
    [(b"", b"7bit"), (b"\r\n \r\n1\r\n2\r\n3\r\n4\r\n", b"8bit"), (b"", b"quoted-printable"), (b"one=20\r\n", b"quoted-printable")],
)
def test_a_script(before: bytes, encoding: bytes) -> None:
    head = b"Content-Transfer-Encoding: " + encoding
    script = b"#!/usr/bin/perl\r\nsystem 1;\r\n"
    assert rewritten(headed(head, body=before + script)) == (headed(head, body=before + INSERTED + script), ["shell-script"])


@pytest.mark.parametrize(
    "body",
    [
        b"1\r\n2\r\n3\r\n4\r\n5\r\n#!/bin/sh\r\n",
        b" #!/bin/sh\r\n",
        b"text #!/bin/sh\r\n",
        b"#\r\n!\r\n",
        b"",
        b"x" * rewrite.TOP + b"\r\n#!/bin/sh\r\n",
    ],
)
def test_no_script(body: bytes) -> None:
    assert rewritten(headed(body=body)) == (headed(body=body), [])


def test_soft_line_breaks_begin_no_line() -> None:
    message = headed(b"Content-Transfer-Encoding: quoted-printable", body=b"text=\r\n#!/bin/sh\r\n")
    assert rewritten(message) == (message, [])


@pytest.mark.parametrize("ending", [b"\r\n", b""])
def test_base64_is_written_anew(ending: bytes) -> None:
    content = b"\xff\xfe\n" + b"#!/bin/sh\n" + bytes(range(256)) * 10
    body = b"\r\n".join(base64.b64encode(content[at : at + 57]) for at in range(0, len(content), 57)) + ending
    message = headed(b"Content-Type: application/octet-stream", b"Content-Transfer-Encoding: base64", body=body)
    output, what = rewritten(message)
    assert what == ["shell-script"]
    source = Source(output)
    part = scanner.parse(source)
    assert b"".join(transfer.decode(source, part.body, "base64")) == content[:3] + INSERTED + content[3:]
    assert output.endswith(ending)
    assert max(map(len, output.split(b"\r\n"))) <= 76


def test_limit_of_base64(monkeypatch: pytest.MonkeyPatch) -> None:
    message = headed(b"Content-Transfer-Encoding: base64", body=base64.b64encode(b"#!/bin/sh\n" * 10))
    assert rewritten(message)[1] == ["shell-script"]
    monkeypatch.setattr(rewrite, "MAX_BASE64", 100)
    assert rewritten(message) == (message, [])


@pytest.mark.parametrize(
    ("media_type", "found"), [(b"text/x-sh", True), (b"application/x-sh", True), (b"application/octet-stream", True), (b"image/png", False)]
)
def test_which_parts(media_type: bytes, found: bool) -> None:
    assert bool(rewritten(headed(b"Content-Type: " + media_type, body=b"#!/bin/sh\r\n"))[1]) is found


def test_parts_that_stay() -> None:
    assert rewritten(SCRIPT, stays=lambda part: True) == (SCRIPT, [])


@given(st.binary(max_size=2000), st.sampled_from([b"7bit", b"base64", b"quoted-printable"]))
def test_any_message(body: bytes, encoding: bytes) -> None:
    """Edits never overlap, and nothing but what is inserted is new."""
    message = headed(b"Content-Transfer-Encoding: " + encoding, body=body)
    output, what = rewritten(message)
    assert (output == message) is not bool(what)
