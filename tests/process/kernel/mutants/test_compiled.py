# SPDX-License-Identifier: GPL-2.0-or-later
"""Guarded code is compiled and run: with each number it does what the mutant alone does, and with none what it did."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.kernel.mutants.compile_errors import blamed
from orchestrator.kernel.mutants.guards import broken, guarded
from orchestrator.kernel.mutants.mutant_patch import file_patch, guarded_files, patch_of_one
from orchestrator.kernel.mutants.select_mutants import select_mutants
from orchestrator.model.mutants import Guard, Mutant, Mutants
from tests.unit.mutant_samples import FILE, series

HERE = Path(__file__).parent
# What the code of CODE is made of, and a program that shows what it does for several arguments.
BEFORE = """
#include <stdio.h>
#include <stdlib.h>
#define unlikely(x) __builtin_expect(!!(x), 0)
#define EAGAIN 11
#define EBUSY 16
#define EIO 5
#define EINVAL 22
struct thing { int refs, gone, n, list[4]; };
static int steps;
static void step(const char *what, int with)
{
	if (++steps > 60)
		exit(7);
	printf("%s(%d) ", what, with);
}
static int tryget_thing(struct thing *x) { step("get", x->refs); return !x->gone && ++x->refs; }
static void put_thing(struct thing *x) { step("put", x->refs); x->refs--; }
static void lock_thing(struct thing *x) { step("lock", x->n); }
static void unlock_thing(struct thing *x) { step("unlock", x->n); }
static void put_other(struct thing *x) { step("put other", x->n); }
#define for_each_thing(i, x) for ((i) = 0; (i) < (x)->n; (i)++)
static int use(struct thing *x, int n) { step("use", n); return x->list[n & 3]; }
"""
CODE = (HERE / "whole.txt").read_text()
AFTER = """
int main(int argc, char **argv)
{
	struct thing x = { .gone = atoi(argv[1]), .n = atoi(argv[2]), .list = { 5, 13, 7, 9 } };
	int ret;
	CHOOSE;
	ret = f(&x);
	printf("= %d, refs %d, n %d", ret, x.refs, x.n);
	return 0;
}
"""
INPUTS = [(gone, n) for gone in (0, 1) for n in range(6)]
LIMIT = 60


def compiled(code: str, folder: Path, name: str, choose: str = "") -> Path:
    source, program = folder / f"{name}.c", folder / name
    source.write_text(f"{BEFORE}\n{code}\n{AFTER.replace('CHOOSE', choose)}")
    # As the kernel's build: a mutant may leave a variable without a value.
    argv = ["gcc", "-O1", "-w", "-ftrivial-auto-var-init=zero", "-o", str(program), str(source)]
    subprocess.run(argv, check=True, timeout=LIMIT)
    return program


def does(program: Path, *more: str) -> list[tuple[int, str]]:
    found = []
    for gone, n in INPUTS:
        argv = [str(program), str(gone), str(n), *more]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT)
        found.append((done.returncode, done.stdout))
    return found


def with_guards(found: Mutants, folder: Path, before: str = "") -> tuple[list[Mutant], Path]:
    """The mutants that have a guard, and the program with all of them, which takes a number as its third argument."""
    here = [one for one in found.mutants if one.guard is not Guard.OWN_BUILD]
    text = b"".join(piece.text for piece in guarded(found.texts[FILE], here)).decode()
    variables = "unsigned int patchrig_mutant;\nvolatile unsigned int patchrig_reached[4096];\n"
    choose = "patchrig_mutant = strtoul(argv[3], NULL, 10)"
    return here, compiled(f"{before}{variables}{text}", folder, "guarded", choose)


@pytest.mark.timeout(600)
def test_one_program_behaves_as_each_mutant_and_as_none(tmp_path: Path) -> None:
    found = select_mutants(series(CODE))
    here, whole = with_guards(found, tmp_path)
    original = does(compiled(found.texts[FILE], tmp_path, "original"))

    assert does(whole, "0") == original
    assert does(whole, "4000000000") == original
    assert len(here) > 30
    told_apart = 0
    for one in here:
        alone = does(compiled(broken(found.texts[FILE], one), tmp_path, f"mutant{one.number}"))
        assert does(whole, str(one.number)) == alone, one
        told_apart += alone != original
    assert told_apart > len(here) * 3 // 4


def test_what_gcc_refuses_is_blamed_and_the_rest_compiles(tmp_path: Path) -> None:
    # `const` forbids what the series took away, and nothing of what it left.
    found = select_mutants(series((HERE / "refused.txt").read_text()))
    source = tmp_path / FILE
    source.parent.mkdir()

    def errors(left: list[int]) -> str:
        chosen = [one for one in found.mutants if one.number in left]
        (content,) = guarded_files(found.texts, chosen).values()
        source.write_bytes(content)
        argv = ["gcc", "-c", "-w", "-Dunlikely(x)=(x)", "-o", str(tmp_path / "x.o"), FILE]
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LIMIT).stderr

    every = [one.number for one in found.mutants if one.guard is not Guard.OWN_BUILD]
    bad = blamed(errors(every), found.texts, [one for one in found.mutants if one.number in every])

    assert [one.operator for one in found.mutants if one.number in bad] == ["omit-hunk"]
    assert errors([number for number in every if number not in bad]) == ""


def test_git_applies_what_is_made_as_a_patch(tmp_path: Path) -> None:
    found = select_mutants(series("-#define N 1\n+#define N 2\n \n" + CODE.strip("\n")))
    own = next(one for one in found.mutants if not one.function)
    (content,) = guarded_files(found.texts, found.mutants).values()
    old = found.texts[FILE].encode()
    for patch, expected in (
        (file_patch(FILE, old, content), content),
        (patch_of_one(found.texts, own), broken(found.texts[FILE], own).encode()),
    ):
        (tmp_path / "mm").mkdir(exist_ok=True)
        (tmp_path / FILE).write_bytes(old)
        subprocess.run(["git", "apply", "-"], input=patch, cwd=tmp_path, check=True, timeout=LIMIT)
        assert (tmp_path / FILE).read_bytes() == expected


# What the code of UNUSUAL is made of, in the kernel's ways of writing.
MACROS = """
#define LIST_HEAD(name) struct item name = { NULL, 0 }
#define for_each_item(y, head) for (struct item *y = (head); y; y = y->next)
#define guard(kind) guard_at(kind, __LINE__)
#define guard_at(kind, line) guard_named(kind, line)
#define guard_named(kind, line) struct thing *held##line __attribute__((cleanup(unlock_##kind))) = lock_##kind##_of
#define scoped_guard(kind, x) \\
	for (struct thing *held __attribute__((cleanup(unlock_##kind))) = lock_##kind##_of(x), *once = x; once; once = NULL)
#define fallthrough __attribute__((__fallthrough__))
#define A_LIMIT 2
#define DEFINE_THING2(name, type1, a, type2, b) static int name(type1 a, type2 b)
static struct thing *lock_thing_of(struct thing *x) { lock_thing(x); return x; }
static void unlock_thing_at(struct thing **x) { unlock_thing(*x); }
#define unlock_thing unlock_thing_at
"""
UNUSUAL = (HERE / "unusual.txt").read_text()


@pytest.mark.timeout(600)
def test_unusual_c_compiles_with_each_mutant_and_does_the_same_with_none(tmp_path: Path) -> None:
    found = select_mutants(series(UNUSUAL))
    here, whole = with_guards(found, tmp_path, MACROS)

    assert does(whole, "0") == does(compiled(f"{MACROS}{found.texts[FILE]}", tmp_path, "original"))
    assert {one.function for one in here} > {"blank_line", "guarded", "again", "computed", "switched", "expressions"}
    for one in here:
        alone = tmp_path / "alone.c"
        alone.write_text(f"{BEFORE}{MACROS}{broken(found.texts[FILE], one)}")
        argv = ["gcc", "-fsyntax-only", "-w", "-Werror=return-type", str(alone)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT)
        assert done.returncode == 0, (one, done.stderr)
