"""Write requirements-dev.txt: every development dependency, pinned and hashed.

The input is the project's own pyproject.toml (dependencies and all extras, the
build system too, so that nothing is fetched unpinned); pip-compile resolves it.
The result names no package index: pip uses the one the machine is set up for.

    python scripts/lock.py [pip-compile options, such as --upgrade]

See: `make lock`, which runs this in an environment of its own
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements-dev.txt"
HEADER = "# Development dependencies with hashes: written by `make lock`, read by `make test`.\n"
PIP_COMPILE = [sys.executable, "-m", "piptools", "compile", "--generate-hashes", "--allow-unsafe", "--strip-extras"]
PIP_COMPILE += ["--no-header", "--no-annotate", "--quiet", "--no-emit-options"]
PIP_COMPILE += ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]


def requirements() -> list[str]:
    """All requirement lines of pyproject.toml, our own extras left out: they are in the list themselves."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        data = tomllib.load(file)
    project = data["project"]
    groups = [project["dependencies"], data["build-system"]["requires"], *project["optional-dependencies"].values()]
    return sorted({line for group in groups for line in group if not line.startswith(project["name"] + "[")})


def main(options: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "requirements.in")
        source.write_text("\n".join(requirements()) + "\n")
        target = Path(folder, "requirements.txt")
        if LOCK.exists():  # pip-compile keeps the pins of an existing output unless told to upgrade
            target.write_text(LOCK.read_text())
        done = subprocess.run([*PIP_COMPILE, *options, "-o", str(target), str(source)], check=False)
        if done.returncode:
            return done.returncode
        lines = target.read_text().splitlines()
    kept = [line for line in lines if re.match(r"[A-Za-z0-9]|    --hash=", line)]
    LOCK.write_text(HEADER + "\n".join(kept) + "\n")
    print(f"{LOCK.name}: {sum(not line.startswith(' ') for line in kept)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
