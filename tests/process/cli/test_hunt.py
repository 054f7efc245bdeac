# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig hunt`, from its argv to its exit code: rounds of fake guests on a toy kernel that is really built."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.fake_host import BOOT, PATCHRIG, PROGRESS, Host, Step, passing, result_line
from tests.process.instrumented_toy import CODE, instrument, makefile
from tests.process.toy_kernel import LOAD, ToyKernel

host = fake_host.host

pytestmark = [
    pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed"),
    pytest.mark.skipif(find_tool("llvm-symbolizer") is None, reason="llvm-symbolizer is not installed"),
]

FILE = "mm/swapfile.c"
# As far into handle_fault() as the fake guests run.
RAN = {"patchrig/blocks": "".join(f"{offset:x} - 1 0 0 0\n" for offset in range(0x18))}
OOPS = "[   12.000002][  T400] BUG: kernel NULL pointer dereference, address: 0000000000000000"
WARNING = "[   12.000002][  T400] WARNING: CPU: 1 PID: 400 at mm/swapfile.c:7 drop_slot+0x10/0x20"


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    made = ToyKernel(host)
    instrument(made, FILE)
    made.write("linux/mm/swap_other.c", "int other;\n")
    for name in ("mincore", "shmem"):
        made.write(f"mine/{name}.yaml", LOAD.replace("name: mincore", f"name: {name}"))
    made.write("mine/load.sh", "#!/bin/sh\n")
    host.scenario(passing())
    return made


def argv(kernel: ToyKernel, *words: str) -> list[str]:
    return [str(PATCHRIG), "hunt", "--results", str(kernel.host.results), "--jobs", "1", *words]


def begin(kernel: ToyKernel, *words: str) -> list[str]:
    loads = [word for name in ("mincore", "shmem") for word in ("--workload", str(kernel.folder / f"mine/{name}.yaml"))]
    own = ["--tree", str(kernel.folder / "linux"), "--no-sandbox", "--arch", "x86_64", *loads]
    return argv(kernel, *own, *words)


def run(kernel: ToyKernel, words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=300)


def start(kernel: ToyKernel, words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, env=kernel.host.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def hunt_folder(kernel: ToyKernel) -> Path:
    (folder,) = kernel.host.results.glob("hunt-*")
    return folder


def cells(kernel: ToyKernel) -> list[tuple[str, str, int]]:
    """Round, name and seed of all cells of all rounds that ended."""
    found = []
    for file in sorted(hunt_folder(kernel).glob("rounds/*/cells.jsonl")):
        for line in file.read_text().splitlines():
            cell = json.loads(line)
            build, name = cell["cell"]["build"]["flavour"], cell["cell"]["workload"]["name"]
            if cell["verdict"]["outcome"] != "skipped":
                found.append((file.parent.name, f"{build}.{name}", cell["cell"]["seed"]))
    return found


def crashing(*lines: str) -> list[Step]:
    return [["say", PROGRESS], *(["console", line] for line in lines), ["say", result_line()], ["exit", 0]]


def test_a_splat_that_many_cells_show_is_one_finding_with_its_rate_and_the_hunt_goes_on(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(), crashing(OOPS), passing(), passing(), passing(), crashing(OOPS), passing())

    done = run(kernel, begin(kernel, "--flavour", "plain", "--rounds", "4", "--seed", "7", "--json"))

    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    (finding,) = said["findings"]
    assert (finding["outcome"], finding["known"]) == ("crashed", None)
    assert (finding["rate"]["seen"], finding["rate"]["cells"]) == (2, 4)
    assert 0 < finding["rate"]["low"] < 0.5 < finding["rate"]["high"] < 1
    assert said["ended"] == "4 rounds are over"
    (build,) = said["builds"]
    assert (build["cells"], build["passed"], build["bad"], build["lost"]) == (8, 6, 2, 0)
    assert done.stderr.count("NOTE: NEW: crashed: ") == 1
    # Eight schedules: no workload has the same seed twice.
    assert len(cells(kernel)) == len({(name, seed) for _, name, seed in cells(kernel)}) == 8
    assert {name for _, name, _ in cells(kernel)} == {"plain.mincore", "plain.shmem"}


def test_the_command_of_a_finding_runs_its_cell_again(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(), passing(), passing(), crashing(OOPS), passing())
    done = run(kernel, begin(kernel, "--flavour", "plain", "--rounds", "2", "--json"))
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["first"]["number"] == 2

    own = ["--no-sandbox", "--results", str(kernel.host.results)]
    again = run(kernel, [str(PATCHRIG), *finding["repro"][1:], *own])

    assert again.returncode == 0, again.stderr
    (cell,) = kernel.host.cells()
    assert (cell["cell"]["seed"], cell["cell"]["workload"]["name"]) == (finding["first"]["seed"], "shmem")


def test_the_findings_of_a_deterministic_hunt_can_be_replayed(kernel: ToyKernel) -> None:
    ended: list[Step] = [["console", "[    9.0][   T57] patchrig: ended splat 0"], ["die", 0]]
    kernel.host.scenario([], boot=[*BOOT, ["tell", f"{PROGRESS}\n"], ["console", OOPS], *ended])
    done = run(kernel, begin(kernel, "--flavour", "plain", "--rounds", "2", "--deterministic", "--json"))
    assert done.returncode == 1, done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    seeds = {seed for _, _, seed in cells(kernel)}

    words = [*finding["repro"][1:], "--no-sandbox", "--results", str(kernel.host.results), "--json"]
    again = run(kernel, [str(PATCHRIG), *words])
    other = run(kernel, argv(kernel, "--resume", "latest", "--deterministic"))

    assert len(seeds) == 4
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["identical"] is True
    assert "leave out --deterministic" in other.stderr


def test_widened_kernels_delay_in_all_functions_of_the_files_and_the_reach_is_reported(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(), answers=RAN)

    done = run(kernel, begin(kernel, "--in", "mm/swap*.c", "--rounds", "1", "--json"))

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["files"] == ["mm/swap_other.c", "mm/swapfile.c"]
    plain, widened = said["builds"]
    assert (plain["build"], plain["functions"]) == ("baseline.plain.x86_64", 0)
    assert (widened["build"], widened["functions"], widened["functions_run"]) == ("baseline.widened.x86_64", 2, 1)
    assert widened["not_run"] == ["mm/swapfile.c: drop_slot"]
    assert widened["not_compiled"] == ["mm/swap_other.c"]
    # Each workload on each build before any runs twice.
    assert sorted(name for _, name, _ in cells(kernel)) == [
        *("plain.mincore", "plain.shmem", "widened.mincore", "widened.shmem")
    ]
    text = (hunt_folder(kernel) / "hunt.txt").read_text()
    assert "1 of the 2 functions that delays are injected into ran" in text
    assert "never ran: mm/swapfile.c: drop_slot" in text


def test_only_functions_of_the_files_can_be_chosen(kernel: ToyKernel) -> None:
    done = run(kernel, begin(kernel, "--flavour", "widened", "--widen", "only=no_such_function"))

    assert done.returncode == 2, done.stderr
    assert "there is no such function in mm/swap_other.c, mm/swapfile.c" in done.stderr
    assert not list(kernel.host.results.glob("hunt-*"))


def test_a_pattern_that_means_no_file_is_refused_before_anything_is_built(kernel: ToyKernel) -> None:
    done = run(kernel, begin(kernel, "--in", "mm/zswop.c"))

    assert done.returncode == 2, done.stderr
    assert "this kernel has no C file mm/zswop.c" in done.stderr
    assert not kernel.host.guests()


def test_a_hunt_that_is_killed_goes_on_where_it_was(kernel: ToyKernel) -> None:
    hanging: list[Step] = [["say", PROGRESS], ["mark", "fourth"], ["hang"]]
    kernel.host.scenario(passing(), crashing(OOPS), passing(), hanging)
    patchrig = start(kernel, begin(kernel, "--flavour", "plain", "--rounds", "3", "--seed", "7"))
    kernel.host.marked("fourth")
    patchrig.kill()
    patchrig.communicate(timeout=120)
    kernel.host.await_no_guest()
    before = cells(kernel)
    # What lies in the tree by now is not what is hunted in.
    kernel.write(f"linux/{FILE}", CODE.replace("drop_slot", "drop_another"))
    for file in kernel.host.state.glob("qemu.*"):
        file.unlink()
    kernel.host.scenario(passing())

    done = run(kernel, argv(kernel, "--resume", "latest", "--json"))

    assert done.returncode == 1, done.stderr
    assert cells(kernel)[: len(before)] == before
    assert len(before) == 3
    said = json.loads(done.stdout)
    assert (said["builds"][0]["cells"], said["builds"][0]["passed"]) == (6, 5)
    (finding,) = said["findings"]
    assert (finding["rate"]["seen"], finding["rate"]["cells"]) == (1, 3)
    # As a hunt that nobody killed: six schedules, the two workloads' own.
    assert len({(name, seed) for _, name, seed in cells(kernel)}) == 6
    assert rounds_of(kernel) == {"0001": 2, "0002": 1, "0003": 1, "0004": 2}


def rounds_of(kernel: ToyKernel) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, _, _ in cells(kernel):
        found[name] = found.get(name, 0) + 1
    return found


def test_a_hunt_that_was_killed_before_its_kernels_were_there_refuses_another_source(kernel: ToyKernel) -> None:
    state = kernel.host.state
    begun = f'echo 1 >"{state}/part"; mv "{state}/part" "{state}/building"'
    wait = f'{begun}; while [ ! -e "{state}/never" ]; do sleep 0.05; done'
    kernel.write("linux/Makefile", makefile(FILE).replace('\t@echo "  CC ', f'\t@{wait}\n\t@echo "  CC '))
    patchrig = start(kernel, begin(kernel, "--flavour", "plain"))
    kernel.host.marked("building")
    patchrig.kill()
    patchrig.communicate(timeout=120)
    kernel.host.mark("never")
    kernel.write("linux/Makefile", makefile(FILE))

    done = run(kernel, argv(kernel, "--resume", "latest"))

    assert done.returncode == 2, done.stderr
    assert "has changed since the hunt began" in done.stderr


def test_an_interrupt_and_the_time_limit_keep_what_is_known_and_say_how_to_go_on(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(), [["say", PROGRESS], ["mark", "second"], ["hang"]])
    patchrig = start(kernel, begin(kernel, "--flavour", "plain"))
    kernel.host.marked("second")

    patchrig.send_signal(signal.SIGINT)
    shown, _ = patchrig.communicate(timeout=120)

    assert patchrig.returncode == 130
    kernel.host.await_no_guest()
    assert "0 new and 0 known findings" in shown
    command = f"patchrig hunt --resume {hunt_folder(kernel).name} --results {kernel.host.results}"
    assert command in shown
    stored: dict[str, Any] = json.loads((hunt_folder(kernel) / "hunt.json").read_text())
    assert stored["ended"] == "interrupted"
    assert [tally["last"] for tally in stored["hunted"]["tallies"].values()] == [1]
    kernel.host.scenario([["say", PROGRESS], ["hang"]])

    # The kernel is there: whether a guest comes up within the time or not, the time is what ends it.
    limited = run(kernel, argv(kernel, "--resume", "latest", "--hours", "0.004", "--json"))

    assert limited.returncode == 0, limited.stderr
    kernel.host.await_no_guest()
    said = json.loads(limited.stdout)
    assert said["ended"] == f"its {said['hours']:g} hours are over"
    assert (said["builds"][0]["cells"], said["builds"][0]["passed"]) == (1, 1)
    refused = run(kernel, argv(kernel, "--resume", hunt_folder(kernel).name))
    assert refused.returncode == 2
    assert f"{command} --hours 8" in refused.stderr


def test_what_follows_another_splat_is_no_finding_and_is_named(kernel: ToyKernel) -> None:
    kernel.host.scenario(crashing(OOPS, WARNING), passing())

    done = run(kernel, begin(kernel, "--flavour", "plain", "--rounds", "1", "--json"))

    said = json.loads(done.stdout)
    assert len(said["findings"]) == 1
    assert [(one["title"], one["cells"]) for one in said["only_after_another"]] == [("WARNING in drop_slot", 1)]


def test_a_kernel_that_is_not_built_ends_the_hunt(kernel: ToyKernel) -> None:
    kernel.write("linux/swap.c", "int slots = no_such_thing;\n")

    done = run(kernel, begin(kernel, "--flavour", "plain", "--json"))

    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["ended"] == "nothing is left to run"
    assert "build-failed" in said["not_built"]["baseline.plain.x86_64"]


def test_a_machine_that_starts_no_guest_ends_the_hunt_which_can_be_resumed(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(), refuses="all")

    done = run(kernel, begin(kernel, "--flavour", "plain"))

    assert done.returncode == 3, done.stderr
    assert "in a row were lost" in done.stderr
    assert f"patchrig hunt --resume {hunt_folder(kernel).name}" in done.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "which kernel is to be hunted in?"),
        (["--kernel", "6.19", "--suite", "kselftest:mm"], "a hunt has no second kernel"),
        (["--kernel", "6.19", "--in", "../mm/swap.c"], "is no file of a kernel tree"),
        (["--resume", "latest"], "no hunt 'latest'"),
        (["--resume", "latest", "--kernel", "6.19"], "leave out --kernel"),
        (["--resume", "latest", "--no-sandbox"], "leave out --no-sandbox"),
    ],
)
def test_a_command_line_that_makes_no_hunt_is_refused(kernel: ToyKernel, words: list[str], why: str) -> None:
    done = run(kernel, argv(kernel, *words))

    assert done.returncode == 2, done.stderr
    assert why in done.stderr
