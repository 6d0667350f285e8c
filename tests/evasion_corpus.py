"""The evasion corpus and its oracle, where the checkout of the shared data stands beside ours."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

SHARED = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "..", "shared"))
CASES = os.path.join(SHARED, "corpus", "evasion", "cases")
MISSING = "the shared corpus is not beside this checkout"


def available() -> bool:
    return os.path.isdir(CASES)


@cache
def oracle() -> Any:
    """The corpus' own judge of outputs."""
    spec = importlib.util.spec_from_file_location("evasion_oracle", os.path.join(SHARED, "corpus", "evasion", "oracle.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(kind: str) -> list[dict[str, Any]]:
    """The cases of a kind: "evasion" or "control"."""
    found = []
    for name in sorted(os.listdir(CASES)) if available() else ():
        if name.endswith(".json"):
            with open(os.path.join(CASES, name), encoding="utf-8") as file:
                meta = json.load(file)
            if meta["kind"] == kind:
                found.append(meta)
    return found


def originals(meta: Mapping[str, Any]) -> list[bytes]:
    result = []
    for name in meta["files"]:
        with open(os.path.join(CASES, name), "rb") as file:
            result.append(file.read())
    return result


def reachable(payload: bytes, outputs: Sequence[bytes]) -> str:
    """The oracle's verdict on messages that should not contain `payload`."""
    meta = {"kind": "evasion", "markers": [payload.decode("latin-1")], "banned_name": None, "special": "password"}
    return str(oracle().judge(meta, list(outputs))["verdict"])
