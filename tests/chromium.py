"""A headless Chromium, driven by the DevTools protocol over a pair of pipes: no port, no library.

    with Chromium(directory) as browser:
        page = browser.page()
        page.call("Page.navigate", url="http://127.0.0.1:...")

Messages are JSON, each ended by a NUL; events of a page are kept until somebody takes them.

See: https://chromedevtools.github.io/devtools-protocol/ (Page, Runtime, Network, Target)
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import peers

OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update"
    " --disable-sync --disable-extensions --disable-default-apps --disable-dev-shm-usage --mute-audio --hide-scrollbars"
    " --disable-background-timer-throttling --disable-renderer-backgrounding --disable-backgrounding-occluded-windows"
    " --force-color-profile=srgb --autoplay-policy=no-user-gesture-required --remote-debugging-pipe"
).split()
ANSWER_S = 30.0
# The browser reads from 3 and writes to 4.
START = """import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])"""

Message = dict[str, Any]


class Chromium:
    """One browser with an empty profile below `directory`; closed at the end of the `with`."""

    def __init__(self, directory: Path, *options: str) -> None:
        binary = peers.require("chromium")
        to_browser, ours_out = os.pipe()
        ours_in, from_browser = os.pipe()
        command = [binary, *OPTIONS, *options, f"--user-data-dir={directory / 'profile'}", "about:blank"]
        start = [sys.executable, "-S", "-c", START, str(to_browser), str(from_browser), *command]
        self.log = (directory / "chromium.log").open("wb")
        self.process = subprocess.Popen(
            start, pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=directory
        )
        os.close(to_browser)
        os.close(from_browser)
        self.out, self.into = ours_out, ours_in
        self.held = b""
        self.number = 0
        self.answers: dict[int, Message] = {}
        self.events: list[Message] = []

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.out)  # which tells it to end
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)
        os.close(self.into)
        self.log.close()

    def page(self) -> Page:
        """A new, empty tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session)

    def send(self, method: str, session: str = "", **params: object) -> int:
        """Ask and do not wait; the number of the answer."""
        self.number += 1
        message: Message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data) :]
        return self.number

    def call(self, method: str, session: str = "", **params: object) -> Message:
        """Ask and wait for the answer."""
        number = self.send(method, session, **params)
        end = time.monotonic() + ANSWER_S
        while number not in self.answers:
            self.pump(end - time.monotonic())
        answer = self.answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: Message = answer.get("result", {})
        return result

    def pump(self, timeout_s: float) -> bool:
        """Read what there is, waiting at most so long; was there anything?"""
        assert timeout_s > 0, f"Chromium does not answer: {(Path(self.log.name)).read_text(errors='replace')[-2000:]}"
        ready, _, _ = select.select([self.into], [], [], timeout_s)
        if not ready:
            return False
        data = os.read(self.into, 1 << 20)
        assert data, f"Chromium has gone: {(Path(self.log.name)).read_text(errors='replace')[-2000:]}"
        *messages, self.held = (self.held + data).split(b"\0")
        for raw in messages:
            message = json.loads(raw)
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self.events.append(message)
        return True


class Page:
    """One tab."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self.browser = browser
        self.session = session

    def call(self, method: str, **params: object) -> Message:
        return self.browser.call(method, self.session, **params)

    def send(self, method: str, **params: object) -> int:
        return self.browser.send(method, self.session, **params)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, as JSON has it; an exception there fails the test."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def take(self) -> list[Message]:
        """The events of this tab that have come since, oldest first."""
        mine = [event for event in self.browser.events if event.get("sessionId") == self.session]
        self.browser.events = [event for event in self.browser.events if event.get("sessionId") != self.session]
        return mine
