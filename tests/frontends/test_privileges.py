"""From root to nobody, in processes of their own; what only root can do is skipped for others."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

import forked
import peers
from lazaretto.errors import ConfigError
from lazaretto.frontends import privileges
from lazaretto.frontends.privileges import Identity, drop, give, identity

NOBODY = pwd.getpwnam("nobody")


def as_root(work: Callable[[int], None]) -> None:
    """In a child that may change who it is."""
    if os.geteuid() != 0:
        peers.missing("only root can become another")
    forked.in_processes(1, work)


def test_names_and_numbers() -> None:
    nogroup = grp.getgrgid(NOBODY.pw_gid)
    expected = identity("nobody")
    assert expected is not None
    assert (expected.uid, expected.gid, expected.home) == (NOBODY.pw_uid, NOBODY.pw_gid, NOBODY.pw_dir)
    assert expected.gid in expected.groups
    assert 0 not in expected.groups
    assert identity(str(NOBODY.pw_uid)) == expected
    assert identity("nobody", nogroup.gr_name) == expected
    assert identity("nobody", str(nogroup.gr_gid)) == expected
    assert identity("", nogroup.gr_name) == Identity(os.geteuid(), nogroup.gr_gid, (nogroup.gr_gid,))
    assert identity("", "") is None


@pytest.mark.parametrize(
    ("user", "group", "what"),
    [
        ("no-such-user", "", "process.user"),
        ("4294967290", "", "process.user"),
        ("9" * 30, "", "process.user"),
        ("nobody", "no-such", "process.group"),
    ],
)
def test_there_is_none(user: str, group: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        identity(user, group)


def test_everything_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o600)

    def work(_: int) -> None:
        os.setgroups([0, 1, 2])
        drop(identity("nobody"))
        assert os.getresuid() == (NOBODY.pw_uid,) * 3
        assert os.getresgid() == (NOBODY.pw_gid,) * 3
        assert set(os.getgroups()) == {NOBODY.pw_gid}
        assert os.environ["HOME"] == NOBODY.pw_dir
        for attempt in (os.setuid, os.seteuid, os.setgid, os.setegid):
            with pytest.raises(PermissionError):
                attempt(0)
        with pytest.raises(PermissionError):
            os.setgroups([0])
        with pytest.raises(PermissionError):
            (tmp_path / "secret").read_text()
        drop(identity("nobody"))  # that is who we are

    as_root(work)


def test_supplementary_groups_are_those_of_the_user() -> None:
    def work(_: int) -> None:
        drop(Identity(NOBODY.pw_uid, NOBODY.pw_gid, (1, NOBODY.pw_gid)))
        assert set(os.getgroups()) == {1, NOBODY.pw_gid}

    as_root(work)


def test_only_the_group() -> None:
    def work(_: int) -> None:
        os.setgroups([0, 5])
        drop(identity("", str(NOBODY.pw_gid)))
        assert os.getresgid() == (NOBODY.pw_gid,) * 3
        assert os.geteuid() == 0
        assert os.getgroups() == [NOBODY.pw_gid]

    as_root(work)


def test_who_is_not_root_cannot() -> None:
    def work(_: int) -> None:
        drop(identity("nobody"))
        for who in (Identity(NOBODY.pw_uid + 1, NOBODY.pw_gid, ()), Identity(0, 0, ())):
            with pytest.raises(ConfigError, match="only root may become another"):
                drop(who)

    as_root(work)


def test_root_that_could_be_had_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system on which it did not work: then nobody goes on."""
    monkeypatch.setattr(privileges, "_root_again", lambda: True)

    def work(_: int) -> None:
        with pytest.raises(RuntimeError, match="could be had back"):
            drop(identity("nobody"))

    as_root(work)


def test_a_change_that_did_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "setresuid", lambda *_: None)

    def work(_: int) -> None:
        with pytest.raises(RuntimeError, match="not dropped"):
            drop(identity("nobody"))

    as_root(work)


def test_nothing_to_drop() -> None:
    before = os.getresuid(), os.getresgid(), os.getgroups()
    drop(None)
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


def test_a_socket_is_given_away(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.touch()
    give(str(path), None)
    assert path.stat().st_uid == os.geteuid()

    def work(_: int) -> None:
        give(str(path), identity("nobody"))
        status = path.stat()
        assert (status.st_uid, status.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)

    as_root(work)
