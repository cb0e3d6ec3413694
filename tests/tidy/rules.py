"""The rules of the house: which room may know what, and what the tree of files looks like.

check(root) returns one line per violation, "file:line: what is wrong; why". The rooms and arrows are drawn in
README.md; this file is the same drawing for a machine. tidy_test.py runs it over the repository and over planted
violations.
"""

import re
import subprocess
from pathlib import Path

# Room -> the rooms that it may include (itself is always allowed). A file belongs to the longest room that matches.
ARROWS = {
    "routing/base": [],
    "compat": ["routing/base"],
    "routing": ["routing/base"],
    "routing/peer": ["routing/base", "routing"],
    "routing/queue": ["routing/base", "routing"],
    "routing/node": ["routing/base", "routing", "routing/peer", "routing/queue"],
    "routing/sim": ["routing/base", "routing", "routing/peer", "routing/queue", "routing/node"],
    "gateway": None,  # None: every room of the product
    "gateway/io": ["routing/base", "gateway"],
    "gateway/store": ["routing/base", "routing", "routing/queue", "gateway"],
    "gateway/cli": None,
    "gateway/bridge": None,
    "gateway/auth": None,
    "gateway/monitor": None,
}
WHY_ARROW = {
    "routing/base": "the base depends on nothing but the standard library",
    "compat": "compat speaks NATS and does not know who routes",
    "routing": "the core decides without knowing a protocol or the system",
    "routing/queue": "durable logic is pure and does not know how gateways talk",
    "gateway/io": "io moves bytes and does not know what they mean",
    "gateway/store": "the store executes commands and does not know where they come from",
}

# Pure rooms: no IO, no clock, no thread, no log.
PURE = ["routing/base", "routing", "routing/peer", "routing/queue", "routing/node", "routing/sim", "compat"]

# Headers of libraries: (pattern, folders that may include them, why).
LIBRARIES = [
    (r"uv\.h$|uv/", ["gateway/io"], "libuv is seen by gateway/io alone"),
    (r"rocksdb/", ["gateway/store"], "RocksDB is seen by gateway/store alone"),
    (r"msgpack(\.h|/)", ["routing/peer"], "msgpack is seen by routing/peer alone"),
    (r"zstd\.h$", ["routing/peer"], "zstd is seen by routing/peer (compress.cc) alone"),
    (r"(nats/)?nats\.h$|nats/", ["gateway/cli", "gateway/bridge", "tests", "examples"],
     "nats.c is a client: it is seen by gateway/cli, gateway/bridge, tests and examples"),
    (r"openssl/", ["gateway", "tests"], "keys and TLS belong to the shell"),
    (r"nlohmann/", ["compat", "routing/node", "gateway", "tests"], "JSON belongs to compat, to the $TREE requests and to the shell"),
    (r"tsl/", ["compat", "routing", "routing/peer", "routing/queue", "routing/node", "routing/sim", "gateway", "tests"],
     "routing/base is made of the standard library alone"),
    (r"fmt/", ["compat", "routing", "routing/peer", "routing/queue", "routing/node", "routing/sim", "gateway", "tests"],
     "routing/base is made of the standard library alone"),
    (r"catch2/", ["tests"], "Catch2 is for tests"),
]

STANDARD = set("""
algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits clocale cmath
codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime
cuchar cwchar cwctype deque exception execution filesystem forward_list fstream functional future initializer_list iomanip ios
iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex new numbers numeric optional ostream
queue random ranges ratio regex scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept
stop_token streambuf string string_view syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map
unordered_set utility valarray variant vector version
""".split())
# <chrono> has types and <cstdio> has snprintf, so these two may come in; IMPURE below watches what is used of them.
NOT_PURE = set("""
barrier condition_variable csignal ctime execution filesystem fstream future iostream latch mutex random
semaphore shared_mutex stop_token syncstream thread
""".split())
# Headers of C, POSIX and Linux: the system, so only for the shell, tests and examples.
SYSTEM = re.compile(r"^(sys|netinet|arpa|linux|net)/\w+\.h$|^[a-z0-9_]+\.h$")

IMPURE = [
    (re.compile(r"\b(system_clock|steady_clock|high_resolution_clock)::now\b|\bclock_gettime\b|\bgettimeofday\b"), "time is an argument here"),
    (re.compile(r"\bstd::(thread|jthread|mutex|async)\b"), "no threads here"),
    (re.compile(r"\bstd::(random_device|mt19937\w*|uniform_\w+_distribution|shuffle)\b|\b(s?rand)\s*\("),
     "randomness is an argument (base::Prng), and the standard library's differs between versions"),
    (re.compile(r"\b(printf|fprintf|puts|perror|fopen|getenv|std::cout|std::cerr)\b"), "no input, output or environment here"),
]
EXEMPT = {"routing/base/check.h"}  # a failed assertion says its last words before it aborts
IN_TESTS = [
    (re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\b"), "a test does not sleep: it waits for what it wants to see"),
]
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "gateway", "routing", "compat", "tests", "examples", "helm"}
LINES_MAX = 700  # one idea per file
TEXT = {".cc", ".h", ".c", ".py", ".sh", ".md", ".txt", ".json", ".wire", ".yaml", ".yml", ".cmake", ""}
CODE = {".cc", ".h", ".c"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    """The room of a file given relative to the root, or None outside the product."""
    best = None
    for room in ARROWS:
        if path.startswith(room + "/") and (best is None or len(room) > len(best)):
            best = room
    return best


def owner_of(path):
    """The folder that the rules for libraries speak of: the room, or the first folder outside the product."""
    return room_of(path) or path.split("/")[0]


def files_of(root):
    """All files that belong to the repository (known to git or about to be), relative to the root."""
    root = Path(root)
    try:
        out = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"], check=True, capture_output=True).stdout
        names = [name for name in out.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and not p.relative_to(root).parts[0].startswith((".git", "build"))]
    return sorted(name for name in names if (root / name).is_file())


def without_comments(text):
    """The text with comments and string contents blanked, line structure kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def check_includes(root, names):
    known = set(names)
    for name in names:
        if Path(name).suffix not in CODE:
            continue
        room, owner = room_of(name), owner_of(name)
        for number, line in enumerate((Path(root) / name).read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, header = match.groups()
            where = f"{name}:{number}"
            if quote == '"':
                yield from check_own(where, name, room, header, known)
            else:
                yield from check_library(where, room, owner, header)


def check_own(where, name, room, header, known):
    target = room_of(header)
    if target is None:
        if room is None and (header in known or str(Path(name).parent / header) in known):
            return
        yield f'{where}: "{header}" is not a header of a room; write includes from the root, and libraries in <>'
        return
    if header not in known:
        yield f'{where}: "{header}" does not exist'
    if room is None or target == room:
        return
    allowed = ARROWS[room]
    if allowed is not None and target not in allowed:
        why = WHY_ARROW.get(room, "the arrows of tests/tidy/README.md do not go there")
        yield f'{where}: {room} may not include "{header}"; {why}'


def check_library(where, room, owner, header):
    if header in STANDARD:
        if room in PURE and header in NOT_PURE:
            yield f"{where}: <{header}> in a pure room; no IO, clock, thread or library randomness in {room}"
        return
    for pattern, owners, why in LIBRARIES:
        if re.match(pattern, header):
            if not any(owner == o or (o == "gateway" and owner.startswith("gateway/")) for o in owners):
                yield f"{where}: <{header}> does not belong in {owner}; {why}"
            return
    if SYSTEM.match(header):
        if room in PURE:
            yield f"{where}: <{header}> is the system; {room} is pure"
        return
    yield f"{where}: <{header}> is of a library that tests/tidy/rules.py does not know; add it there with the rooms that may see it"


def check_text(root, names):
    for name in names:
        path = Path(root) / name
        if path.suffix not in TEXT or name == "LICENSE":
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        lines = text.splitlines()
        if not name.startswith("tests/tidy/"):
            for number, line in enumerate(lines, 1):
                if UNFINISHED.search(line):
                    yield f"{name}:{number}: says that it is unfinished; finish it, or write an issue"
        if path.suffix not in CODE:
            continue
        if len(lines) > LINES_MAX:
            yield f"{name}:{len(lines)}: more than {LINES_MAX} lines; one idea per file"
        if path.suffix == ".h" and "#pragma once" not in text:
            yield f"{name}:1: a header without #pragma once"
        rules = [] if name in EXEMPT else IMPURE if room_of(name) in PURE else IN_TESTS if name.startswith(("tests/unit/", "tests/sim/")) else []
        for number, line in enumerate(without_comments(text).splitlines() if rules else [], 1):
            for pattern, why in rules:
                if pattern.search(line):
                    yield f"{name}:{number}: {pattern.search(line).group(0)}: {why}"


def check_layout(names):
    for top in sorted({name.split("/")[0] for name in names}):
        if top not in TOP_LEVEL and not top.startswith("."):
            yield f"{top}: is not in the layout of the top level; {', '.join(sorted(TOP_LEVEL))} and dot files are"


def check_readmes(names):
    known = set(names)
    folders = {room_of(name) for name in names if Path(name).suffix in CODE} - {None}
    for folder in sorted(folders) + ["tests", "tests/bench", "tests/tidy", "examples"]:
        if f"{folder}/README.md" not in known:
            yield f"{folder}/README.md: is missing; each room says on one page what it does and what it leaves to others"


def check(root, readmes=True):
    """All violations in the tree under `root`, as lines."""
    names = files_of(root)
    problems = list(check_layout(names)) + list(check_includes(root, names)) + list(check_text(root, names))
    if readmes:
        problems += check_readmes(names)
    return problems
