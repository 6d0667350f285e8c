"""content.ole1: objects and packages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from documents import ole1_object, ole_package
from lazaretto.content import ole1


def test_object() -> None:
    data = ole1_object(b"Equation.3", b"native") + b"presentation"
    found = ole1.parse_object(data)
    assert found
    assert found.class_name == b"Equation.3"
    assert data[found.start : found.stop] == b"native"


def test_lying_size_reads_on() -> None:
    data = ole1_object(b"X", b"native").replace(b"\x06\0\0\0native", b"\xff\xff\xff\x7fnative")
    found = ole1.parse_object(data)
    assert found
    assert data[found.start : found.stop] == b"native"


def test_link_names_its_target() -> None:
    data = bytearray(ole1_object(b"OLE2Link", b""))
    data[4] = 1
    found = ole1.parse_object(data)
    assert found
    assert (found.class_name, found.start) == (b"OLE2Link", found.stop)


def test_package() -> None:
    data = b"size" + ole_package(b"evil.exe", b"MZ content") + b"rest"
    found = ole1.parse_package(data, 4, len(data))
    assert found
    assert found.names == ("evil.exe",)
    assert data[found.start : found.stop] == b"MZ content"


def test_package_head_is_enough() -> None:
    data = ole_package(b"evil.exe", b"x" * 5000)
    found = ole1.parse_package(data[:200], 0, len(data))
    assert found
    assert data[found.start : found.stop] == b"x" * 5000


@given(st.binary(max_size=200))
def test_never_raises(data: bytes) -> None:
    found = ole1.parse_object(data)
    assert found is None or 0 <= found.start <= found.stop <= len(data)
    package = ole1.parse_package(b"\2\0" + data, 0, len(data) + 2)
    assert package is None or package.start <= len(data) + 2
