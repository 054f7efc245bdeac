# SPDX-License-Identifier: GPL-2.0-or-later
"""The toy kernel with one file more whose code calls the coverage hook, and a hook in place of an overlay's."""

from tests.process.toy_kernel import MAKEFILE, ToyKernel

# handle_fault() begins the text, and has 32 bytes at least; drop_slot() has no caller.
CODE = """\
int faults;

void handle_fault(int kind)
{
	if (kind)
		faults++;
}

void drop_slot(void)
{
	faults--;
}
"""
_HOOK = "void __sanitizer_cov_trace_pc(void)\n{\n}\n"
_RULES = """\
vmlinux: $(O)/swap.o $(O)/code.o $(O)/hook.o
	@$(CC) -nostdlib -static -Wl,--defsym=_stext=handle_fault,--defsym=_etext=etext -o $(O)/vmlinux $^

$(O)/code.o: @FILE@
	@$(CC) -O1 -g -fsanitize-coverage=trace-pc -c -o $@ $(CURDIR)/@FILE@

$(O)/hook.o: lib/hook.c
	@$(CC) -g -c -o $@ $(CURDIR)/lib/hook.c"""


def makefile(file: str) -> str:
    """The toy's Makefile with rules for the instrumented `file`."""
    plain = "vmlinux: $(O)/swap.o\n\t@$(CC) -nostdlib -static -o $(O)/vmlinux $^"
    assert plain in MAKEFILE
    return MAKEFILE.replace(plain, _RULES.replace("@FILE@", file))


def instrument(kernel: ToyKernel, file: str) -> None:
    """Give the tree the instrumented code as `file`, and what overlays look for in a tree."""
    kernel.write("linux/Makefile", makefile(file))
    kernel.write(f"linux/{file}", CODE)
    kernel.write("linux/lib/hook.c", _HOOK)
    for path in ("scripts/Makefile.lib", "lib/Kconfig.debug", "lib/Makefile"):
        kernel.write(f"linux/{path}", "")
