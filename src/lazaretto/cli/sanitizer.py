"""The sanitizer's lines, from a command line and the files that it names, as a lazaretto.toml.

    notes = translate(page, ("feat_html = 1", "/etc/anomy.conf"), directory, conf)
    page.text()

Errors:  ConfigError for lines that are wrong; its `dump` is the configuration as far as it was read,
         which the sanitizer showed then (some gave it a wrong line for that).
See:     legacy/anomy.py, docs/anomy.md
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lazaretto.errors import ConfigError
from lazaretto.legacy.page import Page

if TYPE_CHECKING:
    from lazaretto.legacy.fprot_conf import Conf


class WrongLines(ConfigError):
    """What is wrong, and the configuration up to there."""

    def __init__(self, message: str, dump: str) -> None:
        super().__init__(message)
        self.dump = dump


def translate(page: Page, lines: Sequence[str], directory: str = "", conf: Conf | None = None) -> tuple[str, ...]:
    """Write the configuration for `lines` onto `page`; what has no effect, and why.

    `directory`: where relative names of files begin, "": here.
    `conf`: f-prot.conf of the mail scanner, above which they stand; None: they are for the sanitizer's own program.
    """
    from lazaretto.legacy import anomy, anomy_values, sanitizer_lines

    base = anomy_values.STANDALONE if conf is None else anomy.scan_mail_base(conf)

    def read(name: str) -> bytes:
        return read_plain(os.path.join(directory, name), sanitizer_lines.MAX_BYTES + 1)

    try:
        settings = sanitizer_lines.parse(lines, read, time.time())
        values = anomy_values.settle(settings, base, standalone=conf is None)
        anomy.add(page, values)
        return tuple(anomy.notes(values))
    except sanitizer_lines.LinesError as error:
        values = anomy_values.settle(error.settings, base, standalone=conf is None)
        raise WrongLines(error.message, anomy_values.dump(values)) from None
    except ConfigError as error:
        raise WrongLines(error.message, anomy_values.dump(values)) from None


def read_plain(path: str, most: int) -> bytes:
    """The first `most` bytes of a plain file.  OSError; also for a pipe or a device, where our message might be."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", path)
        return file.read(most)
