"""File names of strangers, made fit to be shown and fit to be used.

display() keeps a name recognisable: what cannot be seen, or changes the order of
what is seen, appears as its code point.  For logs, tables and notices.

defang() gives a name that no program runs and no file system takes for anything
else: one component, letters and digits of any script, one harmless extension.

Limits:  display: 120 characters unless told; defang: 80 characters, 180 bytes of UTF-8.
Errors:  none; every str is accepted, lone surrogates too.
See:     Unicode UAX #9 (bidirectional text), UAX #15 (NFKC); Microsoft, "Naming Files, Paths, and Namespaces"
"""

from __future__ import annotations

MAX_CHARACTERS = 80
MAX_BYTES = 180

_KEPT_ASCII = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _-()+,=@")
# Letters, marks and symbols by category, and yet nothing to see: fillers, joiners, variation selectors.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(code) for first, last in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for code in range(first, last + 1)
}
_DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"}) | {
    port + digit for port in ("COM", "LPT") for digit in "0123456789"
}


def display(name: str, max_characters: int = 120) -> str:
    """`name` on one line, with nothing hidden in it: \\u202e instead of the character that turns the text round."""
    shown: list[str] = []
    room = max_characters
    for character in name:
        piece = character if character.isprintable() and character not in _INVISIBLE else _code_point(character)
        room -= len(piece)
        if room < 0:
            shown.append("...")
            break
        shown.append(piece)
    return "".join(shown)


def defang(name: str, suffix: str = ".txt") -> str:
    """A harmless file name that still resembles `name`: "../a/invoice.pdf.exe" becomes "invoice_pdf_exe.txt".

    `suffix` starts with a dot and is harmless itself; a name that ends with it does not get it twice.
    """
    import unicodedata

    # Whoever normalises later must not find a dot or a slash again; 4 times the room, for some characters vanish below.
    name = unicodedata.normalize("NFKC", name[-4 * MAX_CHARACTERS :])
    name = name.replace("\\", "/").rstrip("/ .").rpartition("/")[2]
    if name.casefold().endswith(suffix.casefold()):
        name = name[: -len(suffix)]
    stem = "".join(character if _is_kept(character, unicodedata.category(character)) else "_" for character in name)
    stem = _cut(stem.lstrip(" -"), len(suffix)).rstrip(" ")
    if not stem.strip("_ "):
        stem = "attachment"
    if stem.partition(" ")[0].upper() in _DEVICES:
        stem = "_" + stem  # quirk: Windows takes "CON.txt" and "con  .txt" for the console
    return stem + suffix


def _code_point(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_kept(character: str, category: str) -> bool:
    if character.isascii():
        return character in _KEPT_ASCII
    # Punctuation and symbols go: best-fit conversions of Windows turn some of them into / . and ".
    return category[0] in "LMN" and character not in _INVISIBLE


def _cut(stem: str, suffix_length: int) -> str:
    stem = stem[: MAX_CHARACTERS - suffix_length]
    encoded = stem.encode("utf-8")  # no surrogates are left here
    if len(encoded) <= MAX_BYTES - suffix_length:
        return stem
    return encoded[: MAX_BYTES - suffix_length].decode("utf-8", "ignore")
