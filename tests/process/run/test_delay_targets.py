# SPDX-License-Identifier: GPL-2.0-or-later
"""`--widen only=NAME` with a name that the series does not change is refused before anything is compiled."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.files import sha256_of
from orchestrator.host.paths import OVERLAYS
from orchestrator.host.process import check
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.series.load import Series, parse_series
from orchestrator.kernel.source.tarball import Tarball
from orchestrator.kernel.source.tree import PreparedSource
from orchestrator.model.blocks import Block, CoverageMap
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Variant, Workload
from orchestrator.model.images import KernelImage
from orchestrator.plan.delays import parse_delays
from orchestrator.run.delay_targets import MOST_BLOCKS, MOST_FUNCTIONS, check_changed, check_targets

SOURCE = """static int second(int x)
{
	return x;
}

int third(void)
{
	return 3;
}

SYSCALL_DEFINE1(swapoff, const char *, path)
{
	return 4;
}
"""
DIFF = """--- a/mm/swap.c
+++ b/mm/swap.c
@@ -1,4 +1,4 @@
 static int second(int x)
 {
-	return x;
+	return x + 1;
 }
@@ -10,4 +10,4 @@ int third(void)
 SYSCALL_DEFINE1(swapoff, const char *, path)
 {
-	return 4;
+	return 5;
 }
"""
WORKLOAD = Workload.model_validate(
    {
        "name": "mincore",
        "summary": "s",
        "program": "m.c",
        "devices": [{"kind": "zram", "size_mib": 1}],
        "exercised": {"n": 1},
    }
)


def cell(only: str, variant: Variant = Variant.PATCHED) -> Cell:
    build = Build(variant=variant, flavour="widened", arch="x86_64")
    widening = parse_delays(f"only={only}" if only else "")
    return Cell(build=build, workload=WORKLOAD, seconds=1, seed=1, repeat=1, repeats=1, widening=widening)


def source(folder: Path) -> PreparedSource:
    """A source that nobody has unpacked yet, as on a machine that is new."""
    (folder / "linux" / "mm").mkdir(parents=True)
    (folder / "linux" / "mm" / "swap.c").write_text(SOURCE)
    tarball = folder / "linux.tar"
    until = Deadline.after(60, "a test")
    check(["tar", "-C", str(folder), "-cf", str(tarball), "linux"], log=folder / "log", until=until)
    digest = sha256_of(tarball)
    origin = Tarball(path=tarball, sha256=digest)
    return PreparedSource(key=f"6.19-{digest[:12]}", sha256=digest, version="6.19", origin=origin)


def series(text: str = DIFF) -> Series:
    return parse_series(text.encode(), "s.patch")


def look(folder: Path, one: Cell, what: Series) -> None:
    check_changed([one], source(folder), what, diffs=SeriesDiffs(), cache=folder / "cache", listener=lambda _: None)


def test_the_error_names_the_functions_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"only=thrid: .* it changes: second, sys_swapoff"):
        look(tmp_path, cell("second+thrid"), series())


@pytest.mark.parametrize("only", ["", "second", "second+sys_swapoff", "__do_sys_swapoff"])
def test_what_the_series_changes_may_be_named(tmp_path: Path, only: str) -> None:
    look(tmp_path, cell(only), series())


def test_the_baselines_functions_are_known_when_it_is_built(tmp_path: Path) -> None:
    look(tmp_path, cell("taken_away", Variant.BASELINE), series())


def test_a_series_that_does_not_fit_is_left_to_the_build(tmp_path: Path) -> None:
    look(tmp_path, cell("thrid"), series(DIFF.replace("return x;", "return y;")))


def built(*blocks: Block, whole: tuple[str, ...] = ()) -> KernelImage:
    place = Path("x")
    return KernelImage(
        build=cell("").build,
        image=place,
        vmlinux=place,
        config=place,
        log=place,
        release="6.19.6",
        hashes={},
        seconds=0.0,
        coverage=CoverageMap(side="new", diff=(), lines=(), blocks=blocks, whole=whole),
    )


def block(target: str) -> Block:
    return Block(offset=0, target=target, inside=target, file="mm/swap.c", line=3, quiet=False)


def test_a_built_kernel_knows_its_targets() -> None:
    image = built(block("second"))

    check_targets([cell("second")], image)
    with pytest.raises(UserError, match=r"only=third: .* it changes: second"):
        check_targets([cell("third")], image)
    with pytest.raises(UserError, match="it changes: none"):
        check_targets([cell("second")], replace(image, coverage=None))


def test_in_a_hunt_all_functions_of_its_files_may_be_named() -> None:
    image = built(block("second"), whole=("mm/swap.c",))

    check_targets([cell("second")], image)
    with pytest.raises(UserError, match=r"only=third: there is no such function in mm/swap.c; there are: second"):
        check_targets([cell("third")], image)


def test_more_functions_than_a_kernel_delays_in_are_refused() -> None:
    most = [block(f"f{number}") for number in range(MOST_FUNCTIONS)]

    check_targets([], built(*most, whole=("mm/swap.c",)))
    with pytest.raises(UserError, match=f"have {MOST_FUNCTIONS + 1} functions"):
        check_targets([], built(*most, block("another"), whole=("mm/swap.c",)))


def test_the_limits_are_those_of_the_overlay() -> None:
    text = (OVERLAYS / "widened/files/lib/patchrig/widen.c").read_text()

    assert f"#define TARGETS_MAX {MOST_FUNCTIONS}\n" in text
    assert f"#define BLOCKS_MAX {MOST_BLOCKS}\n" in text
