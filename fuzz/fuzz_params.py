"""Parameters, main values, file names and encoded words: never raise, stay bounded, primary reading first."""

from __future__ import annotations

from lazaretto.limits import Limits
from lazaretto.mime import filenames, params, words

SEEDS: list[bytes] = [
    b' multipart/mixed;\r\n boundary="=_bnd.1:2/3+4"',
    b" multipart/mixed; boundary=bad; boundary*=us-ascii''foo",
    b' multipart/mixed; x="; boundary=bad; y="; boundary=foo',
    b' multi(x)part/mixed; boundary=(c)"fo\\o"x, type=a b',
    b" attachment; filename*0*=utf-8''a%2; filename*1*=Ej; filename*2=s",
    b' attachment; filename="=?utf-16be?B?AGEALgBqAHM=?= =?utf-7?Q?a+AC4-js?="',
    b" quoted-printable, base64 (x\0)",
    b" a/b; name=\xc3\xa4\r\n ; na\0me='x y'; name*1=z",
]
LIMITS = Limits(max_field_bytes=4096, max_params=16)


def target(data: bytes) -> None:
    found = params.read(data, LIMITS)
    assert found.value == found.value.lower()
    assert len(found.params) <= LIMITS.max_params
    assert len(dict(found.params)) == len(found.params)
    for key in ("boundary", "name", "filename"):
        readings = params.readings(data, key, LIMITS)
        assert len(set(readings)) == len(readings) <= params.MAX_READINGS
        primary = found.get(key)
        assert primary is None or readings[0] == primary
    assert all(b"\n" not in boundary for boundary in params.boundaries(data, LIMITS))
    tokens = params.tokens(data, LIMITS)
    assert len(tokens) <= params.MAX_TOKENS
    assert not found.value or tokens[0] == found.value
    assert len(filenames.names([data], [data], limits=LIMITS)) <= filenames.MAX_NAMES
    text = data[:4096].decode("latin-1")
    assert words.readings(text)[0] == words.decode(text)
