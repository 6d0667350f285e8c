/*
Scripts that fetch or drop programs, and programs written out as text.

Rules of the embedded engine; docs/engines.md explains the metadata:
  name         of the finding; the rule's own name if absent
  kind         malware (default), banned or active
  description  what it means, for the log and the notice
  raw          false: not on the raw message, only on what was unpacked from it
*/

rule script_dropper
{
    meta:
        name = "script-dropper"
        kind = "malware"
        description = "a script that fetches or writes a file and runs it"
        raw = false
    strings:
        $shell_1 = "WScript.Shell" ascii wide nocase
        $shell_2 = "Shell.Application" ascii wide nocase
        $shell_3 = "72C24DD5-D70A-438B-8A42-98424B88AFB8" ascii wide nocase // class of WScript.Shell
        $fetch_1 = "ADODB.Stream" ascii wide nocase
        $fetch_2 = "XMLHTTP" ascii wide nocase
        $fetch_3 = "WinHttp.WinHttpRequest" ascii wide nocase
        $fetch_4 = /powershell(\.exe)?["' ]{1,4}[^\r\n]{0,120}(downloadfile|downloadstring|-e(c|n|nc|ncodedcommand)? )/ ascii wide nocase
        $run_1 = /\.(run|exec|shellexecute)[ \t"'(\[]/ ascii wide nocase
        $run_2 = /\[["'](run|exec|shellexecute)["']\]/ ascii wide nocase
        $make_1 = /createobject[ \t]*\(/ ascii wide nocase
        $make_2 = /new[ \t]+activexobject/ ascii wide nocase
        $make_3 = /getobject[ \t]*\(/ ascii wide nocase
        $make_4 = "<object" ascii wide nocase
        $make_5 = "New-Object -ComObject" ascii wide nocase
    condition:
        any of ($shell_*) and any of ($fetch_*) and any of ($run_*) and any of ($make_*)
}

rule script_download
{
    meta:
        name = "script-download"
        kind = "malware"
        description = "a command line that has a system program fetch and run something"
        raw = false
    strings:
        $certutil = /certutil(\.exe)?["']?[ \t][^\r\n]{0,60}[-\/](urlcache|verifyctl)[ \t]{1,8}([-\/][a-z]{1,12}[ \t]{1,8}){0,4}["']?https?:\/\// ascii wide nocase
        $bitsadmin = /bitsadmin(\.exe)?["']?[ \t][^\r\n]{0,60}\/(transfer|addfile)[ \t][^\r\n]{0,120}https?:\/\// ascii wide nocase
        $mshta = /mshta(\.exe)?["']?[ \t]{1,8}["']?(https?|javascript|vbscript|about):/ ascii wide nocase
        $regsvr = /regsvr32(\.exe)?["']?[ \t][^\r\n]{0,60}\/i:["']?https?:\/\/[^\r\n]{0,200}scrobj/ ascii wide nocase
        $rundll = /rundll32(\.exe)?["']?[ \t]{1,8}["']?javascript:/ ascii wide nocase
        $msiexec = /msiexec(\.exe)?["']?[ \t][^\r\n]{0,40}\/(i|package|q[nbrf]?)[ \t]{1,8}["']?https?:\/\// ascii wide nocase
        $iex = /(iex|invoke-expression)["' \t(&{]{1,8}[^\r\n]{0,80}(downloadstring|invoke-webrequest|iwr|invoke-restmethod|irm)[ \t("']/ ascii wide nocase
        $pipe = /(downloadstring[ \t]*\(|invoke-webrequest[ \t]|iwr[ \t]|irm[ \t])[^\r\n|]{0,200}\|[ \t]*(iex|invoke-expression)/ ascii wide nocase
        $start = /downloadfile[ \t]*\([^\r\n]{0,300}(start-process|invoke-item|shellexecute|\.exe["';)])/ ascii wide nocase
    condition:
        any of them
}

rule powershell_encoded
{
    meta:
        name = "powershell-encoded"
        kind = "malware"
        description = "PowerShell started with an encoded command"
        raw = false
    strings:
        $call = /(powershell|pwsh)(\.exe)?["']?[ \t][^\r\n]{0,200}[-\/]e(c|n|nc|nco|ncod|ncode|ncoded|ncodedc|ncodedco|ncodedcom|ncodedcomm|ncodedcomma|ncodedcomman|ncodedcommand)?[ \t]{1,8}["']?[a-z0-9+\/]{24}/ ascii wide nocase
    condition:
        $call
}

rule executable_in_text
{
    meta:
        name = "executable-in-text"
        kind = "malware"
        description = "a Windows program written out as text inside a script or page"
        raw = false
    strings:
        // After a quote or a parenthesis: in a MIME body the same characters begin a line.
        $base64 = /["'`,(>]TV(qQAA|pQAA|oAAA|pBUl|rAAA|qAAA|pFAA|roAA)[A-Za-z0-9+\/]{60}/ ascii wide
        // "This program " at each of the three alignments, in one run of base64 that has no line ends
        $stub = /["'`,(>][A-Za-z0-9+\/]{80,400}(VGhpcyBwcm9ncmFt|RoaXMgcHJvZ3JhbS|UaGlzIHByb2dyYW0g)/ ascii wide
        $hex = /["'`,(>](0x)?4d5a[0-9a-f]{100,400}546869732070726f6772616d/ ascii wide nocase
        $array = /[\[({@]\(?[ \t]{0,4}(0x4d|77)[ \t]{0,4},[ \t]{0,4}(0x5a|90)[ \t]{0,4},[ \t]{0,4}(0x90|144)[ \t]{0,4},[ \t]{0,4}(0x00|0x0|0)[ \t]{0,4},/ ascii wide nocase
        $reversed = "AAAAMAAQqVT" ascii wide
    condition:
        $base64 or $stub or $hex or $array or $reversed
}
