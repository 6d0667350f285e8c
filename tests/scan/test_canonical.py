"""The canonical form through the whole pipeline: nothing is left to disagree about, nothing is lost, nothing else moves."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import scanners
from ambiguous_mail import FILE, HEAD, MAIL, TEXT, leaf, multi
from eicar import EICAR
from lazaretto.limits import DEFAULT
from lazaretto.mime import ambiguous, scanner, structured, tree
from lazaretto.mime.edits import ordered
from lazaretto.mime.source import Source
from lazaretto.model import Envelope, Finding, Kind, Part, Report, Treatment
from lazaretto.policy.rules import DEFAULT_ACTIONS, Action, Policy, Rule, judge
from lazaretto.sanitize import structure
from lazaretto.scan import canonical
from lazaretto.scan.report import outcome
from lazaretto.store.spool import Spool
from techniques import techniques

PASSING = Policy(status_field=b"", actions={**DEFAULT_ACTIONS, "ambiguous": Action.PASS})
STRAY = Rule("stray", Action.CANONICALISE, (("finding", ("mime.bare-cr", "mime.nul")),))
QP = b"Content-Transfer-Encoding: quoted-printable"
QUIET = Policy(status_field=b"")


def through(message: bytes, folder: Path, policy: Policy = QUIET) -> tuple[Report, bytes]:
    """Without an engine: everything that is found is about form."""
    return scanners.through(scanners.make(folder, (), policy), message)


def anomalies(message: bytes) -> set[str]:
    source = Source(message)
    return {name for _, name in structure.anomalies(source, scanner.parse(source))}


def contents(message: bytes) -> list[bytes]:
    source = Source(message)
    return [b"".join(chunks) for _, chunks in structure.leaves(source, scanner.parse(source))]


@pytest.mark.parametrize(("name", "message"), MAIL, ids=[name for name, _ in MAIL])
def test_each_class(name: str, message: bytes, tmp_path: Path) -> None:
    assert name in anomalies(message)
    policy = Policy((STRAY,), status_field=b"") if name in ambiguous.STRAY else QUIET
    report, output = through(message, tmp_path, policy)
    assert outcome(report) == "canonicalised"
    assert anomalies(output).isdisjoint(ambiguous.CANONICAL)
    assert through(output, tmp_path, policy)[1] == output
    assert through(message, tmp_path, PASSING)[1] == message


def test_every_class_has_its_mail() -> None:
    others = {"yenc", "uuencode"}  # encodings that nearly nobody writes: the codec's tests have them
    assert {name for name in ambiguous.CANONICAL if name.split(".")[0] not in others} <= {name for name, _ in MAIL}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # one field of each kind, the first, with plain parameters
        (leaf(b"Content-Type: text/plain\r\nContent-Type: text/html"), leaf(b"Content-Type: text/plain")),
        (leaf(b"Content-Type: text/plain charset=utf-8; x; name=a.txt"), leaf(b'Content-Type: text/plain; charset=utf-8; name="a.txt"')),
        # a parameter that lacks only its blank
        (leaf(b"Content-Type: text/plain;\r\nname=a.txt"), leaf(b'Content-Type: text/plain; name="a.txt"')),
        # names
        (leaf(b"Content-Disposition: inline; filename=\xe4.txt"), leaf(b"Content-Disposition: inline; filename*=utf-8''%C3%A4.txt")),
        (leaf(b"Content-Type: a/b; name=\xe4.txt"), leaf(b'Content-Type: a/b; name="=?utf-8?B?w6QudHh0?="')),
        # the header
        (leaf(b"junk\r\nX-A: b\0c\rd"), leaf(b"X-A: bc d")),
        (b"\r\n" + leaf(b"X (y) : z"), leaf(b"X: z")),
        # the body
        (leaf(b"Content-Transfer-Encoding: base-64", b"aGVsbG8="), leaf(b"Content-Transfer-Encoding: base64", b"aGVsbG8=")),
        (leaf(b"Content-Transfer-Encoding: base64", b"aG!VsbG8=\r\n"), leaf(b"Content-Transfer-Encoding: base64", b"aGVsbG8=\r\n")),
        (leaf(QP, b"1 = 2\r\n"), leaf(QP, b"1 =3D 2\r\n")),
        (leaf(b"X-A: b", b"a\rb\0\r\n"), leaf(b"X-A: b", b"a\rb\0\r\n")),  # as it came, unless a rule says otherwise
    ],
)  # fmt: skip
def test_what_is_written(before: bytes, after: bytes, tmp_path: Path) -> None:
    assert through(before, tmp_path)[1] == after


def test_a_multipart_gets_a_fresh_boundary_and_keeps_its_parts(tmp_path: Path) -> None:
    message = multi(body=b"before\r\n--foo\r\n" + TEXT + b"--foo--\r\nafter\r\n--foo\r\n" + FILE + b"--foo--\r\nafter\r\n")
    output = through(message, tmp_path)[1]
    source = Source(output)
    root = scanner.parse(source)
    boundary = structured.read(next(field.value for field in root.fields if field.name == "content-type")).get("boundary")
    assert boundary is not None
    assert len(boundary) <= 70
    line = b"--" + boundary.encode()
    assert (
        output
        == HEAD
        + b'Content-Type: multipart/mixed; boundary="'
        + boundary.encode()
        + b'"\r\n\r\n'
        + line
        + b"\r\n"
        + TEXT
        + line
        + (b"\r\n" + FILE + line + b"--\r\n")
    )


def test_the_parts_behind_a_guessed_boundary_are_looked_at(tmp_path: Path) -> None:
    part = b"Content-Type: text/plain; name=a.txt; name=b.txt\r\n\r\nhello\r\n"
    _, output = through(multi(b"multipart/mixed", b"--foo\r\n" + part + b"--foo--\r\n"), tmp_path)
    (leaf_,) = (part for part in tree.walk(scanner.parse(Source(output))) if not part.children)
    assert leaf_.names == ("a.txt",)
    assert anomalies(output).isdisjoint(ambiguous.CANONICAL - ambiguous.STRAY)


def test_a_multipart_without_any_delimiter_is_a_text(tmp_path: Path) -> None:
    assert through(multi(b"multipart/mixed; boundary=foo", b"hello\r\n"), tmp_path)[1] == leaf(b"Content-Type: text/plain")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD + b"Hello Bob,\r\nhere it is\r\n", HEAD + b"\r\nHello Bob,\r\nhere it is\r\n"),
        (HEAD + b"Hello Bob,\r\nplease see: this\r\n\r\nBye\r\n", HEAD + b"\r\nHello Bob,\r\nplease see: this\r\n\r\nBye\r\n"),
        (leaf(b"Content-Type: text/html\r\n<p>x"), leaf(b"Content-Type: text/html", b"<p>x\r\n\r\nhello\r\n")),
        (leaf(b"junk\r\nX-A: b"), leaf(b"X-A: b")),
        (leaf(b"X-A: b\r\nContent-Type text/html"), leaf(b"X-A: b")),
    ],
)
def test_a_text_whose_empty_line_was_forgotten_is_not_lost(before: bytes, after: bytes, tmp_path: Path) -> None:
    assert through(before, tmp_path)[1] == after


def test_an_empty_part_at_the_end(tmp_path: Path) -> None:
    """Its empty line is the line end of the next delimiter as well; the inner close delimiter needs one of its own."""
    inner = b"Content-Type: multipart/mixed; boundary=bar; boundary=baz\r\n\r\n--bar\r\n" + FILE + b"\r\n--bar\r\n\r\n--foo\r\n"
    message = multi(body=b"--foo\r\n" + inner + TEXT + b"--foo--\r\n")
    output = through(message, tmp_path)[1]
    assert contents(output) == contents(message)


SIGNED = leaf(
    b"Content-Type: multipart/signed; boundary=foo; boundary=bar; protocol=x; micalg=y",
    b"--foo\r\n" + TEXT + b"--foo\r\nContent-Type: x/y\r\n\r\nsignature\r\n--foo--\r\n",
)


def test_what_is_signed_passes_and_is_told(tmp_path: Path) -> None:
    report, output = through(SIGNED, tmp_path)
    assert output == SIGNED
    assert outcome(report) == "clean"
    remarks = [finding for finding in report.findings if finding.name == "mime.not-canonical"]
    assert [(finding.part, finding.kind) for finding in remarks] == [((), Kind.MALFORMED)]
    assert "params.duplicate" in remarks[0].detail


def test_what_is_signed_is_handled_whole_where_a_rule_says_so(tmp_path: Path) -> None:
    rule = Rule("sealed", Action.REPLACE_MESSAGE, (("finding", ("mime.not-canonical",)),))
    report, output = through(SIGNED, tmp_path, Policy((rule,), status_field=b""))
    assert outcome(report) == "cleaned"
    assert report.quarantine_id
    assert b"signature" not in output
    refusing = Policy((rule._replace(action=Action.REJECT),), status_field=b"")
    assert outcome(through(SIGNED, tmp_path, refusing)[0]) == "rejected"


def test_what_stands_around_the_signed_part_is_written_anew(tmp_path: Path) -> None:
    message = multi(b"multipart/mixed; boundary=out; boundary=x", b"--out\r\n" + SIGNED.partition(b"1.0\r\n")[2] + b"\r\n--out--\r\n")
    report, output = through(message, tmp_path)
    assert outcome(report) == "canonicalised"
    assert SIGNED.partition(b"1.0\r\n")[2] in output


def test_a_class_can_be_let_through(tmp_path: Path) -> None:
    rule = Rule("twice", Action.PASS, (("finding", ("mime.duplicate-content-type", "header.duplicate")),))
    message = leaf(b"Content-Type: text/plain\r\nContent-Type: text/html")
    assert through(message, tmp_path, Policy((rule,), status_field=b""))[1] == message
    other = leaf(b"Content-Type: text/plain; x")
    assert through(other, tmp_path, Policy((rule,), status_field=b""))[1] == leaf(b"Content-Type: text/plain")


@pytest.mark.parametrize(("action", "expected"), [(Action.REPLACE, "cleaned"), (Action.REJECT, "rejected"), (Action.TAG, "clean")])
def test_a_class_can_be_treated_otherwise(action: Action, expected: str, tmp_path: Path) -> None:
    policy = Policy(actions={**DEFAULT_ACTIONS, "ambiguous": action})
    assert outcome(through(leaf(b"Content-Type: text/plain; x"), tmp_path, policy)[0]) == expected


def test_a_rule_for_stray_crs_and_nuls(tmp_path: Path) -> None:
    output = through(leaf(b"X-A: b", b"a\rb\r\n"), tmp_path, Policy((STRAY,), status_field=b""))[1]
    assert output == HEAD + b"X-A: b\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ1iDQo=\r\n"


def test_the_original_can_be_kept(tmp_path: Path) -> None:
    message = leaf(b"Content-Type: text/plain; x")
    report, _ = through(message, tmp_path, QUIET._replace(quarantine=frozenset({"ambiguous"})))
    (kept,) = (tmp_path / "quarantine").rglob("*.eml")
    assert report.quarantine_id
    assert kept.read_bytes() == message
    assert not through(message, tmp_path)[0].quarantine_id


def test_our_fields_are_put_in_where_the_header_had_no_place_for_them(tmp_path: Path) -> None:
    policy = Policy()
    _, output = through(b"\xef\xbb\xbf" + leaf(b"X-A: b"), tmp_path, policy)
    assert output == b"X-Lazaretto-Status: changed; found=ambiguous; rule=policy.ambiguous\r\n" + leaf(b"X-A: b")


def test_what_is_dangerous_goes_and_the_rest_is_written_anew(tmp_path: Path) -> None:
    bad = b"Content-Type: application/octet-stream; name=a.bin\r\n\r\n" + EICAR + b"\r\n"
    message = multi(b"multipart/mixed; boundary=foo; boundary=bar", b"--foo\r\n" + bad + b"--foo\r\n" + FILE + b"--foo--\r\n")
    report, output = scanners.through(scanners.make(tmp_path), message)
    assert outcome(report) == "cleaned"
    assert dict(report.verdict.treatments) == {(): Treatment.CANONICALISE, (1,): Treatment.REPLACE}
    assert EICAR not in output
    assert anomalies(output).isdisjoint(ambiguous.CANONICAL - ambiguous.STRAY)
    assert contents(output)[1] == base64.b64decode(FILE.split(b"\r\n\r\n")[1])


def test_nothing_is_taken_of_a_form_that_loses_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of defence: a step that drops a part is a bug of ours, and then the message stays as it is."""
    real = structure.repair

    def losing(source: Source, root: Part, *rest: object) -> object:
        return [edit._replace(data=b"") if edit.span == root.body else edit for edit in real(source, root, *rest)]  # type: ignore[arg-type]

    monkeypatch.setattr(structure, "repair", losing)
    message = leaf(b"Content-Transfer-Encoding: base64", b"aG!VsbG8=\r\n")
    report, output = through(message, tmp_path)
    assert output == message
    assert "mime.not-canonical" in {finding.name for finding in report.findings}


def test_max_steps(tmp_path: Path) -> None:
    message = leaf(b"X-A: b")
    for _ in range(canonical.MAX_STEPS + 2):
        message = leaf(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64", base64.encodebytes(message))
    with Spool(None, 1 << 20) as spool:
        settled = canonical.settle(Source(message), DEFAULT, lambda _part, _name: True, lambda c: Source(b"".join(c)), spool)
    assert settled.edits
    assert settled.left
    assert outcome(through(message, tmp_path)[0]) == "canonicalised"


def test_policy_without_it() -> None:
    odd = Finding("reader", Kind.MALFORMED, "params.junk", (1,), trail=("1",))
    rule = Rule("again", Action.CANONICALISE, (("finding", ("params.*",)),))
    for policy in (Policy(), Policy((rule,))):
        assert judge(odd, Envelope(), policy).action is Action.CANONICALISE
        assert judge(odd, Envelope(), canonical.without(policy)).action is Action.PASS


# -- properties

VARIANTS = [message for variant in list(techniques())[::127] for message in variant.messages]


@pytest.mark.parametrize("message", VARIANTS, ids=range(len(VARIANTS)))
def test_techniques_of_evasion(message: bytes, tmp_path: Path) -> None:
    """Without an engine nothing is found in them, and what comes out is what everybody reads."""
    check(message, tmp_path)


PIECES = st.sampled_from([piece for _, message in MAIL for piece in (*message.split(b"\r\n"), b"", b"--foo", b"--foo--", TEXT, FILE)])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.lists(PIECES, max_size=14).map(b"\r\n".join))
@example(b"Content-Type: multipart/mixed; boundary=foo\r\n\r\n--foo\r\n\r\n--foo")
@example(b"Content-Type: multipart/digest; boundary=foo\r\n\r\n--foo\r\n\r\nContent-Type: text/plain\r\n\r\nx\r\n--foo")
def test_any_mixture(tmp_path_factory: pytest.TempPathFactory, message: bytes) -> None:
    check(HEAD + message, tmp_path_factory.mktemp("any"))


def check(message: bytes, folder: Path) -> None:
    """Idempotent, unambiguous or said to be not, and only what is in edits differs."""
    report, output = through(message, folder)
    assert ordered(report.edits, len(message)) == tuple(report.edits)
    if not report.edits:
        assert output == message
    left = {finding.name for finding in report.findings}
    if outcome(report) == "canonicalised" and "mime.not-canonical" not in left:
        assert anomalies(output).isdisjoint(ambiguous.CANONICAL - ambiguous.STRAY)
        assert through(output, folder)[1] == output
    again, twice = through(output, folder)
    assert twice == output or "mime.not-canonical" in {finding.name for finding in again.findings} | left
