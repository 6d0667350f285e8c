"""The shell reader against /bin/sh itself, and everything that it refuses."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import peers
from lazaretto.errors import ConfigError
from lazaretto.legacy import shell

# Prints every variable that is named, and says which are not set.
_SCRIPT = r"""
. ./conf >/dev/null || exit 9
for name in $NAMES; do
    eval "set -- \"\${$name-unset}\" \"\${$name+set}\""
    printf '%s\0%s\0' "$1" "$2"
done
"""


def sh(
    directory: Path, data: bytes, names: tuple[str, ...], environment: Mapping[str, str] | None = None, program: str = "/bin/sh"
) -> dict[str, str]:
    """The variables of `names` after a shell has sourced `data`."""
    (directory / "conf").write_bytes(data)
    env = {**(environment or {}), "NAMES": " ".join(names)}
    done = subprocess.run([program, "-c", _SCRIPT], cwd=directory, env=env, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b""), (done, data)
    fields = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    assert len(fields) == 2 * len(names) + 1
    return {name: value for name, value, is_set in zip(names, fields[::2], fields[1::2], strict=False) if is_set}


def ours(data: bytes, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    return {name: one.value for name, one in shell.read(data, "conf", environment or {}).items()}


# What administrators write; each is sourced by sh, too.
FILES: dict[str, bytes] = {
    "as-shipped": b'# F-PROT\nSCANMAIL_LOGLEVEL="4"\nSCANMAIL_LOGFACILITY="mail"\nSCANMAIL_STOPLIST="\\.(ade|exe)$"\n\n# end\n',
    "empty": b"",
    "only-comments": b"#\n # one\n\t# two \\\n#three",
    "no-line-end": b'SCANMAIL_LOGLEVEL="7"',
    "dollar-before-the-quote": b'SCANMAIL_STOPLIST="\\.exe$"\nSCANMAIL_BANLIST="\\.vbs$;\\.js$;a$|b$"\n',
    "backslashes-in-double-quotes": b'SCANMAIL_STOPLIST="\\.a\\\\.b\\$c\\`d\\"e\\n\\\'"\n',
    "single-quotes": b"SCANMAIL_STOPLIST='\\.exe$;`date`;$HOME;\"x\"'\n",
    "unquoted": b"SCANMAIL_LOGLEVEL=5\nSCANMAIL_STOPLIST=\\.exe$\nSCANMAIL_BANLIST=\\\\.exe\\$\\;\\ \\|\n",
    "mixed-quotes": b"SCANMAIL_STOPLIST=\\\\.'(exe|com)'\"$\";SCANMAIL_BANLIST=a\"b\"'c'd\\e\"\"''\n",
    "continued-in-double-quotes": b'SCANMAIL_STOPLIST="\\.exe$;\\\n\\.vbs$;\\\n  \\.js$"\nSCANMAIL_LOGLEVEL=1\n',
    "continued-outside-quotes": b"SCANMAIL_\\\nLOGLEVEL\\\n=\\\n6\\\n\\\n\nSCANMAIL_BANLIST=a\\\nb\n",
    "continued-between-words": b"A=1 \\\n  B=2 \\\n\\\n# and C\nC=3\n",
    "quotes-over-lines": b"SCANMAIL_STOPLIST=\"\\.exe$;\n\\.vbs$;\n# no comment\n\"\nSCANMAIL_BANLIST='\\.a$;\\\n\\.b$'\n",
    "several-on-a-line": b'A=1; B="2 3";C=4 D=5\t;  E=6 # F=7\nG="8"   # nine\n',
    "last-wins": b"SCANMAIL_LOGLEVEL=1\nSCANMAIL_LOGLEVEL=2; SCANMAIL_LOGLEVEL='3'\n",
    "export": b'export SCANMAIL_LOGLEVEL=2\nexport\t\'A=b c\' "B"=d C D="e"\\ f\nexport A\nexport\nexport;E=1\n',
    "expansion": b'X="\\.exe$"\nY=${X}b\nSCANMAIL_STOPLIST="$X;${X};$X$Y$"$X\nSCANMAIL_BANLIST=\'$X\'\nZ=$UNDEFINED_THING-$A_\n',
    "own-value-again": b'A="a"\nA="$A;b"\nA="$A;c" A="${A}d"\n',
    "dollars-that-stay": b'A="$;$|$.$)$ $%$/$^$,$~$="\nB=$.$/$%\nC="x$"y$\nD=$\n',
    "hash-inside": b"A=a#b\nB=#\nC='#'\nD=\"#\" #E=1\nF=\\#\n#G=1\n",
    "empty-values": b"A=\nB=\"\"\nC=''\nD= # nothing\nE=;F=\n",
    "latin-1": b"# Stra\xdfe, \xfcber\nSCANMAIL_BANLIST=\"\\.t\xfcte$\" # \xe4\nA=\xfc'\xe9'\\\xe8\n",
    "utf-8-in-pieces": b"A=\xc3'\xbc'\xc3\"\"\xbc B=$A\xc3\nC=$B\\\xbc\n",
    "utf-8": "# Grüße ☺\nSCANMAIL_BANLIST='\\.tüte$;☺' # ☹\nA=日本\\語\n".encode(),
    "cr-in-quotes": b"A=\"a\r\nb\" B='\r'\n# comment\r\nC=1\n",
    "tabs-and-blanks": b'\t A="\t b  "\t\n  \n\t\n   B=2',
    "colons-and-tildes": b'A="~"/x:\'~\'\nB=a~b:c\nC=\\~/x:""~/y\n',
    "glob-characters": b"A=* B=?[a-z]\nC=*.exe;D={a,b}\nE=!x\n",
    "unknown-variables": b'FOO="bar"\n_x9=1\nSCANMAIL_NONSENSE="a b"\nlower=UPPER\nFPROT_LICENSE_KEY="A1-B2"\n',
    "bad-expressions": b'SCANMAIL_BANLIST="*.exe;(;[a-;x{2,1};\\\\"\nSCANMAIL_STOPLIST=";;;"\n',
    "continued-name-in-expansion": b'AB=1\nC="$A\\\nB" D=${\\\nAB\\\n}"$\\\nAB"$A\\\nB\n',
    "control-characters": b"A=\x01\x7f\x81\x88\x0b\x0c B=\"\x01\x02\x81\x82\xff\" C='\x81'\n",
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_read_as_sh_reads_them(name: str, tmp_path: Path) -> None:
    data = FILES[name]
    read = ours(data)
    probed = (*read, "A", "B", "C", "D", "E", "F", "G", "H", "SCANMAIL_LOGLEVEL", "SCANMAIL_STOPLIST", "SCANMAIL_BANLIST")
    names = tuple(dict.fromkeys(probed))
    assert read == sh(tmp_path, data, names)


def test_there_are_enough_files() -> None:
    assert len(FILES) >= 20
    assert sum(bool(ours(data)) for data in FILES.values()) >= len(FILES) - 2


def test_the_environment_is_what_variables_mean_at_first(tmp_path: Path) -> None:
    data = b'A="$A;x"\nB=$A-$GIVEN-${NEVER}\n'
    environment = {"A": "a  b", "GIVEN": "é*"}
    assert ours(data, environment) == {"A": "a  b;x", "B": "a  b;x-é*-"} == sh(tmp_path, data, ("A", "B"), environment)


def test_dollar_and_quote_is_as_in_dash(tmp_path: Path) -> None:
    data = b"A=$'x\\n'\nB=\"$'y'\"$\"z\"\n"
    assert ours(data) == {"A": "$x\\n", "B": "$'y'$z"} == sh(tmp_path, data, ("A", "B"), program=peers.require("dash"))


def test_other_shells_agree(tmp_path: Path) -> None:
    program = peers.require("bash")
    for data in FILES.values():
        read = ours(data)
        assert read == sh(tmp_path, data, tuple(read), {"BASH_ENV": "", "LC_ALL": "C"}, program)


def test_line_and_file() -> None:
    read = shell.read(b"# x\n\nA=1\nB='\n\n' C=2\n\\\nA=3; D=\"\\\n\"\nE=5", "/etc/f-prot.conf", {})
    assert {name: (one.value, one.line) for name, one in read.items()} == {
        "A": ("3", 8),
        "B": ("\n\n", 4),
        "C": ("2", 6),
        "D": ("", 8),
        "E": ("5", 10),
    }
    assert {one.file for one in read.values()} == {"/etc/f-prot.conf"}


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"A=1\nB=`date`\n", 2, "`...`: commands are not run"),
        (b'A=1\nB="\n`date`"\n', 3, "`...`: commands are not run"),
        (b'A="$(date)"', 1, "$(...): commands are not run"),
        (b"A=$((1+1))", 1, "$(...): commands are not run"),
        (b'\nA="${B:-x}"', 2, "only ${NAME} is understood"),
        (b"A=${}", 1, "only ${NAME} is understood"),
        (b"A=${1}", 1, "only ${NAME} is understood"),
        (b"A=${B", 1, "only ${NAME} is understood"),
        (b"A=${#B}", 1, "only ${NAME} is understood"),
        (b'A="$1"', 1, "$1: only variables are understood"),
        (b"A=x$$", 1, "$$: only variables are understood"),
        (b"A=$?", 1, "$?: only variables"),
        (b"A=$PPID", 1, "$PPID: set by the shell"),
        (b"A=1\nif true; then B=2; fi\n", 2, "if: expected NAME=value"),
        (b". /etc/default/f-prot\n", 1, ".: expected NAME=value; commands are not run"),
        (b"test -f x && A=1", 1, "test: expected NAME=value"),
        (b"[ -f x ]", 1, "[: expected NAME=value"),
        (b": ${A:=1}", 1, ":: expected NAME=value"),
        (b"unset A", 1, "unset: expected NAME=value"),
        (b"readonly A=1", 1, "readonly: expected NAME=value"),
        (b"f() { A=1; }", 1, "f()"),
        (b"(A=1)", 1, "(A=1)"),
        (b"{ A=1; }", 1, "{: expected"),
        (b"A = 1", 1, 'A =: expected A=value, with nothing between name, "=" and value'),
        (b"A =1", 1, "A =: expected A=value"),
        (b"A+=1", 1, "A+=: expected A=value"),
        (b"A[0]=1", 1, "A[0]=: expected A=value"),
        (b"A= x", 1, "x: expected NAME=value; a value with blanks has to stand in quotes"),
        (b"A=a b", 1, "b: expected NAME=value; a value with blanks"),
        (b"A=b export C=d", 1, "export: expected NAME=value"),
        (b"A=a|b", 1, "| outside quotes"),
        (b"A=(a b)", 1, "( outside quotes"),
        (b"A=a >/etc/passwd", 1, ">/etc/passwd: expected NAME=value; commands are not run"),
        (b"A=a>b", 1, "> outside quotes"),
        (b"A=a && B=b", 1, "&&: expected"),
        (b"A=a&", 1, "& outside quotes"),
        (b"; A=b", 1, '";" with no assignment'),
        (b"A=b;;", 1, '";" with no assignment'),
        (b"A=b; ; C=d", 1, '";" with no assignment'),
        (b'A=1\nB="x\n\n\n', 2, '" without its end'),
        (b'B="x\\', 1, '" without its end'),
        (b"A=1\n\nB='x\n", 3, "' without its end"),
        (b"A=x\\", 1, "ends after a backslash"),
        (b"A=~/x", 1, "~ outside quotes"),
        (b"A=x\nB=/a:~b", 2, "~ outside quotes"),
        (b'A="x"\r\nB="y"\r\n', 1, "a carriage return outside quotes"),
        (b"# x\r\n\r\nA=1\r\n", 2, "a carriage return outside quotes"),
        (b"A=1\nB=\0", 2, "a zero byte"),
        (b"\xef\xbb\xbfA=1", 1, "expected NAME=value"),
        (b"\xc4=1", 1, "?=1: expected NAME=value"),
        (b'"A"=1', 1, '"A"=1: expected NAME=value'),
        (b"1A=1", 1, "1A=1: expected NAME=value"),
        (b"export A=1 >x", 1, "> outside quotes"),
        (b"export -p", 1, "export: -p is no name"),
        (b"export 1=2", 1, "export: 1 is no name"),
        (b"export =2", 1, "is no name"),
        (b"export A=~", 1, "~ outside quotes"),
        (b"export A=*", 1, "* outside quotes"),
        (b"B='x y'\nexport A=$B", 2, "put it in double quotes"),
        (b"export A=`x`", 1, "commands are not run"),
    ],
)
def test_what_is_refused(data: bytes, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        shell.read(data, "/etc/f-prot.conf", {})
    assert words in str(caught.value)
    assert (caught.value.file, caught.value.line) == ("/etc/f-prot.conf", line)
    assert str(caught.value).isprintable()


def test_limits() -> None:
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        shell.read(b"#" * (shell.MAX_BYTES + 1), "f", {})
    assert shell.read(b"#" * shell.MAX_BYTES, "f", {}) == {}
    doubling = b"A=xxxx\n" + b'A="$A$A"\n' * 40
    with pytest.raises(ConfigError, match=r"f:19: \$A: more than 1048576 characters"):
        shell.read(doubling, "f", {})


def test_text() -> None:
    assert shell.text("abc") == "abc"
    assert shell.text("für") == "für"
    assert shell.text(b"f\xfcr".decode("utf-8", "surrogateescape")) == "für"
    assert shell.text(b"\xfc".decode("utf-8", "surrogateescape") + "é") == "üÃ©"  # as a whole, it is not UTF-8


# Values, put together from pieces that are quoted in every way.
_CHARACTERS = st.text(
    st.one_of(st.sampled_from(" \t\n\r;|&<>()$\"'`\\#~:*?[]{}=!^.,-AB_1é"), st.characters(codec="utf-8", exclude_characters="\0")),
    max_size=8,
)


def _single(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _double(value: str) -> str:
    return '"' + "".join("\\" + character if character in '$`"\\' else character for character in value) + '"'


def _unquoted(value: str) -> str:
    return "".join('"\n"' if character == "\n" else "\\" + character for character in value)


_PIECES = st.builds(lambda quote, value: (quote(value), value), st.sampled_from((_single, _double, _unquoted)), _CHARACTERS)
_REFERENCES = st.sampled_from((("$A", "A"), ("${B}", "B"), ('"$A"', "A"), ('"${B}$"', "B$"), ("\\\n", ""), ('""', "")))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.one_of(_PIECES, _REFERENCES), max_size=6), min_size=1, max_size=3), st.booleans())
def test_quoted_values_are_those_of_sh(tmp_path: Path, values: list[list[tuple[str, str]]], one_line: bool) -> None:
    """Everything that can be quoted is accepted, and means the same."""
    names = ("A", "B", "C")[: len(values)]
    lines = [f"{name}={''.join(raw for raw, _ in pieces)}" for name, pieces in zip(names, values, strict=True)]
    data = (" " if one_line else "\n").join(lines).encode() + b"\n"
    read = ours(data)
    assert read == sh(tmp_path, data, names)


_RAW = st.lists(
    st.one_of(
        st.sampled_from(
            ["A=", "B=", "\nC=", " A=", ";B=", "export ", "$A", "${B}", "\\\n", "\n", "$", '"', "'", "\\", "#", " ", "~", ":", "\r"]
        ),
        st.sampled_from(list("AB=x1_;|&<>(){}[]*?!^.-$`\t\\\"'\n é")),
    ),
    max_size=14,
).map("".join)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_RAW)
def test_what_is_accepted_means_the_same_to_sh(tmp_path: Path, text: str) -> None:
    """Noise: nearly all of it is refused; what is not has to be right."""
    wrong: ConfigError | None = None
    read: dict[str, str] = {}
    try:
        read = ours(text.encode())
    except ConfigError as error:
        wrong = error
    if wrong is not None:
        assert wrong.file == "conf"
        assert 1 <= wrong.line <= text.count("\n") + 1
        return
    names = tuple(dict.fromkeys((*read, "A", "B", "C", "A1")))
    assert read == sh(tmp_path, text.encode(), names)
