"""The EICAR test file, put together at run time so that no scanner objects to this checkout."""

EICAR = b"".join((b"X5O!P%@AP[4\\PZX54(P^)", b"7CC)7}$EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!", b"$H+H*"))
assert len(EICAR) == 68
