# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash of a small kernel: its frames' places, what the series changed of them, and the source around."""

import json
import shutil
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path

import pytest

from orchestrator.host.deadline import CancelScope
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.series.load import BASELINE, Series, parse_series
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Crash, CrashKind, Severity
from orchestrator.model.images import KernelImage
from orchestrator.model.stacks import SourceLine, StackFrame
from orchestrator.run.crash_source import Explainer, excerpt, kept_explainer, new_explainer
from tests.process import small_kernel

ARCH = ARCHES["x86_64"]
SHA = "60f1" * 16
OLD = small_kernel.FILES["mm/use.c"].replace("count_up(&users, x)", "users")


class Lab:
    """A built kernel, the private tree that it came from without its series, and a folder of results."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.run = folder / "results"
        self.vmlinux = small_kernel.build(folder, ARCH)
        self.tree = self.cache / "trees" / "linux"
        shutil.copytree(folder / "src", self.tree / "src")
        (self.tree / "src" / "mm" / "use.c").write_text(OLD)
        (self.tree / "source.sha256").write_text(SHA)
        self.run.mkdir()

    def image(self, variant: Variant = Variant.PATCHED) -> KernelImage:
        return KernelImage(
            build=Build(variant=variant, flavour="plain", arch="x86_64"),
            image=self.vmlinux,
            vmlinux=self.vmlinux,
            config=self.vmlinux,
            log=self.vmlinux,
            release="6.19.6",
            hashes={"source": SHA},
            seconds=0.0,
        )

    def explainer(self, series: Series, variant: Variant = Variant.PATCHED) -> Explainer:
        return new_explainer(
            self.image(variant), series, diffs=SeriesDiffs(), cache=self.cache, run=self.run, sandbox=False
        )

    def crash(self) -> Crash:
        """helper() of mm/use.c was executed, called by use(), and above it a function that nobody knows."""
        callee = small_kernel.starts(self.vmlinux, ARCH, "helper")[0]
        size = small_kernel.size(self.vmlinux, ARCH, callee)
        stack = (
            StackFrame(function="report_it", offset=1, size=2),
            StackFrame(function="helper", offset=0, size=size, exact=True),
            small_kernel.return_frame(self.vmlinux, ARCH, "use", "helper"),
        )
        return Crash(
            kind=CrashKind.OOPS,
            title="BUG in helper",
            function="helper",
            line=1,
            severity=Severity.FATAL,
            stack=stack,
            first=1,
        )


def series() -> Series:
    new = small_kernel.FILES["mm/use.c"].splitlines(keepends=True)
    diff = "".join(unified_diff(OLD.splitlines(keepends=True), new, "a/mm/use.c", "b/mm/use.c"))
    return parse_series(diff.encode(), "s.patch")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_crash_in_a_changed_function_says_so_and_shows_the_patched_source(lab: Lab) -> None:
    (told,) = lab.explainer(series()).explained([lab.crash()])

    unknown, helper, use = told.stack
    assert unknown.places == ()
    assert [(place.file, place.changed) for place in helper.places if not place.inlined] == [("mm/use.c", True)]
    assert [(place.function, place.line, place.changed) for place in use.places] == [("use", 12, False)]
    assert told.unexplained == ""
    assert any("return count_up(&users, x);" in line for line in told.excerpt)


def test_a_later_run_of_the_cell_knows_as_much_from_the_results(lab: Lab) -> None:
    (first,) = lab.explainer(series()).explained([lab.crash()])
    shutil.rmtree(lab.tree)
    again, third = lab.run.with_name("again"), lab.run.with_name("third")
    again.mkdir()
    third.mkdir()

    later = kept_explainer(lab.image(), lab.run, cache=lab.cache, run=again, sandbox=False)
    much_later = kept_explainer(lab.image(), again, cache=lab.cache, run=third, sandbox=False)

    assert later.explained([lab.crash()]) == (first,)
    assert much_later.explained([lab.crash()]) == (first,)


def test_a_run_of_an_earlier_version_kept_functions_and_files_with_the_build(lab: Lab) -> None:
    (first,) = lab.explainer(series()).explained([lab.crash()])
    old = lab.run.with_name("old")
    build = old / "builds" / lab.image().build.name
    (build / "source" / "mm").mkdir(parents=True)
    (build / "source" / "mm" / "use.c").write_text(small_kernel.FILES["mm/use.c"])
    row = {"file": "mm/use.c", "first": 5, "last": 8, "name": "helper"}
    (build / "functions.json").write_text(f"{json.dumps([row])}\n")

    later = kept_explainer(lab.image(), old, cache=lab.cache, run=lab.run, sandbox=False)

    assert later.explained([lab.crash()]) == (first,)


def test_a_run_that_kept_nothing_blames_nothing_and_says_so(lab: Lab) -> None:
    empty = lab.run.with_name("empty")

    later = kept_explainer(lab.image(), empty, cache=lab.cache, run=lab.run, sandbox=False)

    (told,) = later.explained([lab.crash()])
    assert told.unexplained == "what the series changed is not known: empty did not keep it"


def test_a_baseline_has_places_and_source_and_no_changes(lab: Lab) -> None:
    (lab.tree / "src" / "mm" / "use.c").write_text(small_kernel.FILES["mm/use.c"])

    (told,) = lab.explainer(BASELINE, Variant.BASELINE).explained([lab.crash()])

    assert not any(place.changed for frame in told.stack for place in frame.places)
    assert told.stack[2].places[0].line == 12
    assert told.excerpt
    assert told.unexplained == ""


def test_without_the_tree_there_is_no_source_and_no_blame_and_that_is_said(lab: Lab) -> None:
    shutil.rmtree(lab.tree)

    (told,) = lab.explainer(series()).explained([lab.crash()])

    assert told.stack[2].places[0].line == 12
    assert told.excerpt == ()
    assert told.unexplained == "what the series changed is not known: the private source tree is gone"


def test_without_the_kernel_the_crash_stays_as_it_was_and_says_why(lab: Lab) -> None:
    crash = lab.crash()
    lab.vmlinux.unlink()

    (told,) = lab.explainer(series()).explained([crash])

    assert replace(told, unexplained="") == crash
    assert told.unexplained == f"no file and line: {lab.vmlinux} is gone"


def test_an_interrupt_is_no_reason_to_lose_the_crash(lab: Lab) -> None:
    explainer, ended = lab.explainer(series()), CancelScope()
    ended.cancel("interrupted")

    (told,) = ended.run(explainer.explained, [lab.crash()])

    assert told.unexplained == "no file and line: interrupted"


def test_the_lines_around_lose_their_common_margin_and_what_is_not_printable() -> None:
    text = "a\nb\n\tif (x)\n\t\tcall\x1b[2J();\n\tend\n"

    assert excerpt(text, SourceLine(function="f", file="m.c", line=4)) == (
        "m.c:4 in f",
        "     1 a",
        "     2 b",
        "     3         if (x)",
        ">    4                 call?[2J();",
        "     5         end",
    )
    assert excerpt(text, SourceLine(function="f", file="m.c", line=99)) == ()
