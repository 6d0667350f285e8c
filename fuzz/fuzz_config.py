"""Any text is a configuration or a ConfigError that names the file and a line of it; what is accepted can be listed and read again."""

from __future__ import annotations

from lazaretto.errors import ConfigError
from lazaretto.policy.config import parse
from lazaretto.policy.lines import index
from lazaretto.policy.listing import describe

SEEDS = [
    b"",
    b'[policy]\nmalware = "reject"\nquarantine = ["banned", "replaced"]\n[limits]\nmax_depth = 9\nmax_scan_s = 5.5\n',
    b'[engines.clamd]\nkind = "clamd"\nrequired = false\naddresses = ["127.0.0.1:3310"]\nx = {y = 1, z = [1979-05-27 07:32:00]}\n',
    b'[[rule]]\nname = "allow"\nsender = ["*@example.org", ""]\nkind = "active"\naction = "pass"\n',
    b'[[rule]]\nname = "b"\nfile = "*.exe"\naction = "reject"\ntext = """no\n# x = 1\n"""\n',
    b"rule = [{name = 'a', action = 'tag', kind = 'malware'}]\nheaders.announce = false\nnotices = {language = 'de'}\n",
    b"[attachments]\n'a b'.c = '''\n'''\n",
]


def target(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    lines = text.count("\n") + 1
    assert all(1 <= line <= lines for line in index(text).values())
    wrong: ConfigError | None = None
    try:
        config = parse([("f", text)])
    except ConfigError as error:
        wrong = error
    if wrong is not None:
        assert wrong.file == "f"
        assert 1 <= wrong.line <= lines
        assert str(wrong).isprintable()
        return
    again = parse([("again", describe(config))])
    assert (again.limits, again.policy, again.values) == (config.limits, config.policy, config.values)
    assert {engine.name for engine in again.engines} == {engine.name for engine in config.engines}
