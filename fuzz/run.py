"""Run every fuzz target for some seconds: mutate its seeds, call it, keep what breaks it.

    python fuzz/run.py [--seconds N] [-j JOBS] [--seed S] [NAME]
    python fuzz/run.py NAME FILE            run one stored input again

A target is fuzz/fuzz_NAME.py with `target(data: bytes) -> None`, which asserts
what must hold for any input, and `SEEDS: list[bytes]`.  It fails by raising
anything, or by taking longer than CAP_S for one input.  What broke it is written
to fuzz/crashes/, with the command that runs it again.

The mutations are those that find bugs in mail readers: flipped bits, cuts,
splices of two seeds, repeated blocks, numbers at their limits, and a small
alphabet that makes noise look like delimiters, fields and encodings.

Limits:  one input stays under MAX_BYTES; CAP_S each.
Errors:  exit status 1 if any target failed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, NoReturn

HERE = Path(__file__).resolve().parent
CRASHES = HERE / "crashes"
CAP_S = 5
MAX_BYTES = 64 << 10
MAX_FAILURES = 3  # of one target: further ones mostly repeat
TOKENS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"--",
        b"--b",
        b"--b--\r\n",
        b"\r\n--b\r\n",
        b"=",
        b"==",
        b"=\r\n",
        b"=3D",
        b"\0",
        b"\t",
        b" ",
        b";",
    ),
    *(
        b":",
        b'"',
        b"'",
        b"(",
        b")",
        b"\\",
        b"=?utf-8?B?",
        b"?=",
        b"*0*=",
        b"%00",
        b"begin 644 a.exe\r\n",
        b"`\r\nend\r\n",
        b"=ybegin line=128",
    ),
    *(b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Transfer-Encoding: base64\r\n", b"Content-Type: message/rfc822\r\n\r\n"),
    *(
        b"PK\x03\x04",
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"\x1f\x8b\x08",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x80\x00\x00\x00",
    ),
)
ALPHABETS = (b"-b\r\n", b"=3D\r\n AB", b'ab:; ="\\(\r\n\t', b"ABCDabcd+/=\r\n", b"\0\x01\xff", b"`!M#\r\n begin644d")


class Target(NamedTuple):
    name: str
    call: Callable[[bytes], None]
    seeds: list[bytes]


def load(name: str) -> Target:
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", HERE / f"fuzz_{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Target(name, module.target, list(module.SEEDS) or [b""])


def mutate(data: bytes, seeds: list[bytes], rng: random.Random) -> bytes:
    """One to eight changes of `data`."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        at = rng.randrange(len(out) + 1)
        length = min(len(out) - at, rng.choice((1, 2, 4, 16, 100, 1000)))
        match rng.randrange(10):
            case 0 if out:  # flip a bit
                out[min(at, len(out) - 1)] ^= 1 << rng.randrange(8)
            case 1:  # cut a block
                del out[at : at + length]
            case 2:  # cut the end
                del out[at:]
            case 3:  # repeat a block; sometimes very often, where the quadratic hides
                out[at:at] = out[at : at + length] * rng.choice((1, 2, 3, 50, 2000))
            case 4:  # move a block
                block = out[at : at + length]
                del out[at : at + length]
                where = rng.randrange(len(out) + 1)
                out[where:where] = block
            case 5:  # splice with another seed
                other = rng.choice(seeds)
                cut = rng.randrange(len(other) + 1)
                out[at:] = other[cut:]
            case 6:  # a block of noise from a small alphabet
                alphabet = rng.choice(ALPHABETS)
                out[at : at + length] = bytes(rng.choice(alphabet) for _ in range(length))
            case 7:  # random bytes
                out[at : at + length] = rng.randbytes(length)
            case _:
                out[at : at + rng.choice((0, 0, length))] = rng.choice(TOKENS)
        del out[MAX_BYTES:]
    return bytes(out)


class TooSlow(BaseException):
    """Not an Exception, so that no parser can catch it."""


def too_slow(*_: object) -> NoReturn:
    raise TooSlow(f"one input took more than {CAP_S} s")


def fails(target: Target, data: bytes) -> str | None:
    """The traceback, if `data` breaks the target."""
    started = time.monotonic()
    signal.alarm(CAP_S)
    try:
        target.call(data)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a native library may raise something that is no Exception
        return traceback.format_exc()
    finally:
        signal.alarm(0)
    # Native code is not interrupted: the alarm comes when it is done, perhaps after the call.
    return None if time.monotonic() - started < CAP_S else f"one input took more than {CAP_S} s\n"


def keep(name: str, data: bytes) -> str:
    path = CRASHES / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return f"again: python fuzz/run.py {name} fuzz/crashes/{path.name}"


def fuzz(name: str, seconds: float, seed: int) -> int:
    """Fuzz one target, until its time is up or it failed often enough; returns the number of failures."""
    target = load(name)
    CRASHES.mkdir(exist_ok=True)
    running = CRASHES / f"{name}-running"  # what a crash of the interpreter leaves behind
    rng = random.Random(f"{name}-{seed}")
    slowest = 0.0
    inputs = failures = 0
    stop = time.monotonic() + seconds
    with running.open("wb", buffering=0) as file:
        while (started := time.monotonic()) < stop and failures < MAX_FAILURES:
            data = target.seeds[inputs] if inputs < len(target.seeds) else mutate(rng.choice(target.seeds), target.seeds, rng)
            file.seek(0)
            file.truncate()
            file.write(data)
            trace = fails(target, data)
            inputs += 1
            slowest = max(slowest, time.monotonic() - started)
            if trace is not None:
                failures += 1
                print(trace + keep(name, data))
    running.unlink()
    print(f"{name:<16}{inputs:>9} inputs, slowest {slowest * 1000:>7.1f} ms: {f'{failures} FAILED' if failures else 'ok'}")
    return failures


def alone(name: str, seconds: float, seed: int) -> int:
    """Fuzz one target in a process of its own: it may crash, and what it leaves in memory touches no other."""
    command = [sys.executable, __file__, name, "--seconds", str(seconds), "--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode < 0:
        done.stdout += (
            f"{name}: killed by {signal.Signals(-done.returncode).name}; again: python fuzz/run.py {name} fuzz/crashes/{name}-running\n"
        )
    print(done.stdout, end="", flush=True)
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the fuzz targets.")
    parser.add_argument("name", nargs="?", help="one target (default: all)")
    parser.add_argument("file", nargs="?", type=Path, help="one stored input for that target")
    parser.add_argument("--seconds", type=float, default=30, help="for each target (default 30)")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="targets side by side")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers: the same seed makes the same inputs")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, too_slow)
    if options.file:
        trace = fails(load(options.name), options.file.read_bytes())
        print(trace or "passes")
        return int(trace is not None)
    if options.name:
        return int(fuzz(options.name, options.seconds, options.seed) > 0)
    names = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))
    with ThreadPoolExecutor(options.jobs) as pool:
        codes = list(pool.map(lambda name: alone(name, options.seconds, options.seed), names))
    print(f"{len(names)} targets, {sum(map(bool, codes))} failed")
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
