# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel of one file that is really built, and a matrix that asks for it, on a host whose QEMU is a fake."""

import subprocess

from tests.process.fake_host import PATCHRIG, Host

MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 19
SUBLEVEL = 6

allnoconfig:
	@mkdir -p $(O)/include/config
	@echo 6.19.6 > $(O)/include/config/kernel.release
	@cp $(KCONFIG_ALLCONFIG) $(O)/.config

vmlinux: $(O)/swap.o
	@$(CC) -nostdlib -static -o $(O)/vmlinux $^

$(O)/swap.o: swap.c
	@echo "  CC      swap.o"
	@$(CC) -g -Wall -c -o $@ $(CURDIR)/swap.c
"""
SWAP_C = "int slots = 1;\nvoid _start(void)\n{\n\tslots = 2;\n}\n"
HEAD = "--- a/swap.c\n+++ b/swap.c\n@@ -2,4 +2,4 @@\n void _start(void)\n {\n"
LOAD = """\
name: mincore
summary: never runs, as the guest is a fake
program: load.sh
devices: [{kind: zram, size_mib: 16}]
memory_mib: 256
cpus: 2
files: [swap.c]
exercised: {site.mincore: 100, swapoffs: 5}
"""
# The least that the root file system of a guest is put together from.
MMDEBSTRAP = '#!/bin/sh\nfor root in "$@"; do case "$root" in */root) break;; esac; done\nmkdir -p "$root/bin"\n'
APT_GET = '#!/bin/sh\necho "http://mirror.example/debian|bookworm|main|"\n'


def patch(old: str, new: str) -> str:
    return f"{HEAD}-\t{old}\n+\t{new}\n }}\n"


class ToyKernel:
    """A host with a toy kernel and a matrix of one workload."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.folder = host.folder
        self.write("linux/Makefile", MAKEFILE)
        self.write("linux/Kconfig", "")
        self.write("linux/Kbuild", "")
        self.write("linux/swap.c", SWAP_C)
        self.write("series.patch", patch("slots = 2;", "slots = 3;"))
        self.write("workloads/load.sh", "#!/bin/sh\n")
        self.write("workloads/mincore.yaml", LOAD)
        matrix = "kernel: 6.19\nseries: [series.patch]\nworkloads: [mincore]\narches: [x86_64]\nseconds: 20\n"
        self.write("matrix.yaml", matrix)
        for name, text in (("mmdebstrap", MMDEBSTRAP), ("apt-get", APT_GET)):
            (host.programs / name).write_text(text)
            (host.programs / name).chmod(0o755)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def argv(self, *words: str) -> list[str]:
        chosen = ["--tree", str(self.folder / "linux"), "--no-sandbox", "--results", str(self.host.results)]
        return [str(PATCHRIG), "run", str(self.folder / "matrix.yaml"), *chosen, *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*words), env=self.host.environment, capture_output=True, text=True, check=False, timeout=300
        )
