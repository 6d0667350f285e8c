"""The variables: whose word counts, which values are right, what an error says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lazaretto.errors import ConfigError
from lazaretto.legacy import fprot_conf, shell
from lazaretto.legacy.fprot_conf import Conf, Expression, Setting, read

ROOT = Path(__file__).resolve().parent.parent.parent


def conf(text: str | bytes = b"", **environment: str) -> Conf:
    return read(text.encode() if isinstance(text, str) else text, "/etc/f-prot.conf", environment)


def expressions(text: str | bytes, **environment: str) -> list[str]:
    setting = conf(text, **environment).get("SCANMAIL_STOPLIST")
    assert setting is not None
    assert isinstance(setting.value, tuple)
    return [expression.python for expression in setting.value]


def test_environment_before_file_before_nothing() -> None:
    text = "\nSCANMAIL_LOGLEVEL=5\n"
    from_file, from_environment = conf(text).get("SCANMAIL_LOGLEVEL"), conf(text, SCANMAIL_LOGLEVEL="7").get("SCANMAIL_LOGLEVEL")
    assert from_file == Setting("5", "SCANMAIL_LOGLEVEL", "/etc/f-prot.conf", 2)
    assert from_file.origin == "SCANMAIL_LOGLEVEL, /etc/f-prot.conf:2"
    assert from_environment == Setting("7", "SCANMAIL_LOGLEVEL")
    assert from_environment.origin == "SCANMAIL_LOGLEVEL, environment"
    assert conf().get("SCANMAIL_LOGLEVEL") is None
    assert conf().value("SCANMAIL_SERVERPORT", 11200) == 11200
    assert conf("SCANMAIL_SERVERPORT=1").value("SCANMAIL_SERVERPORT", 11200) == 1


@pytest.mark.parametrize("empty", ["", " ", "\n", ";", " ; ;"])
def test_empty_is_the_default(empty: str) -> None:
    assert conf(f"SCANMAIL_STOPLIST='{empty}'").get("SCANMAIL_STOPLIST") is None
    assert conf("SCANMAIL_STOPLIST=x", SCANMAIL_STOPLIST=empty).get("SCANMAIL_STOPLIST") is None
    assert conf("SCANMAIL_LOGLEVEL=3\nFPROT_LOGLEVEL=5", SCANMAIL_LOGLEVEL=empty).log("SCANMAIL")[0].value == "5"


def test_fall_back_of_the_log() -> None:
    def log(text: str, component: str = "SCANMAIL", **environment: str) -> tuple[object, object]:
        level, facility = conf(text, **environment).log(component)
        return level.value, facility.value

    assert log("") == ("4", "mail")
    assert log("FPROT_LOGLEVEL=6\nFPROT_LOGFACILITY=local3") == ("6", "local3")
    assert log("FPROT_LOGLEVEL=6\nSCANMAIL_LOGLEVEL=err") == ("err", "mail")
    assert log("SCANMAIL_LOGLEVEL=3", FPROT_LOGLEVEL="6") == ("3", "mail")  # the specific one first, wherever it is
    assert log("FP_QMAIL_LOGLEVEL=1\nSCANMAIL_LOGLEVEL=3\nFP_QMAIL_LOGFACILITY=user", "FP_QMAIL") == ("1", "user")
    assert log("FP_MILTER_LOGLEVEL=1\nFPROT_LOGFACILITY=user", "FP_MILTER") == ("1", "user")


def test_a_wrong_value_of_another_program_stops_nobody() -> None:
    text = "FP_QMAIL_LOGLEVEL=nonsense\nSCANMAIL_LOGLEVEL=3\n"
    assert conf(text).log("SCANMAIL")[0].value == "3"
    with pytest.raises(ConfigError, match="FP_QMAIL_LOGLEVEL"):
        conf(text).log("FP_QMAIL")


@pytest.mark.parametrize(
    ("name", "value", "checked"),
    [
        ("SCANMAIL_LOGLEVEL", "0", "0"),
        ("SCANMAIL_LOGLEVEL", "LOG_WARNING", "LOG_WARNING"),
        ("SCANMAIL_LOGFACILITY", "local7", "local7"),
        ("SCANMAIL_LOGHOST", "loghost", "udp:loghost:514"),
        ("SCANMAIL_LOGHOST", "loghost.example:1514", "udp:loghost.example:1514"),
        ("SCANMAIL_LOGHOST", "[::1]:514", "udp:[::1]:514"),
        ("SCANMAIL_LOGHOST", "[::1]", "udp:[::1]:514"),
        ("SCANMAIL_LOGHOST", "tcp:loghost", "tcp:loghost:514"),
        ("SCANMAIL_LOGHOST", "udp:10.0.0.1:99", "udp:10.0.0.1:99"),
        ("SCANMAIL_LOGHOST", "/var/run/log", "/var/run/log"),
        ("SCANMAIL_LOGHOST", "-", ""),
        ("SCANMAIL_BACKUPDIR", "/b/", "/b"),
        ("SCANMAIL_QUARANTINEDIR", "/für/immer", "/für/immer"),
        ("SCANMAIL_PIDFILE", "/run/x$y.pid", "/run/x$y.pid"),
        ("SCANMAIL_SERVERPORT", "65535", 65535),
        ("SCANMAIL_SOCKET", "/run/s", "/run/s"),
        ("SCANMAIL_MAXCHILDREN", "3", 3),
        ("SCANMAIL_TIMEOUT", "90", 90.0),
        ("SCANMAIL_FPSCAND", "10.0.0.1:10200", "10.0.0.1:10200"),
        ("SCANMAIL_FPSCAND", "unix:/run/fpscand", "unix:/run/fpscand"),
        ("FPSCAND_LISTENADDRESS", "0.0.0.0:10200", "127.0.0.1:10200"),
        ("FPSCAND_LISTENADDRESS", "*:10200", "127.0.0.1:10200"),
        ("FPSCAND_LISTENADDRESS", "[::]:10200", "[::1]:10200"),
        ("SCANMAIL_ENGINES", "yara  clamd:h:1\n", ("yara", "clamd:h:1")),
        ("SCANMAIL_DISINFECT", "Yes", True),
        ("SCANMAIL_DISINFECT", "0", False),
        ("SCANMAIL_UNSCANNABLE", "ERROR", "error"),
        ("SCANMAIL_ERROR_POLICY", "Defang", "defang"),
        ("SCANMAIL_HEADER", "Scanned by us (100%)", "Scanned by us (100%)"),
    ],
)
def test_right_values(name: str, value: str, checked: object) -> None:
    setting = conf(f"{name}='{value}'").get(name)
    assert setting is not None
    assert setting.value == checked


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SCANMAIL_LOGLEVEL", "8", "a syslog level"),
        ("SCANMAIL_LOGLEVEL", "loud", 'a syslog level: emerg, alert, crit, err, warning, notice, info, debug, or 0 to 7, not "loud"'),
        ("SCANMAIL_LOGFACILITY", "post", "a syslog facility"),
        ("SCANMAIL_LOGHOST", "log host", "HOST, HOST:PORT"),
        ("SCANMAIL_LOGHOST", "tcp:", "HOST, HOST:PORT"),
        ("SCANMAIL_BACKUPDIR", "backup", "an absolute path"),
        ("SCANMAIL_QUARANTINEDIR", "/q/$T", 'an absolute path without "$"'),
        ("SCANMAIL_PIDFILE", "scan.pid", "an absolute path"),
        ("SCANMAIL_SERVERPORT", "0", "a port from 1 to 65535"),
        ("SCANMAIL_SERVERPORT", "65536", "a port from 1 to 65535"),
        ("SCANMAIL_SERVERPORT", "127.0.0.1:1", "a port from 1 to 65535"),
        ("SCANMAIL_SERVERPORT", "١", "a port from 1 to 65535"),
        ("SCANMAIL_SOCKET", "/" + 107 * "x", "at most 107 bytes"),
        ("SCANMAIL_MAXCHILDREN", "-1", "a whole number from 1 to 10000"),
        ("SCANMAIL_TIMEOUT", "1.5", "whole seconds from 1 to 86400"),
        ("SCANMAIL_TIMEOUT", "9" * 5000, "whole seconds"),
        ("SCANMAIL_FPSCAND", "10200", "HOST:PORT"),
        ("SCANMAIL_FPSCAND", "h:0", "HOST:PORT"),
        ("FPSCAND_LISTENADDRESS", "h:99999", "HOST:PORT"),
        ("SCANMAIL_DISINFECT", "maybe", "yes or no"),
        ("SCANMAIL_UNSCANNABLE", "x", "one of clean, error"),
        ("SCANMAIL_ERROR_POLICY", "sav", "did you mean save?"),
        ("SCANMAIL_HEADER", "für", "printable ASCII"),
    ],
)
def test_wrong_values(name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        conf(f"\n\n{name}='{value}'").get(name)
    assert str(caught.value).startswith(f"/etc/f-prot.conf:3: {name}: expected ")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500
    with pytest.raises(ConfigError) as caught:
        conf(**{name: value}).get(name)
    assert str(caught.value).startswith(f"{name} (environment): expected ")
    assert caught.value.file == ""


def test_a_path_has_to_be_utf_8() -> None:
    with pytest.raises(ConfigError, match="SCANMAIL_BACKUPDIR: expected an absolute path in UTF-8"):
        conf(b"SCANMAIL_BACKUPDIR=/f\xfcr\n").get("SCANMAIL_BACKUPDIR")


def test_lists() -> None:
    assert expressions(r'SCANMAIL_STOPLIST="\.exe$"') == [r"\.exe$"]
    assert expressions(r'SCANMAIL_STOPLIST="\.exe$;\.vbs$"') == [r"\.exe$", r"\.vbs$"]
    assert expressions("SCANMAIL_STOPLIST=';a;;b; ;'") == ["a", "b"]
    assert expressions("SCANMAIL_STOPLIST='\n a ;\\\n\tb\n;c\n'".replace("\\\n", "\n")) == ["a", "b", "c"]
    assert expressions(r"SCANMAIL_STOPLIST='a\ ;b\\ ; c\\\  '") == ["a ", r"b\\", r"c\\ "]
    assert expressions(r"SCANMAIL_STOPLIST='a\x3bb'") == ["a;b"]
    assert expressions(r"SCANMAIL_STOPLIST='(?i)a;b'") == ["(?i:a)", "b"]
    setting = conf(r"SCANMAIL_STOPLIST='\Aa\z'").get("SCANMAIL_STOPLIST")
    assert setting is not None
    assert setting.value == (Expression(r"\Aa\z", r"\Aa\Z"),)


def test_a_list_in_latin_1() -> None:
    assert expressions(b"# \xfc\nSCANMAIL_STOPLIST='\\.t\xfcte$' # \xe4\n") == [r"\.tüte$"]
    assert expressions("# ü\nSCANMAIL_STOPLIST='\\.tüte$'\n") == [r"\.tüte$"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"*.exe", '"*.exe" cannot be used: * has nothing to repeat'),
        (r"\.exe$;(?R)", '"(?R)" cannot be used: (?R): a construct that is not available'),
        (r"a\;b", r'"a\" cannot be used: a backslash at the end'),
        ("[a;]", '"[a" cannot be used: [ without its ]'),
        (r"\p{L}", r"\p{L}: a property that is not available"),
    ],
)
def test_an_expression_that_cannot_be_used(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        conf(f"\nSCANMAIL_BANLIST='{text}'").get("SCANMAIL_BANLIST")
    assert str(caught.value).startswith("/etc/f-prot.conf:2: SCANMAIL_BANLIST: the expression ")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_too_many_expressions() -> None:
    assert len(expressions(f"SCANMAIL_STOPLIST='{'a;' * fprot_conf.MAX_EXPRESSIONS}'")) == fprot_conf.MAX_EXPRESSIONS
    with pytest.raises(ConfigError, match="expected at most 1000 expressions"):
        expressions(f"SCANMAIL_STOPLIST='{'a;' * (fprot_conf.MAX_EXPRESSIONS + 1)}'")


def test_what_does_nothing_is_told() -> None:
    text = "FOO=1\nSCANMAIL_STOPLST=2\nSCANMAIL_STOPLIST=3\nFPROT_LICENSE_KEY=4\nFPMON_LOGLEVEL=5\nFOO=6\n"
    assert [(other.name, other.why, other.place) for other in conf(text).others()] == [
        ("FOO", "not a variable of F-PROT", "/etc/f-prot.conf:6"),
        ("SCANMAIL_STOPLST", "no such variable is known", "/etc/f-prot.conf:2"),
        ("FPROT_LICENSE_KEY", "no licence is needed", "/etc/f-prot.conf:4"),
        ("FPMON_LOGLEVEL", "for fpmon", "/etc/f-prot.conf:5"),
    ]


def test_misspelt_variables_of_scan_mail_are_told() -> None:
    made = read(
        b"FOO=1\n\nSCANMAIL_STOPLST=2\nFPMON_X=3\nSCANMAIL_TIMEOUT=4\n",
        "f",
        {"SCANMAIL_ENGINE": "a\nb", "SCANMAIL_CONFIG": "f", "PATH": "x"},
    )
    assert made.unknown() == [
        "SCANMAIL_ENGINE (environment): no such variable (did you mean SCANMAIL_ENGINES?)",
        "SCANMAIL_STOPLST (f:3): no such variable (did you mean SCANMAIL_STOPLIST?)",
    ]


def test_a_value_is_checked_once() -> None:
    read_once = conf("SCANMAIL_STOPLIST=a")
    assert read_once.get("SCANMAIL_STOPLIST") is read_once.get("SCANMAIL_STOPLIST")


def test_every_variable_is_documented_and_in_the_example() -> None:
    documented = re.findall(r"`([A-Z_]+)`", (ROOT / "docs" / "migration.md").read_text(encoding="utf-8"))
    assert set(fprot_conf.VARIABLES) - set(documented) == set()
    example = (ROOT / "packaging" / "f-prot.conf.default").read_bytes()
    uncommented = re.sub(rb"(?m)^#(?=[A-Z_]+=)", b"", example)
    everything = read(uncommented, "example", {})
    assert everything.others() == []
    assert set(fprot_conf.VARIABLES) == set(shell.read(uncommented, "example", {}))
    for name in fprot_conf.VARIABLES:
        everything.get(name)  # no ConfigError
    active = read(example, "example", {})
    assert [name for name in fprot_conf.VARIABLES if active.get(name)] == ["SCANMAIL_STOPLIST"]


def test_the_stop_list_of_the_example() -> None:
    (expression,) = expressions((ROOT / "packaging" / "f-prot.conf.default").read_bytes())
    known = """ade adp app asp bas bat cer chm cmd com cpl crt csh exe fxp hlp hta inf ins isp its js jse ksh lnk mad maf mag mam maq mar
    mas mat mau mav maw mda mdb mde mdt mdw mdz msc msi msp mst ops pcd pif prf prg pst reg scf scr sct shb shs tmp url vb vbe vbs
    vsmacros vss vst vsw ws wsc wsf wsh""".split()
    assert expression == rf"\.({'|'.join(known)})$"
    pattern = re.compile(expression, re.IGNORECASE)
    assert pattern.search("Setup.EXE")
    assert pattern.search("filetype.exe")
    assert not pattern.search("a.exe.txt")
    assert not pattern.search("exe")
