from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content.zipcrypto import HEADER, Keys, decrypt, opens


def encrypt(password: bytes, data: bytes) -> bytes:
    """The inverse, byte by byte, with the decryption as its own key stream."""
    keys = Keys(password)
    out = bytearray()
    for byte in data:
        trial = Keys(b"")
        trial.k0, trial.k1, trial.k2 = keys.k0, keys.k1, keys.k2
        out.append(byte ^ trial.decrypt(b"\0")[0])
        keys.decrypt(bytes(out[-1:]))
    return bytes(out)


@given(st.binary(max_size=12), st.binary(max_size=100), st.integers(1, 40))
def test_round_trip_in_pieces(password: bytes, data: bytes, step: int) -> None:
    packed = encrypt(password, bytes(HEADER) + data)
    pieces = [packed[i : i + step] for i in range(0, len(packed), step)]
    assert b"".join(decrypt(password, pieces)) == data


def test_check_byte() -> None:
    header = encrypt(b"secret", bytes(11) + b"\xab")
    assert opens(b"secret", header, (1, 0xAB))
    assert not opens(b"secret", header, (1, 2))
    assert not opens(b"secret", header[:-1], (0xAB,))
    wrong = [b"%d" % i for i in range(2000)]
    assert sum(opens(word, header, (0xAB,)) for word in wrong) < 40  # one in 256


def test_a_file_written_by_another_program() -> None:
    """Its text is in tests of libarchive: read_format_zip_traditional_encryption_data, opened through test_zip_archive."""
    from unpacking import sample, unpack

    data = sample("read_format_zip_traditional_encryption_data")
    found = unpack("zip", data, [b"no", b"12345678"])
    assert found.errors == []
    assert sum(map(len, found.datas)) == 990
    assert set(unpack("zip", data, [b"no"]).errors) == {"zip.encrypted"}
