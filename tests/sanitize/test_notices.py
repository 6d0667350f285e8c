"""Notices: correct MIME whatever the values, no value becomes syntax, templates are checked."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.model import Finding, Kind, Reason
from lazaretto.sanitize.names import display
from lazaretto.sanitize.notices import (
    LANGUAGES,
    Facts,
    Notice,
    Template,
    check,
    message_notice,
    parse,
    part_notice,
    shipped,
    summary,
    with_texts,
)

NOW = 1_782_900_000.0
EICAR_FOUND = Finding("yara", Kind.MALWARE, "Eicar-Test-Signature", (2,), "", None, ("2", "a.zip", "b.exe"))
MINIMAL = "%% part\nP ${file}\n%% message\nM\n%% finding\n- ${finding}\n%% reasons\n" + "".join(
    f"{word.value} = because {word.value}\n" for word in (*Kind, *Reason)
)


def load(language: str) -> Template:
    path = shipped(language)
    return parse(Path(path).read_text(encoding="utf-8"), path)


def read(notice: Notice, eol: bytes = b"\n") -> tuple[str, str]:
    """Text and file name, as the standard library's parser reads them."""
    message = email.message_from_bytes(notice.header + eol + notice.body, policy=email.policy.default)
    assert not message.defects
    assert message.get_content_type() == "text/plain"
    return message.get_content(), message.get_filename() or ""


def facts(*findings: Finding, file: str = "", quarantine_id: str = "") -> Facts:
    return Facts(findings, NOW, file, "policy.malware", "S1", quarantine_id, "mx.example.org")


def test_part_notice_in_full() -> None:
    notice = part_notice(load("en"), facts(EICAR_FOUND, file="invoice.pdf.exe", quarantine_id="S1"), b"\r\n")
    assert notice.header == (
        b'Content-Disposition: inline;\r\n filename="invoice_pdf_exe.txt"\r\n'
        b"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n"
    )
    assert notice.body.decode("ascii").split("\r\n") == [
        "This part of the message was removed, because it contains malware.",
        "",
        "Name: invoice.pdf.exe",
        "  * Eicar-Test-Signature (yara) in 2 / a.zip / b.exe",
        "",
        "The original message is kept in quarantine as S1. If you need it, ask",
        "your postmaster and give this number.",
        "The sender may not know about this: think twice before you ask for the",
        "file again.",
        "",
        "Lazaretto on mx.example.org, 2026-07-01 10:00 UTC, scan S1, rule",
        "policy.malware",
        "",
    ]


def test_lines_with_empty_variables_are_left_out() -> None:
    text, name = read(part_notice(load("en"), facts(Finding("scan", Kind.UNSCANNABLE, "zip.ratio", reason=Reason.LIMIT)), b"\n"))
    assert "quarantine" not in text
    assert "Name:" not in text
    assert "  * zip.ratio (scan)\n" in text
    assert "too large or too\ndeeply nested" in text
    assert "\n\n\n" not in text
    assert "${" not in text
    assert name == ""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("word", [*Kind, *Reason])
@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
def test_shipped_templates_know_every_reason(language: str, word: Kind | Reason, eol: bytes) -> None:
    finding = Finding("e", Kind.ERROR, "n", reason=word) if isinstance(word, Reason) else Finding("e", word, "n")
    template = load(language)
    for notice in (part_notice(template, facts(finding, file="ä.exe"), eol), message_notice(template, facts(finding), eol)):
        text, _ = read(notice, eol)
        assert template.reasons[word.value] in " ".join(text.split())
        for block in notice:
            assert block.endswith(eol)
            assert block.count(b"\r") == (block.count(b"\n") if eol == b"\r\n" else 0)
            assert all(len(line) <= 76 for line in block.splitlines())


def test_message_notice_has_no_name() -> None:
    notice = message_notice(load("de"), facts(EICAR_FOUND, file="x.exe"), b"\n")
    assert notice.header.startswith(b"Content-Type: text/plain; charset=")
    assert b"disposition" not in notice.header.lower()
    assert "Schadsoftware gefunden" in read(notice)[0]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("März.exe", b"filename*=utf-8''M%C3%A4rz_exe.txt"),
        ('a"\r\nX-Evil: 1.exe', b'filename="a___X-Evil_ 1_exe.txt"'),
        ("\u202egpj.exe", b'filename="_gpj_exe.txt"'),
        ("漢" * 500, b"filename*=utf-8''" + b"%E6%BC%A2" * 58 + b".txt"),
    ],
)
def test_file_name_parameter(name: str, line: bytes) -> None:
    header = part_notice(parse(MINIMAL), facts(EICAR_FOUND, file=name), b"\r\n").header
    assert header.split(b"\r\n")[1] == b" " + line
    assert max(map(len, header.split(b"\r\n"))) < 700


@pytest.mark.parametrize(
    "start", ["--boundary", ".", "From me", "-- ", "=3D", "x" * 73 + " --boundary", "ä" * 200, "x" * 74 + "--b", "\ud800"]
)
def test_values_do_not_become_syntax(start: str) -> None:
    template = parse(MINIMAL.replace("P ${file}", "${file}"))
    for file in (start, "é " + start):
        notice = part_notice(template, facts(EICAR_FOUND, file=file), b"\r\n")
        for line in notice.body.split(b"\r\n"):
            assert not line.startswith((b"-", b".", b"From "))
            assert len(line) <= 76
        shown = display(file)
        assert "".join(read(notice)[0].split()) == "".join(shown.split())


def test_values_are_not_expanded_again() -> None:
    text, _ = read(part_notice(parse(MINIMAL), facts(EICAR_FOUND, file="${scan_id} ${file} ${x}"), b"\n"))
    assert text == "P ${scan_id} ${file} ${x}\n"


def test_many_findings_are_cut_and_repeats_dropped() -> None:
    template = parse(MINIMAL.replace("P ${file}", "${findings}"))
    many = [Finding("e", Kind.MALWARE, f"name{n // 2}") for n in range(1000)]
    text, _ = read(part_notice(template, facts(*many), b"\n"))
    assert text.splitlines() == [f"- name{n}" for n in range(10)] + ["  ..."]


@given(
    st.text(st.characters(exclude_categories=()), max_size=200),
    st.text(st.characters(exclude_categories=()), max_size=200),
    st.sampled_from(["en", "de"]),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_any_value_gives_correct_mime(file: str, detail: str, language: str, eol: bytes) -> None:
    finding = Finding(detail, Kind.BANNED, file, (), detail, None, (file, detail))
    notice = part_notice(load(language), Facts((finding,), NOW, file, detail, file, detail, file), eol)
    text, name = read(notice, eol)
    assert name.endswith(".txt") == bool(file)
    assert "".join(display(file).split()) in "".join(text.split())
    assert notice.header.isascii()
    assert notice.body.isascii()
    assert not any(line.startswith((b"--", b".", b"From ")) for line in notice.body.splitlines())
    assert notice.body.replace(eol, b"").isascii()
    assert b"\n" not in notice.body.replace(eol, b"")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("hello", 1, "expected a comment"),
        ("# c\n\n%% prat\n", 3, "no section 'prat'"),
        (MINIMAL + "%% part\n", MINIMAL.count("\n") + 1, "second section 'part'"),
        ("%% part\n${fiel}\n", 2, r"unknown variable \$\{fiel\}; there are detail, file, finding"),
        ("%% finding\n${file}\n", 2, "unknown variable"),
        ("%% reasons\nmalware\n", 2, "expected REASON = phrase"),
        ("%% reasons\nvirus = x\n", 2, "expected REASON = phrase"),
        ("", 1, "section 'part' is missing or empty"),
        ("%% part\nx\n%% message\n\n", 3, "section 'message' is missing or empty"),
        (MINIMAL.replace("banned = because banned\n", ""), 7, "no phrase for banned"),
    ],
)
def test_template_errors_name_the_line(text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(text, "my.txt")
    assert str(caught.value).startswith(f"my.txt:{line}: ")


def test_the_worst_finding_gives_the_reason() -> None:
    template = parse(MINIMAL.replace("M\n", "${reason}\n"))
    for first, second in ((Kind.MALFORMED, Kind.UNSCANNABLE), (Kind.UNSCANNABLE, Kind.BANNED), (Kind.ERROR, Kind.MALWARE)):
        notice = message_notice(template, facts(Finding("e", first, "a"), Finding("e", second, "b")), b"\n")
        assert notice.body == b"because %s\n" % second.value.encode()


@given(st.integers(0, 13_569_465_600))  # 1970 to 2400
@example(951_868_799)  # end of 2000-02-29
@example(1_861_833_600)  # 2028-12-31
def test_time(seconds: int) -> None:
    template = parse(MINIMAL.replace("M\n", "${time}\n"))
    moment = datetime.fromtimestamp(seconds, UTC)
    notice = message_notice(template, Facts((), seconds), b"\n")
    assert notice.body.decode() == moment.strftime("%Y-%m-%d %H:%M UTC\n")


def test_wrong_line_ending() -> None:
    with pytest.raises(ValueError, match="line ending"):
        part_notice(parse(MINIMAL), facts(EICAR_FOUND), b"\r")


def test_texts_of_the_configuration() -> None:
    template = with_texts(parse(MINIMAL), "${file} is gone: ${finding:-no idea}\n\nAsk ${quarantine_id}", "${file} is ${saved_as}")
    assert read(part_notice(template, facts(EICAR_FOUND, file="a.exe"), b"\n"))[0] == "a.exe is gone: Eicar-Test-Signature\n"
    assert read(part_notice(template, facts(file="a.exe", quarantine_id="Q1"), b"\n"))[0] == "a.exe is gone: no idea\n\nAsk Q1\n"
    assert read(part_notice(template, facts(file="a.exe")._replace(saved_as="att-1"), b"\n"))[0] == "a.exe is att-1\n"
    assert read(message_notice(template, facts(), b"\n"))[0] == "M\n"


def test_without_a_text_for_saved_parts_the_other_is_for_them() -> None:
    template = with_texts(parse(MINIMAL), "gone", "")
    assert read(part_notice(template, facts(file="a")._replace(saved_as="att-1"), b"\n"))[0] == "gone\n"
    assert with_texts(parse(MINIMAL), "", "") == parse(MINIMAL)


def test_a_default_keeps_a_line() -> None:
    template = with_texts(parse(MINIMAL), "a ${detail}\nb ${detail:-}\nc ${detail:-%DETAIL}", "")
    assert read(part_notice(template, facts(), b"\n"))[0] == "b\nc %DETAIL\n"


def test_the_name_that_an_expression_has_found() -> None:
    template = with_texts(parse(MINIMAL), "${matched}", "")
    found = Finding("r", Kind.BANNED, "filerule.matched", (1,), "filetype.exe matches \\.exe$")
    assert read(part_notice(template, facts(found, file="a.txt"), b"\n"))[0] == "filetype.exe\n"
    assert read(part_notice(template, facts(EICAR_FOUND, file="a.txt"), b"\n"))[0] == "a.txt\n"


@pytest.mark.parametrize("texts", [("${nobody}", ""), ("", "a\n${nobody:-x}"), ("${}", "")])
def test_unknown_variables_in_texts(texts: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="unknown variable"):
        with_texts(parse(MINIMAL), *texts)


def test_a_summary_tells_what_was_found() -> None:
    notice = summary(load("en"), facts(EICAR_FOUND), "Changed on ${host}:\n", "\nAsk ${quarantine_id}.", b"\n")
    text, name = read(notice)
    assert text == "Changed on mx.example.org:\n  * Eicar-Test-Signature (yara) in 2 / a.zip / b.exe\n"
    assert name == ""
    assert b"Content-Disposition: inline\n" in notice.header


def test_check_of_texts() -> None:
    check("", "${file} ${finding:-x}")
    with pytest.raises(ValueError, match=r"unknown variable \$\{nobody\}"):
        check("", "a\n${nobody}")
