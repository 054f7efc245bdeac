# SPDX-License-Identifier: GPL-2.0-or-later
"""A bisection in words: of a series, and of the commits of a range; and as its folder keeps it."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.judge.bisected import posterior_of
from orchestrator.model.bisections import Bisection, BisectTask, Confirmation, Confirming, Ended, Tally, UnderWay
from orchestrator.model.outcomes import Outcome
from orchestrator.report.bisect_files import cells_of_batch, load_bisection, save_bisection
from orchestrator.report.bisect_text import beginning_text, bisect_text

TASK = BisectTask(
    run="2026-11-29T010203Z-7f3a",
    cell="patched.plain.x86_64.swapin",
    outcome=Outcome.CRASHED,
    title="KASAN: use-after-free Read in f",
    what="KASAN: use-after-free Read in f",
    patches=("swap: one", "swap: two", "swap: three"),
    limit=0.95,
    budget=100,
)
RANGE = replace(TASK, commits="v6.19..topic", tree="/linux", patches=("0a1b2c one", "3d4e5f two", "6a7b8c three"))
KERNELS = {3: Tally(bad=4), 2: Tally(bad=4), 1: Tally(good=9), 0: Tally(why_closed="build-failed: no")}


def bisection(task: BisectTask, folder: Path = Path("/results/bisect-1")) -> Bisection:
    return Bisection(id=folder.name, folder=folder, argv=("patchrig",), started="", versions={}, task=task)


def text(task: BisectTask, ended: Ended | None, confirmation: Confirmation | None = None) -> str:
    whole = replace(bisection(task), kernels=KERNELS, ended=ended, confirmation=confirmation)
    return bisect_text(whole, posterior_of(whole))


def test_kernels_of_a_series_have_patches_and_those_of_a_range_are_at_commits() -> None:
    assert [beginning_text(TASK, count) for count in (0, 2, 3)] == [
        *("without the series", "with the first 2 of 3 patches", "with the whole series")
    ]
    assert [beginning_text(RANGE, count) for count in (0, 2, 3)] == ["at v6.19", "at commit 2 of 3", "at topic"]


def test_the_answer_of_a_range_names_the_commit() -> None:
    confirmed = Confirmation(patch=2, how=Confirming.LEFT_OUT, needed=3, tally=Tally(good=3))

    said = text(RANGE, Ended.FOUND, confirmed)

    assert "FOUND: commit 2 (3d4e5f two)" in said
    assert "confirmed: with commit 2 left out of v6.19..topic: 3 good and 0 bad of 3 cells" in said
    assert "(the kernel at v6.19)" in said
    assert "not run at v6.19: build-failed: no" in said
    assert "patch" not in said.replace("patchrig", "").replace("patched", "")
    assert "--resume" not in said


@pytest.mark.parametrize("ended", [None, Ended.NOT_DECIDED, Ended.INTERRUPTED, Ended.HOST])
def test_one_that_is_not_over_says_how_it_goes_on(ended: Ended | None) -> None:
    assert "patchrig bisect --resume bisect-1" in text(TASK, ended)


def test_a_folder_gives_the_bisection_again(tmp_path: Path) -> None:
    (tmp_path / "bisect-2026-11").mkdir()
    whole = bisection(RANGE, tmp_path / "bisect-2026-11")
    whole = replace(whole, kernels=KERNELS, begun=17, batches=5, under_way=UnderWay(batch=5, count=2))
    save_bisection(whole, "text")

    assert load_bisection(tmp_path, "latest") == load_bisection(tmp_path, "2026-11") == whole
    # It was killed before the batch had a folder.
    assert cells_of_batch(whole, 5) == ()
    with pytest.raises(UserError, match="no bisection '2027'"):
        load_bisection(tmp_path, "2027")
    (whole.folder / "bisect.json").write_text("{}")
    with pytest.raises(UserError, match=r"bisect\.json"):
        load_bisection(tmp_path, "latest")
