# SPDX-License-Identifier: GPL-2.0-or-later
"""An ELF file with what the symbols need of a vmlinux: start_kernel, DWARF, inlined calls, one name twice."""

import re
import subprocess
from pathlib import Path

from orchestrator.model.arch import Arch
from orchestrator.model.stacks import StackFrame

FILES = {
    "init/main.c": """int use(int x);
int use_other(int x);

int start_kernel(void)
{
	return use(1) + use_other(2);
}
""",
    "include/linux/count.h": """static inline __attribute__((always_inline)) int count_up(volatile int *count, int by)
{
	*count += by;
	return *count;
}
""",
    # helper() is there twice, with code of different lengths.
    "mm/use.c": """#include <linux/count.h>

volatile int users;

static __attribute__((noinline, noclone)) int helper(int x)
{
	return count_up(&users, x);
}

int use(int x)
{
	int seen = helper(x);

	return seen + 1;
}
""",
    "mm/other.c": """#include <linux/count.h>

volatile int others;

static __attribute__((noinline, noclone)) int helper(int x)
{
	for (int i = 0; i < x; i++)
		count_up(&others, i * i * 7 + others / 3);
	return others;
}

int use_other(int x)
{
	int seen = helper(x);

	return seen + 2;
}
""",
}


def build(folder: Path, arch: Arch) -> Path:
    """folder/out/vmlinux, compiled of folder/src by relative paths, as Kbuild does it."""
    for name, text in FILES.items():
        (folder / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "src" / name).write_text(text)
    out = folder / "out"
    out.mkdir()
    sources = [f"../src/{name}" for name in FILES if name.endswith(".c")]
    options = ["-gdwarf-5", "-O2", "-fno-optimize-sibling-calls", "-fno-pie", "-ffreestanding", "-I../src/include"]
    link = ["-nostdlib", "-static", "-no-pie", "-Wl,-e,start_kernel", "-Wl,--build-id=none"]
    argv = [f"{arch.compiler_prefix}gcc", *options, *sources, *link, "-o", "vmlinux"]
    subprocess.run(argv, cwd=out, check=True)
    return out / "vmlinux"


def starts(vmlinux: Path, arch: Arch, name: str) -> list[int]:
    """Where the functions of a name begin."""
    argv = [f"{arch.compiler_prefix}nm", "-n", str(vmlinux)]
    listing = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return [int(line.split()[0], 16) for line in listing.splitlines() if line.endswith(f" {name}")]


def size(vmlinux: Path, arch: Arch, start: int) -> int:
    """The way to the next symbol, which is what the kernel calls a function's size."""
    argv = [f"{arch.compiler_prefix}nm", "-n", str(vmlinux)]
    listing = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    later = sorted({int(line.split()[0], 16) for line in listing.splitlines() if not line.startswith(" ")})
    return later[later.index(start) + 1] - start


def return_frame(vmlinux: Path, arch: Arch, caller: str, callee: str) -> StackFrame:
    """The frame of `caller` while it is in `callee`: its return address, from the disassembly."""
    (start,) = starts(vmlinux, arch, caller)
    argv = [f"{arch.compiler_prefix}objdump", "-d", "--no-show-raw-insn", str(vmlinux)]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    body = text[text.index(f"<{caller}>:") :]
    lines = body.split("\n\n")[0].splitlines()[1:]
    call = next(index for index, line in enumerate(lines) if re.search(rf"\b(?:call|bl)\b.*<{callee}>", line))
    after = int(lines[call + 1].split(":")[0], 16)
    return StackFrame(function=caller, offset=after - start, size=size(vmlinux, arch, start))
