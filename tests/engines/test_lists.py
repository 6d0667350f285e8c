from __future__ import annotations

import base64

import pytest

from doubles import context, item_of
from lazaretto.content.candidates import MAX_CANDIDATES
from lazaretto.content.sniff import sniff
from lazaretto.engines.lists import Lists
from lazaretto.errors import ConfigError, EngineError
from lazaretto.limits import DEFAULT, Meter
from lazaretto.mime import scanner
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Item, Kind, Reason
from lazaretto.scan.walk import Walker
from lazaretto.store.spool import Spool
from wrappings import uuencoded, zipped

EXE = b"MZ\x90\0\x03" + b"\0" * 60
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
TEXT = b"Dear all,\nnothing here.\n"


def lists(**options: object) -> Lists:
    return Lists.from_config("lists", options)


def file(data: bytes, *names: str, media_type: str = "application/octet-stream", **fields: object) -> Item:
    return item_of(data, names=names, media_type=media_type, type=sniff(Source(data)), **fields)


def said(engine: Lists, item: Item) -> list[tuple[str, str]]:
    found = engine.scan(item, context())
    assert all((finding.kind, finding.engine) == (Kind.BANNED, "lists") for finding in found)
    return [(finding.name, finding.detail) for finding in found]


def test_ban_list_before_stop_list_before_consistency() -> None:
    engine = lists(banlist=[r"\.scr$"], stoplist=[r"\.(exe|scr)$", "invoice"])
    assert said(engine, file(TEXT, "a.scr")) == [("name.banlist", r"a.scr matches \.scr$")]
    assert said(engine, file(TEXT, "a.exe")) == [("name.stoplist", r"a.exe matches \.(exe|scr)$")]
    assert said(engine, file(EXE, "a.SCR")) == [("name.banlist", r"a.SCR matches \.scr$")]
    assert said(engine, file(TEXT, "the Invoice.png")) == [("name.stoplist", "the Invoice.png matches invoice")]
    assert said(engine, file(TEXT, "a.png")) == [("name.inconsistent", "content is not png: a.png")]
    assert said(engine, file(TEXT, "a.dat")) == []


def test_a_renamed_program_is_found_by_its_content() -> None:
    engine = lists(stoplist=[r"\.exe$"])
    assert said(engine, file(EXE, "readme.txt")) == [("name.stoplist", r"filetype.exe matches \.exe$")]
    assert said(engine, file(EXE)) == [("name.stoplist", r"filetype.exe matches \.exe$")]
    assert said(engine, file(TEXT, "readme.txt")) == []


def test_a_name_that_hides_its_end() -> None:
    engine = lists(stoplist=[r"\.exe$"], consistent=False)
    for name in ("a.exe.", "a.exe \t", "a.exe\0.txt", "a.txt:b.exe", "=?utf-8?Q?a=2Eexe?="):
        ((finding, _),) = said(engine, file(TEXT, name))
        assert finding == "name.stoplist", name
    ((finding, detail),) = said(engine, file(TEXT, "harmless.txt", "evil.exe"))  # what another client shows
    assert (finding, detail) == ("name.stoplist", r"evil.exe matches \.exe$")


def test_expressions_do_not_touch_each_other() -> None:
    engine = lists(banlist=["(?s)^a.b$", "q|z", r"(?-i:SECRET)"], consistent=False)
    assert said(engine, file(TEXT, "q.dat"))
    assert said(engine, file(TEXT, "my SECRET.dat"))
    assert not said(engine, file(TEXT, "my secret.dat"))
    assert not said(engine, file(TEXT, "other.dat"))


@pytest.mark.parametrize(
    ("item", "detail"),
    [
        (file(EXE, "a.txt"), "exe content claims to be txt: a.txt"),
        (file(TEXT, "a.png", media_type="image/png"), "content is not png: a.png"),
        (file(PNG, "a.vbs", media_type="image/png"), "image/png wants .png: a.vbs"),
        (file(PNG, "image", media_type="image/png"), "image/png wants .png: image"),
        (file(TEXT, "a\u202egpj.exe", "b.txt"), "is exe and txt at once: a\\u202egpj.exe"),
        (file(EXE), "exe content claims to be txt"),
    ],
)
def test_inconsistent(item: Item, detail: str) -> None:
    assert said(lists(), item) == [("name.inconsistent", detail)]
    assert said(lists(consistent=False), item) == []


@pytest.mark.parametrize(
    "item",
    [
        file(PNG, "a.png", media_type="image/png"),
        file(PNG, media_type="image/png"),
        file(PNG, media_type="image/jpeg"),  # nobody gave it a name
        file(TEXT, media_type="text/html"),
        file(TEXT, media_type="text/plain"),
        file(b"MZ Bank, Mainz", media_type="text/plain"),
        file(b"<html><body>hello", "mail.txt", media_type="text/html"),
        file(b"Subject: x\r\n\r\nhello", media_type="message/rfc822"),
        file(b"", "a.png", media_type="image/png"),
        file(EXE, "setup.exe", media_type="application/x-msdownload"),
        file(b"%PDF-1.7", "a.pdf", media_type="application/pdf"),
        file(TEXT, "a.png", media_type="image/png", doubtful=True),  # in doubt only the lists count
    ],
)
def test_consistent(item: Item) -> None:
    assert said(lists(), item) == []


def test_lists_count_in_doubtful_readings() -> None:
    assert said(lists(banlist=["^a"]), file(TEXT, "a.png", doubtful=True))


@pytest.mark.parametrize(
    "item",
    [
        file(EXE, "a.exe", is_message=True),
        file(EXE, "a.exe", is_file=False),
        file(EXE, "a.exe", trail=("2", "a.exe")),
    ],
)
def test_not_wanted(item: Item) -> None:
    engine = lists(banlist=[".*"])
    assert not engine.wants(item)
    assert engine.scan(item, context()) == []


def walked(engine: Lists, message: bytes) -> list[Finding]:
    source = Source(message)
    with Spool() as spool:
        walker = Walker(source, spool, Meter(DEFAULT))
        return [
            finding
            for item in walker.message(scanner.parse(source))
            if isinstance(item, Item) and engine.wants(item)
            for finding in engine.scan(item, context())
        ]


def test_attachments_of_a_message_and_of_a_forwarded_one_and_what_is_encoded_in_text() -> None:
    inner = b'Content-Type: application/octet-stream; name="inner.exe"\r\n\r\nx\r\n'
    archive = base64.encodebytes(zipped(b"x", "member.exe"))
    encoded = uuencoded(b"x", "encoded.exe")
    message = b"\r\n".join(
        [
            b'Content-Type: multipart/mixed; boundary="b"\r\n',
            b"--b\r\n\r\nhello\r\n" + encoded,
            b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner,
            b'--b\r\nContent-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n' + archive,
            b'--b\r\nContent-Disposition: attachment; filename="own.exe"\r\n\r\nx',
            b"--b--\r\n",
        ]
    )
    found = {finding.detail.partition(" ")[0] for finding in walked(lists(stoplist=[r"\.exe$"]), message)}
    assert found == {"encoded.exe", "inner.exe", "own.exe"}


def test_program_that_only_a_careless_decoder_shows() -> None:
    """The first line is no base64; who skips it gets a program, whatever it is called."""
    program = base64.b64encode(b"MZ\x90\0" + bytes(200))
    message = (
        b"Content-Type: application/octet-stream; name=report.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n# a comment\r\n" + program
    )
    (finding,) = walked(lists(stoplist=[r"\.exe$"]), message)
    assert finding.detail.startswith("filetype.exe ")


def test_attachments_in_a_signed_message_are_attachments() -> None:
    """Mail programs show what stands in S/MIME's envelope.  It could not be renamed there, so consistency is not asked for."""

    def sealed(name: str) -> Item:
        return file(TEXT, name)._replace(trail=("2", "p7m#1", "message", "2"))

    assert lists().wants(sealed("a.exe"))
    assert said(lists(stoplist=[r"\.exe$"]), sealed("a.exe")) == [("name.stoplist", r"a.exe matches \.exe$")]
    assert said(lists(), sealed("a.png")) == []
    assert said(lists(), file(TEXT, "a.png")) == [("name.inconsistent", "content is not png: a.png")]


def test_details_are_short_and_printable() -> None:
    ((_, detail),) = said(lists(banlist=["x{3}" + "|y" * 500]), file(TEXT, "a\x1b[2J\n\u202e" + "x" * 5000))
    assert detail.isprintable()
    assert len(detail) < 1000


def test_hostile_names() -> None:
    engine = lists(stoplist=[r"\.exe$"], consistent=False)
    many = tuple(f"{n}.dat" for n in range(MAX_CANDIDATES + 1))
    with pytest.raises(EngineError, match="more than 4096 names") as caught:
        engine.scan(file(TEXT, *many), context())
    assert caught.value.reason is Reason.LIMIT
    assert said(engine, file(TEXT, "a.exe", *many))  # found is found
    with pytest.raises(EngineError) as caught:
        engine.scan(file(TEXT, "a.dat"), context(-1))
    assert caught.value.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"banlist": ["fine", "("]}, 'banlist: "(" is no regular expression'),
        ({"stoplist": ["*.exe"]}, 'stoplist: "*.exe" is no regular expression'),
        ({"stoplist": r"\.exe$"}, "stoplist: expected a list"),
        ({"consistent": "yes"}, "consistent: expected true or false"),
        ({"scanlist": []}, "scanlist: unknown option"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=r"\[engines\.lists\]") as caught:
        lists(**options)
    assert message in str(caught.value)


def test_info_and_close() -> None:
    engine = lists(banlist=["a"], stoplist=["b", "c"], required=False)
    assert not engine.required
    assert engine.info(1).signatures == "1 in banlist, 2 in stoplist"
    engine.close()
