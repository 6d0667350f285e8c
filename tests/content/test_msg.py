"""content.msg: Outlook messages."""

from __future__ import annotations

from documents import compound_file, members
from eicar import EICAR
from lazaretto.content import msg
from lazaretto.content.cfb import CompoundFile
from lazaretto.mime.source import Source

ATTACHED = "__attach_version1.0_#00000000"
SUB = "__substg1.0_"


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


MESSAGE = compound_file(
    {
        "__properties_version1.0": bytes(32),
        f"{SUB}0037001F": wide("Subject"),
        f"{SUB}1000001F": wide("Hello"),
        f"{SUB}10130102": b"<p>Hello</p>",
        f"{ATTACHED}/{SUB}37010102": EICAR,
        f"{ATTACHED}/{SUB}3707001F": wide("a long name.com"),
        f"{ATTACHED}/{SUB}3704001E": b"ALONG~1.COM",
        f"{ATTACHED}/{SUB}370E001F": wide("Application/Octet-Stream"),
        f"__attach_version1.0_#00000001/{SUB}3701000D/{ATTACHED}/{SUB}37010102": b"deep" * 2000,
        f"__attach_version1.0_#00000001/{SUB}3701000D/{ATTACHED}/{SUB}3001001F": wide("deep.txt"),
    }
)


def test_attachments_and_bodies() -> None:
    found = {m.names: m for m in members("msg", MESSAGE)}
    assert found["a long name.com", "ALONG~1.COM"].data == EICAR
    assert found["a long name.com", "ALONG~1.COM"].media_type == "application/octet-stream"
    assert found["deep.txt",].data == b"deep" * 2000
    bodies = {m.media_type: m.data for m in members("msg", MESSAGE) if not m.is_file}
    assert bodies == {"text/plain": wide("Hello"), "text/html": b"<p>Hello</p>"}


def test_compressed_body() -> None:
    rtf = b"\x10\0\0\0\x04\0\0\0MELA\0\0\0\0{\\rt"
    (body,) = members("ole", compound_file({f"{SUB}10090102": rtf}))
    assert (body.data, body.media_type) == (b"{\\rt", "text/rtf")


def test_is_message() -> None:
    assert msg.is_message(CompoundFile(Source(MESSAGE)))
    assert not msg.is_message(CompoundFile(Source(compound_file({"WordDocument": b"x"}))))
