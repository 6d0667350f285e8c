"""The sanitizer's configuration lines: what they say, in which order, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.legacy import anomy_variables, sanitizer_lines
from lazaretto.legacy.sanitizer_lines import MAX_BYTES, MAX_DEPTH, MAX_FILES, MAX_SETTINGS, Setting, parse

NOW = 1_000_000_000.0


def reader(files: dict[str, bytes | OSError]) -> Callable[[str], bytes]:
    """Reads from `files` as open() would from a disk."""

    def read(path: str) -> bytes:
        if "\0" in path:
            raise ValueError("embedded null byte")
        content = files.get(path, FileNotFoundError(2, "No such file or directory"))
        if isinstance(content, OSError):
            raise content
        return content

    return read


def settings(*arguments: str, files: dict[str, bytes | OSError] | None = None, now: float = NOW) -> list[tuple[str, str, str, str]]:
    return [tuple(setting) for setting in parse(arguments, reader(files or {}), now)]  # type: ignore[misc]


def error(*arguments: str, files: dict[str, bytes | OSError] | None = None) -> str:
    with pytest.raises(ConfigError) as wrong:
        parse(arguments, reader(files or {}), NOW)
    assert str(wrong.value).isprintable()
    return str(wrong.value)


@pytest.mark.parametrize(
    ("line", "name", "op", "value"),
    [
        ("feat_html=0", "feat_html", "=", "0"),
        ("feat_html = 0", "feat_html", "=", "0"),
        (" \t FEAT_Html\t=\t0", "feat_html", "=", "0"),
        ("feat_html =", "feat_html", "=", ""),
        ("msg_log_prefix += x", "msg_log_prefix", "+=", "x"),
        ("msg_log_prefix .= x", "msg_log_prefix", "+=", "x"),
        ("msg_log_prefix+=x", "msg_log_prefix", "+=", "x"),
        ("msg_log_prefix.=x", "msg_log_prefix", "+=", "x"),
        ("msg_log_prefix == x", "msg_log_prefix", "=", "= x"),
        ("header_info = X-A: b = c", "header_info", "=", "X-A: b = c"),
        # comments and blanks
        ("feat_html = 0 # off", "feat_html", "=", "0"),
        ("feat_html = 0 \t #", "feat_html", "=", "0"),
        ("feat_html = # nothing", "feat_html", "=", ""),
        ("feat_html =# no comment", "feat_html", "=", "# no comment"),
        ("feat_html = a#b", "feat_html", "=", "a#b"),
        ("feat_html = a \\# b", "feat_html", "=", "a # b"),
        ("feat_html = a \\\\# b", "feat_html", "=", "a \\# b"),
        ("feat_html = 0  ", "feat_html", "=", "0  "),
        ("feat_html = a\tb\nc\rd", "feat_html", "=", "a b c d"),
        ("feat_html = a\n# b\nc", "feat_html", "=", "a"),
        # escapes
        (r"file_list_1 = (?i)\.exe$", "file_list_1", "=", r"(?i)\.exe$"),
        (r"file_list_1 = \s\n\t\\\#\d\S", "file_list_1", "=", " \n\t\\#\\d\\S"),
        (r"file_list_1 = \\s\\\\n", "file_list_1", "=", r"\s\\n"),
        ("file_list_1 = \\", "file_list_1", "=", "\\"),
        # names
        ("file_list_16_policy = drop", "file_list_16_policy", "=", "drop"),
        ("file_list_999999999_scanner = 0", "file_list_999999999_scanner", "=", "0"),
        ("var_anything_9 = x", "var_anything_9", "=", "x"),
        ("VAR_X = x", "var_x", "=", "x"),
        ("force_header_10 = 0", "force_header_10", "=", "0"),
        ("system_io_file = IO::File", "system_io_file", "=", "IO::File"),
        # time
        ("before 1000000001 feat_html = 0", "feat_html", "=", "0"),
        ("after 1000000000 feat_html = 0", "feat_html", "=", "0"),
        ("  BEFORE\t2000000000  After 1 feat_html = 0", "feat_html", "=", "0"),
        # what looks like a key word
        ("before_ = 1", "", "", ""),
        ("html_evil_tags = include x", "html_evil_tags", "=", "include x"),
        ("feat_html = \u00a0x\udcff", "feat_html", "=", "\u00a0x\udcff"),
    ],
)
def test_one_line(line: str, name: str, op: str, value: str) -> None:
    if not name:
        assert error(line).startswith("Unknown configuration variable: before_")
        return
    assert settings(line) == [(name, op, value, "argument 1")]
    # In a file it means the same, with its own place; a line end inside would be two lines.
    if "\n" not in line and "\r" not in line:
        content = b"# first\r\n" + line.encode("utf-8", "surrogateescape") + b"\r\n\n"
        assert settings("/a", files={"/a": content}) == [(name, op, value, "/a:2")]


@pytest.mark.parametrize(
    "line",
    ["", " ", "\t\r\n", "#", "# feat_html = 0", "   # x", "before 1000000000 nonsense = 1", "after 1000000001 /no/file", "before 1 # x"],
)
def test_lines_without_effect(line: str) -> None:
    assert settings(line, "feat_html=1", line) == [("feat_html", "=", "1", "argument 2")]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("/etc/anomy.conf", "/etc/anomy.conf"),
        ("  anomy.conf \t", "anomy.conf"),
        ("include /etc/anomy.conf", "/etc/anomy.conf"),
        ("INCLUDE   /etc/my anomy.conf # comment", "/etc/my anomy.conf"),
        ("try /etc/anomy.conf", "/etc/anomy.conf"),
        ("? /etc/anomy.conf", "/etc/anomy.conf"),
        ("?/etc/anomy.conf", "/etc/anomy.conf"),
        ("before 2000000000 include /etc/anomy.conf", "/etc/anomy.conf"),
        ("include", "include"),
        ("try", "try"),
        ("?", "?"),
        ("before 12", "before 12"),
        ("before soon feat_html = 0", "before soon feat_html = 0"),
        ("feat-html=0", "feat-html=0"),
        ("-nomacro", "-nomacro"),
        ("included", "included"),
    ],
)
def test_files(line: str, path: str) -> None:
    assert settings(line, files={path: b"feat_html = 0\nfeat_files=1"}) == [
        ("feat_html", "=", "0", f"{path}:1"),
        ("feat_files", "=", "1", f"{path}:2"),
    ]


def test_the_order_is_that_of_reading() -> None:
    files: dict[str, bytes | OSError] = {"/a": b"feat_html = 1\ninclude /b\nfeat_html = 3\n", "/b": b"feat_html = 2"}
    made = parse(["feat_html = 0", "/a", "feat_html += 4"], reader(files), NOW)
    assert [(setting.value, setting.op, setting.origin) for setting in made] == [
        ("0", "=", "argument 1"), ("1", "=", "/a:1"), ("2", "=", "/b:1"), ("3", "=", "/a:3"), ("4", "+=", "argument 3"),
    ]  # fmt: skip
    assert isinstance(made[0], Setting)


def test_nothing() -> None:
    assert parse([], reader({}), NOW) == ()


@pytest.mark.parametrize("missing", [FileNotFoundError(2, "No such file or directory"), NotADirectoryError(20, "Not a directory")])
def test_a_file_that_may_be_missing(missing: OSError) -> None:
    for line in ("try /a", "? /a", "?/a"):
        assert settings(line, "feat_html=0", files={"/a": missing}) == [("feat_html", "=", "0", "argument 2")]
    for line in ("/a", "include /a"):
        assert error(line, files={"/a": missing}) == f"Cannot read /a: {missing.strerror} [0] Error in argument 1."


def test_try_forgives_only_that() -> None:
    denied = PermissionError(13, "Permission denied")
    assert error("x", "try /a", files={"x": b"", "/a": denied}) == "Cannot read /a: Permission denied [0] Error in argument 2."
    assert error("? /a\0b").startswith("Cannot read /a\\x00b: embedded null byte")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("feat_htlm = 0", "Unknown configuration variable: feat_htlm (did you mean feat_html?)"),
        ("FEAT_HTLM=0", "Unknown configuration variable: feat_htlm (did you mean feat_html?)"),
        ("zzz = 1", "Unknown configuration variable: zzz"),
        ("var_ = 1", "Unknown configuration variable: var_"),
        ("var_def_charsets = 1", ""),
        ("file_list_ = 1", "Unknown configuration variable: file_list_ (did you mean file_list_1?)"),
        ("file_list_1_polizei = 1", "Unknown configuration variable: file_list_1_polizei (did you mean file_list_1_policy?)"),
        ("force_header_11 = 1", "Unknown configuration variable: force_header_11 (did you mean force_header_1?)"),
        ("x" * 5000 + "=1", "Unknown configuration variable: " + "x" * 100 + "..."),
        ("/no\nwhere", "Cannot read /no\\nwhere: No such file or directory"),
    ],
)
def test_errors(line: str, message: str) -> None:
    if not message:
        assert settings(line)
        return
    assert error("feat_html=0", line) == f"{message} [0] Error in argument 2."


def test_an_error_names_every_file_on_the_way() -> None:
    files: dict[str, bytes | OSError] = {"/a": b"\ninclude /b\n", "/b": b"# x\n\nnonsense = 1\n"}
    assert error("/a", files=files) == (
        "Unknown configuration variable: nonsense [2] Error in /b, line 3. [1] Error in /a, line 2. [0] Error in argument 1."
    )


def test_how_deep_files_may_be() -> None:
    files: dict[str, bytes | OSError] = {str(depth): str(depth + 1).encode() for depth in range(1, MAX_DEPTH)}
    assert settings("1", files={**files, str(MAX_DEPTH): b"feat_html=0"}) == [("feat_html", "=", "0", f"{MAX_DEPTH}:1")]
    text = error("1", files={**files, str(MAX_DEPTH): b"6", "6": b"feat_html=0"})
    assert text.startswith(f"Configuration files nested too deep! [{MAX_DEPTH}] Error in 5, line 1. [4] Error in 4")
    assert "nested too deep" in error("me", files={"me": b"feat_html=0\nme\n"})


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    many = b"feat_html=0\n" * MAX_SETTINGS
    assert len(settings("/a", files={"/a": many})) == MAX_SETTINGS
    assert error("/a", "feat_html=0", files={"/a": many}).startswith(f"More than {MAX_SETTINGS} settings!")

    assert settings("/a", files={"/a": b"\n" * MAX_BYTES}) == []
    limit = f"Cannot read /b: more than {MAX_FILES} files or {MAX_BYTES} bytes"
    assert error("/a", "/b", files={"/a": b"\n" * MAX_BYTES, "/b": b"#"}).startswith(limit)

    assert settings(*["/b"] * MAX_FILES, files={"/b": b""}) == []
    assert error(*["/b"] * (MAX_FILES + 1), files={"/b": b""}).startswith(limit)

    monkeypatch.setattr(sanitizer_lines, "MAX_FILES", 3)
    assert "more than 3 files" in error("/a", files={"/a": b"/b\n/b\n/b\n", "/b": b""})


def test_the_table_of_variables() -> None:
    assert len(anomy_variables.VARIABLES) == 71
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in anomy_variables.VARIABLES)
    for name in anomy_variables.VARIABLES:
        assert settings(f"{name} = 1") == [(name, "=", "1", "argument 1")]


LINE = st.text(max_size=40) | st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "before 5 ", "after 5 after 4 ", "try ", "? ", "include ", " "]),
    st.sampled_from(["feat_html", "var_x", "FILE_LIST_7", "nonsense", "/a", "/b", "#", ""]),
    st.sampled_from([" = ", "+=", ".=", "", " # "]),
    st.text("\\snt#.= \t\n\rx\udcff", max_size=20),
)


@given(st.lists(LINE, max_size=6), st.lists(LINE, max_size=6))
@example(["?" * 50], ["/a"])
def test_any_lines_are_settings_or_an_error(arguments: list[str], lines: list[str]) -> None:
    files: dict[str, bytes | OSError] = {"/a": "\n".join(lines).encode("utf-8", "surrogateescape"), "/b": b"/a\nfeat_html=0"}
    try:
        made = parse(arguments, reader(files), NOW)
    except ConfigError as wrong:
        text = str(wrong)
        assert text.isprintable()
        assert re.search(r" \[0\] Error in argument \d+\.$", text)
        return
    for setting in made:
        assert setting.op in ("=", "+=")
        assert setting.name == setting.name.lower()
        assert "\t" not in setting.value or "\\t" in "".join(arguments + lines)


@given(st.text(st.characters(codec="utf-8")), st.sampled_from(["=", "+="]))
def test_any_value_can_be_written(value: str, op: str) -> None:
    written = "".join({"\\": "\\\\", "#": "\\#", "\n": "\\n", "\t": "\\t", " ": "\\s"}.get(c, c) for c in value)
    if not set(value) & set("\r\f\v"):
        assert [setting.value for setting in parse([f"var_x {op} {written}"], reader({}), NOW)] == [value]


def test_depth_of_files_that_the_configuration_wants() -> None:
    chain: dict[str, bytes | OSError] = {str(depth): str(depth + 1).encode() for depth in range(1, 8)}
    chain["8"] = b"feat_html=0"
    assert "nested too deep!" in error("1", files=chain)
    assert settings("max_conf_recursion = 8", "1", files=chain)[1:] == [("feat_html", "=", "0", "8:1")]
    assert "nested too deep! [7]" in error("max_conf_recursion = 7", "1", files=chain)


@pytest.mark.parametrize("value", ["0", "51", "many", "", "-1"])
def test_depths_that_are_none(value: str) -> None:
    assert "max_conf_recursion: expected a number from 1 to 50!" in error(f"max_conf_recursion = {value}")


def test_an_error_has_the_settings_before_it() -> None:
    with pytest.raises(sanitizer_lines.LinesError) as wrong:
        parse(("score_bad = 1", "file"), reader({"file": b"feat_html = 0\nnonsense\n"}), NOW)
    assert [(setting.name, setting.value) for setting in wrong.value.settings] == [("score_bad", "1"), ("feat_html", "0")]
