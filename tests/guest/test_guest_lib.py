# SPDX-License-Identifier: GPL-2.0-or-later
"""The C code of the guest, on the host: each *_test.c of this folder is a program of its own, run under ASan and UBSan.

One of them: `make unit ARGS="tests/guest -k record"`. A check that fails is printed with its file, line and test.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.judge.extended_regex import extended
from orchestrator.judge.guest_splats import GOES_ON, splats_text
from orchestrator.judge.lines import kernel_lines
from orchestrator.judge.patterns import OUTER, PATTERNS, Pattern
from orchestrator.model.configuration import Allowed
from orchestrator.model.crashes import Severity

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
LIBRARY = PROJECT / "guest-scripts" / "lib"
# In the kernel and not in the guest's programs: its headers are others.
OVERLAYS = PROJECT / "kernels" / "overlays"
# The file of each overlay, and what tests it.
OF_KERNEL = {"widened": "widen", "reach": "reach"}
TESTS = sorted(set(HERE.glob("*_test.c")) - {HERE / f"{name}_test.c" for name in OF_KERNEL.values()})

CFLAGS = (
    *("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    f"-I{HERE}",
)
OF_LIBRARY = f"-I{LIBRARY}"
# What fake_kernel.c stands for.
REPLACED = (
    *("page_size", "fopen", "open", "access", "now_ns", "sleep_us"),
    *("swapon", "swapoff", "setpriority", "mlock", "munlock"),
)


def check(argv: Sequence[str | Path], folder: Path) -> str:
    """Run argv in the folder and give back what it prints; what it complains of is the test's message."""
    done = subprocess.run(
        argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest's library and what stands for its kernel, compiled once."""
    folder = tmp_path_factory.mktemp("library")
    check(["gcc", *CFLAGS, OF_LIBRARY, "-c", *sorted(LIBRARY.glob("*.c")), HERE / "fake_kernel.c"], folder)
    check(["ar", "rcs", "library.a", *sorted(folder.glob("*.o"))], folder)
    return folder / "library.a"


@dataclass(frozen=True)
class Programs:
    """Programs of the tests, each compiled once."""

    library: Path
    folder: Path

    def of(self, source: Path) -> Path:
        program = self.folder / source.stem
        if not program.exists():
            wraps = [f"-Wl,--wrap={name}" for name in REPLACED]
            check(["gcc", *CFLAGS, OF_LIBRARY, "-o", program, source, self.library, *wraps], self.folder)
        return program


@pytest.fixture(scope="session")
def programs(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(library, tmp_path_factory.mktemp("programs"))


@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.stem.removesuffix("_test"))
def test_guest_code(test: Path, programs: Programs, tmp_path: Path) -> None:
    check([programs.of(test)], tmp_path)


@pytest.mark.parametrize("kib", [4, 16, 64])
def test_a_record_fills_a_page_of_any_size(kib: int, programs: Programs, tmp_path: Path) -> None:
    check([programs.of(HERE / "record_test.c"), str(kib << 10)], tmp_path)


@pytest.mark.parametrize(("overlay", "name"), OF_KERNEL.items())
def test_code_that_an_overlay_adds_to_the_kernel(overlay: str, name: str, tmp_path: Path) -> None:
    files = OVERLAYS / overlay / "files"
    source = files / "lib" / "patchrig" / f"{name}.c"
    for header in re.findall(r"^#include <(.+)>$", source.read_text(encoding="utf-8"), re.MULTILINE):
        place = tmp_path / "include" / header
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text('#include "fake_linux.h"\n')

    check(
        ["gcc", *CFLAGS, f"-I{tmp_path / 'include'}", f"-I{files}", "-o", "program", HERE / f"{name}_test.c"], tmp_path
    )
    check([tmp_path / "program"], tmp_path)


def test_each_file_of_the_library_that_judges_or_parses_has_a_test() -> None:
    tested = {path.stem.removesuffix("_test").replace("_", "-") for path in TESTS}
    # branch.c is tested with kprobe.c; real boots test the others, which need a kernel below.
    booted = {"branch", "compactor", "minor", "page", "paging", "run", "uffd"}
    assert {path.stem for path in LIBRARY.glob("*.c")} - tested == booted


def test_the_result_line_is_json_whatever_its_texts_are(programs: Programs, tmp_path: Path) -> None:
    lines = check([programs.of(HERE / "result_test.c")], tmp_path).splitlines()

    assert len(lines) > 10
    for line in lines:
        said = json.loads(line)
        assert set(said) - {"accounting", "interfaces"} == {
            *("type", "operations", "verified", "mismatch_count", "mismatches", "errors"),
            *("swapoffs", "swapoff_longest_ms", "swapoff_stuck", "counters", "lacking", "changed", "missing"),
        }
        assert set(said["counters"]["before"]) == set(said["counters"]["after"])
        assert all(set(row) == {"page", "kind", "promise", "expected", "seen"} for row in said["mismatches"])
        assert all(set(row) == {"call", "errno", "promise", "count"} for row in said["errors"])
        uses = {"name", "path", "why", "reads", "writes", "refused"}
        assert all(set(row) == uses for row in said.get("interfaces", ()))
        assert len(line) < 256 * 1024


@pytest.fixture(scope="session")
def command(programs: Programs) -> Path:
    """The program that runs any command as a workload."""
    return programs.of(PROJECT / "guest-scripts" / "workloads" / "command.c")


def commanded(program: Path, *argv: str) -> tuple[int, list[str], dict[str, object]]:
    """Exit status, the lines of the command, and the result."""
    argv = (str(program), "--swap", "/dev/zram0:10:zram", "--", *argv)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert not done.stderr
    *lines, last = done.stdout.splitlines()
    own = [json.loads(line) for line in lines if line.startswith("{")]
    keys = {"type", "seconds", "operations", "swapoffs", "threads", "options"}
    assert all(set(line) == keys for line in own)
    return done.returncode, [line for line in lines if not line.startswith("{")], json.loads(last)


def test_each_line_of_a_command_is_marked_and_counted(command: Path) -> None:
    status, lines, result = commanded(command, "printf", 'one\\n{"type": "result"}\\n\\nlast')

    assert (status, lines) == (0, ["|one", '|{"type": "result"}', "|", "|last"])
    assert (result["operations"], result["swapoffs"], result["errors"]) == (4, 1, [])


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_a_command_s_end_is_the_program_s(command: Path, script: str, status: int) -> None:
    assert commanded(command, "sh", "-c", script)[0] == status


def test_a_command_that_is_not_there_is_no_pass(command: Path) -> None:
    status, lines, _ = commanded(command, "no-such-program")

    assert (status, lines) == (127, ["|no-such-program: No such file or directory"])


def test_both_streams_and_long_lines_come_whole(command: Path) -> None:
    status, lines, _ = commanded(command, "sh", "-c", "echo bad >&2; head -c 9000 /dev/zero | tr '\\0' x; exit 1")

    assert status == 1
    assert lines[0] == "|bad"
    assert [len(line) for line in lines[1:]] == [4001, 4001, 1001]


def test_a_daemon_that_holds_the_output_open_is_not_waited_for(command: Path) -> None:
    status, lines, _ = commanded(command, "sh", "-c", "sleep 30 & echo done")

    assert (status, lines) == (0, ["|done"])


def failing(programs: Programs, folder: Path, lines: list[str], allow: Sequence[Allowed] = ()) -> set[str]:
    """The lines by which a guest sees that it has failed, by the judge's patterns."""
    (folder / "rows").write_text(splats_text(allow))
    (folder / "lines").write_text("".join(f"{line}\n" for line in lines))
    return set(check([programs.of(HERE / "splats_test.c"), "rows", "lines"], folder).splitlines())


def pattern_of(line: str) -> Pattern | None:
    return next((one for one in PATTERNS if one.line.match(line) and not one.behind), None)


def fails_by_the_judge(line: str) -> bool:
    pattern = pattern_of(line)
    if pattern is None or pattern.prose:
        return False
    return pattern.severity is Severity.FATAL and pattern.kind not in GOES_ON


def looks_ahead(line: str) -> bool:
    pattern = pattern_of(line)
    return pattern is not None and extended(pattern.line.pattern.replace(OUTER, "")) is None


def test_a_guest_sees_the_splats_that_the_judge_sees(programs: Programs, tmp_path: Path) -> None:
    consoles = sorted((PROJECT / "tests" / "golden" / "console").glob("*.txt"))
    texts = {line.text for file in consoles for line in kernel_lines(file.read_text(errors="replace").splitlines())}
    # Inlined functions are named by who symbolised a log, and not by a kernel.
    lines = sorted(text for text in texts if text.isascii() and text.isprintable() and "[inline]" not in text)

    judged = {line for line in lines if fails_by_the_judge(line)}

    assert len(judged) > 60
    seen = failing(programs, tmp_path, lines)
    assert seen <= judged
    # The pattern of debugobjects, which print a WARNING next, looks ahead, and that of other arches.
    assert len(judged - seen) < 5
    assert all(map(looks_ahead, judged - seen))


def test_a_splat_that_is_allowed_does_not_fail_a_guest_and_others_do(programs: Programs, tmp_path: Path) -> None:
    oom = "Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF"
    bug, warning = "BUG: Bad page state in process a", "WARNING: CPU: 1 PID: 2 at mm/swapfile.c:12 foo+0x1/0x2"
    others = [f"harmless {number}" for number in range(120)]
    refs = "percpu ref (swap_users_ref_free) <= 0 (-1) after switching to atomic"

    assert failing(programs, tmp_path, [oom]) == {oom}
    allow = [Allowed(title="Huh VM_FAULT_OOM leaked", reason="for a test")]
    assert failing(programs, tmp_path, [oom, *others, bug, warning, refs], allow) == {bug, warning, refs}
    # It may be a part of it.
    assert failing(programs, tmp_path, [oom, bug], allow) == set()
    for title in ("WARNING in foo", "WARNING: refcount bug in foo"):
        allow = [Allowed(title=title, reason="for a test")]
        assert failing(programs, tmp_path, [warning, *others, bug, refs], allow) == {bug, refs}
