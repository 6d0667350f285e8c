"""Sanitised pages in a real browser: no dialog, no request, no change of the document; honest pages look as before.

The same pages as they came are the control: those that Chromium obeys do what tests/html_cases.py says of them.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import NamedTuple

import html_cases
import newsletters
from chromium import Chromium, Page
from html_browser import SETTLED, Seen, Server, behaviour, serving
from html_cases import Case
from lazaretto.sanitize import html

WIDTHS = (800, 400)  # of a window, pixels: style sheets ask
LOOK_S = 20.0
# What the document holds that acts, as the browser itself has understood it.
ACTING = """[...document.querySelectorAll('*')].flatMap(element => {
  const found = [];
  const name = element.localName;
  if (element.namespaceURI !== 'http://www.w3.org/1999/xhtml') found.push(name + ' in ' + element.namespaceURI);
  if (/^(script|i?frame(set)?|object|embed|applet|form|input|button|select|textarea|template|noscript)$/.test(name)) found.push(name);
  if (name === 'base' && element.hasAttribute('href')) found.push('base');
  if (name === 'meta' && /refresh/i.test(element.httpEquiv)) found.push('refresh');
  if (element.shadowRoot) found.push('shadow of ' + name);
  for (const attribute of element.getAttributeNames()) {
    if (/^on|^srcdoc$|^formaction$|^action$/.test(attribute)) found.push(attribute + ' on ' + name);
  }
  for (const url of [element.href, element.src, element.background, element.cite]) {
    if (/^\\s*(javascript|vbscript|data:(?!image\\/(?!svg)))/i.test(String(url || ''))) found.push(name + ' to ' + url);
  }
  return found;
})"""


class Run(NamedTuple):
    """What the browser did."""

    before: dict[str, Seen]
    after: dict[str, Seen]
    acting_before: dict[str, list[str]]
    acting_after: dict[str, list[str]]
    looks: dict[tuple[str, int], tuple[bytes, bytes]]  # newsletter, width -> pictures before and after


def sanitized(page: bytes, case: Case) -> tuple[bytes, str]:
    """What leaves, and the charset that it leaves under."""
    clean = html.sanitize(page, (case.charset,) if case.charset else (), case.profile)
    return clean, case.charset if html.keeps_ascii(case.charset) else html.CHARSET


def browsed(directory: Path) -> Run:
    """One start of the browser for everything."""
    with Chromium(directory) as browser, serving() as server:
        names = [case.name for case in html_cases.CASES]
        pages = [server.filled(case.page, number) for number, case in enumerate(html_cases.CASES)]
        results: list[tuple[dict[str, Seen], dict[str, list[str]]]] = []
        cases = list(zip(pages, html_cases.CASES, strict=True))
        for served, awaited in (
            ([(page, case.charset) for page, case in cases], [case.shown for case in html_cases.CASES]),
            ([sanitized(page, case) for page, case in cases], []),
        ):
            server.pages = served
            seen = dict(zip(names, behaviour(browser, server, ACTING, awaited), strict=True))
            results.append(({name: what for name, (what, _) in seen.items()}, {name: acting for name, (_, acting) in seen.items()}))
        (before, acting_before), (after, acting_after) = results
        return Run(before, after, acting_before, acting_after, looks(browser.page(), server))


def looks(page: Page, server: Server) -> dict[tuple[str, int], tuple[bytes, bytes]]:
    letters = [text.encode() for text in newsletters.NEWSLETTERS.values()]
    server.pages = [(letter, "utf-8") for letter in (*letters, *(html.sanitize(letter, ("utf-8",), html.SCRIPTS) for letter in letters))]
    page.call("Page.enable")
    pictures = {}
    for width in WIDTHS:
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=1200, deviceScaleFactor=1, mobile=False)
        shots = [picture(page, f"{server.origin}/page/{number}") for number in range(len(server.pages))]
        for number, name in enumerate(newsletters.NEWSLETTERS):
            pictures[name, width] = shots[number], shots[number + len(letters)]
    return pictures


def picture(page: Page, url: str) -> bytes:
    page.take()
    page.call("Page.navigate", url=url)
    while not any(event["method"] == "Page.loadEventFired" for event in page.take()):
        page.browser.pump(LOOK_S)
    page.evaluate(SETTLED)
    return base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])


def test_pages_in_a_real_browser(tmp_path: Path) -> None:
    """One test, because workers that run tests side by side would each start their own browser for the same pages."""
    run = browsed(tmp_path)
    nothing_runs_afterwards(run)
    as_they_came_they_do_run(run)
    the_browser_itself_finds_nothing_that_acts(run)
    newsletters_look_the_same(run)


def nothing_runs_afterwards(run: Run) -> None:
    assert {name: seen for name, seen in run.after.items() if seen.shows()} == {}


def as_they_came_they_do_run(run: Run) -> None:
    shown = {case.name: case.shown for case in html_cases.CASES}
    assert {name: seen.shows() for name, seen in run.before.items()} == shown
    assert sum(word == "dialog" for word in shown.values()) >= 100
    assert sum(word == "request" for word in shown.values()) >= 30
    assert sum(word == "dom" for word in shown.values()) >= 4


def the_browser_itself_finds_nothing_that_acts(run: Run) -> None:
    assert {name: found for name, found in run.acting_after.items() if found} == {}
    assert sum(bool(found) for found in run.acting_before.values()) >= 150


def newsletters_look_the_same(run: Run) -> None:
    for name, text in newsletters.NEWSLETTERS.items():
        assert html.inspect(text.encode(), ("utf-8",), html.SCRIPTS), name  # it is not left alone
    assert [at for at, (before, after) in run.looks.items() if before != after] == []
    # A control: pictures can differ, and these twenty do.
    assert len({before for before, _ in run.looks.values()}) == len(newsletters.NEWSLETTERS) * len(WIDTHS) >= 20


def test_the_browser_is_closed(tmp_path: Path) -> None:
    with Chromium(tmp_path) as browser:
        assert browser.call("Browser.getVersion")["product"].startswith(("HeadlessChrome/", "Chrome/"))
    assert browser.process.returncode is not None
