"""Reading speed: our scanner, the standard library's parser and fast-mail-parser on the same messages in one run.

    python benchmarks/reading.py [--seconds N]

The first table compares what builds a tree of parts.  Ours gives byte positions
and decodes nothing, which is all that it needs until an engine asks for a part;
fast-mail-parser's tree is asked for without decoding too; `email` has no such mode.
The second table compares tree and all bodies decoded.
Times are the best of several rounds, interleaved; the table has the ratio to ours.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import sys
import time
from collections.abc import Callable

import messages

from lazaretto.limits import DEFAULT
from lazaretto.mime.scanner import parse
from lazaretto.mime.source import Source
from lazaretto.mime.transfer import decode
from lazaretto.mime.tree import walk

Reader = Callable[[bytes], object]


def ours(data: bytes) -> object:
    return parse(Source(data), DEFAULT)


def ours_decoded(data: bytes) -> object:
    source = Source(data)
    size = 0
    for part in walk(parse(source, DEFAULT)):
        if not part.children:
            size += sum(len(chunk) for chunk in decode(source, part.body, part.encoding))
    return size


def stdlib(data: bytes) -> object:
    return email.message_from_bytes(data)


def stdlib_default(data: bytes) -> object:
    return email.message_from_bytes(data, policy=email.policy.default)


def stdlib_decoded(data: bytes) -> object:
    return [part.get_payload(decode=True) for part in email.message_from_bytes(data).walk() if not part.is_multipart()]


def readers() -> tuple[dict[str, Reader], dict[str, Reader]]:
    """Name -> function, for the two tables; fast-mail-parser only where it is installed."""
    trees: dict[str, Reader] = {"lazaretto": ours, "email compat32": stdlib, "email default": stdlib_default}
    decoded: dict[str, Reader] = {"lazaretto": ours_decoded, "email compat32": stdlib_decoded}
    try:
        import fast_mail_parser
    except ImportError:
        print("fast-mail-parser is not installed: left out", file=sys.stderr)
    else:
        trees["fast-mail-parser"] = lambda data: fast_mail_parser.parse_email_tree(data, mode="metadata")
        decoded["fast-mail-parser"] = lambda data: fast_mail_parser.parse_email_tree(data, mode="full")
    return trees, decoded


def measure(functions: dict[str, Reader], data: bytes, seconds: float) -> dict[str, float]:
    """Best time of one call, for each function; the rounds take `seconds` together."""
    best = dict.fromkeys(functions, float("inf"))
    stop = time.perf_counter() + seconds
    while True:
        for name, function in functions.items():
            calls = max(1, min(200, int(0.005 / best[name])))
            started = time.perf_counter()
            for _ in range(calls):
                function(data)
            best[name] = min(best[name], (time.perf_counter() - started) / calls)
        if time.perf_counter() > stop:
            return best


def table(functions: dict[str, Reader], samples: dict[str, bytes], seconds: float) -> None:
    print(
        "| message | bytes | "
        + " | ".join(f"{name} ms" for name in functions)
        + " | "
        + " | ".join(f"{name} / ours" for name in list(functions)[1:])
        + " |"
    )
    print("| --- |" + " --- |" * (2 * len(functions)))
    for title, data in samples.items():
        best = measure(functions, data, seconds)
        own = best["lazaretto"]
        cells = [f"{value * 1000:.3f}" for value in best.values()] + [
            f"{value / own:.2f}" for name, value in best.items() if name != "lazaretto"
        ]
        print(f"| {title} | {len(data):,} | " + " | ".join(cells) + " |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare readers of messages.")
    parser.add_argument("--seconds", type=float, default=2, help="for each message and table (default 2)")
    options = parser.parse_args()
    samples = {
        "text": messages.text(5_000),
        "alternative": messages.alternative(20_000),
        "attachment 100 kB": messages.with_attachment(100_000),
        "attachment 5 MB": messages.with_attachment(5_000_000),
        "attachment 25 MB": messages.with_attachment(25_000_000),
        "digest of 500": messages.digest(500),
    }
    trees, decoded = readers()
    print("## Tree of parts\n")
    table(trees, samples, options.seconds)
    print("\n## Tree and all bodies decoded\n")
    table(decoded, samples, options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
