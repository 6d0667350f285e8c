"""Any bytes are assignments or a ConfigError that names the file and a line of it; what is read can be written and read again."""

from __future__ import annotations

from lazaretto.errors import ConfigError
from lazaretto.legacy import shell

SEEDS = [
    b"",
    b'# F-PROT\nSCANMAIL_LOGLEVEL="4"\nSCANMAIL_STOPLIST="\\.(ade|exe)$;\\.vbs$"\n',
    b"A='x;y' B=$A\"${A}\\$$\"; export C='d e' F \"G=h\" # $I\n",
    b"A=a\\\nb\\ c\\\\d\nB=\"\\\n$A\nx\"\n_9=\xfc'\xe9'\n",
    b"A=`date`\nB=$(date)\nif true; then . x; fi\n",
    b"A = b\nA+=b\nA=~/x:~y\nexport A=*\nA=b|c&d>e\r\n",
    b"A=$$B=$1C=${D:-e}F=${#G}\n",
]


def target(data: bytes) -> None:
    lines = data.count(b"\n") + 1
    wrong: ConfigError | None = None
    try:
        read = shell.read(data, "f", {"B": "given", "I": "*"})
    except ConfigError as error:
        wrong = error
    if wrong is not None:
        assert wrong.file == "f"
        assert 1 <= wrong.line <= lines
        assert str(wrong).isprintable()
        return
    places = [one.line for one in read.values()]
    assert all(1 <= line <= lines for line in places)
    written = "\n".join(f"{name}='" + one.value.replace("'", "'\\''") + "'" for name, one in read.items())
    again = shell.read(written.encode("utf-8", "surrogateescape"), "again", {})
    assert {name: one.value for name, one in again.items()} == {name: one.value for name, one in read.items()}
    for one in read.values():
        shell.text(one.value).encode("utf-8")
