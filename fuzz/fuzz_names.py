"""File names: never an exception, bounded forms, printable details."""

from __future__ import annotations

from lazaretto.content.names import DEFAULT_POLICY, MAX_FORMS, double_extension, extension, forms, judge

SEEDS: list[bytes] = [
    b"a.js::$DATA",
    b"a.txt:b.exe",
    b"C:\\temp\\..\\a.js. . ",
    b"a.js%00.txt",
    b"=?utf-8?Q?a=2Ejs?= =?utf-16be?B?AC4AagBz?=",
    "invoice_\u202efdp.\u200bexe".encode(),
    "a．ｊｓ。exe".encode(),
    b"readme.{3050F4D8-98B5-11CF-BB82-00AA00BDCE0B}",
    b"invoice.pdf                        .exe",
    b'"a.(x)j"s\0\r\n',
]


def target(data: bytes) -> None:
    for name in (data.decode("utf-8", "surrogateescape"), data.decode("latin-1")):
        found = forms(name)
        assert len(found) <= MAX_FORMS
        for form in found:
            assert form == form.casefold()
            assert len(form) <= 1024
            extension(form)
            double_extension(form)
        findings = judge([name], DEFAULT_POLICY)
        assert len({finding for finding, _ in findings}) == len(findings)
        assert all(detail.isprintable() for _, detail in findings)
