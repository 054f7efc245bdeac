# SPDX-License-Identifier: GPL-2.0-or-later
"""The headers that end a block at a lock, in front of headers that stand for the kernel's."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.host.paths import OVERLAYS

HEADERS = OVERLAYS / "widened" / "files" / "lib" / "patchrig" / "include"
KERNEL = {
    "spinlock.h": """\
static inline void spin_lock(int *lock) { take(lock); }
static inline void spin_unlock(int *lock) { release(lock); }
static inline void spin_unlock_irqrestore(int *lock, unsigned long flags) { release(lock); }
""",
    "mutex.h": "void mutex_unlock(int *lock);\n",
    "rwsem.h": """\
void down_read(int *lock);
void down_write(int *lock);
void up_read(int *lock);
void up_write(int *lock);
""",
    "rcupdate.h": "static inline void rcu_read_unlock(void) { release(0); }\n",
    "pagemap.h": """\
static inline int folio_trylock(int *folio) { return take(folio); }
static inline void folio_lock(int *folio) { take(folio); }
void folio_unlock(int *folio);
""",
}
SOURCE = """\
int take(int *lock); void release(int *lock); int look(int *at); void use(int found);
#include <linux/spinlock.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/rcupdate.h>
#include <linux/pagemap.h>
void probe(int *at, int *lock)
{
%s
}
"""


def calls(body: str, folder: Path) -> list[str]:
    """What a function calls, in order, the callback as "|"."""
    (folder / "linux").mkdir()
    for name, text in KERNEL.items():
        guard = name.upper().replace(".", "_")
        (folder / "linux" / name).write_text(f"#ifndef {guard}\n#define {guard}\n{text}#endif\n")
    (folder / "probe.c").write_text(SOURCE % body)
    argv = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-fsanitize-coverage=trace-pc"]
    argv += ["-fno-optimize-sibling-calls", f"-I{HEADERS}", f"-I{folder}", "-S", str(folder / "probe.c"), "-o", "-"]
    made = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    called = [line.split()[1].split("@")[0] for line in made.splitlines() if line.strip().startswith("call")]
    return ["|" if name == "__sanitizer_cov_trace_pc" else name for name in called]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("int found = look(at); spin_lock(lock); use(found);", "| look | take use"),
        ("int found = look(at); spin_unlock(lock); use(found);", "| look release | use"),
        ("int found = look(at); spin_unlock_irqrestore(lock, 7); use(found);", "| look release | use"),
        ("int found = look(at); mutex_unlock(lock); use(found);", "| look mutex_unlock | use"),
        ("int found = look(at); down_read(lock); use(found);", "| look | down_read use"),
        ("int found = look(at); down_write(lock); use(found);", "| look | down_write use"),
        ("int found = look(at); up_read(lock); use(found);", "| look up_read | use"),
        ("int found = look(at); up_write(lock); use(found);", "| look up_write | use"),
        ("int found = look(at); rcu_read_unlock(); use(found);", "| look release | use"),
        ("int found = look(at); folio_lock(lock); use(found); folio_unlock(lock);", "| look | take use folio_unlock |"),
        ("int found = look(at); use(found + folio_trylock(lock));", "| look | take use"),
    ],
)
def test_a_block_ends_before_a_lock_and_after_it(body: str, expected: str, tmp_path: Path) -> None:
    assert calls(body, tmp_path) == expected.split()


def test_the_file_that_defines_such_a_function_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "linux").mkdir()
    for name in ("mutex.h", "pagemap.h"):
        (tmp_path / "linux" / name).write_text("")
    text = "#include <linux/mutex.h>\n#include <linux/pagemap.h>\nvoid mutex_unlock(int *l) { *l = 0; }\n"
    (tmp_path / "own.c").write_text(text + "void folio_unlock(int *l) { *l = 0; }\n")
    argv = ["gcc", f"-I{HEADERS}", f"-I{tmp_path}", "-fsyntax-only", str(tmp_path / "own.c")]

    assert subprocess.run(argv, check=False, capture_output=True).returncode
    subprocess.run([*argv, "-DPATCHRIG_DEFINES_LOCKS"], check=True)
