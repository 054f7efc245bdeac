# SPDX-License-Identifier: GPL-2.0-or-later
"""The form of JUnit XML, piece by piece: the whole document of a large run does not fit into memory (pure).

Elements and attributes as jenkins-junit.xsd of the Jenkins xUnit plugin has them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from xml.etree.ElementTree import indent, tostring

from junit_xml import TestCase, TestSuite

from orchestrator.host.text import printable

_CASES_AT_ONCE = 100


class Kind(StrEnum):
    """What a case is, other than a pass; the name of its element."""

    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why a case is no pass."""

    kind: Kind
    message: str
    text: str = ""
    type: str = ""  # "": as the kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    name: str
    classname: str
    seconds: float = 0.0
    problem: Problem | None = None
    stdout: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How the cases of a suite end."""

    tests: int
    errors: int
    failures: int
    skipped: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """Cases that are made when they are written; their counts stand before them."""

    name: str
    started: str
    counts: Counts
    cases: Iterable[Case]
    properties: Mapping[str, str] = field(default_factory=dict)


def counted(ends: Iterable[tuple[Kind | None, float]]) -> Counts:
    """The counts of cases by what each is, and its seconds."""
    kinds, seconds = Counter[Kind | None](), 0.0
    for kind, each in ends:
        kinds[kind] += 1
        seconds = seconds + each if seconds else each
    return Counts(
        tests=kinds.total(),
        errors=kinds[Kind.ERROR],
        failures=kinds[Kind.FAILURE],
        skipped=kinds[Kind.SKIPPED],
        seconds=seconds or 0,
    )


def suite_of(name: str, started: str, cases: Sequence[Case], properties: Mapping[str, str] | None = None) -> Suite:
    """A suite whose cases are made already."""
    counts = counted((case.problem.kind if case.problem else None, case.seconds) for case in cases)
    return Suite(name=name, started=started, counts=counts, cases=cases, properties=properties or {})


def document(suites: Sequence[Suite]) -> Iterator[str]:
    """The whole document, in pieces of any length."""
    total = {
        "disabled": 0,
        "errors": sum(suite.counts.errors for suite in suites),
        "failures": sum(suite.counts.failures for suite in suites),
        "tests": sum(suite.counts.tests for suite in suites),
        "time": sum((suite.counts.seconds for suite in suites), 0.0),
    }
    yield '<?xml version="1.0" encoding="utf-8"?>\n'
    yield f"<testsuites{_attributes(total)}>\n"
    for suite in suites:
        yield from _suite(suite)
    yield "</testsuites>\n"


def valid_xml(text: str) -> str:
    """The text with every character written out that XML 1.0 cannot hold, or that nobody can see."""
    return printable(text.replace("\r\n", "\n"))


def _suite(suite: Suite) -> Iterator[str]:
    counts = suite.counts
    head = {
        "disabled": 0,
        "errors": counts.errors,
        "failures": counts.failures,
        "name": suite.name,
        "skipped": counts.skipped,
        "tests": counts.tests,
        "time": counts.seconds,
        "timestamp": suite.started,
    }
    yield f"\t<testsuite{_attributes(head)}>\n"
    if suite.properties:
        yield "\t\t<properties>\n"
        for name, value in suite.properties.items():
            yield f"\t\t\t<property{_attributes({'name': name, 'value': value})}/>\n"
        yield "\t\t</properties>\n"
    cases = iter(suite.cases)
    while some := [_made(case) for case in islice(cases, _CASES_AT_ONCE)]:
        # junit-xml writes whole documents only: a suite of some cases, of which the cases are taken.
        element = TestSuite("", some).build_xml_doc()
        indent(element, "\t", level=1)
        text = tostring(element, "unicode")
        # Within texts ">" is escaped, so " />" is the end of an element without content.
        yield text[text.index("\n") + 1 : text.rindex("\n") + 1].replace(" />", "/>")
    yield "\t</testsuite>\n"


def _made(case: Case) -> TestCase:
    made = TestCase(
        valid_xml(case.name),
        classname=valid_xml(case.classname),
        elapsed_sec=case.seconds,
        stdout=valid_xml(case.stdout),
    )
    if problem := case.problem:
        message, text, of_type = valid_xml(problem.message), valid_xml(problem.text), valid_xml(problem.type)
        match problem.kind:
            case Kind.FAILURE:
                made.add_failure_info(message, text, of_type)
            case Kind.ERROR:
                made.add_error_info(message, text, of_type)
            case Kind.SKIPPED:
                made.add_skipped_info(message, text)
    return made


def _attributes(values: Mapping[str, object]) -> str:
    return "".join(f' {name}="{_escaped(str(value))}"' for name, value in values.items())


def _escaped(text: str) -> str:
    return valid_xml(text).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").replace(">", "&gt;")
