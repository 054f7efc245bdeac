# SPDX-License-Identifier: GPL-2.0-or-later
"""A suite's output through a parser of the tree, which is a stranger's program: in the sandbox, and not believed."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.sandbox import sandbox_works
from orchestrator.model.guests import Ending
from orchestrator.model.subtests import SubtestStatus, SuiteResult
from orchestrator.model.suites import SuiteFiles
from orchestrator.run.suite_results import KtapParser, keep_parser, suite_result
from tests.unit.samples import guest_run

# As little of the kernel's parser as its driver uses; without nesting.
PARSER = """
import enum
Status = enum.Enum("Status", "SUCCESS FAILURE SKIPPED TEST_CRASHED")
class Test:
    def __init__(self): self.name, self.status, self.log, self.subtests = "", Status.TEST_CRASHED, [], []
class Stream:
    def __init__(self, line): self.line = line
    def peek(self): return self.line
def parse_test_result(stream, test, number, *printer):
    words = stream.peek().split(" # ")[0].split()
    bad = words[0] == "not"
    test.status = Status.SKIPPED if " # SKIP" in stream.peek() else Status.FAILURE if bad else Status.SUCCESS
    test.name = " ".join(words[3 if bad else 2:])
    return True
def parse_run_tests(lines PRINTER):
    print("parsing")
    top = Test()
    for line in lines:
        if line.startswith(("ok", "not ok")):
            test = Test()
            parse_test_result(Stream(line), test, 1 PRINTER)
            top.subtests.append(test)
    return top
"""
PRINTER = "class Printer:\n    def __init__(self, print=True): pass\n"
PRINTED = (
    '|TAP version 13\n|1..3\n{"type": "progress"}\n|ok 1 a\n|not ok 2 b # exit=1\n|TAP version 13\n|ok 1 c # SKIP no\n'
)

both = pytest.mark.parametrize("sandbox", [False, True])


def parser_in(folder: Path, text: str, *, sandbox: bool) -> KtapParser:
    if sandbox and not sandbox_works():
        pytest.skip("no sandbox here")
    files = {"kunit_parser.py": text.encode(), "kunit_printer.py": PRINTER.encode()}
    return keep_parser(SuiteFiles(parser=files, not_built=("mm/x",)), folder, sandbox=sandbox)


def result_with(parser: KtapParser | None, *, printed: str = PRINTED, status: int = 1) -> SuiteResult:
    return suite_result(replace(guest_run(), exit_status=status), printed, parser)


@both
@pytest.mark.parametrize("printer", ["", ", printer"], ids=["before-6.14", "since-6.14"])
def test_all_documents_are_read(sandbox: bool, printer: str, tmp_path: Path) -> None:
    found = result_with(parser_in(tmp_path, PARSER.replace(" PRINTER", printer), sandbox=sandbox))

    assert found.unreadable == ""
    assert [(one.path, one.status, one.reason) for one in found.subtests] == [
        ("a", SubtestStatus.OK, ""),
        ("b", SubtestStatus.NOT_OK, "exit=1"),
        ("c", SubtestStatus.SKIPPED, "no"),
    ]
    assert (found.complete, found.not_built) == (True, ("mm/x",))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("def parse_run_tests(lines): return 1", "parse_test_result"),
        ("import sys; sys.exit(0)", "Expecting value"),
        ("import os, sys; os.write(1, b'[1]\\n'); os._exit(0)", "no object"),
        ("x = 'a'\nwhile True: x += x", "MemoryError"),
    ],
)
def test_a_parser_that_breaks_or_lies_costs_its_suite_the_results(text: str, why: str, tmp_path: Path) -> None:
    found = result_with(parser_in(tmp_path, text, sandbox=True))

    assert why in found.unreadable
    assert (found.subtests, found.complete) == ((), False)


def test_a_parser_sees_nothing_of_this_machine(tmp_path: Path) -> None:
    text = f"import os\nraise RuntimeError(str([os.path.exists({str(tmp_path)!r}), os.getuid() == 0]))"

    assert "[False, False]" in result_with(parser_in(tmp_path, text, sandbox=True)).unreadable


def test_a_tree_without_a_parser_says_so() -> None:
    assert "kunit_parser.py" in result_with(None).unreadable


def test_a_suite_that_printed_no_result_needs_no_parser() -> None:
    assert result_with(None, printed="|bash: no such file\n") == SuiteResult(subtests=(), complete=True)


@pytest.mark.parametrize(("ending", "status"), [(Ending.GUEST_GONE, None), (Ending.REPORTED, 137)])
def test_a_suite_that_broke_off_is_not_complete(ending: Ending, status: int | None) -> None:
    assert not suite_result(replace(guest_run(ending), exit_status=status), "", None).complete
