"""Forms: each takes what it should, and of everything else says what it expected."""

from __future__ import annotations

import pytest

from lazaretto.policy.forms import FORMS, did_you_mean, one_of


@pytest.mark.parametrize(
    ("form", "value", "result"),
    [
        ("flag", True, True),
        ("count", 1, 1),
        ("number", 0, 0),
        ("seconds", 1, 1.0),
        ("path", "", ""),
        ("path", "/a", "/a"),
        ("mode", "0660", 0o660),
        ("level", "LOG_ERR", 3),
        ("facility", "mail", 2),
        ("address", "[::1]:25", "[::1]:25"),
        ("address", "unix:/run/a", "unix:/run/a"),
        ("address or nothing", "", ""),
        ("smtp protocol", "lmtp", "lmtp"),
        ("hostname", "mx.example.org", "mx.example.org"),
        ("hostname", "", ""),
        ("ident or nothing", "nobody", "nobody"),
        ("line ends", "reject", "reject"),
        ("stray line ends", "pass", "pass"),
        ("log format", "json", "json"),
        ("html profile", "remote", "remote"),
        ("disarmed formats", ["ole", "pdf"], ("ole", "pdf")),
        ("disarmed formats", [], ()),
        ("networks", ["10.0.0.0/8", "::1", "2001:db8::/32"], ("10.0.0.0/8", "::1", "2001:db8::/32")),
        ("expressions", ["(?i)a"], ("(?i)a",)),
        ("words", ["limit"], ["limit"]),
        ("milter addresses", [], ()),
        (
            "milter addresses",
            [
                "127.0.0.1:1",
                "[::1]:1",
                "unix:/a",
                "local:/a",
                "inet:1",
                "inet:1@h",
                "inet:milter@[127.0.0.1]",
                "inet6:1@::1",
                "inet6:1@[::1]",
            ],
            (
                "127.0.0.1:1",
                "[::1]:1",
                "unix:/a",
                "local:/a",
                "inet:1",
                "inet:1@h",
                "inet:milter@[127.0.0.1]",
                "inet6:1@::1",
                "inet6:1@[::1]",
            ),
        ),
        ("suffix", ".DEFANGED-$N", ".DEFANGED-$N"),
        ("suffix", ".txt", ".txt"),
        ("defanged type", "application/DEFANGED-$N", "application/DEFANGED-$N"),
        ("word", "BLACKLISTED", "BLACKLISTED"),
        ("content id", "", ""),
        ("fields", ["X-A: b", "X-C:d "], ((b"X-A", b"b"), (b"X-C", b"d"))),
        ("forced fields", ["MIME-Version: 1.0", "Subject: (none)"], ((b"MIME-Version", b"1.0"), (b"Subject", b"(none)"))),
        ("forced fields", ['Content-Type: text/plain; charset="iso-8859-1"'], ((b"Content-Type", b'text/plain; charset="iso-8859-1"'),)),
        ("field names", ["Content-Length", "Lines"], frozenset(("content-length", "lines"))),
    ],
)
def test_what_is_taken(form: str, value: object, result: object) -> None:
    assert FORMS[form](value) == result


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ("flag", 1, "true or false"),
        ("count", True, "a whole number"),
        ("number", False, "a whole number"),
        ("number", -1, "a whole number"),
        ("seconds", float("inf"), "a number of seconds"),
        ("path", "a", "an absolute path"),
        ("mode", "rw", "permissions in octal"),
        ("level", 9, "a syslog level"),
        ("level", True, "a text in quotes"),
        ("facility", "post", "a syslog facility"),
        ("address", "mx", "a list of addresses"),
        ("address", "", "a list of addresses"),
        ("smtp protocol", "http", "one of smtp, lmtp"),
        ("milter addresses", "inet:1@h", "a list of addresses"),
        ("milter addresses", ["inet:"], "a list of addresses"),
        ("milter addresses", ["inet:1@"], "a list of addresses"),
        ("milter addresses", ["local:a"], "a list of addresses"),
        ("milter addresses", ["inet:1@a b"], "a list of addresses"),
        ("hostname", "a b", "a host name"),
        ("hostname", "-a", "a host name"),
        ("ident or nothing", "a b", "a program's name"),
        ("line ends", "pass", "one of reject, normalise"),
        ("stray line ends", "keep", "one of pass, normalise, reject"),
        ("networks", "10.0.0.0/8", "a list of networks"),
        ("networks", ["localhost"], "a list of networks"),
        ("expressions", ["("], "regular expressions"),
        ("words", ["virus"], "one of malware"),
        ("suffix", "txt", "a dot and letters"),
        ("suffix", ".a.b", "a dot and letters"),
        ("suffix", ".EXE", "an extension that no program runs"),
        ("defanged type", "text/html", 'begins with "application/"'),
        ("defanged type", "application/x; a=b", 'begins with "application/"'),
        ("word", "", "letters, digits"),
        ("word", 'a"', "letters, digits"),
        ("content id", "a b", "letters, digits"),
        ("fields", "X-A: b", "a list of header fields"),
        ("fields", ["X-A"], "header fields of one line"),
        ("fields", ["X-A: b\nX-C: d"], "header fields of one line"),
        ("fields", ["X A: b"], "header fields of one line"),
        ("fields", ["Content-Type: text/html"], "other fields than Content-Type"),
        ("forced fields", ["Content-Type: text/html"], "other fields than Content-Type"),
        ("forced fields", ["MIME-Version: 2.0"], "other fields than MIME-Version"),
        ("field names", ["Content-Type"], "names of header fields that say nothing about the content"),
        ("field names", ["a b"], "names of header fields that say nothing about the content"),
    ],
)
def test_what_is_not(form: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        FORMS[form](value)
    assert expected in str(caught.value)


def test_one_of() -> None:
    assert one_of("a", ["a", "b"]) == "a"
    for wrong in ("c", 1, ["a"], None):
        with pytest.raises(ValueError, match="one of a, b"):
            one_of(wrong, ["a", "b"])


def test_did_you_mean() -> None:
    assert did_you_mean("replce", ["replace", "pass"]) == " (did you mean replace?)"
    assert did_you_mean("xyz", ["replace", "pass"]) == ""
    assert did_you_mean("replace" * 100, ["replace"]) == ""
    assert did_you_mean(3, ["replace"]) == ""
