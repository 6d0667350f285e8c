"""Pages in a real browser: what each of many does by itself and when somebody touches it.

A server of our own gives each page with the charset of its case and counts what pages ask for; the browser
tells of dialogs; a script that is put into each page before its own counts changes of the document.  Then whatever can be
touched is: links that are none, submit buttons, and every handler gets its event.

`behaviour(browser, pages)` runs several tabs at a time, each page alone in its tab.
"""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from chromium import Chromium, Page
from html_cases import HIT

TABS = 6
PAGE_S = 15.0  # for one page; the usual one needs 20 ms
# A moment for what starts late: images that fail, animations that begin.  The page itself says when it is over.
SETTLED = "new Promise(done => setTimeout(() => setTimeout(done, 15), 15))"
# Counts what changes after the document has been read.
WATCH = """(() => {
  window.__changes = 0;
  document.addEventListener('DOMContentLoaded', () => {
    new MutationObserver(list => { window.__changes += list.length; })
      .observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  });
  const write = Document.prototype.write;
  Document.prototype.write = function (...text) { window.__changes += 1; return write.apply(this, text); };
})()"""
TOUCH = """(() => {
  for (const element of [...document.querySelectorAll('*')]) {
    const href = String((element.href && element.href.baseVal) || element.href || element.getAttribute('xlink:href') || '').trim();
    if (/^(javascript|data|vbscript|blob):/i.test(href)) {
      element.removeAttribute('target');
      element.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}));
    }
    if (/^(submit|image)$/i.test(element.type || '') && element.click) element.click();
    for (const name of element.getAttributeNames()) {
      if (name.startsWith('on')) element.dispatchEvent(new Event(name.slice(2), {bubbles: true}));
    }
  }
})()"""


class Seen(NamedTuple):
    """What one page did."""

    dialogs: int
    requests: int
    changes: int

    def shows(self) -> str:
        """The word of html_cases for it."""
        return "dialog" if self.dialogs else "request" if self.requests else "dom" if self.changes else ""


class Server:
    """Gives `pages` (content, charset), set by its user, by number under /page/N; counts requests for /hit/N."""

    def __init__(self) -> None:
        self.pages: Sequence[tuple[bytes, str]] = ()
        self.hits: dict[int, int] = {}
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))  # or it would be taken for the next request
                _, kind, number, *_ = (*self.path.split("?")[0].split("/"), "", "")
                body, field = b"", "text/plain"
                if kind == "page" and number.isdigit():
                    body, charset = server.pages[int(number)]
                    field = "text/html" + (f"; charset={charset}" if charset else "")
                elif kind == "hit":
                    server.hits[int(number)] = server.hits.get(int(number), 0) + 1
                self.send_response(200 if kind in ("page", "hit") else 404)
                self.send_header("Content-Type", field)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the name that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def filled(self, page: bytes, number: int) -> bytes:
        """The page with the address that it may ask for."""
        return page.replace(HIT, f"{self.origin}/hit/{number}".encode())

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


class _Tab:
    """One tab and what it is doing: a small state machine, so that several can be waited for at once."""

    def __init__(self, browser: Chromium, server: Server, last: tuple[str, ...]) -> None:
        self.browser = browser
        self.server = server
        self.last = last
        self.page: Page = browser.page()
        for method in ("Page.enable", "Runtime.enable"):
            self.page.call(method)
        self.page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        self.page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.number = -1
        self.steps: list[str] = []
        self.asked = 0
        self.dialogs = self.changes = 0
        self.until = 0.0

    def open(self, number: int, url: str, awaited: str) -> None:
        """`awaited`: what the page is to show; it gets time for that."""
        self.awaited = awaited
        self.page.take()
        self.number, self.dialogs, self.changes = number, 0, 0
        self.steps = [SETTLED, TOUCH, SETTLED, "window.__changes", *self.last]
        self.value: object = None
        self.until = time.monotonic() + PAGE_S
        self.loaded, self.patience = False, 3
        self.asked = self.page.send("Page.navigate", url=url)

    def seen(self) -> Seen:
        return Seen(self.dialogs, self.server.hits.get(self.number, 0), self.changes)

    def go_on(self) -> bool:
        """Do what can be done now; True when the page is through."""
        for event in self.page.take():
            if event["method"] == "Page.javascriptDialogOpening":
                self.dialogs += 1
                self.page.send("Page.handleJavaScriptDialog", accept=True)
            elif event["method"] == "Page.loadEventFired":
                self.loaded = True
        answer = self.browser.answers.pop(self.asked, None)
        if answer is not None:
            self.asked = 0
            if "error" in answer:
                self.steps.insert(0, SETTLED)  # another document has come; it gets its time, too
                self.patience -= 1
            else:
                value = answer["result"].get("result", {}).get("value")
                self.changes = value if isinstance(value, int) else self.changes
                self.value = value
        if not self.asked and self.loaded:
            if not self.steps or self.patience < 0:
                if not self.awaited or self.seen().shows() == self.awaited:
                    return True
                self.steps, self.patience = [SETTLED, "window.__changes", *self.last], 3
            self.asked = self.page.send("Runtime.evaluate", expression=self.steps.pop(0), awaitPromise=True, returnByValue=True)
        return time.monotonic() > self.until


def behaviour(browser: Chromium, server: Server, last: str, awaited: Sequence[str] = ()) -> list[tuple[Seen, Any]]:
    """What each page of `server` did, and the value of the expression `last` when that is over.

    The same page is opened once.  `awaited`: what each is to show, for which it gets PAGE_S; without it, a moment.
    """
    server.hits.clear()
    seen: dict[int, tuple[Seen, Any]] = {}
    first: dict[tuple[bytes, str], int] = {}
    for number, page in enumerate(server.pages):
        first.setdefault(page, number)
    waiting = list(first.values())
    free = [_Tab(browser, server, (last,)) for _ in range(TABS)]
    busy: list[_Tab] = []
    while waiting or busy:
        while waiting and free:
            tab = free.pop()
            number = waiting.pop(0)
            tab.open(number, f"{server.origin}/page/{number}", awaited[number] if awaited else "")
            busy.append(tab)
        browser.pump(1.0)
        for tab in list(busy):
            if tab.go_on():
                seen[tab.number] = tab.seen(), tab.value
                busy.remove(tab)
                free.append(tab)
    return [(seen[first[page]][0]._replace(requests=server.hits.get(first[page], 0)), seen[first[page]][1]) for page in server.pages]
