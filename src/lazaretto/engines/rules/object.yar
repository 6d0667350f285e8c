/*
Embedded objects and shortcuts: RTF, OLE, .lnk, OneNote.

Rules of the embedded engine; docs/engines.md explains the metadata:
  name         of the finding; the rule's own name if absent
  kind         malware (default), banned or active
  description  what it means, for the log and the notice
  raw          false: not on the raw message, only on what was unpacked from it
*/

rule rtf_object
{
    meta:
        name = "rtf-object"
        kind = "active"
        description = "an RTF file with an embedded program, link or equation object, or one that is loaded unasked"
        raw = false
    strings:
        $fact = /(^|\n)rtf:object-(class (equation\.|ole2link|package|htmlfile|otkloadr)|update|html)/ ascii nocase
        $class = /\\objclass[ \t\r\n]{1,4}(equation\.|ole2link|package|htmlfile|otkloadr)/ ascii nocase
        $header = /\{\\rt/ ascii nocase
    condition:
        $fact or ($header in (0..1024) and $class)
}

rule equation_object
{
    meta:
        name = "equation-object"
        kind = "active"
        description = "an object for Equation Editor, a program removed from Office because it cannot be secured"
        raw = false
    strings:
        $ole1 = { 01 05 00 00 (01|02) 00 00 00 ?? 00 00 00 (45|65) (51|71) (55|75) (41|61) (54|74) (49|69) (4F|6F) (4E|6E) 2E }
        $class = { 02 CE 02 00 00 00 00 00 C0 00 00 00 00 00 00 46 }
        $compound = { D0 CF 11 E0 A1 B1 1A E1 }
    condition:
        $ole1 in (0..64) or ($compound at 0 and $class)
}

rule ole_link_object
{
    meta:
        name = "ole-link-object"
        kind = "active"
        description = "an object that is a link to a file or page elsewhere and loads it"
        raw = false
    strings:
        $ole1 = { 01 05 00 00 (01|02) 00 00 00 ?? 00 00 00 (4F|6F) (4C|6C) (45|65) 32 (4C|6C) (49|69) (4E|6E) (4B|6B) 00 }
        // URL moniker followed by an address; the class alone stands in many files
        $url_moniker = { E0 C9 EA 79 F9 BA CE 11 8C 82 00 AA 00 4B A9 0B [4-40] (68|48) 00 (74|54) 00 (74|54) 00 (70|50) 00 }
        $compound = { D0 CF 11 E0 A1 B1 1A E1 }
        $ole_stream = "\x01\x00O\x00l\x00e\x00" ascii
    condition:
        $ole1 in (0..64) or ($compound in (0..256) and $ole_stream and $url_moniker and filesize < 64KB)
}

rule lnk_command
{
    meta:
        name = "lnk-command"
        kind = "malware"
        description = "a Windows shortcut that runs a command interpreter or a script"
        raw = false
    strings:
        $header = { 4C 00 00 00 01 14 02 00 00 00 00 00 C0 00 00 00 00 00 00 46 }
        $program = /(powershell|pwsh|cmd|mshta|wscript|cscript|rundll32|regsvr32|certutil|bitsadmin|msiexec|conhost|forfiles|wmic|curl|ftp|scp|ssh)\.exe/ ascii wide nocase
        $command = /(powershell|mshta|wscript|cscript|rundll32|regsvr32|certutil|bitsadmin)[ \t"\/-]/ ascii wide nocase
        $shell = /[ \t"]\/[ck][ \t"]/ ascii wide nocase
        $url = /[ \t"'(]https?:\/\// ascii wide nocase
    condition:
        $header at 0 and ($program or $command or $shell or $url)
}

rule onenote_embedded_program
{
    meta:
        name = "onenote-embedded-program"
        kind = "malware"
        description = "a OneNote page with an embedded program, shortcut or script"
        raw = false
    strings:
        $section = { E4 52 5C 7B 8C D8 A7 4D AE B1 53 78 D0 29 96 D3 }
        // FileDataStoreObject: class, length (8), unused (4), reserved (8), then the file.  [MS-ONESTORE] 2.6.13
        $program = { E7 16 E3 BD 65 26 11 45 A4 C4 8D 4D 0B 7A 9E AC [20] 4D 5A }
        $shortcut = { E7 16 E3 BD 65 26 11 45 A4 C4 8D 4D 0B 7A 9E AC [20] 4C 00 00 00 01 14 02 00 }
        $script = /\xE7\x16\xE3\xBD\x65\x26\x11\x45\xA4\xC4\x8D\x4D\x0B\x7A\x9E\xAC[\x00-\xff]{20,800}(<script|<job|<hta:|<package|createobject[ \t]*\(|activexobject|wscript\.|powershell|@echo[ \t]+off|start[ \t]+\/|cmd(\.exe)?[ \t]+\/c)/ nocase
    condition:
        $section at 0 and ($program or $shortcut or $script)
}
