# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash of a small kernel: its frames' places, what the series changed of them, and the source around."""

import os
import shutil
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path

import pytest

from orchestrator.host import deadline
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
        self.folder = folder / "results" / "builds" / "patched.plain.x86_64"
        self.vmlinux = small_kernel.build(folder, ARCH)
        self.tree = self.cache / "trees" / "linux"
        shutil.copytree(folder / "src", self.tree / "src")
        (self.tree / "src" / "mm" / "use.c").write_text(OLD)
        (self.tree / "source.sha256").write_text(SHA)
        self.folder.mkdir(parents=True)

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
        return new_explainer(self.image(variant), series, cache=self.cache, folder=self.folder, sandbox=False)

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
    again = lab.folder.parents[1] / "again"

    later = kept_explainer(
        lab.image(), lab.folder.parents[1], cache=lab.cache, folder=again / "builds" / "b", sandbox=False
    )

    assert later.explained([lab.crash()]) == (first,)


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
    explainer, crash = lab.explainer(series()), lab.crash()

    # An interrupt is for the whole process, so it is one of its own.
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        deadline.cancel()
        os.write(writing, "".join(told.unexplained for told in explainer.explained([crash])).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 1000) == b"no file and line: interrupted"


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
