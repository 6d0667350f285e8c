"""The walk: what there is to look at, where it belongs, and how every cap shows."""

from __future__ import annotations

import base64
import gzip
import io
import os
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wrappings
from eicar import EICAR
from lazaretto.content import archive, sniff
from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.limits import DEFAULT, Limits, Meter
from lazaretto.mime import scanner, tree
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Item, Kind, Path, Reason
from lazaretto.scan import walk
from lazaretto.store.spool import Spool

TEXT = b"Content-Type: text/plain\r\n"


class Seen(NamedTuple):
    """A walk, with the contents kept."""

    items: list[tuple[Item, bytes]]
    findings: list[Finding]

    def content(self, data: bytes) -> list[Item]:
        return [item for item, content in self.items if content == data]

    def named(self, name: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.name == name]


def seen(walker: walk.Walker, found: object) -> Seen:
    result = Seen([], [])
    for one in found:  # type: ignore[attr-defined]
        if isinstance(one, Finding):
            result.findings.append(one)
        else:
            result.items.append((one, b"".join(one.content.chunks())))
    return result


def walked(message: bytes, limits: Limits = DEFAULT, clock: Callable[[], float] = lambda: 0.0, deadline: float = float("inf")) -> Seen:
    source = Source(message)
    with Spool(None, limits.spool_memory_bytes) as spool:
        walker = walk.Walker(source, spool, Meter(limits, deadline, clock))
        return seen(walker, walker.message(scanner.parse(source, limits)))


def of_file(data: bytes, name: str, limits: Limits = DEFAULT) -> Seen:
    with Spool() as spool:
        walker = walk.Walker(Source(data), spool, Meter(limits))
        return seen(walker, walker.file(name))


def mixed(*parts: bytes) -> bytes:
    body = b"".join(b"--=_m\r\n" + part + b"\r\n" for part in parts)
    return wrappings.single(b'Content-Type: multipart/mixed; boundary="=_m"\r\n', body + b"--=_m--\r\n")


def attached(data: bytes, name: bytes, media_type: bytes = b"application/octet-stream") -> bytes:
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return b"Content-Type: %s; name=%s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s" % (media_type, name, encoded)


def forwarded(message: bytes) -> bytes:
    return wrappings.single(b"Content-Type: message/rfc822\r\n", message)


# -- items


def test_the_raw_message_comes_first() -> None:
    message = wrappings.single(TEXT, b"hello\r\n")
    item, content = walked(message).items[0]
    assert (item.part, item.trail, item.names, item.is_message, content) == ((), (), (), True, message)
    assert item.type == "message"


def test_a_plain_text_is_covered_by_the_raw_message() -> None:
    result = walked(wrappings.single(TEXT, b"hello\r\n"))
    (item,) = result.content(b"hello\r\n")
    assert item.covered
    assert not item.doubtful
    assert item.media_type == "text/plain"
    assert result.findings == []


@pytest.mark.parametrize(
    ("fields", "body", "content"),
    [
        (TEXT + b"Content-Transfer-Encoding: base64\r\n", base64.b64encode(b"hello"), b"hello"),
        (b"Content-Type: application/octet-stream\r\n", b"hello\r\n", b"hello\r\n"),
        (TEXT, b"%PDF-1.7\r\nnot text at all\r\n", b"%PDF-1.7\r\nnot text at all\r\n"),
    ],
    ids=["encoded", "not declared as text", "not text"],
)
def test_what_is_not_covered(fields: bytes, body: bytes, content: bytes) -> None:
    (item,) = walked(wrappings.single(fields, body)).content(content)
    assert not item.covered


def test_parts_own_themselves() -> None:
    inner = b"Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\none\r\n--i\r\n\r\ntwo\r\n--i--\r\n"
    result = walked(mixed(b"\r\nzero", inner, attached(b"three", b"a.bin")))
    places = {content: (item.part, item.trail) for item, content in result.items[1:]}
    assert places == {
        b"zero": ((1,), ("1",)),
        b"one": ((2, 1), ("2.1",)),
        b"two": ((2, 2), ("2.2",)),
        b"three": ((3,), ("3",)),
    }
    assert result.content(b"three")[0].names == ("a.bin",)
    assert result.findings == []


def test_digests_are_sha_256() -> None:
    import hashlib

    for item, content in walked(wrappings.attach(wrappings.zipped(EICAR), "a.zip")).items:
        assert item.digest == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("name", "make", "part", "trail"),
    [
        ("zip", lambda: attached(wrappings.zipped(EICAR), b"a.zip"), (2,), ("2", "a.txt")),
        ("zip in zip", lambda: attached(wrappings.zipped(wrappings.zipped(EICAR), "b.zip"), b"a.zip"), (2,), ("2", "b.zip", "a.txt")),
        ("gzip", lambda: attached(gzip.compress(EICAR, mtime=0), b"a.js.gz"), (2,), ("2", "gzip#1")),
        ("tar", lambda: attached(wrappings.tarred(EICAR), b"a.tar"), (2,), ("2", "a.txt")),
        ("calendar file", lambda: attached(wrappings.attach(EICAR, "in.txt"), b"fwd.eml"), (2,), ("2", "2")),
        ("encoded message", lambda: attached(wrappings.attach(EICAR, "in.txt"), b"fwd", b"message/rfc822"), (2,), ("2", "2")),
        ("uuencode", lambda: b"\r\n" + wrappings.uuencoded(EICAR, "u.txt"), (2,), ("uuencode:u.txt",)),
        ("yenc", lambda: b"\r\n" + wrappings.yencoded(EICAR, "y.txt"), (2,), ("yenc:y.txt",)),
        ("binhex", lambda: b"\r\n" + wrappings.binhexed(EICAR, "h.txt"), (2,), ("binhex:h.txt",)),
        (
            "uuencode in base64",
            lambda: attached(wrappings.uuencoded(EICAR, "u.txt"), b"t.txt", b"text/plain"),
            (2,),
            ("2", "uuencode:u.txt"),
        ),
        ("plain message", lambda: b"Content-Type: message/rfc822\r\n\r\n" + wrappings.attach(EICAR, "in.txt"), (2, 1, 2), ("2.1.2",)),
    ],
)
def test_owner_and_trail(name: str, make: Callable[[], bytes], part: Path, trail: tuple[str, ...]) -> None:
    result = walked(mixed(b"\r\nhello", make()))
    places = [(item.part, item.trail) for item in result.content(EICAR)]
    assert (part, trail) in places, name


MEMBER = attached(wrappings.zipped(wrappings.zipped(EICAR), "b.zip"), b"a.zip")
TWO_NAMES = b"Content-Type: text/x-a; name=a.txt\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\n" + EICAR


@pytest.mark.parametrize(
    ("message", "files"),
    [
        (mixed(attached(EICAR, b"a.exe")), ("a.exe",)),
        (wrappings.single(b"Content-Type: a/b; name=only.exe\r\n", EICAR), ("only.exe",)),
        (mixed(MEMBER), ("a.zip", "b.zip", "a.txt")),
        (mixed(b"\r\nhello", MEMBER, attached(b"later", b"later.txt")), ("a.zip", "b.zip", "a.txt")),
        (mixed(attached(gzip.compress(EICAR, mtime=0), b"a.js.gz")), ("a.js.gz", "a.js")),
        (mixed(attached(wrappings.attach(EICAR, "in.txt"), b"fwd.eml")), ("fwd.eml", "in.txt")),
        (mixed(b"\r\n" + wrappings.uuencoded(EICAR, "u.txt")), ("u.txt",)),
        (mixed(b"Content-Type: multipart/mixed; name=no.file; boundary=i\r\n\r\n--i\r\n\r\n" + EICAR + b"\r\n--i--\r\n"), ()),
    ],
)
def test_file_names_on_the_way(message: bytes, files: tuple[str, ...]) -> None:
    assert files in [item.files for item in walked(message).content(EICAR)]


def test_every_reading_of_a_name_is_on_the_way() -> None:
    (item,) = walked(mixed(TWO_NAMES)).content(EICAR)
    assert set(item.files) == {"a.txt", "a.exe"}


@pytest.mark.parametrize(
    ("data", "name", "files"),
    [
        (b"PK\3\4 no more", "zip.broken", ("a.zip",)),
        (wrappings.zipped(b"PK\3\4 no more", "b.zip"), "zip.broken", ("a.zip", "b.zip")),
    ],
)
def test_what_the_reader_says_has_file_names_too(data: bytes, name: str, files: tuple[str, ...]) -> None:
    (finding,) = walked(mixed(attached(b"before", b"other.txt"), attached(data, b"a.zip"))).named(name)
    assert finding.files == files
    (finding,) = of_file(data, "a.zip").named(name)
    assert finding.files == files


def test_an_anomaly_of_a_part_has_its_name() -> None:
    message = mixed(b"Content-Type: a/b; name=a.txt\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!!\r\n")
    assert {finding.files for finding in walked(message).findings} == {("a.txt",)}


def test_gunzip_drops_the_suffix() -> None:
    for outer, inner in ((b"a.js.gz", "a.js"), (b"a.tgz", "a.tar"), (b"a.tar.bz2", "a.tar"), (b"nothing", None)):
        result = walked(mixed(attached(gzip.compress(EICAR, mtime=0), outer)))
        (item,) = result.content(EICAR)
        assert item.names == ((inner,) if inner else ())


def test_what_we_made_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing inside it is: a script in a PDF has no file name that anybody sees."""

    def walker(type_id: str, source: Source, meter: Meter, passwords: object = ()) -> object:
        if source.size > 10 and source.data != EICAR:
            yield Member(("made.zip",), [b"PK inside"], is_file=False)
        elif source.data != EICAR:
            yield Member(("b.txt",), [EICAR])

    monkeypatch.setattr(archive, "walk", walker)
    monkeypatch.setattr(sniff, "sniff", lambda source: "zip")
    result = walked(mixed(attached(b"some zip content", b"a.zip")))
    assert [item.is_file for item, _ in result.items] == [True, True, False, False]


def test_a_message_by_type_by_name_and_by_content() -> None:
    message = wrappings.single(TEXT + b"Content-Transfer-Encoding: base64\r\n", base64.b64encode(EICAR))
    for part in (attached(message, b"x", b"message/rfc822"), attached(message, b"x.eml"), attached(message, b"x.bin")):
        (item,) = walked(mixed(part)).content(EICAR)
        assert item.trail == ("1", "message")
        assert item.part == (1,)


def test_doubtful_items_come_from_other_readings_only() -> None:
    message = wrappings.HEAD + b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(EICAR)
    result = walked(message)
    (item,) = result.content(EICAR)
    assert item.doubtful
    assert item.trail[0].startswith("reading")
    assert item.part == ()
    assert result.named("mime.duplicate-encoding")
    assert not any(item.doubtful for item, _ in walked(wrappings.attach(EICAR, "a.txt")).items)


def test_another_reading_is_blamed_on_the_part_where_it_stands() -> None:
    odd = b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(EICAR)
    result = walked(mixed(b"\r\none", odd, b"\r\nthree"))
    assert {item.part for item in result.content(EICAR)} == {(2,)}


def test_containers_inside_another_reading_stay_doubtful() -> None:
    odd = b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(wrappings.zipped(EICAR))
    assert {item.doubtful for item in walked(mixed(odd)).content(EICAR)} == {True}


def test_other_readings_show_nothing_twice() -> None:
    message = wrappings.HEAD + b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n"
    message += b"--a\r\n\r\none\r\n--a--\r\n--b\r\n\r\none\r\n--b--\r\n"
    contents = [content for item, content in walked(message).items if item.doubtful]
    assert len(contents) == len(set(contents))


def test_the_same_content_under_another_name_is_shown_again() -> None:
    message = wrappings.HEAD + b"Content-Type: text/plain; name=a.txt\r\nContent-Type: text/plain; name=a.exe\r\n\r\nhello\r\n"
    names = {name for item, _ in walked(message).items for name in item.names}
    assert {"a.txt", "a.exe"} <= names


def test_a_damaged_encoding_is_read_in_other_ways() -> None:
    part = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nA===" + base64.b64encode(EICAR)
    result = walked(mixed(part))
    assert result.content(EICAR)
    assert {item.part for item in result.content(EICAR)} == {(1,)}
    assert any(item.doubtful and item.trail[0] == "1" and len(item.trail) == 2 for item, _ in result.items)
    assert any(finding.name.startswith("base64.") and finding.kind is Kind.MALFORMED for finding in result.findings)


def test_a_file_that_is_no_message() -> None:
    result = of_file(wrappings.zipped(EICAR), "a.zip")
    assert [(item.part, item.trail, item.names) for item, _ in result.items] == [
        ((), ("a.zip",), ("a.zip",)),
        ((), ("a.zip", "a.txt"), ("a.txt",)),
    ]
    assert of_file(b"", "empty").items[0][0].type == "empty"
    assert of_file(wrappings.attach(EICAR, "a.txt"), "a.eml").content(EICAR)


# -- findings


@pytest.mark.parametrize(
    ("message", "name", "kind", "reason"),
    [
        (wrappings.single(b"Content-Type: multipart/mixed\r\n", b"x"), "mime.missing-boundary", Kind.MALFORMED, None),
        (wrappings.single(TEXT, b"a\rb"), "mime.bare-cr", Kind.MALFORMED, None),
        (wrappings.single(TEXT, b"a\0b"), "mime.nul", Kind.MALFORMED, None),
        (wrappings.single(b"Content-Type: message/partial; id=a; number=1\r\n", b"x"), "mime.message-partial", Kind.BANNED, None),
        (
            wrappings.single(b"Content-Type: message/external-body; access-type=URL\r\n", b"\r\n"),
            "mime.external-body",
            Kind.BANNED,
            None,
        ),
        (wrappings.single(TEXT, b"x\r\n\n.\r\nMAIL FROM:<a@b>\r\n"), "mime.smuggling", Kind.BANNED, None),
        (
            wrappings.single(b"Content-Type: multipart/mixed; boundary=" + b"b" * 1500 + b"\r\n", b"x"),
            "mime.boundary-too-long",
            Kind.UNSCANNABLE,
            Reason.LIMIT,
        ),
    ],
    ids=["missing boundary", "bare CR", "NUL", "partial", "external", "smuggling", "long boundary"],
)
def test_anomalies_become_findings(message: bytes, name: str, kind: Kind, reason: Reason | None) -> None:
    (finding, *_) = walked(message).named(name)
    assert (finding.engine, finding.kind, finding.reason, finding.part) == (walk.READER, kind, reason, ())


@pytest.mark.parametrize(
    ("limits", "message", "name"),
    [
        ({"max_header_bytes": 1000}, wrappings.single(b"X: " + b"y" * 5000 + b"\r\n", b"x"), "header.too-long"),
        ({"max_header_fields": 20}, wrappings.single(b"X: y\r\n" * 50, b"x"), "header.too-many-fields"),
        ({"max_params": 3}, wrappings.single(b"Content-Type: text/plain" + b"; a=b" * 9 + b"\r\n", b"x"), "params.too-many"),
        ({"max_field_bytes": 100}, wrappings.single(b"Content-Type: text/plain; a=" + b"b" * 200 + b"\r\n", b"x"), "params.too-long"),
        ({"max_parts": 3}, mixed(*[b"\r\nx"] * 9), "mime.max-parts"),
        ({"max_depth": 2}, forwarded(forwarded(mixed(b"\r\nx"))), "mime.max-depth"),
        ({"max_container_depth": 3}, mixed(attached(wrappings._nest(EICAR, lambda d: wrappings.zipped(d, "n.zip"), 6), b"a.zip")),
         "limit.max-container-depth"),
        ({"max_container_depth": 2}, mixed(attached(attached(attached(wrappings.attach(EICAR, "x"), b"a.eml"), b"b.eml"), b"c.eml")),
         "limit.max-container-depth"),
        ({"max_member_bytes": 1000}, mixed(attached(wrappings.zipped(bytes(5000)), b"a.zip")), "limit.max-member-bytes"),
        ({"max_unpacked_bytes": 1000}, mixed(attached(wrappings.zipped(bytes(5000)), b"a.zip")), "limit.max-unpacked-bytes"),
        ({"max_ratio": 5, "ratio_floor_bytes": 10}, mixed(attached(wrappings.zipped(bytes(50_000)), b"a.zip")), "limit.max-ratio"),
        ({"max_encoded_blocks": 3}, wrappings.single(TEXT, wrappings.uuencoded(b"x") * 9), "limit.max-encoded-blocks"),
        ({"max_readings": 3}, wrappings.single(b"Content-Type: multipart/mixed\r\n", b"--q\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 9),
         "limit.max-readings"),
        ({"max_reading_bytes": 1, "max_reading_factor": 1},
         wrappings.single(b"Content-Type: multipart/mixed\r\n", b"--q\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 9),
         "limit.max-reading-bytes"),
    ],
)  # fmt: skip
def test_each_limit_is_a_finding(limits: dict[str, int], message: bytes, name: str) -> None:
    (finding, *_) = walked(message, DEFAULT._replace(**limits)).named(name)
    assert (finding.kind, finding.reason) == (Kind.UNSCANNABLE, Reason.LIMIT)
    assert walked(message).named(name) == []


def test_max_members_counts_all_containers_together() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for number in range(3):
            made.writestr(f"{number}.txt", b"x%d" % number)
    message = mixed(attached(packed.getvalue(), b"a.zip"), attached(packed.getvalue(), b"b.zip"))
    result = walked(message, DEFAULT._replace(max_members=4))
    (finding,) = result.named("limit.max-members")
    assert finding.part == (2,)
    assert len(result.content(b"x0")) == 2
    assert walked(message).named("limit.max-members") == []


@pytest.mark.parametrize("encoding", ["x-gzip64", "x-yenc", "base64"])
def test_a_declared_encoding_is_metered(encoding: str) -> None:
    """gzip64 makes a thousand bytes of one; nothing may fill the disk unnoticed."""
    data = bytes(50_000)
    body = {
        "x-gzip64": lambda: base64.encodebytes(gzip.compress(data)),
        "x-yenc": lambda: wrappings.yencoded(data),
        "base64": lambda: base64.b64encode(data),
    }
    message = mixed(b"Content-Type: image/png\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (encoding.encode(), body[encoding]()))
    assert walked(message, DEFAULT._replace(max_unpacked_bytes=1000)).named("limit.max-unpacked-bytes")
    assert walked(message).named("limit.max-unpacked-bytes") == []


def test_too_many_readings_of_one_encoding() -> None:
    body = b"junk\r\n" + b"begin 644 a\r\n#86)C\r\n`\r\nend\r\n" * (DEFAULT.max_encoded_blocks + 1)
    result = walked(mixed(b"Content-Type: image/png\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n" + body))
    assert ("1",) in {finding.trail for finding in result.named("limit.max-encoded-blocks")}


def test_what_came_before_a_limit_is_looked_at() -> None:
    message = mixed(attached(wrappings.zipped(EICAR + bytes(5000)), b"a.zip"))
    result = walked(message, DEFAULT._replace(max_member_bytes=1 << 12, spool_memory_bytes=1))
    assert result.named("limit.max-member-bytes")
    assert len(result.items) > 2


class Clock:
    """Each look at it costs a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_the_deadline_ends_containers() -> None:
    message = mixed(*[attached(wrappings.zipped(b"x%d" % number), b"a.zip") for number in range(9)])
    (first, *rest) = walked(message, clock=Clock(), deadline=10.0).named("limit.max-scan-s")
    assert (first.kind, first.reason) == (Kind.UNSCANNABLE, Reason.TIMEOUT)
    assert {finding.part for finding in rest} > {(9,)}
    assert walked(message, clock=Clock(), deadline=10_000.0).findings == []


def test_broken_and_encrypted_members_are_findings() -> None:
    encrypted = walked(mixed(attached(wrappings.zipcrypto(EICAR, b"not in the mail"), b"a.zip")))
    (finding,) = encrypted.named("zip.encrypted")
    assert (finding.kind, finding.reason, finding.part) == (Kind.UNSCANNABLE, Reason.ENCRYPTED, (1,))
    cut = walked(mixed(attached(gzip.compress(EICAR * 50)[:-20], b"a.gz")))
    assert {(finding.kind, finding.reason) for finding in cut.findings} == {(Kind.UNSCANNABLE, Reason.BROKEN)}


def double(*members: Member | Problem) -> Callable[..., object]:
    return lambda *_: iter(members)


def test_problems_and_broken_members(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> object:
        yield b"readable"
        raise BrokenMember("zip.crc", "says so")

    monkeypatch.setattr(
        archive,
        "walk",
        double(Problem("zip.overlap", "odd"), Problem("zip.method", "new", Reason.UNSUPPORTED), Member(("m",), broken())),  # type: ignore[arg-type]
    )
    monkeypatch.setattr(sniff, "sniff", lambda source: "zip" if source.size > 8 else "data")
    result = walked(mixed(attached(b"not a zip at all", b"a.zip")))
    told = {(f.name, f.kind, f.reason, f.detail, f.trail) for f in result.findings}
    assert told == {
        ("zip.overlap", Kind.MALFORMED, None, "odd", ("1",)),
        ("zip.method", Kind.UNSCANNABLE, Reason.UNSUPPORTED, "new", ("1",)),
        ("zip.crc", Kind.UNSCANNABLE, Reason.BROKEN, "says so", ("1", "m")),
    }
    assert result.content(b"readable")


@pytest.mark.parametrize(
    ("reason", "doubtful", "kind"),
    [
        (None, False, Kind.MALFORMED),
        (Reason.BROKEN, False, Kind.UNSCANNABLE),
        (Reason.BROKEN, True, Kind.MALFORMED),
        (Reason.UNSUPPORTED, True, Kind.MALFORMED),
        (Reason.ENCRYPTED, True, Kind.UNSCANNABLE),
        (Reason.LIMIT, True, Kind.UNSCANNABLE),
    ],
)
def test_unopened(reason: Reason | None, doubtful: bool, kind: Kind) -> None:
    finding = walk.unopened("zip.x", reason, (1,), ("1",), "d", doubtful=doubtful)
    assert finding.kind is kind
    assert (finding.reason is None) == (kind is Kind.MALFORMED)


# -- passwords


def test_passwords_of_a_file_there_are_none() -> None:
    with Spool() as spool:
        assert list(walk.Walker(Source(b"x"), spool, Meter()).passwords()) == []


def test_a_password_in_the_mail_opens_the_archive() -> None:
    message = mixed(b"\r\nThe password is s3cret", attached(wrappings.zipcrypto(EICAR, b"s3cret"), b"a.zip"))
    assert walked(message).content(EICAR)


# -- resources


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_files_are_given_back_while_walking() -> None:
    """However many members there are, few files are open at a time; none afterwards."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for number in range(50):
            made.writestr(f"{number}.txt", os.urandom(3000))
    source = Source(mixed(attached(packed.getvalue(), b"a.zip")))
    before = descriptors()
    most = 0
    with Spool(None, 1000) as spool:
        walker = walk.Walker(source, spool, Meter())
        for _ in walker.message(scanner.parse(source)):
            most = max(most, descriptors())
        assert descriptors() == before
    assert before < most <= before + 8


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_files_are_given_back_when_nobody_wants_more() -> None:
    source = Source(wrappings.attach(wrappings.zipped(os.urandom(9000)), "a.zip"))
    before = descriptors()
    with Spool(None, 100) as spool:
        walker = walk.Walker(source, spool, Meter())
        found = walker.message(scanner.parse(source))
        for one in found:
            if isinstance(one, Item) and one.trail == ("2", "a.txt"):
                break
        assert descriptors() > before
    assert descriptors() == before


# -- whatever the bytes

PIECES = [
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/plain; name=a.exe\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: x-gzip64\r\n",
    b"\r\n",
    b"--b\r\n",
    b"--b--\r\n",
    wrappings.b64(wrappings.zipped(EICAR)),
    wrappings.zipped(b"x"),
    wrappings.uuencoded(b"x"),
    b"%PDF-1.7\n",
    b"\0",
    b"\r",
    b"BEGIN:VCALENDAR\r\n",
    b"<html>",
    b"{\\rtf1",
]
BUSY = DEFAULT._replace(max_readings=100, max_reading_bytes=1 << 18, max_container_depth=4, max_members=50)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=30).map(b"".join))
def test_nothing_is_raised_and_all_places_exist(data: bytes) -> None:
    paths = {part.path for part in tree.walk(scanner.parse(Source(data), BUSY))}
    result = walked(data, BUSY)
    assert result.items[0][1] == data
    assert {item.part for item, _ in result.items} <= paths
    assert {finding.part for finding in result.findings} <= paths
    assert {finding.engine for finding in result.findings} <= {walk.READER}
    for finding in result.findings:
        assert (finding.reason is not None) == (finding.kind is Kind.UNSCANNABLE)


# -- parts where none belong

MIXED = wrappings.HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
HIDDEN = b"Content-Type: image/png; name=x.png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(EICAR) + b"\r\n"
ONE = b"--b\r\n\r\none\r\n"
INNER = b"--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"


@pytest.mark.parametrize(
    ("message", "part", "odd"),
    [
        (MIXED + HIDDEN + ONE + b"--b--\r\n", (), ("",)),
        (MIXED + b"Hello\r\n" + b"--c\r\n" + HIDDEN + ONE + b"--b--\r\n", (), ("",)),
        (MIXED + ONE + b"--b--\r\n" + HIDDEN, (), ("",)),
        (MIXED + ONE + b"--b--\r\n--c\r\n" + HIDDEN + b"--c--\r\n", (), ("",)),
        (MIXED + b"Hello\r\n" + HIDDEN + b"--b--\r\n", (), ("",)),  # no part at all
        (MIXED + ONE + b"--c\r\n" + HIDDEN + b"--c--\r\n--b--\r\n", (1,), ("1",)),
        (MIXED + INNER + HIDDEN + b"--i\r\n\r\nx\r\n--i--\r\n--b--\r\n", (1, 1), ("1.1",)),
        (mixed(attached(MIXED + HIDDEN + ONE + b"--b--\r\n", b"x.eml")), (1,), ("1", "message")),
    ],
    ids=["preamble", "delimited preamble", "epilogue", "delimited epilogue", "only preamble", "text", "inner preamble", "attached message"],
)
def test_stray_parts_are_looked_at(message: bytes, part: Path, odd: tuple[str, ...]) -> None:
    result = walked(message)
    assert [(finding.kind, finding.part, finding.trail) for finding in result.named("mime.stray-part")] == [
        (Kind.MALFORMED, part, tuple(filter(None, odd)))
    ]
    found = [item for item in result.content(EICAR) if item.doubtful]
    assert {item.part for item in found} == {part}
    assert {item.names for item in found} == {("x.png",)}
    assert {item.media_type for item in found} == {"image/png"}


def test_only_the_stray_text_is_read_again() -> None:
    """Each part of the message is there once; what other readings show stands in the preamble."""
    message = MIXED + HIDDEN + b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n"
    result = walked(message)
    assert [(item.part, item.doubtful) for item in result.content(b"one") + result.content(b"two")] == [((1,), False), ((2,), False)]
    assert not any(b"two" in content for item, content in result.items if item.doubtful)


@pytest.mark.parametrize(
    ("children", "spans"),
    [
        (b"--b\r\n\r\none\r\n--b--\r\n", [b"--b\r\n", b"\r\n--b--\r\n"]),
        (b"pre\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\nepi", [b"pre\r\n--b\r\n", b"\r\n--b--\r\nepi"]),
        (b"--b\r\n\r\none", [b"--b\r\n"]),  # nothing after the last part
        (b"no part", [b"no part"]),
    ],
)
def test_what_is_outside_of_parts(children: bytes, spans: list[bytes]) -> None:
    message = MIXED + children
    assert [message[span.start : span.stop] for span in walk._outside(scanner.parse(Source(message)))] == spans


# -- content that is elsewhere, to some

EXTERNAL = b'message/external-body; access-type=URL; URL="http://x.example/"'
PARTIAL = b"message/partial; id=a; number=1; total=2"


@pytest.mark.parametrize(("value", "name"), [(EXTERNAL, "mime.external-body"), (PARTIAL, "mime.message-partial")])
@pytest.mark.parametrize(
    "message",
    [
        wrappings.HEAD + b"Content-Type: text/plain\r\nContent-Type: %s\r\n\r\nhello\r\n",
        MIXED + ONE + b"--b--\r\n--c\r\nContent-Type: %s\r\n\r\n\r\n--c--\r\n",
        MIXED + ONE + b"--c\r\nContent-Type: %s\r\n\r\n\r\n--b--\r\n",
        wrappings.HEAD + b"Content-Type: multipart/mixed; boundary=x; boundary=b\r\n\r\n--b\r\nContent-Type: %s\r\n\r\n\r\n--b--\r\n",
    ],
    ids=["second type", "epilogue", "text", "second boundary"],
)
def test_what_is_elsewhere_in_another_reading(message: bytes, value: bytes, name: str) -> None:
    found = walked(message % value).named(name)
    assert found
    assert {(finding.kind, finding.reason, finding.trail[-1].startswith("reading")) for finding in found} == {(Kind.BANNED, None, True)}
    assert walked(message % b"text/plain").named(name) == []


# -- messages by their names

UNKNOWN = b"X-Odd: 1\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(EICAR)  # too little to be sure


@pytest.mark.parametrize(
    ("name", "is_message"),
    [
        (b"x.eml", True),
        (b"X.EML", True),
        (b"x.mht", True),
        (b"x.mhtml", True),
        (b"x.nws", True),
        (b"x.mbox", True),
        (b"x.mbx", True),
        (b"x.msg", True),
        (b"x.eml.txt", True),  # who drops the last suffix
        (b"x.emlx", False),
        (b"eml", False),
        (b"x-eml", False),
        (b"x.bin", False),
    ],
)
def test_a_message_is_recognised_by_its_name(name: bytes, is_message: bool) -> None:
    assert sniff.sniff(Source(UNKNOWN)) == "text"
    result = walked(mixed(attached(UNKNOWN, name)))
    assert [(item.part, item.trail) for item in result.content(EICAR)] == ([((1,), ("1", "message"))] if is_message else [])
    assert bool(of_file(UNKNOWN, name.decode()).content(EICAR)) == is_message


def test_any_of_several_names_makes_a_message() -> None:
    part = attached(UNKNOWN, b"a.bin\r\nContent-Disposition: attachment; filename=a.eml")
    assert walked(mixed(part)).content(EICAR)
    assert not walked(mixed(part.replace(b"a.eml", b"a.txt"))).content(EICAR)


def test_a_document_named_like_a_message_is_none() -> None:
    result = of_file(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "x.msg")
    assert [item.trail for item, _ in result.items if item.trail[-1:] == ("message",)] == []
    assert not {finding.name for finding in result.findings} & {"header.no-end", "header.no-fields"}
