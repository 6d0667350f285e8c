from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from doubles import ClamdDouble, context, item_of
from eicar import EICAR
from lazaretto.engines import registry
from lazaretto.engines.base import Engine
from lazaretto.engines.registry import EngineSpec, build, find_clamd, parse_spec
from lazaretto.errors import ConfigError

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("yara", EngineSpec("yara", "yara", {})),
        ("yara:/etc/rules", EngineSpec("yara", "yara", {"rules": ["/etc/rules"]})),
        ("clamd:unix:/run/clamd", EngineSpec("clamd", "clamd", {"addresses": ["unix:/run/clamd"]})),
        ("clamd:/run/clamd", EngineSpec("clamd", "clamd", {"addresses": ["unix:/run/clamd"]})),
        ("clamd:10.0.0.1:3310", EngineSpec("clamd", "clamd", {"addresses": ["10.0.0.1:3310"]})),
        ("clamd:[::1]:3310", EngineSpec("clamd", "clamd", {"addresses": ["[::1]:3310"]})),
        ("clamd:host", EngineSpec("clamd", "clamd", {"addresses": ["host:3310"]})),
        ("command:clamscan", EngineSpec("command", "clamscan", {})),
        ("attachments", EngineSpec("attachments", "attachments", {})),
        ("fpscand", EngineSpec("fpscand", "fpscand", {})),
        ("fpscand:127.0.0.1:10200", EngineSpec("fpscand", "fpscand", {"addresses": ["127.0.0.1:10200"]})),
        ("fpscand:unix:/run/f", EngineSpec("fpscand", "fpscand", {"addresses": ["unix:/run/f"]})),
        ("fprotd:host:10201", EngineSpec("fprotd", "fprotd", {"addresses": ["host:10201"]})),
    ],
)
def test_specifications(text: str, spec: EngineSpec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown engine ''; known are attachments, clamd, command, filerules, fprotd, fpscand, lists, yara"),
        ("avast", "unknown engine 'avast'"),
        ("avast:x", "unknown engine 'avast'"),
        ("yara:", "expected yara or yara:PATH"),
        ("clamd", "expected clamd:unix:PATH"),
        ("clamd:", "expected clamd:unix:PATH"),
        ("clamd:unix:here", "unix:/absolute/path"),
        ("clamd:host:port", "expected unix:/path"),
        ("command", "expected command:NAME"),
        ("command:", "expected command:NAME"),
        ("attachments:x", "takes no argument"),
        ("fpscand:", "expected fpscand:HOST:PORT"),
        ("icap://host/avscan", "icap is not available yet"),
    ],
)
def test_wrong_specifications(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_spec(text)
    assert message in str(caught.value)


def test_every_kind_can_be_built() -> None:
    options: dict[str, dict[str, object]] = {"clamd": {"addresses": ["unix:/nonexistent"]}, "command": {"argv": ["true", "{file}"]}}
    for kind in registry.kinds():
        engine = build(kind, f"my-{kind}", options.get(kind, {}))
        assert engine.name == f"my-{kind}"
        assert engine.required
        assert isinstance(engine.by_content, bool)
        info = engine.info(0.2)
        assert isinstance(info.version, str)
        engine.close()


def test_an_option_of_another_engine_is_refused() -> None:
    for kind in registry.kinds():
        with pytest.raises(ConfigError):
            build(kind, kind, {"argv": ["x", "{file}"], "addresses": ["/x"], "rules": []})


def test_an_unknown_kind() -> None:
    with pytest.raises(ConfigError, match="unknown engine 'nonesuch'"):
        build("nonesuch", "x", {})


# -- engines of others


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that brings the engine of examples/engine_skeleton.py, and one that cannot be loaded."""
    metadata = tmp_path / "skeleton-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: skeleton\nVersion: 1.0\n")
    points = [
        "skeleton = engine_skeleton:Skeleton",
        "broken = no_such_module:Engine",
        "plain = engine_skeleton:MARK",
        "yara = engine_skeleton:Skeleton",
    ]
    (metadata / "entry_points.txt").write_text("\n".join(["[lazaretto.engines]", *points, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.mark.usefixtures("installed")
def test_the_skeleton_fulfils_the_contract() -> None:
    assert parse_spec("skeleton") == EngineSpec("skeleton", "skeleton", {})
    engine: Engine = build("skeleton", "mine", {"word": "plague"})
    item = item_of(b"there is plague in it")
    assert engine.wants(item)
    (finding,) = engine.scan(item, context())
    assert (finding.engine, finding.name) == ("mine", "skeleton.word")
    assert list(engine.scan(item_of(b"nothing"), context())) == []
    assert engine.info(1).reachable
    engine.close()
    with pytest.raises(ConfigError, match="unknown option"):
        build("skeleton", "mine", {"words": "x"})


@pytest.mark.usefixtures("installed")
def test_foreign_engines_that_do_not_work() -> None:
    with pytest.raises(ConfigError, match="cannot be loaded from no_such_module:Engine"):
        build("broken", "x", {})
    with pytest.raises(ConfigError, match="no from_config"):
        build("plain", "x", {})


@pytest.mark.usefixtures("installed")
def test_the_table_comes_first() -> None:
    assert type(build("yara", "yara", {})).__module__ == "lazaretto.engines.yara"


# -- the usual clamd


def test_find_clamd(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no socket")
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "stale"))
    stale.close()
    double = ClamdDouble(tmp_path / "s")
    paths = [str(tmp_path / name) for name in ("none", "plain", "stale", "s")]
    try:
        assert find_clamd(5, paths) == f"unix:{tmp_path}/s"
        assert find_clamd(5, paths[:3]) is None
        double.twist = lambda _command, _honest: b"NO\0"
        assert find_clamd(5, paths) is None
    finally:
        double.close()


def test_a_strangers_socket_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    double = ClamdDouble(tmp_path / "s")
    try:
        if os.geteuid() == 0:
            os.chown(tmp_path / "s", 4711, 4711)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 4711)
        assert find_clamd(5, [str(tmp_path / "s")]) is None
        assert double.connections == 0
    finally:
        double.close()


def test_usual_sockets() -> None:
    assert "/run/clamav/clamd.ctl" in registry.usual_clamd_sockets()


def test_looking_for_clamd_where_none_is_imports_no_sockets(tmp_path: Path) -> None:
    """The stdin filter asks at each start."""
    script = f"""
import sys
sys.path[:0] = {[path for path in sys.path if path]!r}
from lazaretto.engines.registry import build, find_clamd, parse_spec
assert find_clamd(1, [{str(tmp_path / "none")!r}]) is None
spec = parse_spec("yara")
build(spec.kind, spec.name, {{"cache_dir": {str(tmp_path)!r}}})
heavy = {{"socket", "subprocess", "select", "importlib.metadata", "tempfile", "threading", "email", "dataclasses"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_eicar_by_default(tmp_path: Path) -> None:
    spec = parse_spec("yara")
    engine = build(spec.kind, spec.name, {**spec.options, "cache_dir": str(tmp_path)})
    assert [finding.name for finding in engine.scan(item_of(EICAR), context())] == ["Eicar-Test-Signature"]
