/*
PDF: what runs when the document is opened.
On the raw file, and on the text of its objects that our reader makes (streams unpacked, names normalised).
A name may be written with escapes: /J#61vaScript is /JavaScript.

Rules of the embedded engine; docs/engines.md explains the metadata:
  name         of the finding; the rule's own name if absent
  kind         malware (default), banned or active
  description  what it means, for the log and the notice
  raw          false: not on the raw message, only on what was unpacked from it
*/

rule pdf_javascript
{
    meta:
        name = "pdf-javascript"
        kind = "active"
        description = "a PDF that runs JavaScript by itself"
        raw = false
    strings:
        $pdf = "%PDF-" ascii
        $object = /[0-9][ \t\r\n]{1,4}obj[ \t\r\n]{0,4}<</ ascii
        $script = /\/(J|#4[aA])(a|#61)(v|#76)(a|#61)(S|#53)(c|#63)(r|#72)(i|#69)(p|#70)(t|#74)[^a-zA-Z0-9]/ ascii
        $short = /\/(J|#4[aA])(S|#53)[ \t\r\n(<0-9]/ ascii
        $open = /\/(O|#4[fF])(p|#70)(e|#65)(n|#6[eE])(A|#41)(c|#63)(t|#74)(i|#69)(o|#6[fF])(n|#6[eE])[^a-zA-Z0-9]/ ascii
        $additional = /\/(A|#41)(A|#41)[ \t\r\n<0-9]/ ascii
        $tree = /\/(J|#4[aA])(a|#61)(v|#76)(a|#61)(S|#53)(c|#63)(r|#72)(i|#69)(p|#70)(t|#74)[ \t\r\n]{0,4}([0-9]{1,10}[ \t\r\n]{1,4}[0-9]{1,5}[ \t\r\n]{1,4}R|<<)/ ascii // a name tree: runs when the document is opened
    condition:
        ($pdf in (0..1024) or $object) and ((($script or $short) and ($open or $additional)) or $tree)
}

rule pdf_launch
{
    meta:
        name = "pdf-launch"
        kind = "active"
        description = "a PDF that starts a program"
        raw = false
    strings:
        $pdf = "%PDF-" ascii
        $object = /[0-9][ \t\r\n]{1,4}obj[ \t\r\n]{0,4}<</ ascii
        $launch = /\/(S|#53)[ \t\r\n]{0,16}\/(L|#4[cC])(a|#61)(u|#75)(n|#6[eE])(c|#63)(h|#68)[^a-zA-Z0-9]/ ascii
    condition:
        ($pdf in (0..1024) or $object) and $launch
}
