/*
Pages that build a file and hand it out, and pictures that run.
Our reader gives pages in UTF-16 as UTF-8 too, so nothing here needs to be looked for twice.

Rules of the embedded engine; docs/engines.md explains the metadata:
  name         of the finding; the rule's own name if absent
  kind         malware (default), banned or active
  description  what it means, for the log and the notice
  raw          false: not on the raw message, only on what was unpacked from it
*/

rule html_smuggling
{
    meta:
        name = "html-smuggling"
        kind = "malware"
        description = "a page whose script builds a file and makes the browser save it"
        raw = false
    strings:
        $page_1 = "<script" ascii nocase
        $page_2 = /[ \t"']on(load|error|click|mouseover|begin|focus)[ \t]{0,4}=/ ascii nocase
        $page_3 = "javascript:" ascii nocase
        $decode_1 = /(^|[^a-z0-9_])atob[ \t]{0,4}[\[(.)'"]/ ascii nocase
        $decode_2 = "Uint8Array" ascii
        $decode_3 = "fromCharCode" ascii
        $decode_4 = "charCodeAt" ascii
        $decode_5 = /data:[a-z0-9.\/+-]{1,80};base64,/ ascii nocase
        $build_1 = /new[ \t]{1,8}(window\.)?(blob|file)[ \t]{0,4}\(/ ascii nocase
        $build_2 = /\[["']blob["']\]/ ascii nocase
        $build_3 = /\.blob[ \t]{0,4}\(\)/ ascii nocase
        $hand_1 = "createObjectURL" ascii
        $hand_2 = /mssaveoropenblob|mssaveblob/ ascii nocase
        $save_1 = /\.click[ \t]{0,4}\([ \t]{0,4}\)/ ascii nocase
        $save_2 = /\["(click|download)"\]/ ascii nocase
        $save_3 = /(\.download[ \t]{0,4}=|setattribute[ \t]{0,4}\([ \t]{0,4}["']download["'])/ ascii nocase
        $save_4 = /dispatchevent[ \t]{0,4}\(/ ascii nocase
        $save_5 = /location(\.href)?[ \t]{0,4}=|location\.(assign|replace)[ \t]{0,4}\(/ ascii nocase
    condition:
        any of ($page_*) and any of ($decode_*) and
        (
            (any of ($build_*) and $hand_1 and any of ($save_*)) or
            (any of ($build_*) and $hand_2)
        )
}

rule html_carried_file
{
    meta:
        name = "html-carried-file"
        kind = "malware"
        description = "a page that carries a program or an archive in its text and a script that hands it out"
        raw = false
    strings:
        $page = "<script" ascii nocase
        // base64 of a zip with a first member, a 7z, rar, cab or ISO, a program, the EICAR file; in quotes or in a data: address
        $archive = /(["'`>]|base64,)(UEsDB[A-P][A-Za-z0-9+\/]{60}|N3q8ryccAA[A-Za-z0-9+\/]{40}|UmFyIRoH[A-Za-z0-9+\/]{40}|TVNDRgAAAA[A-Za-z0-9+\/]{40}|TV(qQAA|pQAA|oAAA|qAAA)[A-Za-z0-9+\/]{60}|WDVPIVAlQEFQ)/ ascii
        $hand_1 = /(^|[^a-z0-9_])atob[ \t]{0,4}[\[(.)'"]/ ascii nocase
        $hand_2 = "createObjectURL" ascii
        $hand_3 = /mssave(oropen)?blob/ ascii nocase
        $hand_4 = /\.download[ \t]{0,4}=/ ascii nocase
        $hand_5 = /[ \t]download([ \t]{0,4}=|[ \t>])[^<]{0,400}(UEsDB|N3q8|UmFy|TVqQ|TVND|WDVP)/ ascii nocase
        $hand_6 = /location(\.href)?[ \t]{0,4}=[ \t]{0,4}["']data:application\// ascii nocase
    condition:
        $page and $archive and any of ($hand_*)
}

rule svg_script
{
    meta:
        name = "svg-script"
        kind = "active"
        description = "a picture (SVG) with a script in it"
        raw = false
    strings:
        $svg = /<([a-z]{1,20}:)?svg[ \t\r\n>]/ ascii nocase
        $html = /<(html|body|head)[ \t\r\n>]/ ascii nocase
        $script = /<([a-z]{1,20}:)?script[ \t\r\n>\/]/ ascii nocase
        $handler = /[ \t\r\n"'\/]on(load|begin|end|repeat|error|click|mouseover|focusin|activate)[ \t]{0,4}=[ \t]{0,4}["']/ ascii nocase
        $link = /href[ \t]{0,4}=[ \t]{0,4}["'][ \t]{0,8}(javascript|data:text\/html)/ ascii nocase
    condition:
        $svg in (0..8192) and not $html in (0..4096) and ($script or $handler or $link)
}
