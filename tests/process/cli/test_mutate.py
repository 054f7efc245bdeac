# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig mutate` on a kernel of two files that is really built, and what its run makes of guests that are fakes."""

import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.kernel.series.bug_patches import read_bugs
from tests.process import fake_host
from tests.process.fake_host import PATCHRIG, Host
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 19
SUBLEVEL = 6
objects := $(O)/swap.o $(patsubst lib/%.c,$(O)/%.o,$(wildcard lib/patchrig_mutant.c))
flags := -g -I include -include include/linux/compiler.h

allnoconfig:
	@mkdir -p $(O)/include/config
	@echo 6.19.6 > $(O)/include/config/kernel.release
	@cp $(KCONFIG_ALLCONFIG) $(O)/.config

vmlinux: $(objects)
	@$(CC) -nostdlib -static -o $(O)/vmlinux $^

$(O)/swap.o: swap.c
	@echo "  CC      swap.o"
	@$(CC) $(flags) -c -o $@ swap.c
	@echo "source_swap.o := $(CURDIR)/swap.c" > $(O)/.swap.o.cmd

swap.o: $(O)/swap.o

$(O)/patchrig_mutant.o: lib/patchrig_mutant.c lib/Makefile
	@grep -q '^obj-y += patchrig_mutant.o' lib/Makefile
	@$(CC) $(flags) -c -o $@ lib/patchrig_mutant.c
"""
SWAP_C = "static const int slots[2];\nint used;\nvoid _start(void)\n{\n\tused = 1;\n}\n"
# What the overlay's file needs of a kernel's headers.
HEADERS = {
    "cache.h": "#define __read_mostly\n",
    "export.h": "#define EXPORT_SYMBOL_GPL(x) extern typeof(x) x\n",
    "init.h": "#define __init\n#define device_initcall(function) int (*call_##function)(void) = function\n",
    "moduleparam.h": "struct kernel_param;\n"
    "struct kernel_param_ops {\n\tint (*set)(const char *, const struct kernel_param *);\n\tint (*get)(void);\n};\n"
    "static inline int param_set_uint(const char *v, const struct kernel_param *p) { return 0; }\n"
    "static inline int param_get_uint(void) { return 0; }\n"
    "#define core_param(name, variable, type, mode) const void *ops_of_##name = &param_ops_##type\n",
    "proc_fs.h": "#define NULL ((void *)0)\n#define proc_create_single(name, mode, parent, show) ((void)(show))\n",
    "seq_file.h": "struct seq_file;\nstatic inline void seq_printf(struct seq_file *file, const char *text, ...) { }\n",
}
# What it takes away would not compile: the table is constant.
PATCH = """\
--- a/swap.c
+++ b/swap.c
@@ -2,5 +2,6 @@
 int used;
 void _start(void)
 {
-	((int *)0 + (slots[0] = 2));
+	if (used)
+		used = slots[1];
 }
"""


@pytest.fixture
def toy(host: Host) -> ToyKernel:
    toy = ToyKernel(host)
    toy.write("linux/Makefile", MAKEFILE)
    toy.write("linux/swap.c", SWAP_C.replace("used = 1;", "((int *)0 + (slots[0] = 2));"))
    toy.write("linux/lib/Makefile", "obj-y += other.o\n")
    toy.write("linux/include/linux/compiler.h", "#define unlikely(x) (x)\n")
    for name, text in HEADERS.items():
        toy.write(f"linux/include/linux/{name}", text)
    toy.write("series.patch", PATCH)
    return toy


def mutate(toy: ToyKernel, *words: str) -> subprocess.CompletedProcess[str]:
    tree = str(toy.folder / "linux")
    argv = [str(PATCHRIG), "mutate", str(toy.folder / "matrix.yaml"), "--tree", tree, "--no-sandbox", *words]
    argv += ["--results", str(toy.host.results)]
    return subprocess.run(argv, env=toy.host.environment, capture_output=True, text=True, check=False, timeout=300)


def test_the_mutants_of_a_series_are_listed_without_a_build(toy: ToyKernel) -> None:
    done = mutate(toy, "--list")

    assert done.returncode == 0, done.stderr
    assert "swap.c:5                     negate           used -> !(used)" in done.stdout
    assert "  1  drop-assignment  removes an assignment" in done.stdout
    assert done.stdout.splitlines()[-1] == (
        "mutants: 4 of 2 changed statements and conditions, in 1 file; 4 in one build, 0 with a build of their own; "
        "0 changes left out"
    )
    assert not toy.host.results.exists()


def test_each_mutant_may_be_written_as_a_seeded_bug(toy: ToyKernel) -> None:
    folder = toy.folder / "mutants"

    first = mutate(toy, "--list", "--operators", "negate,always", "--patches", str(folder))
    again = mutate(toy, "--list", "--patches", str(folder))
    bugs, _ = read_bugs(folder, ())

    assert (first.returncode, again.returncode) == (0, 2)
    assert "is not empty" in again.stderr
    assert [bug.id for bug in bugs] == ["002-negate", "003-always"]
    assert "_start(): negates a condition: used -> !(used)" in (folder / "002-negate.patch").read_text()
    subprocess.run(["patch", "-p1", "-i", str(toy.folder / "series.patch")], cwd=toy.folder / "linux", check=True)
    subprocess.run(["patch", "-p1", "-i", str(folder / "002-negate.patch")], cwd=toy.folder / "linux", check=True)
    assert "\tif ((!(used)))\n" in (toy.folder / "linux/swap.c").read_text()


def test_one_kernel_has_all_mutants_but_those_that_do_not_compile(toy: ToyKernel) -> None:
    done = mutate(toy, "--build", "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    operators = {one["number"]: one["operator"] for one in found["mutants"]}
    (build,) = found["builds"]
    assert [operators[number] for number in build["not_compiled"]] == ["omit-hunk"]
    assert sorted(operators[number] for number in build["mutants"]) == ["always", "drop-assignment", "negate"]
    assert (build["outcome"], build["builds"]) == ("built", 2)
    assert Path(build["image"]).exists()


def test_for_fewer_mutants_nothing_is_built_again(toy: ToyKernel) -> None:
    whole = mutate(toy, "--build", "--json")
    one = mutate(toy, "--build", "--json", "--operators", "always", "--only", "_start")

    (first,), (second,) = (json.loads(done.stdout)["builds"] for done in (whole, one))
    assert [mutant["number"] for mutant in json.loads(one.stdout)["mutants"]] == [3]
    assert second == {**first, "builds": 1}
    assert "from the cache" in one.stderr
    assert "compiling" not in one.stderr


def test_a_function_that_the_series_does_not_change_is_told(toy: ToyKernel) -> None:
    done = mutate(toy, "--list", "--only", "_strat")

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "patchrig: --only: unknown changed function '_strat', did you mean '_start'?; allowed: _start"
    )


def test_a_kernel_that_does_not_compile_without_any_mutant_is_told_as_a_run_tells_it(toy: ToyKernel) -> None:
    toy.write("series.patch", PATCH.replace("slots[1]", "no_such_thing"))

    done = mutate(toy, "--build")

    assert done.returncode == 1
    assert "build-failed" in done.stdout


def test_a_mistake_on_the_command_line_is_told_with_what_there_is(toy: ToyKernel) -> None:
    unknown = mutate(toy, "--list", "--operators", "negat")
    both = mutate(toy, "--list", "--build")
    budget = mutate(toy, "--budget", "ten")
    nothing = mutate(toy, "--repro", "3")

    assert [one.returncode for one in (unknown, both, budget, nothing)] == [2, 2, 2, 2]
    assert "there is no operator 'negat'" in unknown.stderr
    assert "negate" in unknown.stderr
    assert "--list or --build" in both.stderr
    assert "'ten' is no time" in budget.stderr
    assert "no run of mutants" in nothing.stderr


def test_a_series_that_does_not_apply_has_no_mutants(toy: ToyKernel) -> None:
    toy.write("series.patch", PATCH.replace("int used;", "int other;"))

    done = mutate(toy, "--list")

    assert done.returncode == 2
    assert "does not apply" in done.stderr
