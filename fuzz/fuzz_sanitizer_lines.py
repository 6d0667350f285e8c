"""Any lines, on the command line or in files that include each other, are settings, and a configuration, or a ConfigError on one line."""

from __future__ import annotations

from lazaretto.errors import ConfigError
from lazaretto.legacy import anomy
from lazaretto.legacy.anomy_values import SCAN_MAIL, STANDALONE, dump, settle
from lazaretto.legacy.anomy_variables import find
from lazaretto.legacy.sanitizer_lines import MAX_BYTES, MAX_SETTINGS, parse
from lazaretto.policy import config

SEEDS = [
    b"",
    b"feat_html = 0\nfeat_log_inline += 1 # comment\nfile_list_3 = (?i)\\.exe$\nfile_list_3_policy=save\nvar_x .= \\s\\n\\t\\\\\\#\n",
    b"before 5 feat_html = 0\nafter 5 before 2000000000 try /a\n? /missing\ninclude /b\r\n\0/a\nvar_y=1\n",
    b"/a\n\0/b\n\0/c\n\0/d\n\0/e\n\0feat_html=1\n",
    b"FILE_LIST_99_SCANNER = 0:1:2:builtin/macro 25\nhtml_cleaner_body = \"tag:div\" => \"p\"\nunknown = 1\n",
    b"file_list_4 = x\nfile_list_4_policy = accept!:warn^2:save:drop\nfile_list_4_scanner = 0:5:3,4:av %FILENAME %HEADER(subject)\n",
    b"header_info = X-A: %X\\nX-B: 2\nforce_headers = 3\nmsg_file_save = %SAVEDNAME ${x}\nfile_name_tpl = /x/$F\nmsg_defanged = X\n",
    "file_characters = 0-9A-Za-zäöü\n# größe\n".encode("latin-1"),
]  # fmt: skip
NAMES = "abcdefgh"


def target(data: bytes) -> None:
    """NUL separates the arguments from the files /a, /b ..."""
    first, *rest = data.split(b"\0")
    files = {f"/{name}": content for name, content in zip(NAMES, rest, strict=False)}
    asked = 0

    def read(path: str) -> bytes:
        nonlocal asked
        asked += 1
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[path][: MAX_BYTES + 1]

    try:
        settings = parse(first.decode("utf-8", "surrogateescape").split("\n"), read, 1_000_000_000.0)
    except ConfigError as error:
        text = str(error)
        assert text.isprintable()
        assert text.endswith(".")
        assert len(text) < 3000
        return
    assert len(settings) <= MAX_SETTINGS
    for name, op, _, origin in settings:
        assert op in ("=", "+=")
        assert find(name) is not None
        assert origin.startswith(("argument ", "/"))
    for base, standalone in ((SCAN_MAIL, False), (STANDALONE, True)):
        values = settle(settings, base, standalone=standalone)
        assert dump(values)
        try:
            text = anomy.toml(values)
        except ConfigError:
            continue
        config.parse([("lines", text)])
