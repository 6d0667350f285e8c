"""The reader of sendmail.cf: whatever the file, a choice or a ConfigError of one line, and numbers that are none are refused."""

from __future__ import annotations

from lazaretto.errors import ConfigError
from lazaretto.legacy.sendmail_cf import MAX_FILTERS, TIMES_S, choose, read

SEEDS = [
    b"V10/Berkeley\nO InputMailFilters=fp-milter, b\nXfp-milter, S=inet:12200@127.0.0.1, F=T, T=E:8m;C:5m;R:4m;S:2m\n",
    b"Xa,\n\tS=local:/run/x,\n F=R\nO InputMailFilters=a;b\n# remark\nXb,S=unix:/b\n",
    b"Xf-prot-milter,S=/run/bare\r\nO InputMailFilters =\r\n",
    b"Xa\nXb,S=x,junk\nXc,S=x,T=R:soon\n",
]


def target(data: bytes) -> None:
    """See the module."""
    text = data.decode("latin-1")
    try:
        filters, active = read(text, "f")
        complaint = _complaint(text)
    except ConfigError as error:
        filters, active, complaint = [], (), str(error)
    assert "\n" not in complaint
    assert len(filters) <= MAX_FILTERS
    lines = text.split("\n")
    for one in filters:
        assert one.name
        assert one.address
        assert one.times_s.keys() == TIMES_S.keys()
        assert lines[one.line - 1].startswith("X")
    assert all(name and "," not in name and ";" not in name for name in active)


def _complaint(text: str) -> str:
    """About the choice; "" if there is nothing to say."""
    try:
        return choose(text, "f").warning
    except ConfigError as error:
        return str(error)
