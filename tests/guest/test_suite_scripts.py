# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripts that run test suites, under the guest's own shell, with other folders in place of the guest's."""

import re
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "guest-scripts"
# What stands at the head of a script: a place in the guest.
PLACE = re.compile(r"^(\w+)=(/[\w/.-]+)$", re.MULTILINE)

# Each stressor does what its name says; the words of its command line are in its log.
STRESS_NG = """#!/bin/sh
name=${1#--}
echo "stress-ng: info:  [1] $*"
case $name in
good | lazy) [ "$name" = lazy ] || echo "stress-ng: metrc: [1] $name 542 11.40 3.00" ;;
poor) exit 3 ;;
strange) exit 4 ;;
*) exit 2 ;;
esac
"""


def run(name: str, folder: Path, *words: str) -> list[str]:
    """The script's lines. Every place that it may change is one of the test's."""
    text = PLACE.sub(lambda found: f"{found[1]}={folder}{found[2]}", (SCRIPTS / name).read_text(encoding="utf-8"))
    (folder / name).write_text(text)
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    done = subprocess.run(
        ["busybox", "sh", folder / name, *words], env={"PATH": f"{programs}:/bin:/usr/bin"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_each_stressor_is_a_result_by_what_its_own_stress_ng_says(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/stress-ng").write_text(STRESS_NG)
    (tmp_path / "bin/stress-ng").chmod(0o755)

    lines = run("suite-stress-ng", tmp_path, "7", "99", "good", "bad", "poor", "strange", "lazy")

    assert lines[:2] == ["TAP version 13", "1..5"]
    results = [line for line in lines[2:] if not line.startswith("#")]
    assert [line.split(" # ")[0] for line in results] == [
        "ok 1 good", "not ok 2 bad", "ok 3 poor", "ok 4 strange", "ok 5 lazy",
    ]  # fmt: skip
    # Who has done nothing has not passed.
    assert [" # SKIP" in line for line in results] == [False, False, True, True, True]
    assert results[-1] == "ok 5 lazy # SKIP it has done nothing in 7 s"
    assert "--timeout 7s --seed 99" in lines[2]


@pytest.fixture
def kunit(tmp_path: Path) -> Path:
    for suite in ("damon", "damon-sysfs", "list"):
        folder = tmp_path / "sys/kernel/debug/kunit" / suite
        folder.mkdir(parents=True)
        (folder / "results").write_text(f"KTAP version 1\nok 1 {suite}\n")
        (folder / "run").write_text("")
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites/kunit-names").write_text("mm damon-sysfs\nlib list\nmm not-in-this-kernel\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "suites"),
    [
        (("damon",), ["damon"]),
        (("damon*",), ["damon", "damon-sysfs"]),
        (("mm",), ["damon-sysfs"]),
        (("lib", "damon"), ["damon", "list"]),
        (("*",), ["damon", "damon-sysfs", "list"]),
        (("nothing",), []),
    ],
)
def test_kunit_suites_are_run_by_name_or_by_folder(kunit: Path, words: tuple[str, ...], suites: list[str]) -> None:
    lines = run("suite-kunit", kunit, *words)

    assert [line.removeprefix("ok 1 ") for line in lines if line.startswith("ok")] == suites
    started = [path.parent.name for path in sorted(kunit.glob("sys/kernel/debug/kunit/*/run")) if path.read_text()]
    assert started == suites


def test_a_kernel_without_kunit_says_so_and_has_no_result(tmp_path: Path) -> None:
    assert run("suite-kunit", tmp_path, "*") == ["# this kernel has no KUnit suites in debugfs"]
