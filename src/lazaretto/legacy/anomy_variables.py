r"""Every variable of the Anomy sanitizer: its default, and what becomes of it here.

    VARIABLES["score_bad"]      Variable("0", "[policy] alarm_changes")
    find("file_list_7_policy")  that of file_list_N_policy

A variable without effect says why; who sets it is told so.  docs/anomy.md is this
table with the tests that hold it.

Errors:  none; find gives None for a name that is none.
See:     anomy.py, sanitizer_lines.py
"""

from __future__ import annotations

from typing import NamedTuple

from lazaretto import regex


class Variable(NamedTuple):
    """`becomes`: keys of lazaretto.toml; "" if there is none, and then `why`."""

    default: str  # of the sanitizer itself
    becomes: str = ""
    why: str = ""


def _always(why: str) -> Variable:
    """On, whatever is said."""
    return Variable("1", "", why)


_UNUSED = Variable("", "", "it had no effect in the sanitizer either")
_LOG = "the final line goes to the log that [log] names"
_NAMES = "names are judged in all forms that systems make of them, and only renamed where policy says so"
_FORCED = "[headers] if_missing"
_APPENDED = "[headers] append"
_HTML = "[html] profile"

_NUMBERED = regex.compile(r"file_list_([0-9]{1,9})(_policy|_scanner)?\Z")

VARIABLES: dict[str, Variable] = {
    # what is done
    "feat_files": Variable("1", "[engines.sanitizer]"),
    "feat_sane_names": Variable("1", "[engines.lists] consistent"),
    "feat_mime_files": Variable("0", "[engines.sanitizer] type_names"),
    "feat_no_partial": Variable("1", "[[rule]] finding = mime.message-partial"),
    "feat_lengths": Variable("1", "[rewrite] long_fields"),
    "feat_scripts": Variable("1", "[rewrite] shell_scripts"),
    "feat_html": Variable("1", _HTML),
    "feat_html_paranoid": Variable("0", _HTML),
    "feat_webbugs": Variable("0", _HTML),
    "feat_html_noexe": Variable("0", "", "not yet: links to programs stay; what they lead to is not in the mail"),
    "feat_html_unknown": Variable("0", "", "not yet: the profiles of [html] decide what stays"),
    "html_cleaner_body": Variable('"tag:div" => "p"', "", "not yet: what acts is taken out of pages, not renamed"),
    "html_cleaner_header": Variable("", "", "not yet: header fields are not taken for pages"),
    "feat_uuencoded": _always("what is encoded in a text is always an attachment"),
    "feat_forwards": _always("forwarded messages are always read"),
    "feat_fixmime": _always("a message is read as every client might read it, and needs no repair to be scanned"),
    "feat_kill_tnef": Variable("0", "", "winmail.dat is always opened; policy treats it as the attachment that it is"),
    "feat_trust_pgp": Variable("0", "", "signed mail is scanned like any other: a signature says who, not what"),
    "feat_force_name": Variable("0", "", "not yet: parts without a name keep none"),
    "feat_boundaries": Variable("0", "", "not yet: delimiters stay as they came"),
    "feat_paranoid": Variable("0", "", "not yet: values of MIME fields stay as they came"),
    "file_characters": Variable("", "", f"not yet: {_NAMES}"),
    # rules about files
    "file_list_rules": Variable("15", "[[engines.sanitizer.rules]]"),
    "file_default_policy": Variable("defang", "[[engines.sanitizer.rules]]"),
    "file_default_filename": Variable("unnamed.txt", "[engines.sanitizer] unnamed"),
    "file_name_tpl": Variable("/tmp/att-$T-$$$-$F", "[quarantine] save_as"),  # noqa: S108 - what it was; nothing is written there unasked
    "score_bad": Variable("0", "[policy] alarm_changes"),
    "msg_defanged": Variable("DEFANGED", "[defang] suffix, media_type, content_id"),
    "msg_blacklisted": Variable("BLACKLISTED", "[defang] mangled_name"),
    "msg_file_drop": Variable("", "[notices] part"),
    "msg_file_save": Variable("", "[notices] saved_part"),
    "system_mime_types": Variable("/etc/mime.types", "", "names of nameless parts come from a table of our own"),
    "system_io_file": Variable("IO::File", "", "there is no Perl here"),
    # header
    "header_info": Variable("X-Sanitizer: This message has been sanitized!", _APPENDED),
    "header_url": Variable("X-Sanitizer-URL: http://mailtools.anomy.net/", _APPENDED),
    "header_rev": Variable("X-Sanitizer-Rev: Lazaretto", _APPENDED),
    "force_headers": Variable("0", _FORCED),
    "force_header_1": Variable("MIME-Version: 1.0", _FORCED),
    "force_header_2": Variable('Content-Type: text/plain; charset="%DEF_CHARSET"', _FORCED),
    "force_header_3": Variable("Subject: (no subject)", _FORCED),
    **{f"force_header_{number}": Variable("0", _FORCED) for number in range(4, 11)},
    "var_def_charset": Variable("iso-8859-1", "%DEF_CHARSET in texts"),
    "feat_newlines": Variable("0", "", "line ends stay as they came; what we write has those of the message"),
    # log
    "feat_log_inline": Variable("2", "[notices] summary"),
    "msg_log_prefix": Variable("", "[notices] summary_prefix"),
    "msg_signature": Variable("", "[notices] summary_suffix"),
    "sanitizer_log_disp": Variable('attachment; filename="sanitizer.log"', "", "not yet: the summary is always inline"),
    "sanitizer_log_type": Variable('text/sanitizer-log; charset="iso-8859-1"', "", "not yet: the summary is always text/plain"),
    "feat_log_stderr": Variable("0", "", _LOG),
    "feat_log_xml": Variable("0", "", f"{_LOG}; format = json is for programs"),
    "feat_log_trace": Variable("0", "", f"{_LOG}; level = debug has everything"),
    "feat_log_after": Variable("0", "", "nothing edits the log in a message afterwards"),
    "feat_verbose": Variable("1", "", "there are no unscanned parts to warn about"),
    "msg_pgp_warning": Variable("", "", "there are no unscanned parts to warn about"),
    # the reader of these lines
    "max_conf_recursion": Variable("5", "how deep files may include files"),
    "max_mime_depth": Variable("20", "[limits] max_depth"),
    "msg_usage": Variable("", "", "-help shows the usage"),
    "msg_current": Variable("", "", "the dump of a wrong configuration has a title of its own"),
    "feat_testing": Variable("0", "", "nothing that is written into messages is random, but a delimiter where one is needed"),
    **dict.fromkeys(("score_bad_code", "msg_panic", "score_panic", "score_panic_code", "html_evil_tags", "html_javascript"), _UNUSED),
}

NUMBERED: dict[str, Variable] = {
    "": Variable("", "names of [[engines.sanitizer.rules]]"),
    "_policy": Variable("", "report and next of [[engines.sanitizer.rules]], and [[rule]]"),
    "_scanner": Variable("0", "scanner of [[engines.sanitizer.rules]]"),
}
USER = Variable("", "%NAME in texts")  # var_anything

# The compressed forms of a harmless file are harmless, too.
_PACKED = r"(\.(gz|bz2|xz|Z))?\.?$"
_IMAGES = "gif|tiff?|jpe?g|pnm|png|xpm|xbm|dvi|e?ps|pdf|pcx|pfm|fdf|fon|otf|ttf|bmp|ico"
_SOUNDS = r"mp\d|wav|au|ram?|avi|mov|mpe?g|aif[fc]?|cda|midi?|asf|wm[avf]"
_TEXTS = r"txt|tex|csv|log|lyx|ini|[ch]|[ch]pp|[ch]\+\+|cc|hh|s|inc|asm|patch|pas|java|php\d?|[aj]sp|html?|shtml?|phtml|css|xml"

# Rule -> pattern and policy, as the sanitizer had them without a configuration.
DEFAULT_RULES: dict[int, tuple[str, str]] = {
    1: (r"(?i)(\.[a-z0-9]{2,4}\.(com|exe|pif|lnk|bat|scr|sct|vb[se]?)|^(ants3set|wtc|readme|sslpatch)\.exe)\.?$", "mangle"),
    7: (
        r"(?i)\.(exe|com|cmd|bat|sys|vb[se]?|hta|shb|shs|hlp|chm|eml|ocx|wsf|wsh|js|ms[ip]|cpl|lib|pif|scr|sct|lnk|dll)\.?$",
        "defang",
    ),
    9: (rf"(?i)\.({_IMAGES}|{_SOUNDS}|{_TEXTS}){_PACKED}", "accept"),
    11: (r"(?i)\.(zip|zoo|ar[cj]|lha|lzh|rar|tar|r\d\d|rpm|deb|slp|tgz|cab|iso|cif|uue?|jar|gz|bz2|xz|Z)\.?$", "accept"),
    13: (rf"(?i)\.(doc|dot|xl[saxwct]|ppt|pot|pps|rtf|md[abw]){_PACKED}", "accept"),
    15: (
        r"(?i)\.(mbx|vcf|p7[sm]|ics|pgp|gpg|asc|3ds|arg|dw[gt]|dxf|dng|dbf|dcl|lsp|mp[apdwe]|psd|prc|qt|stx|swf)" + _PACKED,
        "accept",
    ),
}
MACRO_RULE = 5  # which looked for macros in documents, unless the option -nomacro was given
MACRO_PATTERN = r"(?i)\.(doc|dot|xl[saxwct]|ppt|pot|pps|rtf|md[abw])\.?$"
MACRO_POLICY, MACRO_SCANNER = "unknown:mangle:mangle:defang", "0:1:2:builtin/macro 25"


def find(name: str) -> Variable | None:
    """The variable `name`, in lower case; None if there is no such one."""
    if (known := VARIABLES.get(name)) is not None:
        return known
    if (match := _NUMBERED.match(name)) is not None:
        return NUMBERED[match[2] or ""]
    return USER if name.startswith("var_") and name != "var_" else None
