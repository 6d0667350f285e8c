"""The recipes of the manual in the real procmail: clean, infected, banned and stopped mail, a killed scanner, twenty deliveries at once."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

import mail_programs as programs
from mail_programs import CASES, CLEAN, INFECTED, LISTS, mail, posted

RECIPES = programs.recipes()
PROCMAIL = ["plain", "backup", "quarantine", "failed", "lock", "hand-back"]


@pytest.mark.parametrize("mode", [("-m",), ()], ids=["etc-procmailrc", "own-procmailrc"])
def test_clean_mail_passes(tmp_path: Path, mode: tuple[str, ...]) -> None:
    site = programs.site(tmp_path, LISTS)
    delivery = programs.procmail(site, site.here(RECIPES["plain"]), CLEAN, *mode)
    assert delivery.status == 0
    programs.assert_unchanged(delivery.inbox, CLEAN)
    assert len(site.log()) == 1
    assert "outcome=clean " in site.log()[0]


@pytest.mark.parametrize("recipe", PROCMAIL)
def test_every_recipe_is_one_that_procmail_knows(tmp_path: Path, recipe: str) -> None:
    """It passes clean mail on, and has nothing to complain about but users without a home."""
    site = programs.site(tmp_path)
    assert programs.procmail(site, site.here(RECIPES[recipe]), CLEAN, "-m").status == 0
    programs.assert_unchanged(programs.inbox(site), CLEAN)
    said = [line for line in (tmp_path / "procmail.log").read_text().splitlines() if line.startswith("procmail:")]
    assert [line for line in said if "Couldn't chdir" not in line] == []


@pytest.mark.parametrize("recipe", PROCMAIL)
@pytest.mark.parametrize(("message", "content", "kept"), CASES.values(), ids=list(CASES))
def test_what_is_dangerous_is_cut_out(tmp_path: Path, recipe: str, message: bytes, content: bytes, kept: bool) -> None:
    """Success for procmail: the message is delivered, without the attachment."""
    site = programs.site(tmp_path, LISTS)
    delivery = programs.procmail(site, site.here(RECIPES[recipe]), message, "-m")
    assert delivery.status == 0
    programs.assert_without(delivery.inbox, content)
    assert site.failed() == []
    assert site.saved_files() == ([content] if kept else [])
    assert len(site.log()) == 1


# -- -backup and -quarantine -------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [CLEAN, INFECTED], ids=["clean", "infected"])
def test_backup_keeps_each_message_as_it_came(tmp_path: Path, message: bytes) -> None:
    site = programs.site(tmp_path)
    before = int(time.time())
    assert programs.procmail(site, site.here(RECIPES["backup"]), message, "-m").status == 0
    (copy,) = site.backups()
    assert copy.read_bytes() == posted(message)
    received, _, pid = copy.name.partition(".")
    assert before <= int(received) <= time.time()
    assert copy.parent.name == time.strftime("%m%d", time.localtime(int(received)))
    assert f"start {pid}" in site.journal()


def test_quarantine_keeps_only_what_was_changed(tmp_path: Path) -> None:
    site = programs.site(tmp_path)
    assert programs.procmail(site, site.here(RECIPES["quarantine"]), CLEAN, "-m").status == 0
    assert site.backups() == []
    assert programs.procmail(site, site.here(RECIPES["quarantine"]), INFECTED, "-m").status == 0
    (copy,) = site.backups()
    assert copy.read_bytes() == posted(INFECTED)


def test_without_a_place_for_the_copy_nothing_is_filtered(tmp_path: Path) -> None:
    """Where the backup directory should be stands a file: the filter fails, and the rule behind it keeps the original."""
    site = programs.site(tmp_path, {"SCANMAIL_BACKUPDIR": str(tmp_path / "file")})
    (tmp_path / "file").write_text("in the way")
    recipe = RECIPES["backup"] + RECIPES["failed"].partition("\n\n")[2]
    delivery = programs.procmail(site, site.here(recipe), INFECTED, "-m")
    assert delivery.inbox == []
    (kept,) = site.failed()
    assert kept.read_bytes() == posted(INFECTED)
    assert len(site.log()) == 1
    assert "outcome=deferred" in site.log()[0]


# -- a scanner that is killed ------------------------------------------------------------------------------------


def killed(root: Path, recipe: str, number: int = signal.SIGKILL) -> tuple[programs.Site, int]:
    """procmail's exit status, after its scanner was killed in the middle of a scan."""
    with programs.silence() as silence:
        site = programs.site(root, {"SCANMAIL_ENGINES": silence.spec})
        with programs.started(programs.start_procmail(site, site.here(RECIPES[recipe]), "-m"), posted(INFECTED)) as process:
            silence.wait()
            programs.kill_scanner(site, number)
            return site, programs.ended(process)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_scanner_delivers_the_original_to_the_failed_file(tmp_path: Path, number: int) -> None:
    before = int(time.time())
    site, status = killed(tmp_path, "failed", number)
    assert status == 0
    assert programs.inbox(site) == []
    (kept,) = site.failed()
    assert kept.read_bytes() == posted(INFECTED)
    assert before <= int(kept.name.split(".")[1]) <= time.time()  # FAILED.<time>.<pid>


def test_killed_scanner_without_that_rule_lets_the_original_through(tmp_path: Path) -> None:
    """The manual warns of it, and it is so: nothing that a filter does can change it."""
    site, status = killed(tmp_path, "plain")
    assert status == 0
    assert programs.inbox(site) == [INFECTED]


def test_killed_scanner_hands_the_mail_back(tmp_path: Path) -> None:
    """With our own recipe the mail system keeps it and tries again."""
    site, status = killed(tmp_path, "hand-back")
    assert status == 75
    assert programs.inbox(site) == []


def test_failed_file_that_cannot_be_written_lets_the_original_through(tmp_path: Path) -> None:
    """So the page says that the directory must be writable, and prefers to hand the mail back."""
    site = programs.site(tmp_path)
    recipe = RECIPES["failed"].replace("scan-mail.pl\n", "scan-mail.pl -nonsense\n", 1).replace("backup/FAILED", "absent/FAILED")
    assert programs.procmail(site, site.here(recipe), INFECTED, "-m").inbox == [INFECTED]


@pytest.mark.parametrize("recipe", ["backup", "quarantine"])
def test_killed_scanner_leaves_its_copy(tmp_path: Path, recipe: str) -> None:
    """The copy was made before the scan, so it outlives the scanner, also with -quarantine."""
    site, _ = killed(tmp_path, recipe)
    (copy,) = site.backups()
    assert copy.read_bytes() == posted(INFECTED)


@pytest.mark.parametrize(
    "arguments",
    ["-nonsense", "-server_port", "feat_no_such_thing = 1"],
    ids=["option", "value", "sanitizer"],
)
def test_mistake_in_the_recipe_keeps_the_original(tmp_path: Path, arguments: str) -> None:
    site = programs.site(tmp_path)
    recipe = RECIPES["failed"].replace("scan-mail.pl\n", f"scan-mail.pl '{arguments}'\n", 1)
    delivery = programs.procmail(site, site.here(recipe), INFECTED, "-m")
    assert delivery.inbox == []
    (kept,) = site.failed()
    assert kept.read_bytes() == posted(INFECTED)


# -- many at once ------------------------------------------------------------------------------------------------


def most_at_once(journal: list[str]) -> int:
    """How many scanners ran at the same time, by their starts and ends in the order in which they were written."""
    running = most = 0
    for line in journal:
        running += 1 if line.startswith("start") else -1
        most = max(most, running)
    return most


def numbered(count: int) -> list[bytes]:
    return [mail(b"attachment %d" % number, f"{number}.txt") for number in range(count)]


def test_twenty_deliveries_with_the_lock_file(tmp_path: Path) -> None:
    """They all wait for a lock that somebody else has; then each message arrives once, and there are never two scanners."""
    site = programs.site(tmp_path, watched=True)
    messages = numbered(20)
    lock = tmp_path / "scan-mail.pl.lock"
    lock.touch()
    processes = [programs.start_procmail(site, site.here(RECIPES["lock"]), "-m") for _ in messages]
    for process, message in zip(processes, messages, strict=True):
        programs.hand_over(process, posted(message))
        time.sleep(0.05)  # procmail looks once a second: if all of them looked at the same moment, they would need 20 s
    assert site.journal() == []
    lock.unlink()
    assert [programs.ended(process) for process in processes] == [0] * 20
    assert sorted(map(programs.without_field, programs.inbox(site))) == sorted(messages)
    assert len(site.journal()) == 40
    assert most_at_once(site.journal()) == 1
    assert len(site.log()) == 20
    assert not lock.exists()


def test_without_the_lock_file_they_run_together(tmp_path: Path) -> None:
    """What the test above counts is there to be counted: two scanners, each in the middle of a scan."""
    with programs.silence() as silence:
        site = programs.site(tmp_path, {"SCANMAIL_ENGINES": silence.spec}, watched=True)
        first, second = (programs.start_procmail(site, site.here(RECIPES["hand-back"]), "-m") for _ in range(2))
        with programs.started(first, posted(CLEAN)), programs.started(second, posted(CLEAN)):
            silence.wait()
            silence.wait()
    assert most_at_once(site.journal()) == 2


def test_lock_file_recipe_as_printed_swallows_the_mail(tmp_path: Path) -> None:
    """The manual forgot the pipe sign: procmail takes the program for a mailbox.  docs/scan-mail.md warns of it."""
    site = programs.site(tmp_path)
    program = site.program.read_bytes()
    delivery = programs.procmail(site, site.here(programs.as_printed(RECIPES["lock"])), CLEAN, "-m")
    assert delivery.status == 0
    assert delivery.inbox == []
    assert site.journal() == []
    swallowed = site.program.read_bytes()
    assert swallowed.startswith(program)
    assert CLEAN in swallowed
    assert "Extraneous filter-flag ignored" in (tmp_path / "procmail.log").read_text()
