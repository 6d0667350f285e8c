from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from doubles import context, item_in_file, item_of
from eicar import EICAR
from lazaretto.engines.base import ScanContext
from lazaretto.engines.command import PRESETS, Command
from lazaretto.errors import ConfigError, EngineError
from lazaretto.mime import scanner
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Item, Kind, Reason
from peers import RealClamd, require

SH = "/bin/sh"


def shell(script: str, **options: object) -> Command:
    """A scanner in shell; $1 is the file."""
    return Command.from_config("av", {"argv": [SH, "-c", script, "scanner", "{file}"], **options})


def failure(engine: Command, seconds: float = 10) -> EngineError:
    with pytest.raises(EngineError) as caught:
        engine.scan(item_of(b"x"), context(seconds))
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (0, None, None),
        (7, None, None),
        (1, Kind.MALWARE, None),
        (9, Kind.UNSCANNABLE, Reason.ENCRYPTED),
        (8, Kind.UNSCANNABLE, Reason.LIMIT),
    ],
)
def test_statuses(status: int, kind: Kind | None, reason: Reason | None) -> None:
    engine = shell(f"exit {status}", clean=[0, 7], encrypted=[9], limit=[8])
    assert [(finding.kind, finding.reason) for finding in engine.scan(item_of(b"x"), context())] == ([(kind, reason)] if kind else [])


@pytest.mark.parametrize(
    ("script", "said"),
    [("exit 2", "unexpected status 2"), ("echo oh no; exit 3", "oh no"), ("kill -9 $$", "signal 9"), ("kill -SEGV $$", "signal 11")],
)
def test_any_other_end_is_an_error(script: str, said: str) -> None:
    error = failure(shell(script))
    assert error.reason is Reason.DOWN
    assert said in error.detail


def test_a_program_that_cannot_be_started_is_neither_clean_nor_infected(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a program")
    for program in ("/nonexistent/scanner", str(tmp_path / "data"), str(tmp_path)):
        engine = Command.from_config("av", {"argv": [program, "{file}"], "infected": [1, 2, 127, 126], "clean": [0]})
        error = failure(engine)
        assert error.reason is Reason.DOWN
        assert "cannot be started" in error.detail


def test_names_from_the_output() -> None:
    script = 'printf "%s: A.B FOUND\\n%s: C FOUND\\n%s: C FOUND\\n" "$1" "$1" "$1"; exit 1'
    engine = shell(script, found_pattern=r": (?P<name>\S+) FOUND$")
    assert engine.scan(item_of(b"x"), context()) == [Finding("av", Kind.MALWARE, "A.B"), Finding("av", Kind.MALWARE, "C")]
    (finding,) = shell("exit 1", found_pattern=r": (?P<name>\S+) FOUND$").scan(item_of(b"x"), context())
    assert finding.name == "av.infected"
    # some scanners always end with 0, or with "could not look into all of it"
    for script in ("echo BAD thing; exit 0", "echo BAD thing >&2; exit 5"):
        (finding,) = shell(script, found_pattern="BAD.*", limit=[5]).scan(item_of(b"x"), context())
        assert (finding.name, finding.kind) == ("BAD thing", Kind.MALWARE)
    # what it prints is data
    (finding,) = shell(r'printf "BAD\033[2J\n"; exit 1', found_pattern="BAD.*").scan(item_of(b"x"), context())
    assert finding.name == "BAD?[2J"


@pytest.mark.parametrize("pass_descriptor", [True, False])
@pytest.mark.parametrize("stdin", [True, False])
@pytest.mark.parametrize("in_file", [True, False])
def test_the_content_arrives(tmp_path: Path, stdin: bool, pass_descriptor: bool, in_file: bool) -> None:
    content = os.urandom(100_000)
    read = "sys.stdin.buffer" if stdin else "open(sys.argv[1], 'rb')"
    program = [sys.executable, "-I", "-S", "-c", f"import sys, zlib; print('CRC', zlib.crc32({read}.read()))"]
    options = {"argv": program if stdin else [*program, "{file}"], "stdin": stdin, "pass_descriptor": pass_descriptor}
    engine = Command.from_config("av", {**options, "found_pattern": r"^CRC (?P<name>\d+)$"})
    if in_file:
        with item_in_file(tmp_path, content) as item:
            assert item.content.fd is not None
            os.lseek(item.content.fd, 5, os.SEEK_SET)  # somebody else's position
            (finding,) = engine.scan(item, context())
            assert os.lseek(item.content.fd, 0, os.SEEK_CUR) == 5
    else:
        (finding,) = engine.scan(item_of(content), context())
    assert finding.name == str(zlib.crc32(content))


def test_the_file_is_private_and_removed(tmp_path: Path) -> None:
    script = 'stat -c "MODE %a" "$1"; stat -c "MODE %a" "$(dirname "$1")"; echo "MODE $1"; exit 1'
    names = [f.name for f in shell(script, temp_dir=str(tmp_path), found_pattern="MODE (?P<name>.*)").scan(item_of(b"x"), context())]
    assert names[:2] == ["600", "700"]
    assert names[2].startswith(str(tmp_path))
    assert names[2].endswith("/content")
    assert list(tmp_path.iterdir()) == []
    failure(shell("exit 99", temp_dir=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_a_name_from_the_mail_reaches_no_argument() -> None:
    item = item_of(b"x", names=("; touch /tmp/pwned", "-rf"), media_type="$(id)", trail=("`id`",))
    (finding,) = shell('echo "ARG $0 $*"; exit 1', found_pattern="ARG (?P<name>.*)").scan(item, context())
    assert finding.name.startswith("scanner /")
    assert "id" not in finding.name.split("/")[-1]
    # braces other than {file} are nothing special, and nothing is expanded
    engine = Command.from_config(
        "av", {"argv": ["/bin/echo", "ARG", "{}", "{file.x}", "*", "$HOME", "{file}"], "found_pattern": r"ARG (?P<name>.*) /"}
    )
    (finding,) = engine.scan(item, context())
    assert finding.name == "{} {file.x} * $HOME"


def test_killed_at_the_deadline_with_all_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pids"
    engine = shell(f'sleep 1000 & echo "$$ $!" > {mark}; wait')
    error = failure(engine, 0.5)
    assert error.reason is Reason.TIMEOUT
    end = time.monotonic() + 10  # the orphan is killed at once, but the kernel may take a moment to bury it
    while any(alive(int(pid)) for pid in mark.read_text().split()):
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_deadline_in_the_past() -> None:
    assert failure(shell("exit 0"), -1).reason is Reason.TIMEOUT


def test_output_without_end_is_thrown_away_and_ends_at_the_deadline() -> None:
    assert failure(shell("yes"), 0.5).reason is Reason.TIMEOUT


def test_output_over_the_cap_is_not_looked_at() -> None:
    script = 'head -c 100000 /dev/zero | tr "\\0" "x"; echo; echo BAD; exit 1'
    assert shell(script, found_pattern="BAD").scan(item_of(b"x"), context())[0].name == "av.infected"
    assert shell(script, found_pattern="BAD", max_output_bytes=200_000).scan(item_of(b"x"), context())[0].name == "BAD"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open")
def test_a_child_that_keeps_the_pipe_open_does_not_hold_us_up() -> None:
    (finding,) = shell("sleep 1000 & echo BAD; exit 1", found_pattern="BAD").scan(item_of(b"x"), context(30))
    assert finding.name == "BAD"


def test_without_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    (finding,) = shell("echo BAD; exit 1", found_pattern="BAD").scan(item_of(b"x"), context(30))
    assert finding.name == "BAD"
    assert failure(shell("sleep 1000"), 0.3).reason is Reason.TIMEOUT


def test_info() -> None:
    assert shell("exit 0").info(5).reachable
    assert not Command.from_config("av", {"argv": ["/nonexistent", "{file}"]}).info(5).reachable
    info = shell("exit 0", version_argv=[SH, "-c", "echo Scanner 1.2/34/today"]).info(5)
    assert (info.version, info.signatures, info.detail) == ("Scanner 1.2", "34/today", SH)
    assert not shell("exit 0", version_argv=[SH, "-c", "sleep 1000"]).info(0.2).reachable


def test_wants_and_close() -> None:
    engine = shell("exit 0")
    assert engine.wants(item_of(b"x"))
    assert not engine.wants(item_of(b"x", covered=True))
    assert engine.wants(item_of(b"x", is_message=True))
    engine.close()
    for engine in (shell("exit 0", reads_mail=False), Command.from_config("fpscan", {}), Command.from_config("f-prot", {})):
        assert engine.wants(item_of(b"x", covered=True))
        assert not engine.wants(item_of(b"x", is_message=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "argv: expected a program"),
        ({"argv": []}, "argv: expected a program"),
        ({"argv": "scan {file}"}, "argv: expected a list"),
        ({"argv": ["scan"]}, "argv: expected {file} among the arguments, or else stdin"),
        ({"argv": ["scan", "{file}"], "stdin": True}, "argv: expected {file} among the arguments, or else stdin"),
        ({"argv": ["{file}"]}, "the program itself"),
        ({"argv": ["scan", "{file}"], "clean": [0, 1]}, "more than one of the lists"),
        ({"argv": ["scan", "{file}"], "disinfected": [1]}, "more than one of the lists"),
        ({"argv": ["scan", "{file}"], "file_mode": "0755"}, "file_mode: expected permissions"),
        ({"argv": ["scan", "{file}"], "infected": ["1"]}, "infected: expected a list of numbers"),
        ({"argv": ["scan", "{file}"], "found_pattern": "("}, "found_pattern: not a regular expression"),
        ({"argv": ["scan", "{file}"], "found_pattern": "(x)"}, "(?P<name>...)"),
        ({"argv": ["scan", "{file}"], "shell": True}, "shell: unknown option"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=r"engines\.av") as caught:
        Command.from_config("av", options)
    assert message in str(caught.value)


def test_presets_are_valid_and_can_be_changed() -> None:
    for name in PRESETS:
        Command.from_config(name, {})
    engine = Command.from_config("clamscan", {"argv": [SH, "-c", 'echo "x: Y FOUND"; exit 1', "s", "{file}"]})
    assert [finding.name for finding in engine.scan(item_of(b"x"), context())] == ["Y"]


@pytest.mark.parametrize(
    ("output", "status", "names"),
    [
        ("[Found virus] <EICAR_Test_File> \t/x/content", 1, ["EICAR_Test_File"]),
        ("[Found security risk] <W32/Tool.A> /x/content->a.exe", 2, ["W32/Tool.A"]),
        ("", 0, []),
    ],
)
def test_fpscan(output: str, status: int, names: list[str]) -> None:
    engine = Command.from_config("fpscan", {"argv": [SH, "-c", f'echo "{output}"; exit {status}', "s", "{file}"]})
    assert [finding.name for finding in engine.scan(item_of(b"x"), context())] == names


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, None) for status in (0, 8, 64, 72)),
        *((status, Kind.MALWARE) for status in (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 65, 129, 193)),
        *((status, Kind.MALWARE) for status in (128, 136, 192, 200)),  # disinfected, they say, but nothing was changed
    ],
)
def test_statuses_of_fpscan(status: int, kind: Kind | None) -> None:
    engine = Command.from_config("fpscan", {"argv": [SH, "-c", f"exit {status}", "s", "{file}"]})
    assert [finding.kind for finding in engine.scan(item_of(b"x"), context())] == ([kind] if kind else [])


@pytest.mark.parametrize("status", [4, 12, 16, 20, 32, 48, 68, 126, 127, 132, 144])
def test_errors_of_fpscan(status: int) -> None:
    engine = Command.from_config("fpscan", {"argv": [SH, "-c", f"exit {status}", "s", "{file}"]})
    assert failure(engine).reason is Reason.DOWN


def test_what_fpscan_could_not_scan_can_be_told() -> None:
    options = {"argv": [SH, "-c", "exit 64", "s", "{file}"], "clean": [0], "limit": [8], "broken": [64, 72]}
    (finding,) = Command.from_config("fpscan", options).scan(item_of(b"x"), context())
    assert (finding.kind, finding.name) == (Kind.UNSCANNABLE, "command.broken")


@pytest.mark.parametrize(
    ("status", "output", "names"),
    [
        (0, "", []),
        (3, "/x/content  Infection: EICAR_Test_File", ["EICAR_Test_File"]),
        (3, "/x/content->a.exe  Infection: W32/A.B@mm (exact)", ["W32/A.B@mm"]),
        (3, "", ["f-prot.infected"]),
        (6, "", ["f-prot.infected"]),
        (8, "/x/content is a security risk named W32/Tool", ["W32/Tool"]),
    ],
)
def test_f_prot(status: int, output: str, names: list[str]) -> None:
    engine = Command.from_config("f-prot", {"argv": [SH, "-c", f'echo "{output}"; exit {status}', "s", "{file}"]})
    assert [finding.name for finding in engine.scan(item_of(b"x"), context())] == names


@pytest.mark.parametrize("status", [1, 2, 4, 5, 7])
def test_errors_of_f_prot(status: int) -> None:
    assert failure(Command.from_config("f-prot", {"argv": [SH, "-c", f"exit {status}", "s", "{file}"]})).reason is Reason.DOWN


# -- disinfection


def taking(kept: list[bytes]) -> ScanContext:
    def cleaned(_item: Item, chunks: Iterable[bytes]) -> None:
        kept.append(b"".join(chunks))

    return ScanContext(time.monotonic() + 10, cleaned=cleaned)


CURE = 'printf clean >"$1"; echo "x: A.B FOUND"; exit 6'


def test_disinfected() -> None:
    kept: list[bytes] = []
    engine = shell(CURE, disinfected=[6, 7], found_pattern=r": (?P<name>\S+) FOUND$")
    assert engine.scan(item_of(b"bad"), taking(kept)) == [Finding("av", Kind.DISINFECTED, "A.B")]
    assert kept == [b"clean"]
    assert shell(CURE, disinfected=[6]).scan(item_of(b"bad"), taking(kept)) == [Finding("av", Kind.DISINFECTED, "av.infected")]


@pytest.mark.parametrize("script", ["exit 6", 'rm "$1"; exit 6', 'rm "$1"; ln -s /etc/passwd "$1"; exit 6', 'printf bad >"$1"; exit 6'])
def test_disinfected_and_nothing_to_show_for_it_is_infected(script: str) -> None:
    kept: list[bytes] = []
    assert shell(script, disinfected=[6]).scan(item_of(b"bad"), taking(kept)) == [Finding("av", Kind.MALWARE, "av.infected")]
    assert kept == []


@pytest.mark.parametrize("option", ["stdin", "pass_descriptor"])
def test_only_the_private_copy_can_be_disinfected(tmp_path: Path, option: str) -> None:
    kept: list[bytes] = []
    words = ["{file}"] if option == "pass_descriptor" else []
    engine = Command.from_config("av", {"argv": [SH, "-c", "exit 6", "s", *words], option: True, "disinfected": [6]})
    with item_in_file(tmp_path, b"bad") as item:
        assert engine.scan(item, taking(kept)) == [Finding("av", Kind.MALWARE, "av.infected")]
    assert kept == []


def test_nobody_wants_it_disinfected() -> None:
    assert shell(CURE, disinfected=[6]).scan(item_of(b"bad"), context()) == [Finding("av", Kind.MALWARE, "av.infected")]


def test_another_status_leaves_what_was_written_where_it_is() -> None:
    kept: list[bytes] = []
    (finding,) = shell('printf clean >"$1"; exit 1', disinfected=[6]).scan(item_of(b"bad"), taking(kept))
    assert finding.kind is Kind.MALWARE
    assert kept == []


@pytest.mark.parametrize("script", ['printf clean >"$1"; exit 0', 'rm "$1"'])
def test_clean_but_changed_is_infected(script: str) -> None:
    kept: list[bytes] = []
    assert shell(script, disinfected=[6]).scan(item_of(b"bad"), taking(kept)) == [Finding("av", Kind.MALWARE, "av.infected")]
    assert kept == []
    assert shell(script).scan(item_of(b"bad"), taking(kept)) == []  # a program that knows of no disinfection: an accident


def test_the_file_may_be_shared_with_a_group(tmp_path: Path) -> None:
    engine = shell(
        'stat -c "MODE %a %g" "$1"; exit 1',
        temp_dir=str(tmp_path),
        file_mode="0640",
        file_group=str(os.getgid()),
        found_pattern="MODE (?P<name>.*)",
    )
    assert [finding.name for finding in engine.scan(item_of(b"x"), context())] == [f"640 {os.getgid()}"]


def test_real_clamdscan(tmp_path: Path) -> None:
    """A scanner that hands the file to a daemon of another name and user."""
    program = require("clamdscan")
    daemon = RealClamd(tmp_path)
    daemon.start()
    try:
        argv = [program, f"--config-file={daemon.configuration}", "--stdout", "--no-summary", "--fdpass", "{file}"]
        engine = Command.from_config(
            "clamdscan", {"argv": argv, "version_argv": [program, f"--config-file={daemon.configuration}", "--version"]}
        )
        assert [finding.name for finding in engine.scan(item_of(EICAR), context())] == ["Test.Eicar.UNOFFICIAL"]
        assert engine.scan(item_of(b"harmless"), context()) == []
        assert engine.info(10).version.startswith("ClamAV ")
    finally:
        daemon.stop()
    assert failure(engine).reason is Reason.DOWN


# -- what a stranger writes into the arguments, and what a program says in lines


def test_arguments_from_the_mail() -> None:
    say = Command.from_config(
        "say", {"argv": ["sh", "-c", 'test "$1" = "a b.exe" && test "$2" = hello; exit $?', "{file}", "{name}", "{header:subject}"]}
    )
    assert not say.by_content
    header = scanner.parse(Source(b"Subject: hello\r\n\r\n")).fields
    assert say.scan(item_of(b"x", names=("a b.exe",)), context()._replace(fields={(): header})) == []
    assert say.scan(item_of(b"x", names=("a b.exe; true",)), context()._replace(fields={(): header})) != []
    assert Command.from_config("say", {"argv": ["true", "{file}"]}).by_content


def says(lines: str, status: int = 0, **options: object) -> Command:
    argv = ["sh", "-c", f"printf '{lines}'; exit {status}", "{file}"]
    return Command.from_config("says", {"argv": argv, "infected": [2], "disinfected": [1], "result_lines": True, **options})


def test_lines_name_what_was_found() -> None:
    (finding,) = says(r"Anomy-FileScan-VirusName: Evil\nAnomy-FileScan-Summary: bad\n", 2).scan(item_of(b"x"), context())
    assert (finding.kind, finding.name, finding.detail) == (Kind.MALWARE, "Evil", "bad")
    (finding,) = says(r"Anomy-FileScan-VirusName: Evil\n", 2, result_lines=False).scan(item_of(b"x"), context())
    assert finding.name == "says.infected"


def test_a_line_goes_before_the_status() -> None:
    assert says(r"Anomy-FileScan-Result: 0\n", 2).scan(item_of(b"x"), context()) == []
    (finding,) = says(r"Anomy-FileScan-Result: 512\n", 0).scan(item_of(b"x"), context())
    assert finding.kind is Kind.MALWARE
    with pytest.raises(EngineError, match="unexpected status 256"):
        says(r"Anomy-FileScan-Result: 2\n", 0).scan(item_of(b"x"), context())


def test_a_new_file_is_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"clean")
    new = rf"Anomy-FileScan-NewFile: {tmp_path}/new\n"
    kept: list[bytes] = []
    ctx = context()._replace(cleaned=lambda item, chunks: kept.append(b"".join(chunks)))
    for status in (0, 1):
        (finding,) = says(new, status).scan(item_of(b"x"), ctx)
        assert finding.kind is Kind.DISINFECTED
    assert kept == [b"clean", b"clean"]
    for wanted in (context(), ctx):  # nobody wants it; it is not there
        (finding,) = says(new if wanted.cleaned is None else new.replace("new", "none"), 0).scan(item_of(b"x"), wanted)
        assert finding.kind is Kind.MALWARE
    (finding,) = says(new, 2).scan(item_of(b"x"), ctx)
    assert finding.kind is Kind.MALWARE
