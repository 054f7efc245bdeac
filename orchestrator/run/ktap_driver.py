# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the sandbox, alone: the KTAP of a file through the kernel tree's own parser, to JSON on standard output.

    python3 -I ktap_driver.py FOLDER FILE

FOLDER has the tree's tools/testing/kunit/kunit_parser.py. In FILE a line with a form feed stands between two documents.
Nothing of patchrig is imported here.
"""

import importlib
import json
import sys
from typing import Any

_MOST_LOG = 40


SEPARATOR = "\f"


def parsed(folder: str, texts: list[str]) -> list[dict[str, Any]]:
    """Every test, the outer ones before those in them, with the line that has its result."""
    sys.path.insert(0, folder)
    parser: Any = importlib.import_module("kunit_parser")
    original = parser.parse_test_result

    def with_line(stream: Any, test: Any, *more: Any) -> Any:
        # The parser keeps neither the reason of a skip nor what follows a failure.
        line = stream.peek()
        found = original(stream, test, *more)
        test.patchrig_line = line if found else ""
        return found

    parser.parse_test_result = with_line
    return [test for text in texts for test in _flat(_parsed(parser, text.split("\n")), ())]


def _parsed(parser: Any, lines: list[str]) -> Any:
    try:
        printer: Any = importlib.import_module("kunit_printer").Printer(print=False)
        parser.stdout = printer
        return parser.parse_run_tests(lines, printer)
    except TypeError:
        # Before Linux 6.14 it took no printer.
        return parser.parse_run_tests(lines)


def _flat(top: Any, names: tuple[str, ...]) -> Any:
    waiting = [(test, names) for test in reversed(top.subtests)]
    while waiting:
        test, outer = waiting.pop()
        path = (*outer, str(test.name).strip())
        yield {
            "path": path,
            "status": getattr(test.status, "name", ""),
            "line": getattr(test, "patchrig_line", ""),
            "log": [str(line) for line in test.log[-_MOST_LOG:]],
            "group": bool(test.subtests),
        }
        waiting += [(inner, path) for inner in reversed(test.subtests)]


def main() -> None:
    folder, file = sys.argv[1:]
    with open(file, encoding="utf-8", errors="replace") as text:  # noqa: PTH123  # -I, and nothing more is imported
        texts = text.read().split(f"\n{SEPARATOR}\n")
    out, sys.stdout = sys.stdout, sys.stderr
    result = json.dumps(parsed(folder, texts))
    # What the parser printed itself stands before it.
    out.write(f"\n{result}\n")


if __name__ == "__main__":
    main()
