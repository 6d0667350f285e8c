"""From root to somebody who may do less, once and for all.

    drop(identity("lazaretto", ""))     after ports below 1024 are bound

The supplementary groups are those of the user, so that clamd's socket can be shared by a group, and none
of root's.  Then it is tried whether root can be had back; if so, the program does not go on.

Errors:  ConfigError for a user or group that there is not, or if we may not change to it.
         RuntimeError if root could be had back: nobody may go on then.
See:     setresuid(2), setgroups(2), credentials(7); docs/processes.md
"""

from __future__ import annotations

import os
from typing import NamedTuple

from lazaretto.errors import ConfigError


class Identity(NamedTuple):
    """Who to be."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str = ""


def identity(user: str, group: str = "") -> Identity | None:
    """What the names, or numbers, stand for; None for two empty ones: stay who you are.  ConfigError."""
    import grp
    import pwd

    if not user and not group:
        return None
    entry = None
    if user:
        try:
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        except (KeyError, OverflowError):
            raise ConfigError(f"process.user: expected the name of a user, there is no {user!r}") from None
    try:
        gid = (grp.getgrgid(int(group)) if group.isdigit() else grp.getgrnam(group)).gr_gid if group else None
    except (KeyError, OverflowError):
        raise ConfigError(f"process.group: expected the name of a group, there is no {group!r}") from None
    if entry is None:
        assert gid is not None
        return Identity(os.geteuid(), gid, (gid,))
    if gid is None:
        gid = entry.pw_gid
    return Identity(entry.pw_uid, gid, tuple(sorted({gid, *os.getgrouplist(entry.pw_name, gid)})), entry.pw_dir)


def drop(who: Identity | None) -> None:
    """Be `who`, with nothing left of what we were.  Before there are threads or children."""
    if who is None or _is(who):
        return
    try:
        os.setgroups(who.groups)
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
    except PermissionError:
        raise ConfigError(f"process.user: only root may become another (user {who.uid}, group {who.gid})") from None
    if not _is(who) or set(os.getgroups()) - {*who.groups}:
        raise RuntimeError("privileges were not dropped")
    if who.uid != 0 and _root_again():
        raise RuntimeError("privileges were dropped, but could be had back")
    if who.home:
        os.environ["HOME"] = who.home  # where state is looked for, if nobody says where


def give(path: str, who: Identity | None, *, group: bool = True) -> None:
    """The file at `path`, made by root, is to be theirs, as if they had made it: sockets that are bound before drop().

    `group` False: it keeps the group that it has.
    """
    if who is not None and not _is(who):
        os.chown(path, who.uid, who.gid if group else -1, follow_symlinks=False)


def _is(who: Identity) -> bool:
    return os.getresuid() == (who.uid,) * 3 and os.getresgid() == (who.gid,) * 3


def _root_again() -> bool:
    for attempt in (os.setuid, os.seteuid, os.setreuid, os.setresuid):
        try:
            attempt(*(0,) * {os.setreuid: 2, os.setresuid: 3}.get(attempt, 1))
        except PermissionError:
            continue
        return True
    return False
