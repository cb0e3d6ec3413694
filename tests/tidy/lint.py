#!/usr/bin/env python3
"""Runs clang-format and clang-tidy, both 14, over the repository.

    tests/tidy/lint.py format [--fix]     every C++ and C file against .clang-format
    tests/tidy/lint.py tidy [build/dev [FILE...]]   every .cc of the rooms, or these, against .clang-tidy, with that build's flags

clang-tidy is slow, so a file that came out clean is remembered under the hash of all that went into the verdict: its
own text, every project header that it reaches, its flags, the checks and the tool's version. The memory lives in
$TREEGATE_LINT_CACHE, else ~/.cache/treegate-lint. The last line counts: "= N passed, N failed, N skipped".
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import rules

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("TREEGATE_LINT_CACHE", Path.home() / ".cache" / "treegate-lint"))
CACHED_MAX = 4000  # verdicts kept; the oldest go first
SECONDS_MAX = 300  # for one file
# The static analyzer's shallow mode: it steps into small functions only and gives up earlier on each.  In its deep mode it
# loses itself in the standard library's templates: in twice the time it found 17 of 35 null pointers that were written
# into functions of four of our files for the purpose, in the shallow mode 26.
ANALYZER = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "mode=shallow")]


def conclude(passed, failed):
    print(f"= {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


def check_format(fix):
    files = [name for name in rules.files_of(ROOT) if Path(name).suffix in rules.CODE]
    bad = []
    for name in files:
        wanted = subprocess.run(["clang-format-14", name], cwd=ROOT, capture_output=True, check=True).stdout
        path = ROOT / name
        if wanted != path.read_bytes():
            bad.append(name)
            if fix:
                path.write_bytes(wanted)
    for name in bad:
        print(f"{name}: {'formatted' if fix else 'is not formatted; run tests/tidy/lint.py format --fix'}")
    return conclude(len(files) - (0 if fix else len(bad)), 0 if fix else len(bad))


def reached(name, known):
    """The file and every project header that it includes, directly or not, sorted."""
    seen, todo = set(), [name]
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        for line in (ROOT / one).read_text(errors="replace").splitlines():
            match = rules.INCLUDE.match(line)
            if match and match.group(2) in known:
                todo.append(match.group(2))
    return sorted(seen)


def tool_version():
    return subprocess.run(["clang-tidy-14", "--version"], capture_output=True, check=True).stdout


def verdict_key(name, arguments, known, version):
    digest = hashlib.sha256(version + (ROOT / ".clang-tidy").read_bytes() + " ".join(ANALYZER).encode())
    digest.update("\0".join(a.replace(str(ROOT), ".") for a in arguments).encode())
    for one in reached(name, known):
        digest.update(one.encode() + b"\0" + (ROOT / one).read_bytes())
    return digest.hexdigest()


def lint_one(name, build, key):
    memory = CACHE / key
    if memory.exists():
        memory.touch()
        return name, True, "", True
    try:
        run = subprocess.run(["clang-tidy-14", "-p", str(build), "--quiet", "--extra-arg=-Wno-unknown-warning-option", *ANALYZER,
                              name], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return name, False, f"{name}: clang-tidy took more than {SECONDS_MAX} s", False
    if run.returncode == 0:
        memory.touch()
    return name, run.returncode == 0, run.stdout + (run.stderr if run.returncode else ""), False


def forget_oldest():
    verdicts = sorted(CACHE.iterdir(), key=lambda p: p.stat().st_mtime)
    for old in verdicts[:-CACHED_MAX]:
        old.unlink()


def check_tidy(build, wanted=()):
    commands = ROOT / build / "compile_commands.json"
    if not commands.exists():
        print(f"{build}/compile_commands.json is missing; configure first: cmake --preset dev")
        return conclude(0, 1)
    CACHE.mkdir(parents=True, exist_ok=True)
    known, version, jobs = set(rules.files_of(ROOT)), tool_version(), []
    for entry in json.loads(commands.read_text()):
        path = Path(entry["file"])
        name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else ""
        if rules.room_of(name) is None or (wanted and name not in wanted):
            continue
        arguments = [a for a in shlex.split(entry["command"]) if not re.search(r"ccache$|\.o$", a)]
        jobs.append((name, verdict_key(name, arguments, known, version)))
    unknown = sorted(set(wanted) - {name for name, _ in jobs})
    for name in unknown:
        print(f"{name}: no source file of a room")
    passed, failed, remembered = 0, len(unknown), 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for name, ok, text, cached in pool.map(lambda job: lint_one(job[0], ROOT / build, job[1]), sorted(set(jobs))):
            passed, failed, remembered = passed + ok, failed + (not ok), remembered + cached
            if not ok:
                print(text, flush=True)
    forget_oldest()
    print(f"clang-tidy: {passed + failed - len(unknown)} files, {remembered} of them unchanged since they came out clean")
    return conclude(passed, failed)


def main(arguments):
    if arguments[:1] == ["format"]:
        return check_format("--fix" in arguments)
    if arguments[:1] == ["tidy"]:
        return check_tidy(Path(arguments[1] if len(arguments) > 1 else "build/dev"), arguments[2:])
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
