"""Which file name extensions are dangerous, and who says so.

Three lists that millions of people live with, one of our own, and the names
that we leave out again because honest mail would suffer.  DANGEROUS_EXTENSIONS
is the sum; where each came from stays visible.

See:     docs/names.md (the same lists for readers, compared by tests/content/test_extensions.py);
         Gmail Help "File types blocked in Gmail"; Microsoft Support "Blocked attachments in Outlook";
         amavisd-new's commented sample configuration ("banned extension - long")
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


GMAIL = _set(
    """
    ade adp apk appx appxbundle bat cab chm cmd com cpl diagcab diagcfg diagpkg dll dmg ex ex_ exe hta img ins iso isp jar jnlp js jse
    lib lnk mde mjs msc msi msix msixbundle msp mst nsh pif ps1 scr sct shb sys vb vbe vbs vhd vxd wsc wsf wsh xll
    """
)

OUTLOOK = _set(
    """
    ade adp app application appref-ms asp aspx asx bas bat bgi cab cdxml cer chm cmd cnt com cpl crt csh der diagcab exe fxp gadget
    grp hlp hpj hta htc img inf ins iso isp its jar jnlp js jse ksh library-ms lnk mad maf mag mam maq mar mas mat mau mav maw mcf mda
    mdb mde mdt mdw mdz mht mhtml msc msh msh1 msh2 mshxml msh1xml msh2xml msi msix msixbundle msp mst msu ops osd pcd pif pl plg prf
    prg printerexport ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psdm1 pssc pst py pyc pyo pyw pyz pyzw reg scf scr sct search-ms
    searchconnector-ms settingcontent-ms appcontent-ms shb shs theme themepack tmp udl url vb vbe vbp vbs vhd vhdx vsmacros vsw webpnp
    website ws wsb wsc wsf wsh xbap xll xnk
    """
)

AMAVIS = _set(
    """
    ade adp app bas bat chm cmd com cpl crt emf exe fxp grp hlp hta inf ini ins isp js jse lib lnk mda mdb mde mdt mdw mdz msc msi msp
    mst ocx ops pcd pif prg reg scr sct shb shs sys vb vbe vbs vxd wmf wsc wsf wsh
    """
)

# Ours: seen in attacks since those lists were written, and hardly ever in honest mail.
OWN: dict[str, str] = {
    "one": "OneNote section: one click runs what is embedded (campaigns of 2023)",
    "onepkg": "OneNote package",
    "rdp": "remote desktop settings: give away drives and clipboard (campaigns of 2024)",
    "wll": "Word add-in, a library under another name, as xll is for Excel",
    "iqy": "Excel web query: fetches and runs formulas",
    "oqy": "Excel OLAP query",
    "rqy": "Excel query",
    "slk": "SYLK spreadsheet: formulas and macros outside Protected View",
    "accde": "compiled Access database: startup code, as mde",
    "accda": "Access add-in, as mda",
    "accdr": "Access run-time database, as accde",
    "deskthemepack": "as themepack",
    "ppkg": "Windows provisioning package",
    "job": "Windows scheduled task",
    "drv": "Windows driver, as sys",
    "psm1": "PowerShell module, as psd1",
    "desktop": "Linux starter, runs a command",
    "appimage": "Linux program",
    "inetloc": "macOS location file: may run a local program",
    "fileloc": "macOS location file: may run a local program",
    "terminal": "macOS Terminal settings with a command",
    "command": "macOS shell script that starts on a click",
    "scpt": "AppleScript",
    "scptd": "AppleScript bundle",
}

# On one of the lists, and left out: what would be lost is worth more than what would be stopped.
LEFT_OUT: dict[str, str] = {
    "cab": "an archive: it is looked into",
    "mht": "a page saved as a message: it is looked into",
    "mhtml": "as mht",
    "cer": "certificates travel in honest S/MIME and administration mail",
    "crt": "as cer",
    "der": "as cer",
    "csh": "source text; nothing opens it with a click",
    "ksh": "as csh",
    "pl": "as csh",
    "py": "source text that developers send each other; pyw and the compiled forms stay banned",
    "tmp": "no program opens it",
    "ini": "settings, left over in many zips; no program runs it",
    "mat": "far more often MATLAB data than an Access shortcut",
    "emf": "an image; Office exports it",
    "wmf": "an image; Office exports it",
}

DANGEROUS_EXTENSIONS = (GMAIL | OUTLOOK | AMAVIS | OWN.keys()) - LEFT_OUT.keys()

# Those that run at once when opened: after another extension they are a disguise, whatever the policy allows.
EXECUTABLE_EXTENSIONS = _set("exe scr com pif bat cmd cpl dll msi vbs vbe vb js jse wsf wsh hta lnk jar ps1 sct msc reg url chm")

# What a disguise looks like: the extension that the reader is meant to see.
DECOY_EXTENSIONS = _set(
    """
    doc docx docm dot dotx xls xlsx xlsm xlsb csv ppt pptx pps ppsx odt ods odp pdf rtf txt text log htm html xml json md eml msg ics
    vcf one pub vsd jpg jpeg jpe jfif png gif bmp tif tiff webp heic svg ico psd ai eps mp3 wav ogg m4a mp4 m4v mov avi mkv wmv mpg
    mpeg zip rar 7z gz tgz tar bz2 xz iso img sql db mdb ps xps epub
    """
)
