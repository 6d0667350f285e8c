"""`lazaretto setup postfix` on private configuration directories, with the real postconf(1) and `postfix check`."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from lazaretto.cli import setup_postfix
from lazaretto.cli.postfix import WIRINGS
from peers import missing, require
from postfix_files import MAIN, MASTER, Run, contents, options, postconf


@pytest.mark.parametrize("name", WIRINGS)
def test_applied_again_and_removed(run: Run, etc: Path, name: str) -> None:
    status, out = run(name, "--apply")
    assert (status, out.count("# written:")) == (0, 1 if name in ("before-queue", "submission") else 2)
    first = contents(etc)
    assert first["master.cf"].count("# BEGIN lazaretto") == first["master.cf"].count("# END lazaretto") == 1
    assert "# A remark.\nmyhostname = mail.example\n" in first["main.cf"]
    assert postconf(etc).run("-n")
    assert {entry.key for entry in postconf(etc).entries()} >= {"smtp/inet", "pickup/unix", "relay/unix"}
    status, out = run(name, "--apply")
    assert (status, "Nothing to do" in out, contents(etc)) == (0, True, first)
    status, out = run("--remove")
    assert status == 0
    assert (etc / "main.cf").read_text() == MAIN
    assert postconf(etc).run("-M").split() == postconf_of(MASTER)
    assert "lazaretto" not in (etc / "master.cf").read_text()


def postconf_of(master: str) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "main.cf").write_text(MAIN)
        (Path(name) / "master.cf").write_text(master)
        return postconf(Path(name)).run("-M").split()


def test_before_queue(run: Run, etc: Path) -> None:
    assert run("before-queue", "--apply")[0] == 0
    front = options(etc, "smtp/inet")
    assert front["smtpd_proxy_filter"] == "127.0.0.1:10025"
    assert front["smtpd_discard_ehlo_keywords"] == "chunking,silent-discard"
    assert options(etc, "submission/inet") == {"smtpd_sasl_auth_enable": "yes"}
    assert options(etc, "127.0.0.1:10026/inet")["smtpd_relay_restrictions"] == ""
    assert "content_filter" not in postconf(etc).chosen()


def test_submission_only(run: Run, etc: Path) -> None:
    assert run("submission", "--apply")[0] == 0
    assert options(etc, "submission/inet")["smtpd_proxy_filter"] == "127.0.0.1:10025"
    assert options(etc, "submission/inet")["smtpd_sasl_auth_enable"] == "yes"
    assert options(etc, "smtp/inet") == {}


def test_one_after_the_other(run: Run, etc: Path) -> None:
    for name in (*WIRINGS, *reversed(WIRINGS)):
        status, out = run(name, "--apply")
        assert status == 0, out
    assert options(etc, "submission/inet") == {"smtpd_sasl_auth_enable": "yes"}
    assert "content_filter" not in postconf(etc).chosen()
    assert not {entry.name for entry in postconf(etc).entries()} & {"lazaretto"}
    assert options(etc, "smtp/inet")["smtpd_proxy_filter"] == "127.0.0.1:10025"


def test_postfix_itself_agrees(run: Run, etc: Path) -> None:
    """`postfix check` needs root, and directories of its own."""
    program = require("postfix")
    try:
        owner = pwd.getpwnam("postfix").pw_uid
    except KeyError:
        missing("there is no user postfix")
    if os.geteuid() != 0:
        pytest.skip("postfix check is for root")
    (etc.parent / "spool").mkdir()
    (etc.parent / "data").mkdir()
    os.chown(etc.parent / "data", owner, -1)
    etc.parent.chmod(0o755)
    (etc / "main.cf").write_text(f"{MAIN}queue_directory = {etc.parent}/spool\ndata_directory = {etc.parent}/data\n")
    for name in WIRINGS:
        assert run(name, "--apply")[0] == 0
        assert postconf(etc)
        done = subprocess.run([program, "-c", str(etc), "check"], capture_output=True, text=True, cwd="/", timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), name


def test_what_was_there_is_kept(run: Run, etc: Path) -> None:
    (etc / "main.cf").chmod(0o640)
    before = contents(etc)
    assert run("after-queue", "--apply")[0] == 0
    after = contents(etc)
    kept = {name: text for name, text in after.items() if name not in before}
    assert sorted(kept.values()) == sorted(before.values())
    assert all(name.startswith(("main.cf.20", "master.cf.20")) for name in kept)
    assert stat.S_IMODE((etc / "main.cf").stat().st_mode) == 0o640
    assert all(stat.S_IMODE((etc / name).stat().st_mode) == 0o640 for name in kept if name.startswith("main"))


def test_two_changes_within_a_second(run: Run, etc: Path) -> None:
    for name in ("after-queue", "lmtp", "after-queue"):
        assert run(name, "--apply")[0] == 0
    assert len(list(etc.glob("main.cf.20*"))) == 3


def test_looking_changes_nothing(run: Run, etc: Path) -> None:
    before = contents(etc)
    status, out = run("after-queue", "--diff")
    assert (status, contents(etc)) == (0, before)
    assert "+content_filter = lazaretto:[127.0.0.1]:10025\n" in out
    status, out = run("after-queue")
    assert (status, contents(etc)) == (0, before)
    assert f"# {etc}/main.cf\n\n# All mail goes" in out


@pytest.mark.parametrize(
    ("name", "main", "master", "complaint"),
    [
        ("after-queue", "content_filter = amavis:[127.0.0.1]:10024\n", "", "content_filter is set already, to 'amavis:[127.0.0.1]:10024'"),
        ("after-queue", "receive_override_options = no_milters\n", "", "receive_override_options is set already"),
        ("lmtp", "virtual_transport = lmtp:unix:private/dovecot\n", "", "virtual_transport is set already"),
        ("after-queue", "", "lazaretto unix - - n - - smtp\n", "a service lazaretto/unix of its own"),
        ("before-queue", "", "127.0.0.1:10026 inet n - n - - smtpd\n", "a service 127.0.0.1:10026/inet of its own"),
    ],
)
def test_what_is_in_the_way(run: Run, etc: Path, name: str, main: str, master: str, complaint: str) -> None:
    (etc / "main.cf").write_text(MAIN + main)
    (etc / "master.cf").write_text(MASTER + master)
    before = contents(etc)
    status, out = run(name, "--apply")
    assert (status, contents(etc)) == (1, before)
    assert complaint in out
    assert "Nothing was changed." in out


@pytest.mark.parametrize(
    ("smtp", "complaint"),
    [
        ("smtp inet n - y - - smtpd\n  -o smtpd_proxy_filter=127.0.0.1:9\n", "smtp/inet/smtpd_proxy_filter is set already"),
        ("2525 inet n - y - - smtpd\n", "master.cf has no service smtp/inet"),
        ("smtp inet n - y - 1 postscreen\n", "no service smtp/inet"),
        ("smtp inet n - y - - discard\n", "smtp/inet in master.cf is no smtpd, but discard"),
    ],
)
def test_a_front_that_does_not_fit(run: Run, etc: Path, smtp: str, complaint: str) -> None:
    (etc / "master.cf").write_text(MASTER.replace("smtp inet n - y - - smtpd\n", smtp, 1))
    status, out = run("before-queue", "--apply")
    assert status == 1
    assert complaint in out


def test_behind_postscreen(run: Run, etc: Path) -> None:
    (etc / "master.cf").write_text(
        MASTER.replace("smtp inet n - y - - smtpd\n", "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n", 1)
    )
    assert run("before-queue", "--apply")[0] == 0
    assert "smtpd_proxy_filter" in options(etc, "smtpd/pass")


def test_a_front_of_another_name(run: Run, etc: Path) -> None:
    (etc / "master.cf").write_text(MASTER + "2525 inet n - n - - smtpd\n")
    assert run("before-queue", "--service", "2525/inet", "--apply")[0] == 0
    assert "smtpd_proxy_filter" in options(etc, "2525/inet")
    assert options(etc, "smtp/inet") == {}


def test_keywords_that_are_discarded_already(run: Run, etc: Path) -> None:
    """They are added to, and come back as they were."""
    (etc / "main.cf").write_text(MAIN + "smtpd_discard_ehlo_keywords = dsn\n")
    (etc / "master.cf").write_text(MASTER.replace("enable=yes\n", "enable=yes\n    -o smtpd_discard_ehlo_keywords=etrn,chunking\n"))
    for _ in range(2):
        assert run("before-queue", "--apply")[0] == 0
        assert options(etc, "smtp/inet")["smtpd_discard_ehlo_keywords"] == "dsn,chunking,silent-discard"
    for _ in range(2):
        assert run("submission", "--apply")[0] == 0
        assert options(etc, "submission/inet")["smtpd_discard_ehlo_keywords"] == "etrn,chunking,silent-discard"
        assert options(etc, "smtp/inet") == {}
    assert run("--remove")[0] == 0
    assert options(etc, "submission/inet")["smtpd_discard_ehlo_keywords"] == "etrn,chunking"


def test_what_somebody_has_changed_since_stays(run: Run, etc: Path) -> None:
    assert run("after-queue", "--apply")[0] == 0
    postconf(etc).run("-e", "content_filter=other:[127.0.0.1]:1")
    assert run("--remove")[0] == 0
    assert postconf(etc).chosen()["content_filter"] == "other:[127.0.0.1]:1"
    assert "receive_override_options" not in postconf(etc).chosen()


def test_a_link_stays_a_link(run: Run, etc: Path) -> None:
    (etc / "main.cf").rename(etc.parent / "real.cf")
    (etc / "main.cf").symlink_to(etc.parent / "real.cf")
    assert run("after-queue", "--apply")[0] == 0
    assert (etc / "main.cf").is_symlink()
    assert "content_filter" in (etc.parent / "real.cf").read_text()


def test_bytes_that_are_no_text_stay(run: Run, etc: Path) -> None:
    (etc / "main.cf").write_bytes(MAIN.encode() + b"# caf\xe9\n")
    assert run("after-queue", "--apply")[0] == 0
    assert b"# caf\xe9\n" in (etc / "main.cf").read_bytes()


@pytest.mark.parametrize(
    ("args", "complaint"), [([], "wirings:"), (["after-queue", "--listen", "unix:/s"], "needs an address of the form HOST:PORT")]
)
def test_a_wrong_command_line(args: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup_postfix.run(args) == 64
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("args", [["sideways"], ["after-queue", "--apply", "--remove"], ["spawn", "--processes", "x"]])
def test_a_line_that_is_none(args: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        setup_postfix.run(args)
    assert ended.value.code == 2  # main makes 64 of it


def test_no_postfix(etc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup_postfix.run(["after-queue", "--apply", "--postfix-config", str(etc), "--postconf", "/no/postconf"]) == 1
    assert "/no/postconf: No such file" in capsys.readouterr().err
    shutil.rmtree(etc)
    assert setup_postfix.run(["after-queue", "--apply", "--postfix-config", str(etc), "--postconf", require("postconf")]) == 1
    assert "main.cf: No such file" in capsys.readouterr().err
