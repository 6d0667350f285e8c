"""Engine "command": any scanner that is a program.

The program gets the content as a file (a path in its arguments, {file}) or on
standard input, and answers by its exit status; a pattern may take the name of
what it found from its output.  There is no shell, and the file is always called
"content": nothing that a mail says reaches the arguments, unless these ask for it
(arguments.py).  A program may also disinfect that file, and say so by its status, or
say more in lines of its output (resultlines.py).

Limits:  ctx.deadline: then the whole process group is killed.  max_output_bytes
         of output are read for the pattern, more is thrown away.
Errors:  EngineError DOWN (cannot be started, ended by a signal, a status that is
         in no list), TIMEOUT.  A program that could not be started is never
         "clean" or "infected", whatever status that would look like.
See:     docs/engines.md, which has the presets too
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lazaretto.engines import arguments, descriptor, handover, resultlines
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.options import Options
from lazaretto.errors import EngineError
from lazaretto.model import Finding, Item, Kind, Reason

if TYPE_CHECKING:
    from subprocess import Popen

# F-PROT 6: the status is a bit field.  1 infected, 2 suspicious, 128 disinfected; 4, 16, 32 are errors.  8 (skipped something)
# and 64 (could not scan something) its maker calls clean as far as known: what is in containers comes to it from us, too.
_FPSCAN: dict[str, object] = {
    "argv": ["fpscan", "--report", "--mount", "--adware", "{file}"],
    "clean": [0, 8, 64, 72],
    "infected": [status for status in range(256) if status & 3 and status not in (126, 127)],  # those are of a shell: not started
    "disinfected": [128, 136, 192, 200],
    "reads_mail": False,
    "found_pattern": r"^\[Found[^\]]*\]\s+<(?P<name>[^>\s(]+)",
    "version_argv": ["fpscan", "--version"],
}

# Scanners whose command line and statuses are documented: `--engine command:clamscan` needs no configuration.
PRESETS: dict[str, dict[str, object]] = {
    "clamscan": {
        "argv": ["clamscan", "--stdout", "--no-summary", "{file}"],
        "found_pattern": r": (?P<name>\S+) FOUND$",
        "version_argv": ["clamscan", "--version"],
    },
    "clamdscan": {
        "argv": ["clamdscan", "--stdout", "--no-summary", "--fdpass", "{file}"],
        "found_pattern": r": (?P<name>\S+) FOUND$",
        "version_argv": ["clamdscan", "--version"],
    },
    "fpscan": _FPSCAN,
    "fpscan-disinfect": {**_FPSCAN, "argv": ["fpscan", "--disinfect", "--mount", "--adware", "{file}"]},
    # F-PROT 4: 3 infected, 6 removed, 8 suspicious; 1 error, 2 self-test failed, 5 abnormal end, 7 out of memory.
    "f-prot": {
        "argv": ["f-prot", "-ai", "-archive", "-dumb", "{file}"],
        "infected": [3, 8],
        "disinfected": [6],
        "reads_mail": False,
        "found_pattern": r"(?:Infection: |security risk named )(?P<name>\S+)",
    },
}


class _Output(NamedTuple):
    status: int
    text: str
    said: resultlines.Said = resultlines.Said()


class Command:
    """See the module."""

    def __init__(
        self,
        name: str,
        argv: tuple[str, ...],
        *,
        required: bool = True,
        stdin: bool = False,
        pass_descriptor: bool = False,
        reads_mail: bool = True,
        clean: tuple[int, ...] = (0,),
        infected: tuple[int, ...] = (1,),
        disinfected: tuple[int, ...] = (),
        unscannable: Mapping[int, Reason] | None = None,
        found_pattern: re.Pattern[str] | None = None,
        max_output_bytes: int = 1 << 16,
        place: handover.Place = handover.PRIVATE,
        version_argv: tuple[str, ...] = (),
        result_lines: bool = False,
    ) -> None:
        self.name = name
        self.by_content = not arguments.are_from_mail(argv)
        self.required = required
        self._argv = argv
        self._stdin = stdin
        self._pass = pass_descriptor
        self._reads_mail = reads_mail
        self._clean = clean
        self._infected = infected
        self._disinfected = disinfected
        self._unscannable = unscannable or {}
        self._pattern = found_pattern
        self._max_output = max_output_bytes
        self._place = place
        self._version_argv = version_argv
        self._result_lines = result_lines

    @classmethod
    def from_config(cls, name: str, table: Mapping[str, object]) -> Command:
        """Options: argv, required, stdin, pass_descriptor, reads_mail, clean, infected, disinfected, encrypted, limit, broken,
        found_pattern, max_output_bytes, temp_dir, file_mode, file_group, version_argv, result_lines.

        What the table leaves out comes from the preset of that name, if there is one.
        """
        options = Options(name, {**PRESETS.get(name, {}), **table})
        argv = options.texts("argv")
        if not argv or not argv[0]:
            raise options.error("argv", f"expected a program and its arguments; without, the name is one of {', '.join(PRESETS)}")
        stdin = options.flag("stdin", False)
        pass_descriptor = options.flag("pass_descriptor", False)
        if not arguments.are_fixed(argv[0]):
            raise options.error("argv", "the program itself cannot be {file}, nor anything that a mail says")
        if stdin == any("{file}" in word for word in argv):
            raise options.error("argv", "expected {file} among the arguments, or else stdin = true")
        text = options.text("found_pattern")
        pattern = None
        if text:
            try:
                pattern = re.compile(text, re.MULTILINE)
            except re.error as e:
                raise options.error("found_pattern", f"not a regular expression: {e}") from None
            if pattern.groups and "name" not in pattern.groupindex:
                raise options.error("found_pattern", "the group that holds the name must be called so: (?P<name>...)")
        clean, infected = options.numbers("clean", (0,)), options.numbers("infected", (1,))
        disinfected = options.numbers("disinfected", ())
        unscannable = {
            status: reason for reason in (Reason.ENCRYPTED, Reason.LIMIT, Reason.BROKEN) for status in options.numbers(reason.value, ())
        }
        listed = [*clean, *infected, *disinfected, *unscannable]
        if len(set(listed)) < len(listed):
            raise options.error("clean", "a status is in more than one of the lists clean, infected, disinfected, encrypted, limit, broken")
        engine = cls(
            name,
            argv,
            required=options.flag("required", True),
            stdin=stdin,
            pass_descriptor=pass_descriptor,
            reads_mail=options.flag("reads_mail", True),
            clean=clean,
            infected=infected,
            disinfected=disinfected,
            unscannable=unscannable,
            found_pattern=pattern,
            max_output_bytes=options.integer("max_output_bytes", 1 << 16, 1),
            place=handover.place(options),
            version_argv=options.texts("version_argv"),
            result_lines=options.flag("result_lines", False),
        )
        options.done()
        return engine

    def wants(self, item: Item) -> bool:
        """All but what the raw message showed it already; if it does not know mail, all but the raw message."""
        return not item.covered if self._reads_mail else not item.is_message

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        """One finding for each name that the pattern finds, or one for the status."""
        path = descriptor.path_of(item.content) if self._pass or self._stdin else None
        if path is not None:
            return self._judge(self._run_on(path, item.content.fd, item, ctx), item, ctx)
        with handover.copied(item.content, self._place) as path:
            output = self._run_on(path, None, item, ctx)
            changed = self._disinfected and output.status in self._clean and handover.is_changed(path, item.content)
            if output.said.new_file or (output.status not in self._disinfected and not changed):
                return self._judge(output, item, ctx)
            # What was disinfected and cannot be had is infected, and so is what is clean now and was not before.
            kind = Kind.DISINFECTED if not changed and handover.take_back(path, item, ctx) else Kind.MALWARE
            return self._found(output, kind)

    def info(self, timeout_s: float) -> EngineInfo:
        """The first line of what version_argv prints; without it, whether the program is there."""
        import shutil

        program = shutil.which(self._argv[0])
        if program is None:
            return EngineInfo(self.name, reachable=False, detail=f"{self._argv[0]}: no such program")
        if not self._version_argv:
            return EngineInfo(self.name, detail=program)
        try:
            output = self._run(self._version_argv, None, (), time.monotonic() + timeout_s)
        except EngineError as e:
            return EngineInfo(self.name, reachable=False, detail=e.detail)
        line = output.text.partition("\n")[0].strip()
        if output.status != 0:
            return EngineInfo(self.name, reachable=False, detail=f"{program}: {line or f'status {output.status}'}")
        version, _, signatures = line.partition("/")
        return EngineInfo(version or self.name, signatures, True, program)

    def close(self) -> None:
        """Nothing is kept."""

    def _named(self, output: _Output) -> list[str]:
        """What the pattern finds: each once, printable, not too many."""
        names = [m.groupdict().get("name") or m[0] for m in self._pattern.finditer(output.text)] if self._pattern else []
        return ["".join(c if c.isprintable() else "?" for c in name)[:200] for name in dict.fromkeys(names) if name][:20]

    def _names(self, output: _Output) -> list[str]:
        return ([output.said.name] if output.said.name else self._named(output)) or [f"{self.name}.infected"]

    def _found(self, output: _Output, kind: Kind) -> list[Finding]:
        return [Finding(self.name, kind, name, (), output.said.detail) for name in self._names(output)]

    def _judge(self, output: _Output, item: Item, ctx: ScanContext) -> list[Finding]:
        if output.said.new_file and output.status in (*self._clean, *self._disinfected):
            # As above: what is to be delivered instead, and cannot be had, leaves what must not be delivered.
            return self._found(output, Kind.DISINFECTED if handover.take_back(output.said.new_file, item, ctx) else Kind.MALWARE)
        reason = self._unscannable.get(output.status)
        found = output.status in self._infected or output.status in self._disinfected
        if found or ((output.status in self._clean or reason) and self._named(output)):
            return self._found(output, Kind.MALWARE)
        if output.status in self._clean:
            return []
        if reason:
            return [Finding(self.name, Kind.UNSCANNABLE, f"command.{reason.value}", detail=f"status {output.status}", reason=reason)]
        said = output.text.strip().rpartition("\n")[2][:200]
        how = f"ended by signal {-output.status}" if output.status < 0 else f"unexpected status {output.status}"
        raise EngineError(Reason.DOWN, f"{self._argv[0]}: {how}" + (f": {said}" if said else ""))

    def _run_on(self, path: str, fd: int | None, item: Item, ctx: ScanContext) -> _Output:
        argv = arguments.fill(self._argv, path, item.names[0] if item.names else "", ctx.fields.get((), ()))
        if not self._stdin:
            output = self._run(argv, None, () if fd is None else (fd,), ctx.deadline)
        else:
            with open(path, "rb", buffering=0) as file:
                output = self._run(argv, file.fileno(), (), ctx.deadline)
        if not self._result_lines:
            return output
        said = resultlines.read(output.text)
        return _Output(output.status if said.status is None else said.status, output.text, said)

    def _run(self, argv: Sequence[str | bytes], stdin: int | None, pass_fds: tuple[int, ...], deadline: float) -> _Output:
        import subprocess

        try:
            process = subprocess.Popen(  # noqa: S603 - no shell; the words are the administrator's, the path is ours
                argv,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as e:
            raise EngineError(Reason.DOWN, f"{self._argv[0]}: cannot be started: {getattr(e, 'strerror', None) or e}") from None
        try:
            text = self._listen(process, deadline)
            return _Output(process.wait(), text)
        except TimeoutError:
            raise EngineError(Reason.TIMEOUT, f"{self._argv[0]}: did not end in time, killed") from None
        finally:
            _kill_group(process)

    def _listen(self, process: Popen[bytes], deadline: float) -> str:
        """Its output until it ends; TimeoutError at the deadline.

        A child that it left behind may hold the pipe open: what counts is the end of the program itself.
        """
        import select

        assert process.stdout is not None
        pipe = process.stdout.fileno()
        os.set_blocking(pipe, False)
        output = bytearray()
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        ended = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
        try:
            if ended is not None:
                poll.register(ended, select.POLLIN)
            ends = {pipe} if ended is None else {pipe, ended}
            while ends and (ended is None or ended in ends):
                left = deadline - time.monotonic()
                ready = dict(poll.poll(left * 1000 + 1)) if left > 0 else {}
                if not ready:
                    raise TimeoutError
                if ended in ready:
                    ends.discard(ended)
                while pipe in ends and (data := _read(pipe)) is not None:
                    if not data:
                        ends.discard(pipe)
                        poll.unregister(pipe)
                    elif time.monotonic() > deadline:
                        raise TimeoutError
                    output += data[: max(0, self._max_output - len(output))]
        finally:
            if ended is not None:
                os.close(ended)
        return output.decode("utf-8", "replace")


def _read(pipe: int) -> bytes | None:
    """What is there now; b"" at the end, None if nothing is there yet."""
    try:
        return os.read(pipe, 1 << 16)
    except BlockingIOError:
        return None


def _kill_group(process: Popen[bytes]) -> None:
    """The program and all it started, unless they made groups of their own; then collect its status."""
    import signal

    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nobody left in it
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
