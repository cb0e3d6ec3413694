"""Runs the unittest classes of a folder: one after the other, or several at a time, each class in a process of its own.

Prints a line per test, of each failed one the end of its servers' logs (all that `self.playground` holds), and at the end what failed and
the line that tests/run counts. Used by the `run` scripts of this folder and of tree/.
"""

import argparse
import contextlib
import logging
import re
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LOG_LINES = 40  # of each server, after a failure
COUNT = re.compile(r"^= (\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
FAILURE = re.compile(r"^(?:FAIL|ERROR): (.+)$", re.MULTILINE)  # as unittest heads it


class Result(unittest.TextTestResult):
    """Says each test's name and seconds in one line."""

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        self.stream.writeln(f"  {time.monotonic() - self.began:5.1f} s  {test.id().split('.', 1)[1].replace('_', ' ')}")
        self.stream.flush()

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.stream.writeln(f"  skipped: {test.id()}: {reason}")

    def addError(self, test, err):
        super().addError(test, err)
        self._logs(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._logs(test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._logs(test)

    def _logs(self, test):
        """While they are still there: cleanups come after this."""
        playground = getattr(test, "playground", None)
        self.stream.writeln(f"FAILED {test.id()}")
        for server in playground.servers if playground else []:
            with contextlib.suppress(OSError):
                self.stream.writeln(f"--- {server.name}, {server.state()}, the end of its log:\n{server.tail(LOG_LINES)}")
        self.stream.flush()


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def count_line(passed, failed, skipped):
    return f"= {passed} passed, {failed} failed, {skipped} skipped"


def run_in_turn(tests):
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0, resultclass=Result).run(unittest.TestSuite(tests))
    failed = len(result.failures) + len(result.errors)
    print(count_line(max(0, result.testsRun - failed - len(result.skipped)), failed, len(result.skipped)))
    return 1 if failed or not (result.testsRun or result.skipped) else 0


def run_at_once(script, tests, jobs):
    """Each class in a process of its own, `jobs` of them at a time; what one prints comes in one piece, and at the end what failed."""
    chosen = {}
    for test in tests:
        chosen.setdefault(".".join(test.id().split(".")[:2]), []).append(test.id())
    sums, failures = [0, 0, 0], []

    def work(item):
        name, ids = item
        began = time.monotonic()
        run = subprocess.run([sys.executable, "-B", script, "--exactly", *ids], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, text=True, errors="replace")
        said, counts = run.stdout, COUNT.search(run.stdout)
        if not counts:  # a class that cannot even be set up, or that dies, is one failure
            said += f"\nERROR: {name} ended with {run.returncode} before it was through"
        return name, COUNT.sub("", said).rstrip(), tuple(map(int, counts.groups())) if counts else (0, 1, 0), time.monotonic() - began

    with ThreadPoolExecutor(jobs) as pool:
        for name, said, counts, seconds in pool.map(work, chosen.items()):
            print(f"{said}\n  {seconds:5.1f} s  all of {name}", flush=True)
            sums = [a + b for a, b in zip(sums, counts)]
            failures += FAILURE.findall(said)
    for failure in failures:
        print(f"FAILED {failure}")
    print(count_line(*sums))
    return 1 if sums[1] or not sum(sums) else 0


def main(script, folder, jobs=1):
    """`script`: the file that called; `folder`: where the *_test.py are; `jobs`: classes at a time unless told otherwise."""
    parser = argparse.ArgumentParser(description=f"Runs the tests in {Path(folder).name}, all or those whose names contain one of the words.")
    parser.add_argument("--jobs", type=int, default=jobs, help="test classes at a time (default: %(default)s)")
    parser.add_argument("--exactly", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("word", nargs="*")
    options = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # unittest runs loops in debug mode, which tells of every slow step
    found = list(tests_of(unittest.defaultTestLoader.discover(str(folder), pattern="*_test.py")))
    if options.exactly:
        chosen = [test for test in found if test.id() in options.exactly]
    else:
        chosen = [test for test in found if not options.word or any(word in test.id() for word in options.word)]
    if options.exactly or options.jobs == 1:
        return run_in_turn(chosen)
    return run_at_once(script, chosen, options.jobs)
