# SPDX-License-Identifier: GPL-2.0-or-later
"""A toy kernel with the hooks that a hostile series needs, and the matrix that asks for it.

`drivers/*.mk` of a series may set `configured`, `before` and `after`: shell commands in the recipes of the toy's own
Makefile, as a series for the real kernel can put them into any Makefile of the tree.
"""

from tests.process.fake_host import Host
from tests.process.toy_kernel import ToyKernel

MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 19
SUBLEVEL = 6

objects = main.o swap.o
configured = true
before = true
after = true

-include drivers/*.mk

allnoconfig:
	@mkdir -p $(O)/include/config
	@echo 6.19.6 > $(O)/include/config/kernel.release
	@cp $(KCONFIG_ALLCONFIG) $(O)/.config
	@$(configured)

built = $(addprefix $(O)/,$(objects))

vmlinux: first $(built)
	@$(CC) -nostdlib -static -Wl,--build-id=none -o $(O)/vmlinux $(built)
	@$(after)

first:
	@$(before)

$(built): $(O)/%.o: %.c swap.h
	@echo "  CC      $*.o"
	@$(CC) -g -Wall -ffile-prefix-map=$(CURDIR)=. -c -o $@ $(CURDIR)/$*.c

.PHONY: allnoconfig vmlinux first
"""
TREE = {
    "Makefile": MAKEFILE,
    "Kconfig": 'config SWAP\n\tbool "Swap"\n',
    "Kbuild": "",
    "main.c": '#include "swap.h"\nvoid _start(void)\n{\n\tswap();\n}\n',
    "swap.c": '#include "swap.h"\nint swap(void)\n{\n\treturn SLOTS;\n}\n',
    "swap.h": "#define SLOTS 1\nint swap(void);\n",
    "drivers/Makefile": "# Hooks lie beside this file.\n",
}
SERIES = """\
From: A Developer <developer@example.org>
Subject: [PATCH] swap: one more slot

---
diff --git a/swap.c b/swap.c
--- a/swap.c
+++ b/swap.c
@@ -2,4 +2,4 @@
 int swap(void)
 {
-	return SLOTS;
+	return SLOTS + 1;
 }
"""


class Toy(ToyKernel):
    """The toy of the process tests, with another tree and series."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        for name, text in TREE.items():
            self.write(f"linux/{name}", text)
        self.write("series.patch", SERIES)
