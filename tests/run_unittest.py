#!/usr/bin/env python3
"""Runs unittest modules of a folder one test after the other and ends with a line "N passed, N failed, N skipped".

usage: run_unittest.py FOLDER [MODULE[.CLASS[.TEST]]...]      default: every test_*.py of the folder

Each test has a time limit (SIS_TEST_LIMIT_S, 600 seconds): one that hangs fails, with the line it hung in, and the
others still run. The exit code is 0 if none failed and at least one passed.
"""

import os
import pathlib
import signal
import sys
import time
import unittest

LIMIT_S = int(os.environ.get("SIS_TEST_LIMIT_S", "600"))


class TooLong(AssertionError):
    """The test did not end within its time limit."""


def on_alarm(_number, _frame):
    raise TooLong(f"the test ran for more than {LIMIT_S} s")


class Result(unittest.TextTestResult):
    """Prints each test with the time it took and puts it under a time limit."""

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        signal.alarm(LIMIT_S)

    def stopTest(self, test):
        signal.alarm(0)
        self.stream.write(f"    {time.monotonic() - self.started:.1f} s\n")
        self.stream.flush()
        super().stopTest(test)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1]).resolve()
    names = sys.argv[2:] or sorted(path.stem for path in folder.glob("test_*.py"))
    sys.path.insert(0, str(folder))
    signal.signal(signal.SIGALRM, on_alarm)
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(resultclass=Result, verbosity=2, stream=sys.stdout).run(suite)
    # A test with failing subtests is one failed test.
    failed = len({str(getattr(test, "test_case", test)) for test, _ in result.failures + result.errors})
    failed += len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    passed = result.testsRun - failed - skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
