"""`lazaretto setup sendmail` on files of a test's own, and m4 on what it writes."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

import sendmail_files
from lazaretto.cli import sendmail, setup_sendmail
from lazaretto.cli.sendmail_config import read_cf, read_mc
from lazaretto.cli.setup_sendmail import is_mc
from sendmail_files import HEAD, TAIL

MC = HEAD + "INPUT_MAIL_FILTER(`theirs', `S=local:/run/theirs, F=T')dnl\n" + TAIL
CF = "# A remark.\nO InputMailFilters=theirs\nXtheirs, S=local:/run/theirs, F=T\nO Milter.macros.connect=j, {if_name}\nSlocal\nR$*\t$: $1\n"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*args: str) -> tuple[int, str]:
        status = setup_sendmail.run([*args])
        out, err = capsys.readouterr()
        return status, out + err

    return go


@pytest.fixture(params=["mc", "cf"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"sendmail.{request.param}"
    path.write_text(MC if request.param == "mc" else CF)
    return path


def filters(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The order, and what is sent at the connection."""
    found = (read_mc if path.suffix == ".mc" else read_cf)(path.read_text())
    return found.order, found.macros["connect"]


def test_applied_again_and_removed(run: Run, file: Path) -> None:
    before = file.read_text()
    status, out = run("--apply", "--file", str(file))
    assert (status, "# written:" in out, "[milter]\nlisten" in out) == (0, True, True)
    first = file.read_text()
    order, macros = filters(file)
    assert order == ("theirs", "lazaretto")
    assert set(sendmail.NEEDED["connect"]) | {"j", "{if_name}"} <= set(macros)
    assert first.startswith(before)
    status, out = run("--apply", "--file", str(file))
    assert (status, "Nothing to do" in out, file.read_text()) == (0, True, first)
    assert run("--apply", "--file", str(file), "--listen", "unix:/run/l/s")[0] == 0
    assert file.read_text().count("BEGIN lazaretto") == 1
    assert filters(file)[0] == ("theirs", "lazaretto")
    assert run("--remove", "--file", str(file))[0] == 0
    assert file.read_text() == before


def test_what_was_there_is_kept(run: Run, file: Path) -> None:
    file.chmod(0o640)
    before = file.read_text()
    assert run("--apply", "--file", str(file))[0] == 0
    kept = [path for path in file.parent.iterdir() if path != file]
    assert [path.read_text() for path in kept] == [before]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file, *kept)} == {0o640}


def test_looking_changes_nothing(run: Run, file: Path) -> None:
    before = file.read_text()
    status, out = run("--diff", "--file", str(file))
    assert (status, file.read_text(), [*file.parent.iterdir()]) == (0, before, [file])
    assert "+INPUT_MAIL_FILTER(`lazaretto'" in out or "+Xlazaretto, S=" in out
    assert run() == (0, sendmail.text(sendmail.lines()))


def test_what_comes_next_is_said(run: Run, file: Path) -> None:
    out = run("--apply", "--file", str(file))[1]
    assert ("m4" in out) == (file.suffix == ".mc")
    assert ("loses these lines" in out) == (file.suffix == ".cf")


def test_what_is_in_the_way(run: Run, file: Path) -> None:
    add = "INPUT_MAIL_FILTER(`{}', `S={}')dnl\n" if file.suffix == ".mc" else "X{}, S={}\n"
    for name, socket, complaint in (("lazaretto", "/s", "of somebody else"), ("old", "inet:12200@localhost", "a filter old that leads to")):
        text = (MC if file.suffix == ".mc" else CF) + add.format(name, socket)
        file.write_text(text)
        status, out = run("--apply", "--file", str(file))
        assert (status, file.read_text()) == (1, text)
        assert complaint in out
        assert "Nothing was changed." in out


def test_check(run: Run, file: Path) -> None:
    status, out = run("--check", "--file", str(file))
    assert status == 1
    assert "FAIL  milter: no mail comes to Lazaretto at 127.0.0.1:12200: theirs is at local:/run/theirs" in out
    assert f"# missing in {file}:\n\n" in out
    assert run("--apply", "--file", str(file))[0] == 0
    status, out = run("--check", "--file", str(file))
    if file.suffix == ".cf":  # which has no macros of its own but those for the connection
        assert "WARN" not in out
    assert (status, "FAIL" in out) == (0, False), out
    file.write_text(file.read_text().replace("F=T, T=", "T="))
    status, out = run("--check", "--file", str(file))
    assert status == 1
    assert "FAIL  milter: Xlazaretto: mail passes unscanned while Lazaretto does not answer (no F=)" in out


def test_an_end_that_somebody_took_out(run: Run, file: Path) -> None:
    """Then we do not know where ours ends: what stands behind it stays."""
    assert run("--apply", "--file", str(file))[0] == 0
    mark = "dnl # END lazaretto\n" if file.suffix == ".mc" else "# END lazaretto\n"
    theirs = "dnl theirs\n" if file.suffix == ".mc" else "# theirs\n"
    file.write_text(file.read_text().replace(mark, theirs))
    status, out = run("--apply", "--file", str(file))
    assert (status, "of somebody else" in out) == (1, True)
    kept = "\n".join(line for line in file.read_text().splitlines() if "lazaretto'" not in line and not line.startswith("Xlazaretto"))
    file.write_text(kept + "\n")
    assert run("--apply", "--file", str(file))[0] == 0
    assert theirs in file.read_text()
    assert run("--remove", "--file", str(file))[0] == 0
    assert file.read_text() == kept + "\n"


def test_an_order_that_somebody_has_set(run: Run, file: Path, tmp_path: Path) -> None:
    """It is kept, wherever it stands, and Lazaretto is asked once."""
    own = "define(`confINPUT_MAIL_FILTERS', `lazaretto, theirs')dnl\n" if file.suffix == ".mc" else "O InputMailFilters=lazaretto, theirs\n"
    assert run("--apply", "--file", str(file))[0] == 0
    file.write_text(file.read_text() + own)
    for _ in range(2):
        assert filters(file)[0] == ("lazaretto", "theirs")
        assert run("--apply", "--file", str(file))[0] == 0
    assert "/run/theirs" in file.read_text()
    if file.suffix == ".mc":
        made = read_cf(sendmail_files.cf_of(file.read_text(), tmp_path))
        assert (made.order, "lazaretto" in made.filters) == (("lazaretto", "theirs"), True)


def test_m4_takes_what_is_written(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sendmail.mc"
    file.write_text(MC)
    assert run("--apply", "--file", str(file), "--scan-only", "x$:y")[0] == 0
    made = read_cf(sendmail_files.cf_of(file.read_text(), tmp_path))
    assert made.order == ("theirs", "lazaretto")
    assert made.defined["{FP_SCANONLY}"] == "x$$:y"
    assert {*sendmail.NEEDED["connect"], "j", "{if_name}"} <= {*made.macros["connect"]}


@pytest.mark.parametrize(
    ("path", "text", "mc"),
    [("a.mc", "", True), ("a.cf", "dnl", False), ("a.m4", "", True), ("conf", "OSTYPE(`x')\n", True), ("conf", "O A=b\nXx, S=/s\n", False)],
)
def test_which_it_is(path: str, text: str, *, mc: bool) -> None:
    assert is_mc(path, text) is mc


def test_wrong_command_lines(run: Run, tmp_path: Path) -> None:
    assert run("--listen", "nowhere")[0] == 64
    status, out = run("--apply", "--file", str(tmp_path / "none.mc"))
    assert (status, "none.mc: No such file" in out) == (1, True)
    with pytest.raises(SystemExit):
        run("--apply", "--remove")


def test_the_usual_files(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sendmail.mc where there is one, else sendmail.cf."""
    mc, cf = tmp_path / "m.mc", tmp_path / "m.cf"
    monkeypatch.setattr(setup_sendmail, "MC", str(mc))
    monkeypatch.setattr(setup_sendmail, "CF", str(cf))
    cf.write_text(CF)
    assert str(cf) in run("--diff")[1]
    mc.write_text(MC)
    assert str(mc) in run("--diff")[1]
