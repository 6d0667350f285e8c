"""The command line of scan-mail, in every spelling."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazaretto.legacy.options import OPTIONS, PROXY_ADDRESS, SMTP_ADDRESS, Address, Invocation, Option, UsageError, help_text, parse

HERE = "127.0.0.1:10026"
BOTH = "-backup and -quarantine exclude each other"
NAMES = [option.name for option in OPTIONS]
# A value that is right for each option that takes one, and what the option does alone.
VALUES = {"server_port": "11201", "milter": "inet:12200@127.0.0.1", "postfix": HERE, "proxy_address": "[::1]:25", "smtp_address": "mx:26"}
ALONE = {
    "help": Invocation("help"),
    "backup": Invocation(backup="all"),
    "quarantine": Invocation(backup="changed"),
    "server": Invocation("server"),
    "daemon": Invocation("server", daemon=True),
    "server_port": Invocation(server_port=11201, warnings=("-server_port has no effect without -server",)),
    "milter": Invocation("milter", milter="inet:12200@127.0.0.1"),
    "postfix": Invocation("postfix", smtp_address=Address("127.0.0.1", 10026)),
    "proxy": Invocation("proxy"),
    "proxy_address": Invocation(proxy_address=Address("::1", 25), warnings=("-proxy_address has no effect without -proxy",)),
    "smtp_address": Invocation(warnings=("-smtp_address has no effect without -proxy",)),
    "debug": Invocation(debug=True),
    "verbose": Invocation(verbose=True),
}


def prefixes(option: Option) -> list[str]:
    """Every way to cut the name short that no other option shares, and the name itself."""
    cut = [option.name[:length] for length in range(2, len(option.name))]
    unique = [short for short in cut if sum(name.startswith(short) for name in NAMES) == 1]
    letters = {other.letter for other in OPTIONS}
    if option.name[0] not in letters and sum(name.startswith(option.name[0]) for name in NAMES) == 1:
        unique.append(option.name[0])
    return [*unique, option.name]


def spellings(option: Option) -> list[str]:
    names = [*prefixes(option), *([option.letter] if option.letter else [])]
    cased = [form for name in names for form in (name, name.upper(), name.title(), name.swapcase())]
    return sorted({dashes + name for dashes in ("-", "--") for name in cased})


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_spelling(option: Option) -> None:
    assert len(spellings(option)) >= 4
    for spelling in spellings(option):
        forms = [[spelling, VALUES[option.name]], [f"{spelling}={VALUES[option.name]}"]] if option.value else [[spelling]]
        for form in forms:
            assert parse(form) == ALONE[option.name], form


def test_the_shortest_forms() -> None:
    """Written out once, so that the computation above cannot agree with itself on nonsense."""
    shortest = {option.name: min(prefixes(option), key=len) for option in OPTIONS}
    assert shortest == {
        "help": "he",
        "backup": "ba",
        "quarantine": "qu",
        "server": "server",
        "daemon": "da",
        "server_port": "server_",
        "milter": "m",
        "postfix": "po",
        "proxy": "proxy",
        "proxy_address": "proxy_",
        "smtp_address": "sm",
        "debug": "de",
        "verbose": "v",
    }
    assert {option.letter: option.name for option in OPTIONS if option.letter} == {
        "h": "help",
        "b": "backup",
        "q": "quarantine",
        "s": "server",
        "d": "daemon",
    }


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.value], ids=lambda option: option.name)
def test_a_flag_takes_no_value(option: Option) -> None:
    for spelling, value in itertools.product((f"-{option.name}", f"--{option.letter or option.name}"), ("", "1", "no", "-x")):
        with pytest.raises(UsageError, match=f"-{option.name} takes no value"):
            parse([f"{spelling}={value}"])


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("after", [[], ["-backup"], ["--"], ["-"], ["-x"], ["-11200"], ["--quarantine", "x"]])
def test_no_option_swallows_its_neighbour(name: str, after: list[str]) -> None:
    with pytest.raises(UsageError, match=f"-{name}: expected .* after it"):
        parse([f"-{name}", *after])


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("-bq", ["no such option: '-bq'", "not bundled", "-b -q"]),
        ("-sd", ["no such option", "-s -d"]),
        ("-qpostfix", ["no such option: '-qpostfix'"]),
        ("-bbackup", ["no such option"]),
        ("-dserver", ["no such option"]),
        ("-server-port=1", ["no such option: '-server-port'", "did you mean -server_port?"]),
        ("-quarentine", ["did you mean -quarantine?"]),
        ("-backups", ["did you mean -backup?"]),
        ("---backup", ["no such option"]),
        ("-=x", ["no such option"]),
        ("--=x", ["no such option"]),
        ("-bac\u212aup", ["no such option"]),  # the Kelvin sign in lower case is a k
        ("-x\n" + "y" * 200, ["no such option: '-x\\ny", "..."]),
        ("-\udcff", ["no such option", "\\udcff"]),
        ("-p", ["ambiguous: -postfix, -proxy, -proxy_address"]),
        ("-pr", ["ambiguous: -proxy, -proxy_address"]),
        ("--PROX", ["ambiguous: -proxy, -proxy_address"]),
        ("-serve", ["ambiguous: -server, -server_port"]),
        ("-ser=3", ["'-ser' is ambiguous: -server, -server_port"]),
        ("-se", ["ambiguous: -server, -server_port"]),
    ],
)
def test_what_is_no_option(written: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as wrong:
        parse([written])
    assert str(wrong.value).isprintable()
    assert len(str(wrong.value)) < 250
    for word in words:
        assert word in str(wrong.value)


@pytest.mark.parametrize(
    ("arguments", "sanitizer"),
    [
        ([], ()),
        (["feat_html=0"], ("feat_html=0",)),
        (["-b", "feat_html = 0", "-q", "--", "-b"], ("feat_html = 0", "-q", "--", "-b")),
        (["-b", "--", "-q", "feat_html=0"], ("-q", "feat_html=0")),
        (["--"], ()),
        (["--", "--"], ("--",)),
        (["-"], ("-",)),
        ([""], ("",)),
        (["", "-b"], ("", "-b")),
        (["/etc/anomy.conf", "\udcff", "x\ny"], ("/etc/anomy.conf", "\udcff", "x\ny")),
        (["backup"], ("backup",)),
    ],
)
def test_the_first_that_is_no_option_ends_the_options(arguments: list[str], sanitizer: tuple[str, ...]) -> None:
    made = parse(arguments)
    assert made.sanitizer == sanitizer
    assert made == Invocation(backup="all" if "-b" in arguments[:1] else "off", sanitizer=sanitizer)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # of the manual
        ("-daemon -proxy -proxy_address 127.0.0.1:10025 -smtp_address 127.0.0.1:10026",
         Invocation("proxy", daemon=True, proxy_address=Address("127.0.0.1", 10025), smtp_address=Address("127.0.0.1", 10026))),
        ("-postfix 127.0.0.1:10026", Invocation("postfix", smtp_address=Address("127.0.0.1", 10026))),
        ("-proxy", Invocation("proxy", proxy_address=PROXY_ADDRESS, smtp_address=SMTP_ADDRESS)),
        # of the synopsis, which has -proxy inside -postfix
        ("-postfix 127.0.0.1:10026 -proxy -proxy_address 127.0.0.1:10025",
         Invocation("proxy", proxy_address=Address("127.0.0.1", 10025), smtp_address=Address("127.0.0.1", 10026))),
        ("-postfix 127.0.0.1:1 -proxy -smtp_address 127.0.0.1:2", Invocation("proxy", smtp_address=Address("127.0.0.1", 2))),
        ("-daemon -server", Invocation("server", daemon=True)),
        ("-s -server_port 1", Invocation("server", server_port=1)),
        ("-server_port 1 -server_port 65535 -d", Invocation("server", daemon=True, server_port=65535)),
        ("-server_port=00080 -d", Invocation("server", daemon=True, server_port=80)),
        ("-milter /etc/mail/sendmail.cf -daemon -server -server_port 9 -q",
         Invocation("milter", daemon=True, backup="changed", server_port=9, milter="/etc/mail/sendmail.cf",
                    warnings=("-server has no effect with -milter", "-server_port has no effect with -milter"))),
        ("-b -b", Invocation(backup="all")),
        # what counts, and a word about what does not
        ("-b -q", Invocation(backup="changed", warnings=(f"{BOTH}; -quarantine counts, for it is the last",))),
        ("-b -q -b", Invocation(backup="all", warnings=(f"{BOTH}; -backup counts, for it is the last",))),
        ("-proxy -s", Invocation("proxy", warnings=("-server has no effect with -proxy",))),
        ("-proxy -server_port 3", Invocation("proxy", server_port=3, warnings=("-server_port has no effect with -proxy",))),
        (f"-postfix {HERE} -d -s", Invocation("postfix", smtp_address=Address("127.0.0.1", 10026),
         warnings=("-server has no effect with -postfix", "-daemon has no effect with -postfix"))),
        (f"-postfix {HERE} -smtp_address 127.0.0.1:9", Invocation("postfix", smtp_address=Address("127.0.0.1", 10026),
         warnings=("-smtp_address has no effect without -proxy",))),
        # help outranks what does not go together
        ("-milter unix:/s -proxy -h x", Invocation("help")),
    ],
)  # fmt: skip
def test_combinations(line: str, expected: Invocation) -> None:
    assert parse(line.split()) == expected


@pytest.mark.parametrize("other", [["-postfix", HERE], ["-proxy"], ["-proxy", "-postfix", HERE]])
def test_the_milter_excludes_smtp(other: list[str]) -> None:
    for arguments in (["-milter", "unix:/s", *other], [*other, "-milter=unix:/s"]):
        with pytest.raises(UsageError, match=r"-milter and -p.* exclude each other"):
            parse(arguments)


@pytest.mark.parametrize("value", ["", "0", "65536", "123456", "1" * 5000, "80x", " 80", "+80", "8_0", "0x50", "\u0661", "smtp", "80\n"])
def test_bad_ports(value: str) -> None:
    for arguments in (["-server_port", value], [f"-server_port={value}"], [f"-postfix=127.0.0.1:{value}"], [f"-milter=inet:{value}@h"]):
        if "smtp" in value and "milter" in arguments[0]:
            continue  # there it may be the name of a service
        name = arguments[0].partition("=")[0]
        with pytest.raises(UsageError, match=f"{name}: expected .*, not '"):
            parse(arguments)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("127.0.0.1:25", Address("127.0.0.1", 25)),
        ("[127.0.0.1]:25", Address("127.0.0.1", 25)),
        ("[::1]:25", Address("::1", 25)),
        ("[fe80::1%eth0]:25", Address("fe80::1%eth0", 25)),
        ("localhost:65535", Address("localhost", 65535)),
        ("mx-1.example.org:1", Address("mx-1.example.org", 1)),
    ],
)
@pytest.mark.parametrize("name", ["postfix", "proxy_address", "smtp_address"])
def test_good_addresses(name: str, written: str, expected: Address) -> None:
    made = parse([f"-{name}", written, *([] if name == "postfix" else ["-proxy"])])
    assert (made.proxy_address if name == "proxy_address" else made.smtp_address) == expected
    assert parse(["-postfix", str(expected)]).smtp_address == expected


@pytest.mark.parametrize(
    "value",
    ["", "25", ":25", "::1:25", "127.0.0.1", "127.0.0.1:", "256.0.0.1:25", "1.2.3:25", "1:25", "[::g]:25", "[]:25", "[::1]", "[::1]25",
     "a b:25", "a..b:25", "-a:25", "a-:25", "a\n:25", "x" * 300 + ":25", "[fe80::1%\n]:25", "gr\u00fcn:25", "feat_html=0",
     "1.2.3.4:25:25"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["postfix", "proxy_address", "smtp_address"])
def test_bad_addresses(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"-{name}: expected ") as wrong:
        parse([f"-{name}={value}"])
    assert str(wrong.value).isprintable()


@pytest.mark.parametrize(
    "value",
    ["inet:12200@127.0.0.1", "inet:12200", "inet:milter@localhost", "inet:1@[127.0.0.1]", "inet6:12200@::1", "inet6:1@[::1]",
     "unix:/run/s", "local:/run/s", "/etc/mail/sendmail.cf"],
)  # fmt: skip
def test_good_milters(value: str) -> None:
    assert parse(["-milter", value]).milter == value


@pytest.mark.parametrize(
    "value",
    ["", "P", "sendmail.cf", "feat_html=0", "inet", "inet:", "inet:@h", "inet:0@h", "inet:1@", "inet:1@a b", "inet:1@::1", "unix:",
     "unix:s", "local:x", "/a\0b", "unix:/a\0b", "inet7:1@h", "inet:1\n@h"],
)  # fmt: skip
def test_bad_milters(value: str) -> None:
    with pytest.raises(UsageError, match="-milter: expected ") as wrong:
        parse([f"-milter={value}"])
    assert str(wrong.value).isprintable()


def test_the_help_names_everything() -> None:
    text = help_text("scan-mail.pl")
    assert text.startswith("usage: scan-mail.pl [")
    assert text.endswith("\n")
    assert max(map(len, text.splitlines())) <= 130
    for option in OPTIONS:
        assert f"-{option.name}" in text
        assert option.doc in text
    for default in ("11200", "0.0.0.0:25", "127.0.0.1:26", "/var/run/scanmail.pid", "/usr/local/f-prot/backup", "/etc/f-prot.conf"):
        assert default in text
    for status in ("   0  ", "  75  ", "   1  "):
        assert f"\n{status}" in text


WORDS = st.sampled_from([dashes + name for dashes in ("", "-", "--", "---") for name in [*NAMES, "b", "q", "bq", "pr", "no-backup", ""]])
ARGUMENT = (
    st.text(max_size=20)
    | WORDS
    | st.builds("{}={}".format, WORDS, st.sampled_from([*VALUES.values(), "", "1", "-b"]) | st.text(max_size=12))
    | st.sampled_from([*VALUES.values(), "feat_html=0", "\udc80"])
)


@given(st.lists(ARGUMENT, max_size=8))
@example(["-milter=inet:1@" + "[" * 99])
@example(["-postfix=[" + ":" * 99 + "]:1"])
def test_anything_is_an_invocation_or_an_error(arguments: list[str]) -> None:
    try:
        made = parse(arguments)
    except UsageError as error:
        text = str(error)
        assert text.isprintable()
        assert len(text) < 500
        return
    assert made.mode in ("help", "filter", "server", "milter", "postfix", "proxy")
    assert made.backup in ("off", "all", "changed")
    assert all(warning.isprintable() for warning in made.warnings)
    tail = arguments[len(arguments) - len(made.sanitizer) :]
    assert made.mode == "help" or list(made.sanitizer) == tail
