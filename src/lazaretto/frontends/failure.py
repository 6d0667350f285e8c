"""What went wrong, with one message or at the start, in words for a line of the log.

See:  docs/architecture.md "Errors"
"""

from __future__ import annotations

import os

from lazaretto.errors import LazarettoError, LimitExceeded


def reason(error: BaseException) -> str:
    """For the log.  Whatever is not expected is a bug, and named with its place."""
    if isinstance(error, LimitExceeded):
        return f"{error}; raise it in [limits] if such mail is wanted"
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return error.strerror  # our own say which file; the number in front is for programs
    if isinstance(error, OSError | LazarettoError):
        return str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        return "out of memory"
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"internal error, please report: {type(error).__name__}: {error}{where}"
