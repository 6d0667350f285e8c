"""The process above all others: it owns the listening sockets, starts workers, and never looks at mail.

    supervisor                   sockets, configuration, signals
      +-- worker x N             accept from the same sockets, all of them
            +-- scan process x K

A worker that ends is replaced: at once, then after BACK_OFF_S, from the beginning again when one has been
well for HEALTHY_S.  One that has counted its beats and stops to is killed, after STUCK_S.  Each
worker leads a process group, and what is left of that group when it has ended is killed: so nothing
survives its worker.  Nor does a worker survive us: it sees the end of its control line.

HUP: make the plan anew; with an error in the configuration the old one stays.  New workers start, and when all of them
accept, the old ones are told to (USR1) finish what they have. TERM, INT: nobody accepts any more, workers finish
what they have, at most grace_s; a second one: at once.

Limits:  START_S for a worker to be ready; RETIRE_S for an old one to finish after a reload; MAX_RETIRING of those.
Errors:  StartError if a worker ends before it was ready for the first time.  Later there is nobody to tell but the log.
Bugs:    addresses, user and group count at the start, not at HUP.
See:     worker.py, control.py; docs/processes.md; signal(7), setpgid(2)
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from lazaretto.errors import ConfigError, LazarettoError
from lazaretto.frontends import failure, processes
from lazaretto.frontends.children import deaf
from lazaretto.frontends.control import Control
from lazaretto.frontends.listeners import Listener
from lazaretto.frontends.notify import Notifier
from lazaretto.frontends.processes import NEVER, Place, Plan, Process, Role, Watched, only_grows, places
from lazaretto.frontends.samples import sample
from lazaretto.scan import report as reporting

__all__ = ["Plan", "Role", "Settings", "StartError", "Supervisor"]

BACK_OFF_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
HEALTHY_S = 60.0
START_S = 60.0
STUCK_S = 60.0
RETIRE_S = 900.0  # more than the longest wait for a next hop (smtp.end_of_data_timeout_s)
MAX_RETIRING = 16
MARGIN_S = 5.0  # what a worker gets beyond the grace that it knows of itself
LOG_ERR, LOG_WARNING, LOG_NOTICE = 3, 4, 5

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class StartError(LazarettoError):
    """It could not be started; the log has more."""


class Settings(NamedTuple):
    """Times, for tests to be shorter."""

    grace_s: float = 30.0
    start_s: float = START_S
    stuck_s: float = STUCK_S
    retire_s: float = RETIRE_S
    back_off_s: tuple[float, ...] = BACK_OFF_S
    healthy_s: float = HEALTHY_S
    margin_s: float = MARGIN_S


_DEFAULTS = Settings()


class Supervisor:
    """`listeners` by the name of their role.  `private`: what is closed in workers, such as PID files."""

    def __init__(
        self,
        make: Callable[[], Plan],
        listeners: Mapping[str, Sequence[Listener]],
        notifier: Notifier | None = None,
        settings: Settings = _DEFAULTS,
        private: Iterable[Callable[[], None]] = (),
    ) -> None:
        self.make = make
        self.listeners = listeners
        self.notifier = notifier or Notifier()
        self.settings = settings
        self.private = tuple(private)
        self.restarts: dict[str, int] = {}
        self._ended: dict[str, float] = {}  # counters of workers that are no more
        self._plan = make()
        self._places: list[Place] = []
        self._old: list[Process] = []
        self._announced = False
        self._failed = ""
        self._reloading = False
        self._stopping = 0.0  # when workers are killed; 0: not stopping
        self._beat = 0.0  # when the watchdog is due
        # Without a descriptor of its own, so that nothing of it is shared with children.
        self._selector = selectors.PollSelector()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    # -- what others may ask

    @property
    def ready(self) -> bool:
        """Does every place have a worker that accepts?"""
        return not self._stopping and all(place.process is not None and place.process.ready for place in self._places)

    @property
    def workers(self) -> list[int]:
        """Process ids, the retiring ones last."""
        return [process.pid for process in self._processes]

    def samples(self) -> dict[str, float]:
        """What all workers have counted together, of those that have ended what only grows; and about the workers themselves."""
        sums = dict(self._ended)
        for name in {role.name for role in self._plan.roles}:
            sums[sample("lazaretto_restarts_total", process=name)] = self.restarts.get(name, 0)
            ready = [place for place in self._places if place.role.name == name and place.process is not None and place.process.ready]
            sums[sample("lazaretto_workers", process=name)] = len(ready)
        for process in self._processes:
            for name, value in process.counters.items():
                sums[name] = sums.get(name, 0.0) + value
        return sums

    def watch(self, what: Watched) -> None:
        """Serve it within our loop; workers close it."""
        self._selector.register(what, selectors.EVENT_READ, what.handle)
        self.private = (*self.private, what.close)

    # -- life

    def run(self, announce: Callable[[], None] = lambda: None) -> int:
        """Until TERM or INT: the exit status.  `announce` is called when every worker accepts.  StartError."""
        before = {number: signal.signal(number, deaf) for number in _SIGNALS}
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._selector.register(self._reader, selectors.EVENT_READ, self._signalled)
        try:
            self._settle()
            self._places = places(self._plan)
            while not self._stopping or self._processes:
                self._turn(announce)
        except BaseException as error:
            if not isinstance(error, LazarettoError):
                self.note("crash", LOG_ERR, process="supervisor", error=failure.reason(error))
            raise
        finally:
            for process in self._processes:
                process.kill("killed, the supervisor ends")
            self._reap(wait=True)
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, cast("signal.Handlers", handler))
            self._selector.close()
            os.close(self._reader)
            os.close(self._writer)
            if self._announced:
                self.note("stopped", LOG_NOTICE)
            self._plan.close()
        if self._failed:
            raise StartError(self._failed)
        return os.EX_OK

    def note(self, event: str, level: int, **pairs: str) -> None:
        """A line about the processes themselves."""
        self._plan.log(reporting.line({"event": event, "pid": str(os.getpid()), **pairs}), level)

    def _turn(self, announce: Callable[[], None]) -> None:
        for place in self._places:
            if place.process is None and place.due <= _now() and not self._stopping:
                self._start(place)
        begun, patience_s = _now(), max(self._due() - _now(), 0.0)
        for key, _ in self._selector.select(patience_s):
            if callable(key.data):
                key.data()
            else:
                self._hear(key.data)
        late_s = _now() - begun - patience_s
        if late_s > self.settings.margin_s:  # a long reload, a machine that stood still: nobody is to be blamed for that time
            for process in self._processes:
                process.until = max(process.until + late_s, _now() + self.settings.margin_s)
        self._reap()
        for process in self._processes:
            if process.until <= _now():
                process.kill(self._why(process))
        if self.ready and not self._announced:
            self._announced = True
            self.note("started", LOG_NOTICE, workers=str(len(self._places)), listen=self._addresses())
            self.notifier.ready(self._status())
            announce()
        if self.ready and self._reloading:
            self._retire()
        if self.notifier.interval_s and self._beat <= _now():
            self._beat = _now() + self.notifier.interval_s
            self.notifier.watchdog()

    def _due(self) -> float:
        """When something happens that no event announces, at the latest."""
        due = [process.until for process in self._processes if not process.killed]
        if not self._stopping:
            due += [place.due for place in self._places if place.process is None]
        if self.notifier.interval_s:
            due.append(self._beat)
        return min([*due, _now() + HEALTHY_S])

    @property
    def _processes(self) -> list[Process]:
        return [place.process for place in self._places if place.process is not None] + self._old

    def _why(self, process: Process) -> str:
        if self._stopping or process.retiring:
            return "killed, it did not finish in time"
        return "killed, it does not respond" if process.ready else "killed, it was not ready in time"

    # -- signals

    def _signalled(self) -> None:
        said = b""
        try:
            while piece := os.read(self._reader, 4096):
                said += piece
        except BlockingIOError:
            pass
        for number in said:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop()
        if signal.SIGHUP in said and not self._stopping:
            self._reload()  # once, however many came

    def _stop(self) -> None:
        if self._stopping:
            for process in self._processes:  # who does not hear it the second time does not need a third
                if process.until > _now() + self.settings.margin_s:
                    process.until = _now() + self.settings.margin_s
                process.send(signal.SIGTERM)
            return
        self.notifier.stopping()
        self._stopping = _now() + self.settings.grace_s + self.settings.margin_s
        for listener in (listener for group in self.listeners.values() for listener in group):
            listener.close()
        for process in self._processes:
            process.until = self._stopping
            process.send(signal.SIGTERM)

    def _reload(self) -> None:
        self.notifier.reloading()
        try:
            plan = self.make()
        except ConfigError as error:
            self.note("reload", LOG_ERR, error=f"the old configuration stays: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, mail goes on under what there was
            self.note("reload", LOG_ERR, error=f"the old configuration stays: {failure.reason(error)}")
        else:
            old, self._plan = self._plan, plan
            old.close()
            self._settle()
            self._replace(plan)
            self._reloading = True
            return  # its end comes when the new workers are ready
        self.notifier.ready(self._status())

    def _replace(self, plan: Plan) -> None:
        """New places for the plan; those who read for themselves keep theirs."""
        staying = {place.role.name: place for place in self._places if place.role.rereads}
        self._old += [place.process for place in self._places if place.process is not None and place.role.name not in staying]
        self._places = places(plan)
        for index, place in enumerate(self._places):
            if place.role.rereads and (before := staying.pop(place.role.name, None)) is not None:
                before.role = place.role
                self._places[index] = before
                if before.process is not None:
                    before.process.send(signal.SIGHUP)

    def _retire(self) -> None:
        """The new ones accept: the old ones need not."""
        self._reloading = False
        for process in self._old:
            if not process.retiring:
                process.retiring, process.until = True, _now() + self.settings.retire_s
                process.send(signal.SIGUSR1)
        for process in self._old[:-MAX_RETIRING]:
            if process.until > _now() + self.settings.grace_s + self.settings.margin_s:
                process.until = _now() + self.settings.grace_s + self.settings.margin_s
                process.send(signal.SIGTERM)
        self.note("reload", LOG_NOTICE, workers=str(len(self._places)))
        self.notifier.ready(self._status())

    # -- workers

    def _start(self, place: Place) -> None:
        role = place.role
        try:
            process = place.process = processes.start(role, lambda control: self._be(role, control), _now())
        except OSError as error:
            self.note("crash", LOG_ERR, process=role.name, error=f"fork: {error.strerror}")
            place.failed(self.settings.back_off_s, _now())
            return
        process.until = _now() + self.settings.start_s
        self._selector.register(process.line, selectors.EVENT_READ, process)

    def _be(self, role: Role, control: Control) -> int:
        """In the child: let go of what is ours, work."""
        try:
            for process in self._processes:
                process.line.close()
            for close in self.private:
                close()
            self.notifier.close()
            os.close(self._reader)
            os.close(self._writer)
            for listener in (listener for name, group in self.listeners.items() if name != role.name for listener in group):
                listener.close()
            return role.work(control, self.listeners.get(role.name, ()))
        except BaseException as error:  # noqa: BLE001 - it must not go on as a supervisor
            self.note("crash", LOG_ERR, process=role.name, error=failure.reason(error))
            return 1

    def _hear(self, process: Process) -> None:
        waiting = not process.ready
        reported, over = process.hear(self._plan.log)
        if not (self._stopping or process.retiring or process.killed):
            if reported:
                process.until = _now() + self.settings.stuck_s
            elif waiting and process.ready:
                process.until = NEVER
        if over:
            self._hang_up(process)

    def _hang_up(self, process: Process) -> None:
        if process.line.fileno() >= 0:
            self._selector.unregister(process.line)
            process.line.close()

    def _reap(self, wait: bool = False) -> None:
        if wait and not self._processes:
            return
        for pid, code in processes.ended(wait):
            process = next((process for process in self._processes if process.pid == pid), None)
            if process is not None:
                if process.line.fileno() >= 0:
                    process.hear(self._plan.log)
                self._hang_up(process)
                for name, value in process.counters.items():
                    if only_grows(name):
                        self._ended[name] = self._ended.get(name, 0.0) + value
                self._over(process, code)
                if wait and not self._processes:
                    return  # there may be others, if we are the first process of a container

    def _over(self, process: Process, code: int) -> None:
        """A worker has ended."""
        wanted = bool(self._stopping) or process.retiring
        trouble = process.killed or (f"signal {-code}" if code < 0 else f"status {code}" if code else "")
        if wanted and code == -signal.SIGTERM:  # before it could know what to do about it
            trouble = ""
        if process.in_hand:
            name = sample("lazaretto_messages_total", outcome="deferred", reason="system", frontend=process.role.name)
            self._ended[name] = self._ended.get(name, 0.0) + process.in_hand
        for _ in range(process.in_hand):
            self._plan.log(reporting.failure_line(f"the worker ended before its time: {trouble or 'without a reason'}"), LOG_ERR)
        if trouble or not wanted:
            trouble = trouble or "ended without being asked to"
            self.note("crash", LOG_ERR, process=process.role.name, worker=str(process.pid), error=trouble)
        if process in self._old:
            self._old.remove(process)
            return
        place = next(place for place in self._places if place.process is process)
        place.process = None
        if self._stopping:
            return
        if not self._announced:
            self._failed = f"{process.role.name}: a worker ended before it was ready ({trouble})"
            self._stop()
            return
        if process.ready and process.since + self.settings.healthy_s <= _now():
            place.failures = 0
        self.restarts[process.role.name] = self.restarts.get(process.role.name, 0) + 1
        place.failed(self.settings.back_off_s, _now())

    # -- small things

    def _settle(self) -> None:
        """What workers share lives long: it is kept out of the collector's way, so that they share its pages."""
        gc.unfreeze()  # what a reload has left behind
        gc.collect()
        gc.freeze()

    def _addresses(self) -> str:
        return " ".join(listener.address for group in self.listeners.values() for listener in group)

    def _status(self) -> str:
        return f"{len(self._places)} workers, listening on {self._addresses()}"


def _now() -> float:
    return time.monotonic()
