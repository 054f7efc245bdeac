# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig b4-check` with a real git and a kernel that is really built; b4 is b4, or a fake with its protocol."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.fake_host import PATCHRIG, Host, passing
from tests.process.toy_kernel import SWAP_C, ToyKernel

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")
B4 = PATCHRIG.with_name("b4")
# What b4 prints to these command lines, and the file that it writes.
FAKE_B4 = """\
#!/bin/sh
case "$1 $2" in
"prep --show-info") echo "branch: b4/topic"; echo "series-range: $(cat {0}/range)"; echo "change-id: 2026-topic" ;;
"mbox --outdir") [ -f {0}/thread ] || {{ echo "no network" >&2; exit 1; }}; cp {0}/thread "$3/$5" ;;
*) exit 64 ;;
esac
"""


class Repository(ToyKernel):
    """The toy kernel in git, with a series of two patches on top; a b4 that knows their range."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.tree = self.folder / "linux"
        self.write("mine/mincore.yaml", (self.folder / "workloads/mincore.yaml").read_text())
        self.write("mine/load.sh", "#!/bin/sh\n")
        self.git("init", "-q", "-b", "master")
        self.base = self.commit("the base", "slots = 2;")
        (host.programs / "b4").write_text(FAKE_B4.format(self.folder))
        (host.programs / "b4").chmod(0o755)

    def git(self, *words: str) -> str:
        own = ["git", "-C", str(self.tree), "-c", "user.name=A", "-c", "user.email=a@localhost"]
        return subprocess.run([*own, *words], check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, title: str, line: str) -> str:
        self.write("linux/swap.c", SWAP_C.replace("slots = 2;", line))
        self.git("add", ".")
        self.git("commit", "--allow-empty", "-qm", title)
        return self.git("rev-parse", "HEAD")

    def mail(self, commit: str, subject: str) -> str:
        return f"From: A <a@b>\nSubject: {subject}\nMessage-ID: <{commit[:8]}@b>\n\n---\n{self.git('show', commit)}\n"

    def check(self, mail: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = ["--no-sandbox", "--arch", "x86_64", "--workload", str(self.folder / "mine/mincore.yaml")]
        argv = [str(PATCHRIG), "b4-check", *own, "--results", str(self.host.results), *words]
        return subprocess.run(
            argv, env=self.host.environment | environment, capture_output=True, text=True, check=False, timeout=300,
            input=mail, cwd=self.tree,
        )  # fmt: skip


@pytest.fixture
def kernel(host: Host) -> Repository:
    host.scenario(passing())
    return Repository(host)


def statuses(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    said = json.loads(done.stdout)
    assert all({"tool", "status", "summary"} <= set(one) for one in said)
    return {one["tool"]: one["status"] for one in said}


def test_prep_checks_the_series_up_to_each_patch_and_says_nothing_of_what_is_well(kernel: Repository) -> None:
    broken = kernel.commit("one", "slots = nothing;")
    fixed = kernel.commit("two", "slots = 3;")
    kernel.write("range", f"{kernel.base}..{fixed}")

    first = kernel.check(kernel.mail(broken, "[PATCH 1/2] one"), "--prep", "--tree", ".")
    second = kernel.check(kernel.mail(fixed, "[PATCH 2/2] two"), "--prep", "--tree", ".")

    assert (first.stderr, second.stderr) == ("", "")  # b4 takes each line there for an error
    (line,) = first.stdout.splitlines()
    assert line.startswith("ERROR: patchrig-build: patched.plain.x86_64: build-failed: ")
    assert "nothing" in line
    assert (second.stdout, second.returncode) == ("", 0)


def test_review_gets_json_of_the_patches_in_its_branch_and_the_piped_cover_letter(kernel: Repository) -> None:
    one = kernel.commit("one", "slots = 3;")
    kernel.commit("two", "slots = 4;")
    kernel.commit("b4's notes", "slots = 4;")
    kernel.git("branch", "b4/review/a-change")
    kernel.git("reset", "-q", "--hard", kernel.base)
    kernel.write("tracking", json.dumps({"series": {"first-patch-commit": one, "change-id": "a-change"}}))
    cover = "From: A <a@b>\nSubject: [PATCH 0/2] both\nMessage-ID: <0@b>\n\nwords\n"

    done = kernel.check(cover, "--tree", ".", "--run", B4_TRACKING_FILE=str(kernel.folder / "tracking"))

    assert done.returncode == 0, done.stderr
    assert statuses(done) == {
        "patchrig-apply": "pass", "patchrig-workloads": "pass", "patchrig-build": "pass", "patchrig-run": "pass",
    }  # fmt: skip
    assert kernel.host.outcomes() == ["passed"]
    (kept,) = kernel.host.results.glob("b4/a-change-*/series.mbox")
    assert kept.read_text().count("\nSubject: [PATCH ") == 2


def test_a_series_that_is_not_in_a_branch_comes_from_the_thread_that_b4_fetches(kernel: Repository) -> None:
    one = kernel.commit("one", "slots = 3;")
    two = kernel.commit("two", "slots = 4;")
    mails = [kernel.mail(one, "[PATCH 1/2] one"), kernel.mail(two, "[PATCH 2/2] two")]
    kernel.git("reset", "-q", "--hard", kernel.base)
    cover = "From: A <a@b>\nSubject: [PATCH 0/2] both\nMessage-ID: <0@b>\n\nwords\n"
    none = kernel.check(cover, "--tree", ".")
    kernel.write("thread", "".join(f"From a@b Sat Nov  1 10:00:00 2025\n{mail}\n" for mail in [cover, *mails]))

    done = kernel.check(cover, "--tree", ".", "--no-build")

    assert statuses(none) == {"patchrig-apply": "warn"}  # that there is no network says nothing of the series
    assert "no network" in none.stdout
    assert statuses(done) == {"patchrig-apply": "pass", "patchrig-workloads": "pass"}


def test_a_patch_that_stands_alone_needs_no_b4_and_one_that_does_not_apply_fails(kernel: Repository) -> None:
    alone = kernel.mail(kernel.commit("one", "slots = 3;"), "[PATCH] one")

    done = kernel.check(alone, "--tree", ".")

    assert done.returncode == 1
    assert statuses(done)["patchrig-apply"] == "fail"  # the tree has it already
    assert "patchrig-build" not in statuses(done)


def test_what_is_no_mail_fails_with_the_next_command(kernel: Repository) -> None:
    done = kernel.check("nothing\n")

    (said,) = json.loads(done.stdout)
    assert (said["status"], said["details"]) == ("fail", "patchrig b4-check --patch series.mbox")


@pytest.mark.skipif(not B4.exists(), reason="b4 is not installed in .venv")
def test_b4_itself_reads_our_lines(kernel: Repository, tmp_path: Path) -> None:
    (kernel.host.programs / "b4").unlink()
    (kernel.host.programs / "b4").symlink_to(B4)
    own = ["--no-sandbox", "--arch", "x86_64", "--workload", str(kernel.folder / "mine/mincore.yaml"), "--tree", "."]
    command = [str(PATCHRIG), "b4-check", "--prep", *own, "--results", str(kernel.host.results)]
    kernel.git("config", "b4.prep-perpatch-check-cmd", shlex.join(command))
    kernel.git("config", "user.name", "A")
    kernel.git("config", "user.email", "a@localhost")
    environment = kernel.host.environment | {"HOME": str(tmp_path)}

    def b4(*words: str) -> str:
        done = subprocess.run(
            [str(B4), *words], cwd=kernel.tree, env=environment, capture_output=True, text=True, check=True, timeout=300
        )
        return done.stdout + done.stderr

    b4("prep", "-n", "topic", "-f", "master")
    kernel.commit("one\n\nbody\n\nSigned-off-by: A <a@localhost>", "slots = nothing;")
    kernel.commit("two\n\nbody\n\nSigned-off-by: A <a@localhost>", "slots = 3;")

    assert "Success: 1, Warning: 0, Error: 1" in b4("prep", "--check")
