"""Engine "yara": YARA-X in this process, with own rules and the administrator's.

Metadata of a rule say what a match means: `kind` ("malware" if absent, "active",
"banned"), `name` of the finding (else the rule's own), `description`, and
`raw = false` for rules that are not about the raw message.

Compiling takes 50 ms, so compiled rules are kept in a file; the file is used only
if it was made from the same texts by the same YARA-X, is whole, and nobody else
could have written it (compiled rules are code).  Without a cache, or if it cannot
be written, rules are compiled at each start.

Limits:  ctx.deadline, rounded up to whole seconds (YARA-X has no finer clock);
         MAX_MATCHES per pattern.  Content in a file is mapped, never copied.
Errors:  ConfigError for rules that do not compile: file, line and what the
         compiler says.  EngineError TIMEOUT, and DOWN if the library fails: its
         panics are BaseExceptions, which `except Exception` would let through.
BUGS:    The clock of YARA-X is a thread started by the first scan.  It does not
         survive a fork: fork before the first scan, or rely on the parent to kill.
See:     docs/engines.md, rules/*.yar
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from lazaretto.engines import descriptor
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.options import Options
from lazaretto.errors import ConfigError, EngineError
from lazaretto.limits import MIB
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Item, Kind, Reason

if TYPE_CHECKING:
    from yara_x import Rules, ScanResults

OWN_RULES = os.path.join(os.path.dirname(__file__), "rules")
MAX_MATCHES = 10_000  # per pattern; YARA-X keeps a million, and hostile content would make that many
MAX_CACHE_BYTES = 256 * MIB  # a cache file larger than this is not ours
_SMALL = 1 << 16  # content in a file up to this size is copied: cheaper than opening and mapping
_COPY_MAX = 32 * MIB  # mapped content without a descriptor must be copied: not more than this
_KINDS = {"malware": Kind.MALWARE, "active": Kind.ACTIVE, "banned": Kind.BANNED}
_SUFFIXES = (".yar", ".yara")


class _Text(NamedTuple):
    """One file of rules."""

    path: str
    text: str


class Yara:
    """See the module.  Any thread may scan: each scan has a scanner of its own (20 µs; YARA-X binds them to threads)."""

    by_content = True

    def __init__(self, name: str, rules: Iterable[Rules], *, required: bool = True, ignore: Iterable[str] = ()) -> None:
        self.name = name
        self.required = required
        self._rules = tuple(rules)
        self._ignore = frozenset(ignore)

    @classmethod
    def from_config(cls, name: str, table: Mapping[str, object]) -> Yara:
        """Options: rules, own_rules, ignore, cache_dir, required."""
        options = Options(name, table)
        own, extra = options.flag("own_rules", True), options.texts("rules")
        cache_dir, ignore = options.text("cache_dir"), options.texts("ignore")
        required = options.flag("required", True)
        options.done()
        texts, compiled = [], []
        for path in ([OWN_RULES] if own else []) + list(extra):
            for file in rule_files(path):
                if file.endswith(".yarc"):
                    compiled.append(_load(_read(file), file))
                else:
                    texts.append(_Text(file, _read(file).decode("utf-8", "replace")))
        if not texts and not compiled:
            raise options.error("rules", "without own_rules, expected at least one file of rules")
        sets = [compile_cached(texts, cache_dir or None)] if texts else []
        return cls(name, sets + compiled, required=required, ignore=ignore)

    def wants(self, item: Item) -> bool:
        """Everything, also what the raw message showed: this engine is fast, and the finding then names the part."""
        return item.content.size > 0

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        """One finding for each name; the raw message gets only rules that are about it."""
        found: dict[str, Finding] = {}
        for rules in self._rules:
            for rule in self._scan(rules, item, ctx.deadline).matching_rules:
                meta = dict(rule.metadata)
                name = str(meta.get("name") or rule.identifier)
                if name in self._ignore or rule.identifier in self._ignore or (item.is_message and meta.get("raw") is False):
                    continue
                kind = _KINDS.get(str(meta.get("kind")), Kind.MALWARE)
                found.setdefault(name, Finding(self.name, kind, name, detail=str(meta.get("description", ""))))
        return list(found.values())

    def info(self, timeout_s: float) -> EngineInfo:  # noqa: ARG002 - nothing here waits
        """The library's version and how many rules there are."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("yara-x")
        except PackageNotFoundError:
            number = "unknown version"
        return EngineInfo(f"YARA-X {number}", f"{sum(1 for rules in self._rules for _ in rules)} rules")

    def close(self) -> None:
        """Nothing is kept."""

    def _scan(self, rules: Rules, item: Item, deadline: float) -> ScanResults:
        from yara_x import Scanner

        left = deadline - time.monotonic()
        if left <= 0:
            raise EngineError(Reason.TIMEOUT, "no time left")
        content = item.content
        path = descriptor.path_of(content) if content.size > _SMALL else None
        if path is None and not isinstance(content.data, bytes) and content.size > _COPY_MAX:
            raise EngineError(Reason.DOWN, f"{content.size} bytes that are in no file")
        try:
            scanner = Scanner(rules)
            scanner.fast_scan(True)
            scanner.max_matches_per_pattern(MAX_MATCHES)
            if left < 1 << 31:  # "no deadline" is float("inf")
                scanner.set_timeout(int(left) + 1)
            if path is not None:
                return scanner.scan_file(path)
            return scanner.scan(content.data if isinstance(content.data, bytes) else content.data[:])
        except BaseException as error:  # noqa: BLE001 - PanicException; _failed passes on what is not the library's
            _failed(error)


def _failed(error: BaseException) -> NoReturn:
    """EngineError for an exception that the library raised."""
    from yara_x import TimeoutError as YaraTimeoutError

    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error  # KeyboardInterrupt, SystemExit
    if isinstance(error, YaraTimeoutError):
        raise EngineError(Reason.TIMEOUT, "not done in time") from None
    raise EngineError(Reason.DOWN, f"{type(error).__name__}: {error}") from None


def rule_files(path: str) -> list[str]:
    """The file itself, or all *.yar, *.yara and *.yarc below the directory, sorted.  ConfigError if there is none."""
    if not os.path.isdir(path):
        return [path]
    files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    files = sorted(file for file in files if file.endswith((*_SUFFIXES, ".yarc")))
    if not files:
        raise ConfigError("no *.yar, *.yara or *.yarc file in this directory", path)
    return files


def compile_rules(texts: Iterable[_Text]) -> Rules:
    """ConfigError with file, line and the compiler's words.  Each file is a namespace, so rule names may repeat."""
    from yara_x import CompileError, Compiler

    # The cache is keyed by the files that we know; an include would bring in others.
    compiler = Compiler(includes_enabled=False)
    for path, text in texts:
        compiler.new_namespace(path)
        try:
            compiler.add_source(text, path)
        except CompileError as error:
            first = compiler.errors()[0]
            label = (first.get("labels") or [{}])[0].get("text") or ""
            what = f"{first.get('title') or error}" + (f": {label}" if label else "")
            raise ConfigError(what, path, int(first.get("line") or 0)) from None
    return compiler.build()


def compile_cached(texts: list[_Text], cache_dir: str | None) -> Rules:
    """The compiled rules, from the cache if it holds just these; the cache is brought up to date."""
    if cache_dir is None:
        return compile_rules(texts)
    sources = (b"%d %d\0" % (len(path), len(text)) + (path + text).encode("utf-8", "surrogateescape") for path, text in texts)
    key = _sha256(b"".join((_library_mark(), *sources)))
    # One file for each set of paths, so that changed texts replace it and nothing piles up.
    paths = _sha256("\0".join(path for path, _ in texts).encode("utf-8", "surrogateescape")).hex()[:16]
    file = os.path.join(cache_dir, f"rules-{paths}.yarc")
    cached = _read_cache(file)
    if cached is not None and cached[:32] == _sha256(key + cached[32:]):
        try:
            return _load(cached[32:], file)
        except ConfigError:
            pass  # whole, and yet not what this library reads
    rules = compile_rules(texts)
    _write_cache(file, rules, key)
    return rules


def _sha256(data: bytes) -> bytes:
    return Source(data).digest()


def _library_mark() -> bytes:
    """Which YARA-X this is.  Its version number would take importlib.metadata, which costs more than all else here."""
    import yara_x

    package = os.path.dirname(yara_x.__file__)
    marks = [
        f"{entry.name} {entry.stat().st_size} {entry.stat().st_mtime_ns}" for entry in os.scandir(package) if entry.name.endswith(".so")
    ]
    return "\n".join([package, os.uname().machine, *sorted(marks)]).encode()


def _read_cache(file: str) -> bytes | None:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as stream:
        status = os.fstat(fd)
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022 or status.st_size > MAX_CACHE_BYTES:
            return None
        try:
            return stream.read()
        except OSError:
            return None


def _write_cache(file: str, rules: Rules, key: bytes) -> None:
    """All or nothing; failing is no error, the next start compiles again."""
    import io

    stream = io.BytesIO()
    temporary = f"{file}.{os.getpid()}"
    try:
        rules.serialize_into(stream)
        payload = stream.getvalue()
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
            out.write(_sha256(key + payload) + payload)
        os.replace(temporary, file)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass


def _load(compiled: bytes, file: str) -> Rules:
    """ConfigError if the library cannot read it."""
    import io

    from yara_x import Rules

    try:
        return Rules.deserialize_from(io.BytesIO(compiled))
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ConfigError(f"not rules compiled by this version of YARA-X: {error}", file) from None


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise ConfigError(f"cannot read rules: {error.strerror}", file) from None
