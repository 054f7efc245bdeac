# SPDX-License-Identifier: GPL-2.0-or-later
"""A hunt under way: what it knows is on the disk after each round; of one that it is killed in, the cells are."""

from contextlib import suppress
from dataclasses import dataclass, field, replace

from orchestrator.host.deadline import now
from orchestrator.host.errors import UserError
from orchestrator.judge.hunted import fresh_findings, summary_of, with_cell, with_kernel, with_reach
from orchestrator.model.cells import Build, Cell
from orchestrator.model.hunts import Hunt, Hunted, HuntFinding, HuntSummary
from orchestrator.model.images import KernelImage
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.plan.hunting import hunt_cells
from orchestrator.report.hunt_files import ROUNDS, round_name, save_hunt, save_text, uncounted_rounds
from orchestrator.report.hunt_text import hunt_text
from orchestrator.report.stored import load_run, unreadable


@dataclass(slots=True)
class HuntLedger:
    """Keeps a hunt's folder. `results` is what its commands need to be told of where that is; "" for nothing."""

    hunt: Hunt
    results: str = ""
    cells: tuple[Cell, ...] = field(init=False)  # one of each workload on each build
    _seconds_before: float = field(init=False)
    _began: float = field(default_factory=now)
    _kernels: RunReport | None = None  # the round that has all kernels

    def __post_init__(self) -> None:
        task = self.hunt.task
        self.cells = hunt_cells(task.matrix, task.workloads)
        self._seconds_before = self.hunt.seconds

    @property
    def hunted(self) -> Hunted:
        return self.hunt.hunted

    @property
    def seconds(self) -> float:
        """How long the hunt has taken, all of its parts together."""
        return self._seconds_before + now() - self._began

    @property
    def next_round(self) -> int:
        return self.hunt.rounds + 1

    def summary(self) -> HuntSummary:
        return summary_of(self.hunted, self.cells, self.hunt.task.files)

    def add(self, report: CellReport, round_number: int) -> tuple[HuntFinding, ...]:
        """Count a cell that has ended; returns what it shows for the first time."""
        before = self.hunted
        after = with_cell(before, report, round_name(round_number))
        self.hunt = replace(self.hunt, hunted=after)
        return tuple(fresh_findings(before, after))

    def end_round(self, report: RunReport) -> None:
        """The cells of a round have been added: add what they reached, and keep all of it. Raises InfraError."""
        hunted = self.hunted
        images = {image.build: image for image in report.builds if isinstance(image, KernelImage)}
        codes = {build: image.coverage for build, image in images.items() if image.coverage and image.coverage.whole}
        for build, code_of_build in codes.items():
            hunted = with_kernel(hunted, build, code_of_build)
        for cell in report.cells:
            code = codes.get(cell.cell.build)
            if code and cell.run and cell.run.executed:
                hunted = with_reach(hunted, cell.cell.build, code, cell.run.executed)
        number = self.next_round
        self.hunt = replace(self.hunt, hunted=hunted, rounds=number)
        if not self.hunt.kernels_in and self._builds() <= images.keys():
            self.hunt = replace(self.hunt, kernels_in=round_name(number))
            self._kernels = replace(report, cells=())
        self.save()

    def recount(self) -> None:
        """Count the rounds that the hunt was killed in. Raises InfraError."""
        for number in uncounted_rounds(self.hunt):
            self.hunt = replace(self.hunt, rounds=number - 1)
            # It may have been killed before there was anything in it.
            report = None
            with suppress(UserError):
                report = load_run(self.hunt.folder / ROUNDS / round_name(number))
            if report is None:
                self.hunt = replace(self.hunt, rounds=number)
                continue
            bad = unreadable(report)
            readable = tuple(cell for cell in report.cells if cell not in bad)
            for cell in readable:
                self.add(cell, number)
            self._seconds_before += max((span.end for cell in readable for span in cell.spans), default=0.0)
            self.end_round(replace(report, cells=readable))

    def kernels(self) -> RunReport | None:
        """The round that all kernels of the hunt can be taken from; None where not all were built yet."""
        if self._kernels is None and self.hunt.kernels_in:
            self._kernels = load_run(self.hunt.folder / ROUNDS / self.hunt.kernels_in)
        return self._kernels

    def end(self, why: str) -> None:
        """Nothing more runs, for now. Raises InfraError."""
        self.hunt = replace(self.hunt, ended=why)
        self.save()

    def save(self) -> None:
        """Write hunt.json and hunt.txt. Raises InfraError."""
        self.hunt = replace(self.hunt, seconds=self.seconds)
        save_hunt(self.hunt)
        save_text(self.hunt, hunt_text(self.hunt, self.summary(), self.results))

    def _builds(self) -> set[Build]:
        return {cell.build for cell in self.cells if cell.build.name not in self.hunted.unbuilt}
