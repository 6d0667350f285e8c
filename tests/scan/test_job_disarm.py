"""What acts in pages is taken out of the message, as the configuration says, and shown to be gone."""

from __future__ import annotations

import base64
import json
import quopri
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import html_cases
import scanners
import wrappings
from html_cases import Case
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import scanner, transfer
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Envelope, Kind, Part, Report, Treatment
from lazaretto.policy.rules import DEFAULT_ACTIONS, Action, Policy, Rule
from lazaretto.sanitize import html
from lazaretto.scan.report import final_pairs, outcome

QUIET = Policy(status_field=b"")
HTML = b"Content-Type: text/html; charset=utf-8\r\n"
PAGE = "<html><body onload='x()'><p>Grüße, 1 + 1 €<script>alert(1)</script>\r\n-- \r\nA.</p>\r\n</body></html>\r\n".encode()
CLEAN = b"<html><body><p>Gr&#252;&#223;e, 1 &#43; 1 &#8364;\r\n&#45;- \r\nA.</p>\r\n</body></html>\r\n"


def through(
    state: Path, message: bytes, profile: str = html.SCRIPTS, policy: Policy = QUIET, limits: Limits = DEFAULT
) -> tuple[Report, bytes]:
    machine = scanners.make(state, [], policy, limits)
    machine.html_profile = profile
    report, output = scanners.through(machine, message)
    if report.verdict.disposition is Disposition.ACCEPT:
        again, same = scanners.through(machine, output)
        assert same == output, final_pairs(again, Envelope())  # a second time changes nothing
    return report, output


def found(report: Report) -> set[str]:
    return {finding.name for finding in report.findings if finding.engine == "html"}


def encoded(content: bytes, encoding: str, eol: bytes = b"\r\n") -> bytes:
    if encoding == "base64":
        return base64.encodebytes(content).replace(b"\n", eol)
    return quopri.encodestring(content.replace(b"\r\n", b"\n")).replace(b"\n", eol) if encoding == "quoted-printable" else content


def content_of(message: bytes, path: tuple[int, ...] = ()) -> bytes:
    source = Source(message)
    part = next(part for part in scanner_walk(source) if part.path == path)
    return b"".join(transfer.decode(source, part.body, part.encoding))


def scanner_walk(source: Source) -> Sequence[Part]:
    from lazaretto.mime import tree

    return list(tree.walk(scanner.parse(source)))


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", "base64", "quoted-printable"])
def test_a_lone_page(tmp_path: Path, encoding: str) -> None:
    header = HTML + b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n"
    message = wrappings.single(header, encoded(PAGE, encoding))
    report, output = through(tmp_path, message)
    assert outcome(report) == "cleaned"
    assert found(report) == {"html.handler", "html.script"}
    assert content_of(output) == CLEAN
    assert output.partition(b"\r\n\r\n")[0] == message.partition(b"\r\n\r\n")[0]  # no field has changed
    assert [path.read_bytes() for path in (tmp_path / "quarantine").rglob("*.eml")] == [message]


def test_a_message_with_lf(tmp_path: Path) -> None:
    message = wrappings.single(HTML, PAGE).replace(b"\r\n", b"\n")
    _, output = through(tmp_path, message)
    assert output.endswith(CLEAN.replace(b"\r\n", b"\n"))
    assert b"\r" not in output


def alternative(page: bytes, header: bytes = HTML) -> bytes:
    parts = b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n" + header + b"\r\n" + page + b"\r\n--b--\r\n"
    return wrappings.single(b"Content-Type: multipart/alternative; boundary=b\r\n", parts)


def test_one_part_of_several(tmp_path: Path) -> None:
    report, output = through(tmp_path, alternative(b"<p onclick=x>hi"))
    assert output == alternative(b"<p>hi")
    assert report.verdict.treatments == (((2,), Treatment.DISARM),)
    pairs = final_pairs(report, Envelope())
    assert (pairs["disarmed"], pairs["findings"], pairs["rule"]) == ("2", "html.handler(html,2)", "policy.disarmed")
    assert "replaced" not in pairs


@pytest.mark.parametrize("profile", [html.OFF, html.SCRIPTS, html.REMOTE])
def test_what_does_nothing_is_byte_for_byte_the_same(tmp_path: Path, profile: str) -> None:
    message = alternative("<P Class=x>Grüße <a href='https://example.org/?a&b'>x</A><img src=cid:1>".encode())
    report, output = through(tmp_path, message, profile)
    assert output == message
    assert (report.edits, outcome(report)) == ((), "clean")
    assert not (tmp_path / "quarantine").exists()


def test_off_means_that_nobody_looks(tmp_path: Path) -> None:
    message = alternative(b"<script>x</script>")
    assert through(tmp_path, message, html.OFF)[1] == message


def test_remote(tmp_path: Path) -> None:
    page = b"<img src=http://192.0.2.1/a.png alt=A><td background='http://192.0.2.1/b'>"
    assert through(tmp_path, alternative(page))[1] == alternative(page)
    report, output = through(tmp_path, alternative(page), html.REMOTE)
    assert output == alternative(b'<img alt="A"><td>')
    (finding,) = report.findings
    assert (finding.kind, finding.name, finding.part) == (Kind.DISARMED, "html.remote", (2,))
    assert finding.detail == "src of img: http://192.0.2.1/a.png, background of td: http://192.0.2.1/b"


def test_text(tmp_path: Path) -> None:
    report, output = through(tmp_path, alternative("<p>Grüße <a href='http://192.0.2.1/'>hier</a></p>".encode()), html.TEXT)
    assert found(report) == {"html.page"}
    assert output == alternative(
        b"Gr=C3=BC=C3=9Fe hier <http://192.0.2.1/>\r\n",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n",
    )


def test_text_keeps_attached_pages_as_pages(tmp_path: Path) -> None:
    header = HTML + b'Content-Disposition: attachment; filename="a.html"\r\n'
    _, output = through(tmp_path, alternative(b"<p onclick=x>hi<img src=http://192.0.2.1/>", header), html.TEXT)
    assert output == alternative(b"<p>hi<img>", header)


@pytest.mark.parametrize("charset", ["utf-16", "utf-16le", "cp037", "utf-32"])
def test_a_charset_that_reads_ascii_otherwise_is_named_anew(tmp_path: Path, charset: str) -> None:
    header = b"Content-Type: text/html; charset=" + charset.encode() + b"\r\nContent-Transfer-Encoding: base64\r\n"
    message = wrappings.single(header, base64.encodebytes("<p>Grüße<script>x</script>".encode(charset)))
    _, output = through(tmp_path, message)
    assert content_of(output) == b"<p>Gr&#252;&#223;e"
    assert b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n" in output
    assert charset.encode() not in output


def test_another_charset_stays(tmp_path: Path) -> None:
    header = b"Content-Type: text/html; charset=shift_jis\r\n"
    _, output = through(tmp_path, alternative("<p onclick=x>日本".encode("shift_jis"), header))
    assert output == alternative(b"<p>&#26085;&#26412;", header)


def test_long_lines_get_an_encoding(tmp_path: Path) -> None:
    _, output = through(tmp_path, alternative(b"<p onclick=x>" + "日".encode() * 300))
    assert max(map(len, output.split(b"\r\n"))) <= 78
    assert b"Content-Transfer-Encoding: quoted-printable\r\n" + HTML in output
    assert content_of(output, (2,)) == b"<p>" + b"&#26085;" * 300


def test_xhtml_becomes_html(tmp_path: Path) -> None:
    header = b"Content-Type: application/xhtml+xml; name=a.xhtml\r\n"
    _, output = through(tmp_path, alternative(b"<html xmlns='http://www.w3.org/1999/xhtml'><script>x</script><p/></html>", header))
    assert b'Content-Type: text/html; charset=utf-8; name="a.xhtml"\r\n\r\n<html' in output


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: application/octet-stream; name=a.html\r\n",
        b'Content-Disposition: attachment; filename="a.HTM"\r\n',
        b"Content-Type: text/plain; name=a.xhtml\r\n",
    ],
)
def test_a_page_by_its_name(tmp_path: Path, header: bytes) -> None:
    _, output = through(tmp_path, alternative(b"<p onclick=x>hi", header))
    assert output == alternative(b"<p>hi", header)


def test_plain_text_is_no_page(tmp_path: Path) -> None:
    message = alternative(b"<script>x</script>", b"Content-Type: text/plain\r\n")
    assert through(tmp_path, message)[1] == message


def signed(page: bytes) -> bytes:
    field = b'Content-Type: multipart/signed; boundary=b; protocol="application/pgp-signature"\r\n'
    return wrappings.single(
        field, b"--b\r\n" + HTML + b"\r\n" + page + b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
    )


def test_signed_mail_is_whole_or_replaced(tmp_path: Path) -> None:
    remote = signed(b"<img src=http://192.0.2.1/>")
    for profile in (html.REMOTE, html.TEXT):
        assert through(tmp_path, remote, profile)[1] == remote
    report, output = through(tmp_path, signed(b"<p onclick=x>hi"), html.REMOTE)
    assert report.verdict.treatments == (((1,), Treatment.REPLACE),)
    assert b"something that\r\nacts by itself" in output
    assert b"<p" not in output
    assert final_pairs(report, Envelope())["replaced"] == "1"


def test_a_page_in_a_forwarded_message(tmp_path: Path) -> None:
    inner = alternative(b"<p onclick=x>hi")
    outer = b"--o\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--o--\r\n"
    header = b"Content-Type: multipart/mixed; boundary=o\r\n"
    _, output = through(tmp_path, wrappings.single(header, outer % inner))
    assert output == wrappings.single(header, outer % alternative(b"<p>hi"))


def test_a_page_in_an_archive_is_left_to_the_engines(tmp_path: Path) -> None:
    message = wrappings.attach(wrappings.zipped(b"<script>x</script>", "a.html"), "a.zip")
    report, output = through(tmp_path, message)
    assert (output, found(report)) == (message, set())


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: text/plain\r\nContent-Type: text/html\r\n",
        b"Content-Type: text/html\r\nContent-Type: text/plain\r\n",
        b'Content-Type: text/plain; x="\r\n text/html\r\n',
    ],
)
def test_a_page_to_some_clients(tmp_path: Path, header: bytes) -> None:
    report, output = through(tmp_path, alternative(b"<p>hi<script>x</script>", header))
    if b"text/html\r\n" in header.splitlines(keepends=True):
        assert b"<script" not in output
        assert found(report) == {"html.script"}


def test_two_encodings(tmp_path: Path) -> None:
    """To some clients this is a page in base64, to others one as it stands; both have something that acts."""
    body = base64.encodebytes(b"<p onclick=x>one").replace(b"\n", b"\r\n") + b"<p onclick=x>two"
    _, output = through(tmp_path, alternative(body, HTML + b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 8bit\r\n"))
    assert b"onclick" not in output
    assert base64.b64encode(b"<p onclick=x>one")[:16] not in output


def test_policy_may_want_something_else(tmp_path: Path) -> None:
    message = alternative(b"<p onclick=x>hi<form>")
    replace = Policy(status_field=b"", actions={**DEFAULT_ACTIONS, "disarmed": Action.REPLACE})
    assert b"was removed" in through(tmp_path, message, policy=replace)[1]
    tag = Policy(actions={**DEFAULT_ACTIONS, "disarmed": Action.TAG})
    report, output = through(tmp_path, message, policy=tag)
    assert output.endswith(message)
    assert report.verdict.tags == ((b"X-Lazaretto-Status", b"tagged; found=disarmed; rule=policy.disarmed"),)
    some = Policy((Rule("forms", Action.PASS, (("finding", ("html.form",)),)),), status_field=b"")
    assert through(tmp_path, alternative(b"<form>hi"), policy=some)[1] == alternative(b"<form>hi")
    assert through(tmp_path, message, policy=some)[1] == alternative(b"<p>hi")  # what goes, goes by the profile


def test_without_quarantine_for_it(tmp_path: Path) -> None:
    policy = Policy(status_field=b"", quarantine=frozenset({"malware"}))
    assert through(tmp_path, alternative(b"<p onclick=x>hi"), policy=policy)[1] == alternative(b"<p>hi")
    assert not (tmp_path / "quarantine").exists()


def test_the_status_field(tmp_path: Path) -> None:
    machine = scanners.make(tmp_path, [])
    machine.html_profile = html.SCRIPTS
    report = machine.scan(Source(alternative(b"<p onclick=x>hi")))
    assert report.verdict.tags == ((b"X-Lazaretto-Status", b"changed; found=disarmed; rule=policy.disarmed"),)


def test_the_sidecar_names_what_was_taken_out(tmp_path: Path) -> None:
    through(tmp_path, alternative(b"<p onclick=x>hi<form action=http://192.0.2.1/>"))
    (sidecar,) = (tmp_path / "quarantine").rglob("*.json")
    findings = json.loads(sidecar.read_text())["findings"]
    assert {(one["name"], one["detail"]) for one in findings} == {
        ("html.handler", "onclick on p"),
        ("html.form", "form, action on form"),
    }


def test_a_page_over_the_limit_is_not_clean(tmp_path: Path) -> None:
    limits = Limits(max_html_bytes=100)
    report, output = through(tmp_path, alternative(b"<p>" + b"x" * 100), limits=limits)
    assert found(report) == {"limit.max-html-bytes"}
    assert b"too large" in output
    small = alternative(b"<p>" + b"x" * 90)
    assert through(tmp_path, small, limits=limits)[1] == small


def test_a_dry_run_shows_the_same(tmp_path: Path) -> None:
    machine = scanners.make(tmp_path, [], QUIET)
    machine.html_profile = html.SCRIPTS
    report = machine.scan(Source(alternative(b"<p onclick=x>hi")), dry_run=True)
    assert outcome(report) == "cleaned"
    assert not (tmp_path / "quarantine").exists()


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_every_case_as_a_message(tmp_path: Path, encoding: str) -> None:
    """Whatever the charset and the encoding: what leaves is what sanitize() made, or a notice."""
    for case in html_cases.CASES:
        message = as_message(case, encoding)
        report, _ = through(tmp_path, message, case.profile)
        assert report.verdict.disposition is Disposition.ACCEPT, case.name
        assert found(report), case.name
        assert outcome(report) == "cleaned", case.name


def as_message(case: Case, encoding: str) -> bytes:
    page = case.page.replace(html_cases.HIT, b"http://192.0.2.1/hit")
    body = base64.encodebytes(page).replace(b"\n", b"\r\n") if encoding == "base64" else page
    if encoding == "quoted-printable":
        body = b"".join(b"=%02X" % byte + (b"=\r\n" if number % 20 == 19 else b"") for number, byte in enumerate(page))
    charset = b"; charset=" + case.charset.encode() if case.charset else b""
    header = b"Content-Type: text/html" + charset + b"\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n"
    return alternative(body, header)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from([case.page for case in html_cases.CASES if len(case.page) < 200]), min_size=1, max_size=4),
    st.sampled_from(["7bit", "8bit", "base64", "quoted-printable", "x-uuencode", "x-none"]),
    st.sampled_from([html.SCRIPTS, html.REMOTE, html.TEXT]),
)
def test_twice_is_once(tmp_path: Path, pages: list[bytes], encoding: str, profile: str) -> None:
    header = HTML + b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n"
    body = b"\r\n--b\r\n".join(header + b"\r\n" + encoded(page, encoding) for page in pages)
    message = wrappings.single(b"Content-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n" + body + b"\r\n--b--\r\n")
    report, _ = through(tmp_path, message, profile)
    assert report.verdict.disposition is Disposition.ACCEPT
