# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of configs/ci/, run: what is loud of each night, and what is kept of it, is what it should be."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import pytest
from junitparser import JUnitXml

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.ci_servers import Done, GithubJob, GitlabJob, Machine, new_machine
from tests.process.cli.test_run import with_workloads
from tests.process.fake_host import PROGRESS, Host, Step, passing, result_line
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = [
    pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed"),
    # Each plays several jobs, and each job is a patchrig of its own: on a busy machine that takes long.
    pytest.mark.timeout(3600),
]

OOPS = "[   12.000002][  T400] BUG: kernel NULL pointer dereference, address: 0000000000000000"
SPLAT = "BUG: kernel NULL pointer dereference"
CRASH: list[Step] = [["say", PROGRESS], ["console", OOPS], ["say", result_line()], ["exit", 0]]
WRONG = passing(errors=[{"call": "swapoff", "errno": "EIO", "count": 2}])
GONE: list[Step] = [["say", PROGRESS], ["die_of", 9]]


@pytest.fixture
def machine(host: Host) -> Machine:
    kernel = ToyKernel(host)
    with_workloads(kernel, "mincore", "shmem")
    return new_machine(kernel)


def guests(machine: Machine, **loads: list[Step]) -> None:
    """What the guests of the next job do; workloads that are not named pass."""
    for file in machine.kernel.host.state.glob("qemu.*"):
        file.unlink()
    machine.kernel.host.scenario(passing(), loads=loads)


def arguments(machine: Machine) -> str:
    return f"--tree {machine.kernel.folder / 'linux'} --no-sandbox --no-restore --jobs 1"


def github(machine: Machine, file: str, job: str, run: int, shard: str = "") -> Done:
    values = {"inputs.arguments": arguments(machine), "github.run_id": str(run), "github.run_attempt": "1"}
    return GithubJob(machine, file, job, values | {"matrix.shard": shard}).run()


def junit(done: Done) -> tuple[int, int, int, int]:
    """Tests, failures, skipped, errors."""
    report = JUnitXml.fromstring(done.files["junit.xml"])
    return report.tests, report.failures, report.skipped, report.errors


def folders(files: Mapping[str, bytes], below: str = "results") -> set[str]:
    """The folders of runs among the files of an artifact."""
    parts = [
        PurePosixPath(path).relative_to(below).parts for path in files if PurePosixPath(path).is_relative_to(below)
    ]
    return {part[0] for part in parts if len(part) > 1}


def assert_no_key(files: Mapping[str, bytes]) -> None:
    assert any(path.endswith("cells.jsonl") for path in files)
    assert not [path for path, data in files.items() if "id_ed25519" in path or b"OPENSSH PRIVATE KEY" in data]
    assert not [path for path in files if "latest" in path]


def outcomes(done: Done, kind: str) -> list[str]:
    """What the annotations of a kind are about, without the host's trouble."""
    return [line.partition("title=")[2].partition("%3A")[0] for line in done.lines(kind) if "title=" in line]


# Of each night: what the guests do, and what has to be loud. A failure is loud once, and a lost machine is no verdict.
NIGHTS: Sequence[tuple[str, dict[str, list[Step]], int, tuple[int, int, int, int], dict[str, list[str]]]] = (
    ("a flaky cell, bad", {"shmem": WRONG}, 1, (2, 1, 0, 0), {"error": ["failed"]}),
    ("a new crash", {"mincore": CRASH}, 1, (2, 1, 0, 0), {"error": ["crashed"]}),
    ("a lost machine", {"mincore": GONE, "shmem": GONE}, 3, (2, 0, 0, 2), {"warning": ["lost", "lost"]}),
    ("both again", {"mincore": CRASH, "shmem": WRONG}, 0, (2, 0, 2, 0), {"notice": ["crashed", "failed"]}),
)


def test_four_nights_on_github_are_loud_only_of_what_is_new(machine: Machine) -> None:
    known: set[str] = set()
    for number, (what, loads, code, cases, said) in enumerate(NIGHTS, start=1):
        guests(machine, **loads)

        done = github(machine, "github-actions.yml", "swapoff", number)

        assert done.code == code, f"{what}\n{done.log}"
        assert junit(done) == cases, what
        assert {kind: sorted(outcomes(done, kind)) for kind in ("error", "warning", "notice") if outcomes(done, kind)} \
            == said, what  # fmt: skip
        assert "## patchrig: " in done.summary
        assert all(outcome in done.summary for lines in said.values() for outcome in lines)
        assert_no_key(done.files)
        # A run of this night, or two where the host failed; of earlier ones only what is compared.
        new = folders(done.files) - known
        assert len(new) == (2 if code == 3 else 1), what
        assert all(f"results/{name}/report.html" in done.files for name in new)
        assert known <= folders(done.files)
        known |= new
        assert ("the host failed, not the kernel (exit code 3); running once more" in done.log) is (code == 3)
        assert any("::error::the host failed" in line for line in done.lines("error")) is (code == 3)

    calls = [line.partition(" ")[0] for line in machine.log]
    root = calls.index("setpriv")
    assert {"apt-get", "make"} <= set(calls[:root])
    assert calls[root - 2 : root] == ["useradd", "chown"]
    assert "make setup" in machine.log


def gitlab(machine: Machine, file: str, job: str, **variables: str) -> GitlabJob:
    return GitlabJob(machine, file, job, {"ARGUMENTS": arguments(machine)} | variables)


def quality(done: Done) -> list[tuple[str, str]]:
    entries = json.loads(done.files["gl-code-quality-report.json"])
    assert all({"description", "fingerprint", "location"} <= set(entry) for entry in entries)
    return [(entry["check_name"], entry["severity"]) for entry in entries]


def test_nights_on_gitlab_run_once_more_after_a_lost_machine_and_list_what_is_old_as_info(machine: Machine) -> None:
    guests(machine, mincore=GONE)
    job = gitlab(machine, "gitlab-ci.yml", "swapoff")
    lost = job.run()
    guests(machine, mincore=CRASH)
    first, second = job.run(), job.run()

    assert [lost.code, first.code, second.code] == [3, 1, 0], second.log
    assert [code in job.retried for code in (3, 1)] == [True, False]
    assert [junit(done) for done in (lost, first, second)] == [(2, 0, 0, 1), (2, 1, 0, 0), (2, 0, 1, 0)]
    assert [quality(done) for done in (lost, first, second)] == [
        [("lost", "info")], [("crashed", "critical")], [("crashed", "info")],
    ]  # fmt: skip
    for done in (lost, first, second):
        assert_no_key(done.files)
    assert any(line.startswith("bwrap --unshare-user") for line in machine.log)


def merged_codes(shards: Sequence[Done], merge: Done) -> None:
    """One red cell: only the merging job fails."""
    assert [done.code for done in shards] == [0] * 4, "".join(done.log for done in shards)
    assert merge.code == 1, merge.log
    assert junit(merge)[:2] == (2, 1)
    assert_no_key(merge.files)


def test_shards_on_github_fail_only_where_they_are_merged_and_one_that_is_missing_is_lost(machine: Machine) -> None:
    file = "github-actions-shards.yml"
    guests(machine, mincore=CRASH)
    shards = [github(machine, file, "shard", 1, shard=str(number)) for number in range(1, 5)]
    merge = github(machine, file, "merge", 1)

    merged_codes(shards, merge)
    assert outcomes(merge, "error") == ["crashed"]
    for name in [name for name in machine.artifacts if name.startswith("shard-")]:
        assert not [path for path in machine.artifacts[name] if "id_ed25519" in path]
    # The next night: that of mincore does not come.
    mine = next(name for name, files in machine.artifacts.items() if any(".mincore/" in path for path in files))
    del machine.artifacts[mine]
    again = github(machine, file, "merge", 2)
    assert again.code == 3, again.log
    assert junit(again)[3] == 1
    assert "no run of shard" in again.log + again.summary


def test_shards_on_gitlab_fail_only_where_they_are_merged(machine: Machine) -> None:
    file = "gitlab-ci-shards.yml"
    guests(machine, mincore=CRASH)
    jobs = [gitlab(machine, file, "shard", CI_NODE_INDEX=str(n), CI_NODE_TOTAL="4") for n in range(1, 5)]
    shards = [job.run() for job in jobs]
    merge = gitlab(machine, file, "merge").run([done.files for done in shards])

    merged_codes(shards, merge)
    assert quality(merge) == [("crashed", "critical")]
    for done in shards:
        assert not [path for path in done.files if "id_ed25519" in path]
