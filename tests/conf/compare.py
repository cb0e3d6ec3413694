"""The corpus of config files, read with -t by stock nats-server and by treegate: they must agree.

    good/      both take it, with the same digest: it was understood equally to the last byte
    bad/       both refuse it, and name the same lines where stock names lines
    stricter/  stock takes it, treegate refuses it; gateway/conf/README.md says why
    kinder/    the other way round

usage: compare.py STOCK TREEGATE [name...]     exit code 77: there is no stock server here
"""

import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ENVIRONMENT = {"CONF_TEXT": "from-the-env", "CONF_PORT": "4222", "CONF_UNIT": "8k", "CONF_LIST": "[a, 'b']", "CONF_QUOTED": "'123'",
               "CONF_OTHER": "$CONF_QUOTED", "CONF_LOOP": "$CONF_LOOP2", "CONF_LOOP2": "$CONF_LOOP", "CONF_BAD": "{ a: 1"}
WANTED = {"good": (0, 0), "bad": (1, 1), "stricter": (0, 1), "kinder": (1, 0)}


def test(binary, path):
    """The exit code, the digest, the lines that are named, all that was said."""
    run = subprocess.run([binary, "-t", "-c", path.name], capture_output=True, text=True, cwd=path.parent, env={**os.environ, **ENVIRONMENT}, timeout=60)
    digest = re.search(r"sha256:[0-9a-f]{64}", run.stderr)
    lines = {(file, int(line)) for file, line in re.findall(r"(?:^|: )([\w/]+\.conf):(\d+):\d+: ", run.stderr, re.M)}
    return run.returncode, digest and digest.group(), lines, run.stderr.strip()


def main():
    stock, treegate = (Path(path).absolute() for path in sys.argv[1:3])
    names = sys.argv[3:]
    if not stock.exists():
        print(f"no stock server at {stock}: tests/setup stock builds it")
        return 77
    failed = count = 0
    for kind, wanted in WANTED.items():
        for path in sorted((FOLDER / kind).glob("*.conf")):
            if names and not any(name in path.stem for name in names):
                continue
            count += 1
            theirs, ours = test(stock, path), test(treegate, path)
            wrong = []
            if (theirs[0], ours[0]) != wanted:
                wrong.append(f"exit codes {theirs[0]} and {ours[0]}, not {wanted[0]} and {wanted[1]}")
            if kind == "good" and theirs[1] != ours[1]:
                wrong.append("another digest")
            if kind == "bad" and theirs[2] and theirs[2] != ours[2]:
                wrong.append(f"stock names {sorted(theirs[2])}, treegate {sorted(ours[2])}")
            if wrong:
                failed += 1
                print(f"{kind}/{path.name}: {'; '.join(wrong)}\n  stock:    {theirs[3]}\n  treegate: {ours[3]}")
    print(f"{count} config files, {failed} read differently")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
