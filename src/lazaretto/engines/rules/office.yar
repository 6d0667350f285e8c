/*
Office documents: macros, links that run or load something.
They look at the text of macros, at the XML of the members, and at the facts that our own readers
write, one a line ("xls:xlm-auto-open", "ooxml:attached-template URL").

Rules of the embedded engine; docs/engines.md explains the metadata:
  name         of the finding; the rule's own name if absent
  kind         malware (default), banned or active
  description  what it means, for the log and the notice
  raw          false: not on the raw message, only on what was unpacked from it
*/

rule macro_autorun
{
    meta:
        name = "macro-autorun"
        kind = "active"
        description = "a macro that runs by itself when the document is opened or closed"
        raw = false
    strings:
        $sub = /(^|\n|\r|:)[ \t]{0,16}((public|private|friend|static)[ \t]{1,8}){0,2}(sub|function)[ \t]{1,8}(auto_?(open|exec|close|exit|new)|document_?(open|close|new|beforeclose|change)|workbook_?(open|activate|beforeclose|close|deactivate)|worksheet_(activate|calculate|change|selectionchange)|presentation_?open|app(lication)?_(presentationopen|documentopen|workbookopen|startup)|slideshow_?(begin|nextslide)|on(slideshowpagechange|slideshowterminate))[ \t]{0,8}\(/ ascii nocase
        // events of controls, used because they fire without a click
        $control = /(^|\n|\r)[ \t]{0,16}((public|private)[ \t]{1,8})?sub[ \t]{1,8}[a-z0-9_]{1,40}_(layout|painted|painting|mousehover|beforenavigate2|gotfocus|resize)[ \t]{0,8}\([^\r\n]{0,200}[\r\n]/ ascii nocase
        $module = "Attribute VB_Name" ascii nocase
    condition:
        $sub or ($module and $control)
}

rule macro_dropper
{
    meta:
        name = "macro-dropper"
        kind = "malware"
        description = "a macro that starts a program which fetches or decodes another"
        raw = false
    strings:
        $module_1 = "Attribute VB_Name" ascii nocase
        $module_2 = /(^|\n|\r)[ \t]{0,16}((public|private)[ \t]{1,8})?sub[ \t]{1,8}(auto_?open|autoexec|document_?open|workbook_?open)[ \t]{0,8}\(/ ascii nocase
        $run_1 = /(^|[^a-z0-9_."])shell[ \t(]{1,8}[a-z0-9_"(]/ ascii nocase
        $run_2 = "WScript.Shell" ascii nocase
        $run_3 = "ShellExecute" ascii nocase
        $run_4 = "winmgmts:" ascii nocase
        $run_5 = "Shell.Application" ascii nocase
        $get_1 = "URLDownloadToFile" ascii nocase
        $get_2 = "XMLHTTP" ascii nocase
        $get_3 = "WinHttpRequest" ascii nocase
        $get_4 = "ADODB.Stream" ascii nocase
        $get_5 = /(powershell|pwsh)[^\r\n]{0,80}[ \t][-\/](e|c|nop|w|ex)/ ascii nocase
        $get_6 = /(mshta|certutil|bitsadmin|regsvr32)(\.exe)?[ \t"]/ ascii nocase
    condition:
        any of ($module_*) and any of ($run_*) and any of ($get_*)
}

rule xlm_auto_open
{
    meta:
        name = "xlm-auto-open"
        kind = "active"
        description = "an Excel 4 macro that runs when the workbook is opened"
        raw = false
    strings:
        $fact = /(^|\n)(xls|ooxml):xlm-auto-/ ascii
        $sheet = /(^|\n)(xls|ooxml):xlm-macro-sheet/ ascii
        $name = /auto_?(open|close|activate|deactivate)/ ascii nocase
        $defined = /<definedName[^>]{0,200}name[ \t]{0,4}=[ \t]{0,4}["'](_xlnm\.)?auto_?(open|close|activate|deactivate)/ ascii nocase
        // xlsb: a name with its length before it
        $binary = { 09 00 00 00 (41|61) 00 (55|75) 00 (54|74) 00 (4F|6F) 00 5F 00 (4F|6F) 00 (50|70) 00 (45|65) 00 (4E|6E) 00 }
        $slk_type = "ID;P" ascii // SYLK
        $slk_name = /\nNN;NAuto_?(open|close)/ ascii nocase
    condition:
        $fact or ($sheet and $name) or $defined or $binary or ($slk_type at 0 and $slk_name)
}

rule office_dde
{
    meta:
        name = "office-dde"
        kind = "active"
        description = "a DDE field: starts a program when the document is opened or updated"
        raw = false
    strings:
        $fact = /(^|\n)((ooxml|doc|xls|csv):dde|rtf:field dde)/ ascii nocase
        $field = /instr(Text)?([ \t][^<>]{0,120})?(>|="|=')([ \t"']|&quot;){0,8}dde(auto)?[ \t"'&<]/ ascii nocase
        $link = /<(x:)?ddeLink[ \t][^>]{0,200}ddeService[ \t]{0,4}=/ ascii nocase
        // a cell: =cmd|' /C calc'!A0
        $cell = /(^|[\r\n,;\t">])[=+@-][^\r\n,;|]{0,40}(cmd|cmd\.exe|powershell|mshta|rundll32|regsvr32|wscript|cscript|certutil|msexcel)["']?[ \t]{0,4}\|["' \t]{0,4}[^\r\n]{1,200}!/ ascii nocase
    condition:
        any of them
}

rule ooxml_remote_template
{
    meta:
        name = "ooxml-remote-template"
        kind = "active"
        description = "the document loads its template, and the template's macros, from the network"
        raw = false
    strings:
        $fact = /(^|\n)(ooxml:attached-template|rtf:template)[ \t]{1,4}(https?:|ftp:|mhtml:|file:[\/\\]{2}[a-z0-9]|\\\\|\/\/)/ ascii nocase
        $type_first = /\/attachedTemplate["'][^>]{0,400}Target[ \t]{0,4}=[ \t]{0,4}["'][ \t]{0,8}(https?:|ftp:|mhtml:|file:[\/\\]{2}[a-z0-9]|\\\\)/ ascii nocase
        $target_first = /Target[ \t]{0,4}=[ \t]{0,4}["'][ \t]{0,8}(https?:|ftp:|mhtml:|\\\\)[^>]{0,600}\/attachedTemplate["']/ ascii nocase
    condition:
        any of them
}

rule ooxml_remote_object
{
    meta:
        name = "ooxml-remote-object"
        kind = "active"
        description = "the document loads an object, frame or sub-document from the network when it is opened"
        raw = false
    strings:
        $type_first = /\/(oleObject|frame|subDocument|externalLinkPath)["'][^>]{0,200}Target[ \t]{0,4}=[ \t]{0,4}["'][ \t]{0,8}(https?:|ftp:|mhtml:|script:|\\\\)/ ascii nocase
        $target_first = /Target[ \t]{0,4}=[ \t]{0,4}["'][ \t]{0,8}(https?:|ftp:|mhtml:|script:|\\\\)[^>]{0,600}\/(oleObject|frame|subDocument)["']/ ascii nocase
        $fact = /(^|\n)ooxml:(ole-object|external-object|frame|sub-document)[ \t]{1,4}(https?:|ftp:|mhtml:|script:|\\\\|\/\/)/ ascii nocase
        $relations = "http://schemas.openxmlformats.org/" ascii
    condition:
        $fact or ($relations and ($type_first or $target_first))
}
