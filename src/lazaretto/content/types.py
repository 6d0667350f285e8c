"""The types that we know, and when content contradicts its labels.

TYPES maps a type id (what content.sniff answers) to its description, its group,
and the file name extensions and media types that announce it.  Groups:

    executable   runs when opened            script      source text that some program runs
    archive      files or one file, packed   disk-image  a file system, mounted or opened
    document     read with an application    mail        messages and what belongs to them
    image, audio, video, text, other

disagreement() compares content with what name and media type say.  It answers
only for clear contradictions, because labels in honest mail are often careless:
a JPEG called .pdf, a web page called .xls, everything called text/plain.

Limits:  none needed; the work is bounded by the number of names.
Errors:  none.
See:     docs/types.md (the same table for readers, compared by tests/content/test_types.py)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class TypeInfo(NamedTuple):
    """What is known of one type."""

    description: str
    group: str
    extensions: tuple[str, ...] = ()  # lower case, without the dot
    media_types: tuple[str, ...] = ()


def ids(words: str) -> frozenset[str]:
    """A set of type ids, extensions or media types, written as words."""
    return frozenset(words.split())


# id, description, extensions, media types; the last two as words.
_TABLE: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "executable": (
        (
            "pe",
            "Windows program or library (PE)",
            "exe dll scr cpl ocx sys drv com xll wll ax efi",
            "application/x-msdownload application/x-dosexec application/vnd.microsoft.portable-executable",
        ),
        ("ne", "16-bit Windows program (NE)", "exe dll scr cpl drv", "application/x-msdownload"),
        ("le", "OS/2 program or Windows driver (LE, LX)", "exe dll vxd 386", "application/x-msdownload"),
        ("mz", "DOS program (MZ)", "exe com", "application/x-msdos-program application/x-dosexec"),
        (
            "elf",
            "Unix program or library (ELF)",
            "elf so o bin run ko appimage",
            "application/x-elf application/x-executable application/x-sharedlib",
        ),
        ("macho", "macOS program or library (Mach-O)", "dylib bundle", "application/x-mach-binary"),
        ("class", "Java class", "class", "application/java-vm application/x-java-vm"),
        ("dex", "Android program code", "dex odex", ""),
        ("apk", "Android application", "apk aab", "application/vnd.android.package-archive"),
        ("jar", "Java archive", "jar war ear", "application/java-archive application/x-java-archive"),
        ("appx", "Windows application package", "appx appxbundle msix msixbundle", "application/appx application/msix"),
        ("msi", "Windows Installer package", "msi msp mst msm", "application/x-msi application/x-ole-storage"),
        ("lnk", "Windows shortcut", "lnk", "application/x-ms-shortcut"),
        ("chm", "compiled HTML help", "chm chi chw", "application/vnd.ms-htmlhelp application/x-chm"),
        ("hlp", "Windows help", "hlp", "application/winhlp"),
        ("hta", "HTML application", "hta", "application/hta"),
        ("wasm", "WebAssembly", "wasm", "application/wasm"),
    ),
    "script": (
        (
            "script",
            "script that names its interpreter (#!, <?php)",
            "sh bash csh ksh zsh pl pm py rb php cgi tcl awk command run",
            "application/x-sh text/x-sh application/x-shellscript text/x-script.python text/x-python",
        ),
        ("encoded-script", "encoded VBScript or JScript", "vbe jse", ""),
        ("vbscript", "VBScript", "vbs vb bas cls frm", "text/vbscript application/x-vbs"),
        ("jscript", "JScript for Windows Script Host", "js mjs", "text/javascript application/javascript application/x-javascript"),
        ("powershell", "PowerShell script", "ps1 psm1 psd1", ""),
        ("batch", "Windows batch file", "bat cmd", "application/x-bat"),
        ("wsf", "Windows script file", "wsf ws", ""),
        ("scriptlet", "Windows script component", "sct wsc", "text/scriptlet"),
        ("reg", "Windows registry changes", "reg", "text/x-ms-regedit"),
        ("url", "Internet shortcut", "url website", "application/internet-shortcut application/x-mswinurl"),
    ),
    "archive": (
        ("zip", "zip archive", "zip zipx xpi kmz cbz", "application/zip application/x-zip-compressed application/x-zip"),
        ("gzip", "gzip", "gz tgz taz svgz emz wmz", "application/gzip application/x-gzip"),
        ("bzip2", "bzip2", "bz2 tbz tbz2", "application/x-bzip2 application/x-bzip"),
        ("xz", "xz", "xz txz", "application/x-xz"),
        ("lzma", "LZMA stream", "lzma tlz", "application/x-lzma"),
        ("zstd", "Zstandard", "zst tzst", "application/zstd"),
        ("compress", "Unix compress", "z taz", "application/x-compress"),
        ("tar", "tar archive", "tar", "application/x-tar"),
        ("7z", "7-Zip archive", "7z", "application/x-7z-compressed"),
        ("rar", "RAR archive", "rar r00 cbr", "application/vnd.rar application/x-rar-compressed application/x-rar"),
        ("cab", "Windows cabinet", "cab onepkg diagcab msu", "application/vnd.ms-cab-compressed"),
        ("lha", "LHA archive", "lha lzh", "application/x-lzh-compressed application/x-lha"),
        ("cpio", "cpio archive", "cpio", "application/x-cpio"),
        ("ar", "Unix archive, Debian package", "ar a deb lib udeb", "application/x-archive application/vnd.debian.binary-package"),
        ("rpm", "RPM package", "rpm", "application/x-rpm"),
        ("xar", "xar archive, macOS package", "xar pkg xip", "application/x-xar"),
        ("arj", "ARJ archive", "arj", "application/x-arj"),
        ("ace", "ACE archive", "ace", "application/x-ace-compressed"),
        ("lrzip", "lrzip", "lrz", "application/x-lrzip"),
        ("lzop", "lzop", "lzo", "application/x-lzop"),
        ("lz4", "LZ4", "lz4", "application/x-lz4"),
        ("lzip", "lzip", "lz", "application/x-lzip"),
        ("zoo", "zoo archive", "zoo", "application/x-zoo"),
        ("arc", "ARC archive", "arc", "application/x-arc"),
        ("sit", "StuffIt archive", "sit sitx", "application/x-stuffit application/x-sit"),
    ),
    "disk-image": (
        ("iso", "ISO 9660 image", "iso img cdr", "application/x-iso9660-image application/vnd.efi.iso"),
        ("udf", "UDF image", "iso img udf", ""),
        ("dmg", "Apple disk image", "dmg", "application/x-apple-diskimage"),
        ("vhd", "virtual disk (VHD)", "vhd", ""),
        ("vhdx", "virtual disk (VHDX)", "vhdx", ""),
        ("wim", "Windows imaging format", "wim swm esd", "application/x-ms-wim"),
        ("fat", "FAT file system", "img ima flp", ""),
    ),
    "document": (
        (
            "ole",
            "OLE compound file: Word, Excel, PowerPoint 97 and others",
            "doc dot xls xlt xla ppt pot pps ppa pub vsd vss vst mpp wps",
            "application/msword application/vnd.ms-excel application/vnd.ms-powerpoint application/vnd.visio application/x-ole-storage",
        ),
        ("docx", "Word document", "docx dotx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("docm", "Word document with macros", "docm dotm", "application/vnd.ms-word.document.macroenabled.12"),
        ("xlsx", "Excel workbook", "xlsx xltx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("xlsm", "Excel workbook with macros", "xlsm xltm xlam", "application/vnd.ms-excel.sheet.macroenabled.12"),
        ("xlsb", "Excel binary workbook", "xlsb", "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
        ("pptx", "PowerPoint presentation", "pptx potx ppsx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        (
            "pptm",
            "PowerPoint presentation with macros",
            "pptm potm ppsm ppam",
            "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        ),
        ("ooxml", "other Open Packaging file: Visio, XPS", "vsdx vsdm xps oxps", "application/vnd.ms-xpsdocument"),
        (
            "odf",
            "OpenDocument file",
            "odt ods odp odg odf ott ots otp odb",
            "application/vnd.oasis.opendocument.text application/vnd.oasis.opendocument.spreadsheet",
        ),
        ("epub", "electronic book", "epub", "application/epub+zip"),
        ("biff", "Excel workbook without container", "xls xlw xlm", "application/vnd.ms-excel"),
        ("sylk", "SYLK spreadsheet", "slk", "application/vnd.ms-excel"),
        ("access", "Access database", "mdb mde accdb accde", "application/msaccess application/x-msaccess"),
        ("onenote", "OneNote section", "one onetoc2", "application/onenote application/msonenote"),
        ("pdf", "PDF", "pdf fdf ai", "application/pdf application/x-pdf"),
        ("postscript", "PostScript", "ps eps ai", "application/postscript"),
        ("rtf", "Rich Text Format", "rtf", "application/rtf text/rtf"),
        ("html", "HTML", "html htm xhtml shtml xht", "text/html application/xhtml+xml"),
        ("svg", "SVG image (may run script)", "svg", "image/svg+xml"),
        ("xml", "XML", "xml xsl xslt rss kml gpx", "text/xml application/xml"),
        ("swf", "Flash", "swf", "application/x-shockwave-flash application/vnd.adobe.flash.movie"),
    ),
    "mail": (
        ("message", "mail message", "eml", "message/rfc822 message/global"),
        ("mbox", "mailbox", "mbox mbx", "application/mbox"),
        ("mht", "web page as a message", "mht mhtml", "multipart/related message/rfc822"),
        ("msg", "Outlook message", "msg oft", "application/vnd.ms-outlook"),
        ("pst", "Outlook data file", "pst ost", ""),
        ("tnef", "TNEF (winmail.dat)", "tnef dat", "application/ms-tnef application/vnd.ms-tnef"),
        (
            "p7m",
            "CMS: signed or encrypted (S/MIME)",
            "p7m p7s p7c p7b p7z",
            "application/pkcs7-mime application/x-pkcs7-mime application/pkcs7-signature application/x-pkcs7-signature",
        ),
        ("pem", "certificate or key in PEM form", "pem crt cer key csr", "application/x-pem-file"),
        ("pgp-message", "OpenPGP message, armoured", "asc pgp gpg", "application/pgp-encrypted"),
        ("pgp-signed", "OpenPGP signed text", "asc pgp", ""),
        ("pgp-signature", "OpenPGP signature, armoured", "asc sig", "application/pgp-signature"),
        ("pgp-key", "OpenPGP key, armoured", "asc", "application/pgp-keys"),
        ("ics", "calendar", "ics ical ifb vcs", "text/calendar application/ics"),
        ("vcf", "contact", "vcf vcard", "text/vcard text/x-vcard"),
        ("binhex", "BinHex 4", "hqx", "application/mac-binhex40"),
    ),
    "image": (
        ("png", "PNG image", "png apng", "image/png"),
        ("jpeg", "JPEG image", "jpg jpeg jpe jfif", "image/jpeg image/jpg image/pjpeg"),
        ("gif", "GIF image", "gif", "image/gif"),
        ("bmp", "Windows bitmap", "bmp dib", "image/bmp image/x-ms-bmp"),
        ("tiff", "TIFF image", "tif tiff", "image/tiff"),
        ("webp", "WebP image", "webp", "image/webp"),
        ("ico", "Windows icon or cursor", "ico cur", "image/x-icon image/vnd.microsoft.icon"),
        ("heif", "HEIF or AVIF image", "heic heif avif", "image/heic image/heif image/avif"),
        ("jp2", "JPEG 2000 image", "jp2 j2k", "image/jp2"),
        ("psd", "Photoshop image", "psd", "image/vnd.adobe.photoshop"),
        ("wmf", "Windows metafile", "wmf", "image/wmf image/x-wmf"),
        ("emf", "enhanced metafile", "emf", "image/emf image/x-emf"),
        ("djvu", "DjVu document", "djvu djv", "image/vnd.djvu"),
    ),
    "audio": (
        ("mp3", "MP3 sound", "mp3", "audio/mpeg audio/mp3"),
        ("wav", "WAVE sound", "wav", "audio/wav audio/x-wav"),
        ("ogg", "Ogg sound or video", "ogg oga ogv opus", "audio/ogg video/ogg"),
        ("flac", "FLAC sound", "flac", "audio/flac"),
        ("aac", "AAC sound", "aac", "audio/aac"),
        ("amr", "AMR sound", "amr", "audio/amr"),
        ("aiff", "AIFF sound", "aif aiff", "audio/aiff audio/x-aiff"),
        ("au", "Sun sound", "au snd", "audio/basic"),
        ("midi", "MIDI", "mid midi", "audio/midi"),
    ),
    "video": (
        ("mp4", "MP4 or QuickTime", "mp4 m4v m4a mov qt 3gp 3g2", "video/mp4 video/quicktime audio/mp4 video/3gpp"),
        ("matroska", "Matroska or WebM", "mkv webm mka", "video/x-matroska video/webm"),
        ("avi", "AVI", "avi", "video/avi video/x-msvideo"),
        ("mpeg", "MPEG", "mpg mpeg vob", "video/mpeg"),
        ("asf", "Windows Media", "asf wmv wma", "video/x-ms-wmv video/x-ms-asf audio/x-ms-wma"),
        ("flv", "Flash video", "flv", "video/x-flv"),
    ),
    "other": (
        ("sfnt", "TrueType or OpenType font", "ttf otf ttc", "font/ttf font/otf application/x-font-ttf"),
        ("woff", "web font", "woff woff2", "font/woff font/woff2"),
        ("sqlite", "SQLite database", "sqlite sqlite3 db", "application/vnd.sqlite3"),
        ("data", "nothing that we know", "", ""),
        ("empty", "no bytes at all", "", ""),
    ),
    "text": (
        (
            "text",
            "plain text",
            "txt text log csv tsv md ini cfg conf json yaml yml tex srt diff patch",
            "text/plain text/csv application/json",
        ),
    ),
}

TYPES: dict[str, TypeInfo] = {
    type_id: TypeInfo(description, group, tuple(extensions.split()), tuple(media_types.split()))
    for group, rows in _TABLE.items()
    for type_id, description, extensions, media_types in rows
}

# Everything that is a zip on the outside; any of them is called ".zip" in honest mail.
ZIPPED = ids("zip docx docm xlsx xlsm xlsb pptx pptm ooxml odf epub jar apk appx")

# What an Office program opens whatever the extension, and honest exporters produce: HTML as .xls, RTF as .doc ...
_OFFICE = ids("ole biff sylk rtf html xml mht message text odf pdf") | (ZIPPED - {"jar", "apk", "appx", "epub"})


def _claims() -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    by_extension: dict[str, set[str]] = {}
    by_media_type: dict[str, set[str]] = {}
    for type_id, info in TYPES.items():
        for extension in info.extensions:
            by_extension.setdefault(extension, set()).add(type_id)
        for media_type in info.media_types:
            by_media_type.setdefault(media_type, set()).add(type_id)
    return {k: frozenset(v) for k, v in by_extension.items()}, {k: frozenset(v) for k, v in by_media_type.items()}


_BY_EXTENSION, _BY_MEDIA_TYPE = _claims()

# Labels that say nothing: senders use them for whatever they do not know.
_VAGUE_EXTENSIONS = frozenset(("dat", "bin", "db", "a", "o", "lib", "key"))
_VAGUE_MEDIA_TYPES = frozenset(("text/plain", "application/x-ole-storage"))

# Groups that a label can promise, and that no program for them would run or unpack.
_HARMLESS = frozenset(("image", "audio", "video", "text", "document", "mail"))
_MEDIA = frozenset(("image", "audio", "video"))


def _claim(label: str, known: dict[str, frozenset[str]], vague: frozenset[str]) -> frozenset[str]:
    return frozenset() if label in vague else known.get(label, frozenset())


def _contradicts(type_id: str, claim: frozenset[str]) -> bool:
    """Is content of this type clearly not what `claim` (some type ids) promises?"""
    if not claim or type_id in claim:
        return False
    group = TYPES[type_id].group
    promised = {TYPES[t].group for t in claim}
    if group == "executable":
        # quirk: a zip of Java sources with a manifest looks like a jar.
        return promised <= _HARMLESS or (promised <= {"archive", "disk-image"} and type_id not in ZIPPED)
    if promised <= _MEDIA:
        return group in ("archive", "script", "disk-image") or type_id in _OFFICE - {"text", "message"} or type_id in ("svg", "onenote")
    if group in ("archive", "disk-image"):
        if claim & ZIPPED and type_id == "zip":
            return False
        return promised <= _HARMLESS and not promised <= {"mail"}
    if claim <= {"pdf"}:
        return type_id in ("html", "svg", "ole", "rtf", "onenote") or type_id in ZIPPED or group == "script"
    if promised <= {"text"}:
        return type_id in ("ole", "pdf", "onenote")
    return type_id == "onenote" and not claim.isdisjoint(_OFFICE)


def disagreement(type_id: str, media_type: str, names: Sequence[str]) -> str | None:
    """The finding name if content contradicts its labels, else None.

    "type.executable-as-GROUP" (image, audio, video, text, document, mail, archive or
    disk-image) when any label hides a program; "type.mismatch" when all labels that
    mean something are wrong about something else that matters.

    `names` are forms as content.names.forms gives them, or plain file names.
    """
    if type_id not in TYPES or type_id in ("data", "empty", "text"):
        return None
    claims: list[frozenset[str]] = []
    for name in names:
        _, dot, extension = name.rpartition(".")
        if dot and (claim := _claim(extension.strip().lower(), _BY_EXTENSION, _VAGUE_EXTENSIONS)):
            claims.append(claim)
    if claim := _claim(media_type, _BY_MEDIA_TYPE, _VAGUE_MEDIA_TYPES):
        claims.append(claim)
    wrong = [claim for claim in claims if _contradicts(type_id, claim)]
    if not wrong:
        return None
    if TYPES[type_id].group == "executable":
        group = min(TYPES[t].group for t in wrong[0])
        return f"type.executable-as-{group}"
    return "type.mismatch" if len(wrong) == len(claims) else None
