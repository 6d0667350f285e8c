"""Which items are pages of the outer message, and what new content fits into a part."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazaretto.limits import DEFAULT, Meter
from lazaretto.mime import scanner, tree
from lazaretto.mime.source import Source
from lazaretto.model import Item, Kind, Part, Reason, Treatment
from lazaretto.sanitize import html
from lazaretto.scan.contents import MAX_LINE, Contents
from lazaretto.store.spool import Spool

ACTING = b"<p onclick=x>hi"


def message(header: bytes = b"Content-Type: text/html\r\n", body: bytes = ACTING) -> tuple[Source, Part]:
    source = Source(b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + header + b"\r\n" + body + b"\r\n--b--\r\n")
    return source, scanner.parse(source)


def item(trail: tuple[str, ...] = ("1",), media_type: str = "text/html", names: tuple[str, ...] = (), found: str = "html") -> Item:
    return Item((1,), trail, names, media_type, Source(ACTING), found)


def looked(of: Item, profile: str = html.SCRIPTS) -> list[str]:
    source, root = message()
    return [finding.name for finding in Contents(source, DEFAULT, profile).look(of, root)]


@pytest.mark.parametrize(
    "page",
    [
        item(),
        item(media_type="application/xhtml+xml", found="xml"),
        item(media_type="application/octet-stream", names=("a.html",)),
        item(media_type="", names=("a.exe", "B.HTM"), found="text"),
        item(("readingX",))._replace(doubtful=True),
        item(("1", "base64.skip"))._replace(doubtful=True),
    ],
)
def test_pages(page: Item) -> None:
    assert looked(page) == ["html.handler"]
    assert looked(page, html.OFF) == []


@pytest.mark.parametrize(
    "other",
    [
        item(media_type="text/plain"),
        item(media_type="application/octet-stream"),
        item(media_type="application/pdf", names=("a.html",), found="pdf"),
        item(("1", "a.zip", "a.html")),
        item(("1", "entities"))._replace(is_file=False),
        item(("1", "a.html")),  # in a container
        item(("readingX", "a.zip", "a.html"))._replace(doubtful=True),
        item(())._replace(is_message=True),
    ],
)
def test_what_is_no_page_of_the_message(other: Item) -> None:
    assert looked(other) == []


def test_a_finding_says_where_and_what() -> None:
    source, root = message()
    (finding,) = Contents(source, DEFAULT, html.SCRIPTS).look(item(), root)
    assert finding[:5] == ("html", Kind.DISARMED, "html.handler", (1,), "onclick on p")
    assert finding.trail == ("1",)


def test_the_time_for_a_message_is_the_time_for_its_pages() -> None:
    source, root = message()
    meter = Meter(DEFAULT, deadline=1.0, clock=lambda: 2.0)
    (finding,) = Contents(source, DEFAULT, html.SCRIPTS).look(item(), root, meter.tick)
    assert finding[:3] == ("html", Kind.UNSCANNABLE, "limit.max-scan-s")
    assert finding.reason is Reason.TIMEOUT


def new(header: bytes, body: bytes = ACTING, profile: str = html.SCRIPTS) -> tuple[bytes, dict[bytes, bytes]]:
    source, root = message(header, body)
    contents = Contents(source, DEFAULT, profile)
    part = tree.find(root, (1,))
    assert part is not None
    seen = item(media_type=part.media_type, names=part.names)._replace(content=Source(body))
    assert list(contents.look(seen, root))
    bodies, fields = contents.bodies(root, {(1,): Treatment.DISARM}, None)
    return bodies[(1,)].read_at(0, 1 << 20), dict(fields.get((1,), ()))


def test_fields_change_only_where_they_have_to() -> None:
    assert new(b"Content-Type: text/html; charset=iso-8859-1\r\n") == (b"<p>hi", {})
    assert new(b"Content-Type: text/html; charset=utf-16\r\n")[1] == {b"Content-Type": b"text/html; charset=utf-8"}
    assert new(b'Content-Type: application/xhtml+xml; name="a\\"b.html"\r\n')[1] == {b"Content-Type": b"text/html; charset=utf-8"}
    assert new(b"Content-Type: text/html\r\nContent-Transfer-Encoding: x-none\r\n")[1] == {
        b"Content-Transfer-Encoding": b"quoted-printable"
    }
    plain = {b"Content-Type": b"text/plain; charset=utf-8"}
    assert new(b"Content-Type: text/html\r\n", ACTING, html.TEXT) == (b"hi\r\n", plain)
    encoded = plain | {b"Content-Transfer-Encoding": b"quoted-printable"}
    assert new(b"Content-Type: text/html\r\n", b"&euro;", html.TEXT) == (b"=E2=82=AC\r\n", encoded)


def test_a_page_that_is_too_large_gets_no_new_content() -> None:
    source, root = message()
    contents = Contents(source, DEFAULT._replace(max_html_bytes=len(ACTING) - 1), html.SCRIPTS)
    contents.disarmed.add((1,))  # because of another reading, which is smaller
    assert contents.bodies(root, {(1,): Treatment.DISARM}, None).bodies == {}


def test_lines_as_long_as_mail_allows() -> None:
    fits, too_long = ACTING + b"x" * (MAX_LINE - len(b"<p>hi")), ACTING + b"x" * MAX_LINE
    assert new(b"Content-Type: text/html\r\n", fits)[1] == {}
    assert new(b"Content-Type: text/html\r\n", too_long)[1] == {b"Content-Transfer-Encoding": b"quoted-printable"}
    assert new(b"Content-Type: text/html\r\nContent-Transfer-Encoding: binary\r\n", too_long)[1] == {}


def test_nothing_for_parts_that_are_to_stay_or_to_go() -> None:
    source, root = message()
    contents = Contents(source, DEFAULT, html.SCRIPTS)
    list(contents.look(item(), root))
    for treatment in (Treatment.KEEP, Treatment.REPLACE):
        assert contents.bodies(root, {(1,): treatment}, None).bodies == {}
    assert contents.given == {}


def test_what_has_not_arrived_is_noticed(tmp_path: Path) -> None:
    source, root = message()
    contents = Contents(source, DEFAULT, html.SCRIPTS)
    list(contents.look(item(), root))
    contents.bodies(root, {(1,): Treatment.DISARM}, None)
    with Spool(str(tmp_path)) as spool:
        assert not contents.arrived(source, root, spool)
        after, tree_after = message(body=b"<p>hi")
        assert contents.arrived(after, tree_after, spool)
