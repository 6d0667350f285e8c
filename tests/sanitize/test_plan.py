"""Plans: what is cut out is cut out whole, and every other byte stays."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.mime import scanner, tree
from lazaretto.mime.edits import ordered, render
from lazaretto.mime.source import Source
from lazaretto.model import Part, Path, Treatment
from lazaretto.sanitize import plan
from lazaretto.sanitize.renaming import Renaming
from lazaretto.sanitize.rewrite import Rewriting
from lazaretto.sanitize.style import Style, Summary

TAGS = ((b"X-Lazaretto-Status", b"cleaned; found=malware"),)
REPLACE, DEFANG, KEEP = Treatment.REPLACE, Treatment.DEFANG, Treatment.KEEP


def notice(part: Part, eol: bytes, whole: bool | None) -> bytes:
    """Header, empty line, body, complete lines: as sanitize.notices makes them."""
    kind = b"message" if whole else b"part " + ".".join(map(str, part.path)).encode()
    return b"Content-Type: text/plain" + eol + eol + b"NOTICE " + kind + eol


def planned(message: bytes, treatments: Mapping[Path, Treatment], tags: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    source = Source(message)
    edits = plan.plan(source, scanner.parse(source), treatments, tags, notice)
    ordered(edits, source.size)  # raises if they overlap
    return b"".join(render(source, edits))


CLOSING = ((b"X-Antivirus", b"Scanned"),)


def closed(message: bytes) -> bytes:
    source = Source(message)
    return b"".join(render(source, plan.plan(source, scanner.parse(source), {}, TAGS, notice, closing=CLOSING)))


@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
@pytest.mark.parametrize("before", [b"", b"From a@example.org Sun Nov 22 10:00:00 2026\n"])
def test_a_field_at_the_end_of_the_header(eol: bytes, before: bytes) -> None:
    before = before.replace(b"\n", eol)
    tag = TAGS[0][0] + b": " + TAGS[0][1]
    head, body = eol.join((b"Subject: x", b"To: a@example.org,", b" b@example.org")), eol + eol + b"text" + eol
    assert closed(before + head + body) == before + tag + eol + head + eol + b"X-Antivirus: Scanned" + body
    assert closed(head) == tag + eol + head + eol + b"X-Antivirus: Scanned"
    assert closed(head + eol) == tag + eol + head + eol + b"X-Antivirus: Scanned" + eol


@pytest.mark.parametrize("message", [b"\r\nSubject: x\r\n\r\ntext\r\n", b"", b"just text\r\n", b"\0: x\r\n\r\n"])
def test_a_header_that_clients_read_differently_gets_no_field(message: bytes) -> None:
    assert closed(message) == message


def test_the_field_in_what_stands_for_a_whole_message() -> None:
    source = Source(b"Subject: x\n\ntext\n")
    edits = plan.plan(source, scanner.parse(source), {(): REPLACE}, TAGS, notice, closing=CLOSING)
    assert b"".join(render(source, edits)).startswith(
        b"X-Lazaretto-Status: cleaned; found=malware\nSubject: x\nX-Antivirus: Scanned\nContent-Type: text/plain\n\n"
    )


@pytest.mark.parametrize("treatments", [{}, {(2,): REPLACE}, {(2,): DEFANG}, {(): REPLACE}])
def test_the_wish_for_tls_survives(treatments: dict[Path, Treatment]) -> None:
    """A field of newer versions of Postfix, and that of RFC 8689 for the opposite."""
    fields = b"Require-TLS-ESMTP: yes\r\nTLS-Required: No\r\n"
    assert fields in planned(fields + lines(MIXED, b"\r\n"), treatments, TAGS)


def test_new_content() -> None:
    source = Source(lines(MIXED, b"\r\n"))
    root = scanner.parse(source)
    content: dict[Path, Source] = {(2,): Source(b"good")}
    edits = plan.plan(source, root, {(2,): Treatment.DISINFECT, (3,): Treatment.DISINFECT}, (), notice, cleaned=content)
    output = b"".join(render(source, edits))
    assert b"filename=a.exe\r\n\r\ngood\r\n--b\r\n" in output
    assert b"NOTICE part 3\r\n--b--" in output  # there is no new content for it
    both = b"".join(render(source, plan.plan(source, root, {(2,): DEFANG}, (), notice, cleaned=content)))
    assert b"\r\n\r\ngood\r\n--b\r\n" in both
    assert b"a.exe" not in both


def lines(text: str, eol: bytes) -> bytes:
    return text.encode("latin-1").replace(b"\n", eol)


MIXED = """\
Subject: hello
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

preamble
--b
Content-Type: text/plain

first
--b
Content-Type: application/x-evil; name=a.exe
Content-Disposition: attachment; filename=a.exe

evil
evil
--b
Content-Type: text/html

last
--b--
epilogue
"""
ENDS = pytest.mark.parametrize("eol", [b"\r\n", b"\n"], ids=["crlf", "lf"])


# -- replacing parts


@ENDS
def test_a_replaced_part_leaves_every_other_byte(eol: bytes) -> None:
    message = lines(MIXED, eol)
    start = message.index(b"Content-Type: application/x-evil")
    stop = message.index(eol + b"--b" + eol + b"Content-Type: text/html")
    output = planned(message, {(2,): REPLACE})
    assert output == message[:start] + eol.join((b"Content-Type: text/plain", b"", b"NOTICE part 2")) + message[stop:]


@ENDS
@pytest.mark.parametrize("path", [(1,), (2,), (3,)])
def test_the_tree_stays(eol: bytes, path: Path) -> None:
    message = lines(MIXED, eol)
    output = Source(planned(message, {path: REPLACE}))
    before, after = scanner.parse(Source(message)), scanner.parse(output)
    assert [part.path for part in tree.walk(after)] == [part.path for part in tree.walk(before)]
    assert after.anomalies == ()
    for old, new in zip(before.children, after.children, strict=True):
        if old.path == path:
            assert b"NOTICE" in output.span(new.body)
        else:
            assert output.span(new.body) == Source(message).span(old.body)


@ENDS
def test_several_parts(eol: bytes) -> None:
    output = planned(lines(MIXED, eol), {(1,): REPLACE, (2,): KEEP, (3,): REPLACE})
    assert b"first" not in output
    assert b"evil" in output
    assert b"last" not in output
    assert output.count(b"NOTICE") == 2


@ENDS
@pytest.mark.parametrize(
    ("end", "added"),
    [("evil", ""), ("evil\n", ""), ("evil\n--b--", "--b--"), ("evil\n--b--\n", "--b--\n")],
)
def test_a_part_at_the_end_of_the_message(eol: bytes, end: str, added: str) -> None:
    head = "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
    output = planned(lines(head + "\n" + end, eol), {(1,): REPLACE})
    assert output == lines(head + "Content-Type: text/plain\n\nNOTICE part 1\n" + added, eol)


@ENDS
@pytest.mark.parametrize("header", ["Content-Type: text/plain; name=a.exe\n", "", "\n"], ids=["no empty line", "nothing", "empty line"])
def test_a_part_whose_body_is_missing_keeps_its_delimiter(eol: bytes, header: str) -> None:
    """The line end before the delimiter is then the header's own, and the notice must bring one along."""
    message = lines("Content-Type: multipart/mixed; boundary=b\n\n--b\n" + header + "--b\n\ngood\n--b--\n", eol)
    output = Source(planned(message, {(1,): REPLACE}))
    root = scanner.parse(output)
    assert len(root.children) == 2
    assert b"NOTICE part 1" in output.span(root.children[0].body)
    assert output.span(root.children[1].body) == b"good"


def test_parts_inside_a_replaced_part_are_not_touched_again() -> None:
    message = lines(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n"
        "--i\n\none\n--i\n\ntwo\n--i--\n--o--\n",
        b"\r\n",
    )
    output = planned(message, {(1,): REPLACE, (1, 1): REPLACE, (1, 2): DEFANG})
    assert output.count(b"NOTICE") == 1
    assert b"NOTICE part 1\r\n--o--" in output
    assert planned(message, {(1, 2): REPLACE}).count(b"one") == 1


def test_keep_is_no_edit() -> None:
    message = lines(MIXED, b"\r\n")
    assert planned(message, {(1,): KEEP, (): KEEP}) == message
    assert planned(message, {}) == message


def test_a_path_that_is_not_there_means_the_whole_message() -> None:
    output = planned(lines(MIXED, b"\r\n"), {(7, 7): REPLACE})
    assert output.endswith(b"NOTICE message\r\n")
    assert b"evil" not in output


# -- replacing messages


@ENDS
def test_a_whole_message_keeps_its_plain_fields(eol: bytes) -> None:
    message = lines("Received: by x\n\twith y\nSubject: hello\nContent-Type: text/html\nMIME-Version: 1.0\nX-Last: 1\n\n<evil>\n", eol)
    assert planned(message, {(): REPLACE}, TAGS) == lines(
        "X-Lazaretto-Status: cleaned; found=malware\nReceived: by x\n\twith y\nSubject: hello\nX-Last: 1\n"
        "Content-Type: text/plain\n\nNOTICE message\n",
        eol,
    )


@pytest.mark.parametrize(
    "field",
    [
        b"X-Nul: a\0b\r\n",
        b"X-Bare: a\rb\r\n",
        b"X-Bare-End: a\r\r\n",
        b"X-Fold: a\r\n \r\n b\r\n",
        b"X-Fold: a\r\n\t\r\n",
        b"X-Space : a\r\n",
        b"X Y: a\r\n",
        b"X-Long: " + b"a" * 20_000 + b"\r\n",
        b"no field at all\r\n",
        b"Content-Type: text/html\r\n",
        b"CONTENT-Disposition: attachment\r\n",
        b"MIME-Version: 1.0\r\n",
        b"x-lazaretto-STATUS: clean\r\n",
        b"X-8bit-Name\xe4: a\r\n",
    ],
)
def test_a_field_that_clients_read_differently_goes(field: bytes) -> None:
    message = b"Subject: hello\r\n" + field + b"To: a@example.org\r\n\r\nevil\r\n"
    assert planned(message, {(): REPLACE}, TAGS) == (
        b"X-Lazaretto-Status: cleaned; found=malware\r\nSubject: hello\r\nTo: a@example.org\r\n"
        b"Content-Type: text/plain\r\n\r\nNOTICE message\r\n"
    )


@pytest.mark.parametrize(
    "field", [b"X-8bit: gr\xc3\xbcn\r\n", b"X-Fold: a\r\n\tb\r\n  c\r\n", b"X-Empty:\r\n", b"X-Lf: a\n", b"Subject: \r\n x\r\n"]
)
def test_a_field_that_all_clients_read_alike_stays(field: bytes) -> None:
    assert field in planned(b"From: a@example.org\r\n" + field + b"To: b@example.org\r\n\r\nevil\r\n", {(): REPLACE})


def test_a_long_header_is_cut_at_a_field() -> None:
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(1000))
    output = planned(b"Subject: hello\r\n" + fields + b"\r\nevil\r\n", {(): REPLACE})
    assert 100_000 < len(output) < 140_000
    assert output.startswith(b"Subject: hello\r\n" + fields[:50_000])
    assert output.endswith(b"\r\nContent-Type: text/plain\r\n\r\nNOTICE message\r\n")


def test_a_header_without_an_end() -> None:
    assert (
        planned(b"Subject: hello\r\nTo: b", {(): REPLACE})
        == b"Subject: hello\r\nTo: b\r\nContent-Type: text/plain\r\n\r\nNOTICE message\r\n"
    )


def test_the_line_of_an_mbox_stays() -> None:
    mbox = b"From a@example.org Sun Nov 22 10:00:00 2026\n"
    output = planned(mbox + b"Subject: hello\n\nevil\n", {(): REPLACE}, TAGS)
    assert output.startswith(mbox + b"X-Lazaretto-Status: cleaned; found=malware\nSubject: hello\n")


def test_a_bare_message_keeps_nothing() -> None:
    source = Source(b"From a@example.org\nSubject: evil\n\nevil\n")
    edit = plan.replace_message(source, scanner.parse(source), notice, TAGS, keep_fields=False)
    assert b"".join(render(source, [edit])) == (
        b"X-Lazaretto-Status: cleaned; found=malware\nSubject: (message removed)\nContent-Type: text/plain\n\nNOTICE message\n"
    )


@pytest.mark.parametrize("message", [b"", b"\r\n", b"evil", b"\xef\xbb\xbfevil", b"\0\0", b"\r\n\r\nevil"])
def test_what_hardly_is_a_message(message: bytes) -> None:
    output = planned(message, {(): REPLACE}, TAGS)
    assert output == b"X-Lazaretto-Status: cleaned; found=malware\r\nContent-Type: text/plain\r\n\r\nNOTICE message\r\n"


@ENDS
def test_the_root_of_a_forwarded_message(eol: bytes) -> None:
    """It stays a message: its plain fields, then the notice."""
    message = lines(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        "Subject: inner\nContent-Type: text/html\n\n<evil>\n--b\n\nlast\n--b--\n",
        eol,
    )
    assert planned(message, {(1, 1): REPLACE}, TAGS) == lines(
        "X-Lazaretto-Status: cleaned; found=malware\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        "Subject: inner\nContent-Type: text/plain\n\nNOTICE message\n--b\n\nlast\n--b--\n",
        eol,
    )


def test_a_forwarded_message_itself_becomes_a_part() -> None:
    message = lines(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: inner\n\nevil\n--b--\n", b"\n"
    )
    assert planned(message, {(1,): REPLACE}) == lines(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nNOTICE part 1\n--b--\n", b"\n"
    )


# -- announcing


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"Subject: x\r\n\r\nhi\r\n", b"T\r\nSubject: x\r\n\r\nhi\r\n"),
        (b"Subject: x\n\nhi\n", b"T\nSubject: x\n\nhi\n"),
        (b"From a Sun\nSubject: x\n\nhi\n", b"From a Sun\nT\nSubject: x\n\nhi\n"),
        (b"Subject: x", b"T\r\nSubject: x"),
        # nothing is put where it would change how the rest is read
        (b"\r\nSubject: x\r\n\r\nhi\r\n", None),
        (b"\xef\xbb\xbfSubject: x\r\n\r\nhi\r\n", None),
        (b" Subject: x\r\n\r\nhi\r\n", None),
        (b"junk\r\nSubject: x\r\n\r\nhi\r\n", None),
        (b"Subject : x\r\n\r\nhi\r\n", None),
        (b"Subject: a\0b\r\n\r\nhi\r\n", None),
        (b"no header\r\n", None),
        (b"", None),
    ],
)
def test_where_our_field_goes(message: bytes, expected: bytes | None) -> None:
    wanted = message if expected is None else expected.replace(b"T", b"X-T: 1", 1)
    assert planned(message, {}, ((b"X-T", b"1"),)) == wanted


def test_several_fields_keep_their_order() -> None:
    assert planned(b"Subject: x\n\n", {}, ((b"X-A", b"1"), (b"X-B", b"2"))) == b"X-A: 1\nX-B: 2\nSubject: x\n\n"


@pytest.mark.parametrize(
    "forged",
    [b"X-T: clean\r\n", b"x-t: clean\r\n", b"X-T : clean\r\n", b"X-T: a\r\n\tb\r\n", b"X-T: a\r\nX-T: b\r\n", b"X-T:\r\n"],
)
@pytest.mark.parametrize("position", ["first", "middle", "last"])
def test_forged_fields_go(forged: bytes, position: str) -> None:
    fields = {
        "first": [forged, b"A: 1\r\n", b"B: 2\r\n"],
        "middle": [b"A: 1\r\n", forged, b"B: 2\r\n"],
        "last": [b"A: 1\r\n", b"B: 2\r\n", forged],
    }
    output = planned(b"".join(fields[position]) + b"\r\nX-T: body\r\n", {}, ((b"X-T", b"1"),))
    # A header that begins with an odd field gets nothing on top.
    ours = b"" if position == "first" and forged.startswith(b"X-T :") else b"X-T: 1\r\n"
    assert output == ours + b"A: 1\r\nB: 2\r\n\r\nX-T: body\r\n"


def test_fields_of_a_forwarded_message_are_its_own() -> None:
    message = b"Content-Type: message/rfc822\r\n\r\nX-T: theirs\r\n\r\nhi\r\n"
    assert planned(message, {}, ((b"X-T", b"1"),)) == b"X-T: 1\r\n" + message


def test_announcing_and_replacing_together() -> None:
    output = planned(lines(MIXED, b"\r\n"), {(2,): REPLACE}, TAGS)
    assert output.startswith(b"X-Lazaretto-Status: cleaned; found=malware\r\nSubject: hello\r\n")
    assert b"NOTICE part 2" in output


# -- defanging


@ENDS
def test_a_defanged_part_keeps_its_content(eol: bytes) -> None:
    message = lines(MIXED, eol)
    fresh = lines('Content-Type: application/octet-stream; name="a_exe.txt"\nContent-Disposition: attachment; filename="a_exe.txt"\n', eol)
    stale = lines("Content-Type: application/x-evil; name=a.exe\nContent-Disposition: attachment; filename=a.exe\n", eol)
    assert planned(message, {(2,): DEFANG}) == message.replace(stale, fresh)


@pytest.mark.parametrize("name", ["ü.exe", 'a"b.exe', "a\\b.exe", "con", "..", "\u202eexe.txt", "x" * 300])
def test_the_new_name_is_plain(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode()
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n"
        b'Content-Disposition: attachment; filename="' + quoted + b'"\r\n\r\nevil\r\n--b--\r\n'
    )
    output = planned(message, {(1,): DEFANG})
    part = email.message_from_bytes(output, policy=email.policy.compat32).get_payload(0)
    filename = part.get_filename()  # type: ignore[union-attr]
    assert filename is not None
    assert filename.isascii()
    assert filename.isprintable()
    assert filename.endswith(".txt")
    assert not set(filename) & set('"\\/:')


def test_duplicate_fields_become_one() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\nX: y\r\nContent-Type: text/x\r\n"
        b"Content-Disposition: inline\r\n\r\nevil\r\n--b--\r\n"
    )
    output = planned(message, {(1,): DEFANG})
    inner = output[output.index(b"--b\r\n") :]
    assert inner.count(b"Content-Type:") == inner.count(b"Content-Disposition:") == 1
    assert b"X: y\r\n" in inner


@ENDS
@pytest.mark.parametrize("header", ["\n", "X: y\n\n", ""], ids=["empty header", "other fields", "no empty line"])
def test_a_part_without_a_type_gets_one(eol: bytes, header: str) -> None:
    body = "content\nof two lines" if header else "content that is no header\nof two lines"
    message = lines(f"Content-Type: multipart/mixed; boundary=b\n\n--b\n{header}{body}\n--b--\n", eol)
    output = Source(planned(message, {(1,): DEFANG}))
    (part,) = scanner.parse(output).children
    assert part.media_type == "application/octet-stream"
    assert output.span(part.body) == lines(body, eol)


@pytest.mark.parametrize("outer", ["multipart/signed", "multipart/encrypted"])
def test_inside_signed_mail_defanging_is_replacing(outer: str) -> None:
    message = lines(MIXED.replace("multipart/mixed", outer), b"\r\n")
    output = planned(message, {(2,): DEFANG})
    assert b"NOTICE part 2" in output
    assert b"evil\r\nevil" not in output


def test_defanging_the_message_is_replacing_it() -> None:
    assert planned(b"Subject: x\r\n\r\nevil\r\n", {(): DEFANG}).endswith(b"NOTICE message\r\n")


def test_defanging_inside_a_replaced_part_is_nothing() -> None:
    message = (
        lines(MIXED, b"\r\n")
        .replace(b"application/x-evil", b"multipart/mixed; boundary=i")
        .replace(b"evil\r\nevil", b"--i\r\n\r\nevil\r\n--i--")
    )
    assert planned(message, {(2,): REPLACE, (2, 1): DEFANG}) == planned(message, {(2,): REPLACE})


# -- whatever the bytes

PIECES = [
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: multipart/signed; boundary=b\n",
    b"Content-Type: message/rfc822\r\n",
    b"Subject: x\r\n",
    b"X-T: forged\r\n",
    b"X-T : forged\n",
    b"--b\r\n",
    b"--b\n",
    b"--b--\r\n",
    b"\r\n",
    b"\n",
    b"\0",
    b"\r",
    b"From a b\n",
    b"text",
    b" fold\r\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join), st.data())
def test_edits_never_overlap_and_the_rest_stays(message: bytes, data: st.DataObject) -> None:
    source = Source(message)
    root = scanner.parse(source)
    paths = [part.path for part in tree.walk(root)]
    chosen = data.draw(st.dictionaries(st.sampled_from(paths), st.sampled_from(list(Treatment)), max_size=4))
    edits = plan.plan(source, root, chosen, ((b"X-T", b"1"),), notice)
    ordered(edits, source.size)
    output = b"".join(render(source, edits))
    wanted = {path for path, treatment in chosen.items() if treatment is REPLACE}
    assert (b"NOTICE" in output) >= bool(wanted)
    if not any(chosen.values()):
        assert output.replace(b"X-T: 1\r\n", b"").replace(b"X-T: 1\n", b"") == b"".join(
            source.data[start:stop] for start, stop in _kept(source, root)
        )


def _kept(source: Source, root: Part) -> list[tuple[int, int]]:
    """All but the forged fields."""
    gone = [field.span for field in root.fields if field.name == "x-t"]
    starts = [0, *(span.stop for span in gone)]
    stops = [*(span.start for span in gone), source.size]
    return list(zip(starts, stops, strict=True))


ANOMY = Renaming(".DEFANGED-$N", "application/DEFANGED-$N", "BLACKLISTED", "DEFANGED-$N")


def test_parts_with_other_names_are_counted() -> None:
    """As the sanitizer of old wrote them; a Content-ID goes where it stood, a second one goes."""
    part = b"Content-ID: <%b@x>\r\nContent-Type: image/png; name=%b.exe\r\nContent-ID: <again@x>\r\n\r\n%b\r\n--b"
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + b"\r\n".join(part % (n, n, n) for n in (b"one", b"two"))
    message += b"--\r\n"
    source = Source(message)
    edits = plan.plan(source, scanner.parse(source), {(1,): Treatment.MANGLE, (2,): DEFANG}, (), notice, style=Style(ANOMY))
    fresh = (
        b"Content-ID: <DEFANGED-%d>\r\n"
        b'Content-Type: application/DEFANGED-%d; name="%b.DEFANGED-%d"\r\n'
        b'Content-Disposition: attachment; filename="%b.DEFANGED-%d"\r\n'
        b"\r\n%b\r\n--b"
    )
    assert b"".join(render(source, edits)) == (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        + fresh % (1, 1, b"BLACKLISTED", 1, b"BLACKLISTED", 1, b"one")
        + b"\r\n"
        + fresh % (2, 2, b"two_exe", 2, b"two_exe", 2, b"two")
        + b"--\r\n"
    )


REWRITING = Style(rewriting=Rewriting(long_fields=True, shell_scripts=True))


def test_what_stays_is_rewritten_and_the_rest_is_not() -> None:
    """Not what is replaced or renamed, and not what is signed."""
    script = b"\r\n#!/bin/sh\r\n"
    signed = b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n" + script + b"--s--\r\n"
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + b"--b\r\n".join((script, script, script, signed)) + b"--b--\r\n"
    source = Source(message)
    told: list[str] = []
    root = scanner.parse(source)
    edits = plan.plan(source, root, {(1,): REPLACE, (2,): DEFANG}, TAGS, notice, style=REWRITING, rewritten=told)
    output = b"".join(render(source, edits))
    assert told == ["shell-script"]
    assert output.count(b"echo DEFANGED.1") == 1
    assert output.endswith(b"--b\r\n\r\n#!/bin/sh\r\necho DEFANGED.1\r\nexit" + script + b"--b\r\n" + signed + b"--b--\r\n")


def test_a_forged_field_of_ours_is_only_removed() -> None:
    source = Source(b"X-Lazaretto-Status: " + b"w" * 999 + b"\r\nSubject: x\r\n\r\ntext\r\n")
    edits = ordered(plan.plan(source, scanner.parse(source), {}, TAGS, notice, style=REWRITING), source.size)
    assert b"".join(render(source, edits)) == b"X-Lazaretto-Status: cleaned; found=malware\r\nSubject: x\r\n\r\ntext\r\n"


def test_a_mangled_part_in_signed_mail_is_replaced() -> None:
    message = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nevil\r\n--b--\r\n"
    assert b"NOTICE part 1" in planned(message, {(1,): Treatment.MANGLE})


STYLE = Style(
    append=((b"X-Info", b"a"), (b"X-URL", b"b")),
    if_missing=((b"MIME-Version", b"1.0"), (b"Subject", b"(none)")),
    displaced=frozenset(("content-length", "lines")),
    prefix=b"X-FUBAR-",
)


@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
def test_fields_that_the_configuration_adds_and_displaces(eol: bytes) -> None:
    message = eol.join((b"Content-Length: 5", b"Subject: x", b"LINES : 7", b"lines: 8", b"", b"text", b""))
    source = Source(message)
    edits = plan.plan(source, scanner.parse(source), {}, TAGS, notice, closing=CLOSING, style=STYLE)
    fresh = (b"X-Antivirus: Scanned", b"X-Info: a", b"X-URL: b", b"MIME-Version: 1.0")
    assert b"".join(render(source, edits)).split(eol) == [
        b"X-Lazaretto-Status: cleaned; found=malware",
        b"X-FUBAR-Content-Length: 5",
        b"Subject: x",
        b"LINES : 7",  # not a field that every client reads alike
        b"X-FUBAR-lines: 8",
        *fresh,
        b"",
        b"text",
        b"",
    ]


def test_what_stands_for_a_whole_message_gets_them_too() -> None:
    source = Source(b"From: a@x\r\n\r\nevil\r\n")
    edits = plan.plan(source, scanner.parse(source), {(): REPLACE}, (), notice, style=STYLE)
    head = b"From: a@x\r\nX-Info: a\r\nX-URL: b\r\nMIME-Version: 1.0\r\nSubject: (none)\r\nContent-Type: text/plain\r\n\r\n"
    assert b"".join(render(source, edits)) == head + b"NOTICE message\r\n"


@pytest.mark.parametrize("message", [b"\r\nSubject: x\r\nLines: 1\r\n\r\ntext\r\n", b"just text\r\n"])
def test_a_header_that_clients_read_differently_is_left_alone(message: bytes) -> None:
    source = Source(message)
    assert plan.plan(source, scanner.parse(source), {}, (), notice, style=STYLE) == ()


SUMMARY = Style(summary=Summary(wanted=True))


def summarised(message: bytes, treatments: Mapping[Path, Treatment], style: Style = SUMMARY) -> bytes:
    def tell(part: Part, eol: bytes, whole: bool | None) -> bytes:
        head = b"Content-Type: text/plain" + eol + b"Content-Transfer-Encoding: 7bit" + eol + eol
        return head + b"SUMMARY" + eol if whole is None else notice(part, eol, whole)

    source = Source(message)
    edits = plan.plan(source, scanner.parse(source), treatments, (), tell, style=style)
    return b"".join(render(source, ordered(edits, source.size)))


@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
@pytest.mark.parametrize("closing", [b"--b--\r\nepilogue\r\n", b"--b--", b""])
def test_a_summary_is_the_last_part(eol: bytes, closing: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b \r\nX: y\r\n\r\n"
    tail = b"two\r\n" if closing else b"two"
    message = (head + tail + closing).replace(b"\r\n", eol)
    part = b"--b \r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSUMMARY\r\n"
    output = summarised(message, {(1,): DEFANG}).replace(eol, b"\r\n")
    assert output.endswith((b"two\r\n" + part + closing) if closing else b"two\r\n" + part)
    gone = summarised(message, {(2,): REPLACE}).replace(eol, b"\r\n")
    assert b"NOTICE part 2\r\n" + (b"" if closing else b"\r\n") + part in gone


def test_a_summary_stands_behind_a_lone_text() -> None:
    message = b"Subject: x\r\n\r\n#!/bin/sh\r\n"
    style = SUMMARY._replace(rewriting=Rewriting(shell_scripts=True))
    assert summarised(message, {}, style).endswith(b"exit\r\n#!/bin/sh\r\n-- \r\nSUMMARY\r\n")
    assert summarised(message.removesuffix(b"\r\n"), {}, style).endswith(b"exit\r\n#!/bin/sh\r\n-- \r\nSUMMARY\r\n")


@pytest.mark.parametrize(
    "message",
    [
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
        b"Content-Type: text/html\r\n\r\n#!/bin/sh\r\n",
        b"Content-Transfer-Encoding: base64\r\n\r\nIyEvYmluL3NoCg==\r\n",
    ],
)
def test_no_place_for_a_summary(message: bytes) -> None:
    style = SUMMARY._replace(rewriting=Rewriting(shell_scripts=True))
    assert b"SUMMARY" not in summarised(message, {(1,): DEFANG} if b"multipart" in message else {}, style)


def test_no_summary_of_nothing_or_of_a_message_that_is_gone() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"
    assert summarised(message, {}) == message
    assert b"SUMMARY" not in summarised(message, {(): REPLACE})
    assert b"SUMMARY" not in summarised(message, {(1,): DEFANG}, Style())


# -- new content


def disarmed(message: bytes, path: Path, content: bytes, fields: Mapping[Path, plan.Tags] = plan.NO_FIELDS) -> bytes:
    source = Source(message)
    edits = plan.plan(
        source,
        scanner.parse(source),
        {path: Treatment.DISARM},
        TAGS,
        notice,
        cleaned={path: Source(content)} if content else {},
        fields=fields,
    )
    return b"".join(render(source, edits))


TYPED = b"Subject: x\r\nContent-Type: text/html\r\nContent-Type: text/x\r\n\r\n<form>\r\n"


def test_new_content_goes_where_the_old_was() -> None:
    tag = b"X-Lazaretto-Status: cleaned; found=malware\r\n"
    assert disarmed(TYPED, (), b"new") == tag + TYPED.replace(b"<form>\r\n", b"new")
    assert b"NOTICE message" in disarmed(TYPED, (), b"")


def test_new_content_may_bring_its_fields() -> None:
    fresh: dict[Path, plan.Tags] = {(): ((b"Content-Type", b"text/plain"), (b"Content-Transfer-Encoding", b"base64"))}
    head = b"X-Lazaretto-Status: cleaned; found=malware\r\nSubject: x\r\n"
    both = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n"
    assert disarmed(TYPED, (), b"new", fresh) == head + both + b"\r\nnew"
    encoding: dict[Path, plan.Tags] = {(): ((b"Content-Transfer-Encoding", b"base64"),)}
    kept = b"Content-Transfer-Encoding: base64\r\nContent-Type: text/html\r\nContent-Type: text/x\r\n"
    assert disarmed(TYPED, (), b"new", encoding) == head + kept + b"\r\nnew"
    mbox = b"From a@example.org Sun Nov 22 10:00:00 2026\r\n"
    bare = b"Subject: x\r\n\r\nold"
    tag = head.removesuffix(b"Subject: x\r\n")
    assert disarmed(mbox + bare, (), b"new", encoding) == mbox + tag + b"Content-Transfer-Encoding: base64\r\nSubject: x\r\n\r\nnew"


def test_what_is_sealed_is_not_disarmed() -> None:
    signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<form>\r\n--b--\r\n"
    root = scanner.parse(Source(signed))
    assert plan.is_sealed(root, (1,))
    assert not plan.is_sealed(root, ())
    assert not plan.is_sealed(scanner.parse(Source(TYPED)), ())
    assert b"NOTICE part 1" in disarmed(signed, (1,), b"new")
