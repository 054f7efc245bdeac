# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds of a toy kernel with the real make, compiler, compiler cache and sandbox."""

import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import ToolMissing, UserError
from orchestrator.host.process import find_tool, run
from orchestrator.host.sandbox import sandbox_works
from orchestrator.kernel.compile.image_cache import find_image, prune
from orchestrator.kernel.compile.limits import BuildLimits, build_limits
from orchestrator.kernel.compile.make import check_tools
from orchestrator.kernel.compile.prepare import BuildContext, prepare
from orchestrator.kernel.series.load import BASELINE, Series, parse_series
from orchestrator.kernel.source.overlay import Overlay, load_overlay
from orchestrator.kernel.source.prepared import from_tree
from orchestrator.model.arch import ARCHES
from orchestrator.model.blocks import LineState
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.events import BuildEnded, BuildProgress, Event
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome

# The targets that the orchestrator uses, and as much of Kbuild's behaviour as it relies on.
MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 19
SUBLEVEL = 6

objects = main.o swap.o

allnoconfig:
	@mkdir -p $(O)/include/config
	@echo 6.19.6 > $(O)/include/config/kernel.release
	@no='ZSWAP|NUMA_MIGRATION|NO_SUCH'; grep -q MODULES $(KCONFIG_ALLCONFIG) || no="$$no|KPROBES"; \\
	grep -vE "$$no" $(KCONFIG_ALLCONFIG) > $(O)/.config || true

vmlinux: $(addprefix $(O)/,$(objects))
	@$(CC) -nostdlib -static -Wl,--build-id -o $(O)/vmlinux $^

$(O)/%.o: %.c swap.h
	@echo "  CC      $*.o"
	@$(CC) -g -Wall -c -o $@ $(CURDIR)/$*.c
	@echo "savedcmd_$*.o := x" > $(O)/.$*.o.cmd
	@echo "source_$*.o := $(CURDIR)/$*.c" >> $(O)/.$*.o.cmd
	@echo "deps_$*.o := $(CURDIR)/swap.h" >> $(O)/.$*.o.cmd
"""
KCONFIG = """\
config SWAP
	bool "Swap"

config ZSWAP
	bool "Compressed swap"
	depends on CRYPTO
"""
SWAP_C = '#include "swap.h"\nint swap(void)\n{\n\treturn SLOTS;\n}\n'
FILES = {
    "Makefile": MAKEFILE,
    "Kconfig": KCONFIG,
    "Kbuild": "",
    "main.c": '#include "swap.h"\nvoid _start(void)\n{\n\tswap();\n}\n',
    "swap.c": SWAP_C,
    "swap.h": "#define SLOTS 1\nint swap(void);\n",
}
MORE_SLOTS = (
    "--- a/swap.c\n+++ b/swap.c\n@@ -2,4 +2,4 @@\n int swap(void)\n {\n-\treturn SLOTS;\n+\treturn SLOTS + 1;\n }\n"
)

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")


class Lab:
    """A toy kernel tree, a cache, and what a build of it said."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.tree = tmp_path / "linux"
        self.events: list[Event] = []
        self.runs = 0
        for name, text in FILES.items():
            self.write(name, text)
        self.fragment("base", "CONFIG_SWAP=y\n")
        self.sandbox = sandbox_works()
        self.limits = build_limits()

    def write(self, name: str, text: str) -> None:
        (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / name).write_text(text)

    def fragment(self, name: str, text: str) -> None:
        (self.tmp_path / f"{name}.config").write_text(text)

    def build(
        self, series: Series = BASELINE, *, sandbox: bool | None = None, overlay: Overlay | None = None
    ) -> KernelImage | BuildFailure:
        self.runs += 1
        self.events.clear()
        self.log_dir = self.tmp_path / f"results{self.runs}"
        variant = Variant.PATCHED if series.patches else Variant.BASELINE
        return prepare(
            Build(variant=variant, flavour="plain", arch="x86_64"),
            source=from_tree(self.tree, log=self.tmp_path / "list.log"),
            series=series,
            fragments=[self.tmp_path / "base.config"],
            context=BuildContext(
                cache=self.tmp_path / "cache",
                log_dir=self.log_dir,
                sandbox=self.sandbox if sandbox is None else sandbox,
                on_event=self.events.append,
                limits=self.limits,
            ),
            overlay=overlay,
        )

    def compiled(self) -> list[str]:
        log = self.log_dir / "build.log"
        return [line.split()[1] for line in log.read_text().splitlines() if line.startswith("  CC ")]

    def progress(self) -> list[tuple[int, int | None]]:
        return [(event.objects, event.expected) for event in self.events if isinstance(event, BuildProgress)]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def patch(diff: str) -> Series:
    return parse_series(diff.encode(), "0001-x.patch")


def test_a_build_gives_an_image_and_all_that_belongs_to_it(lab: Lab) -> None:
    image = lab.build()

    assert isinstance(image, KernelImage)
    assert image.release == "6.19.6"
    assert image.image.read_bytes()[:4] == b"\x7fELF"
    assert b".debug_info" not in image.image.read_bytes()
    assert b".debug_info" in image.vmlinux.read_bytes()
    assert image.config.read_text() == "CONFIG_SWAP=y\n"
    assert set(image.hashes) == {"source", "series", "config", "toolchain", "image"}
    assert sorted(lab.compiled()) == ["main.o", "swap.o"]
    assert lab.progress()[-1] == (2, None)
    assert isinstance(lab.events[-1], BuildEnded)


def test_the_second_run_builds_nothing(lab: Lab) -> None:
    first = lab.build()
    second = lab.build()

    assert isinstance(first, KernelImage)
    assert isinstance(second, KernelImage)
    assert second.image == first.image
    assert second.seconds == 0
    assert lab.events == [BuildEnded(build=second.build, text="from the cache", good=True)]
    assert (lab.log_dir / "config").read_text() == "CONFIG_SWAP=y\n"


def test_going_to_a_series_and_back_compiles_only_what_it_touches(lab: Lab) -> None:
    lab.build()
    patched = lab.build(patch(MORE_SLOTS))
    compiled_for_series, progress = lab.compiled(), lab.progress()
    shutil.rmtree(lab.tmp_path / "cache/images")
    baseline = lab.build()

    assert isinstance(patched, KernelImage)
    assert isinstance(baseline, KernelImage)
    assert compiled_for_series == ["swap.o"]
    assert progress == [(1, 1)]
    assert lab.compiled() == []
    assert patched.hashes["image"] != baseline.hashes["image"]


def test_the_same_input_gives_the_same_image(lab: Lab) -> None:
    first = lab.build()
    shutil.rmtree(lab.tmp_path / "cache/images")
    shutil.rmtree(lab.tmp_path / "cache/trees")
    second = lab.build()

    assert isinstance(first, KernelImage)
    assert isinstance(second, KernelImage)
    assert first.hashes == second.hashes


def test_a_patch_that_does_not_compile_is_an_outcome_with_the_first_error(lab: Lab) -> None:
    failure = lab.build(patch(MORE_SLOTS.replace("SLOTS + 1", "NOSUCH")))

    assert isinstance(failure, BuildFailure)
    assert failure.outcome is Outcome.BUILD_FAILED
    assert failure.title.startswith("swap.c:4:16: error: ")
    assert "NOSUCH" in failure.title
    assert failure.log is not None
    assert "NOSUCH" in failure.log.read_text()
    assert isinstance(lab.build(), KernelImage)


def test_a_patch_that_does_not_apply_is_an_outcome_and_builds_nothing(lab: Lab) -> None:
    failure = lab.build(patch(MORE_SLOTS.replace("-\treturn SLOTS;", "-\treturn OTHER;")))

    assert isinstance(failure, BuildFailure)
    assert failure.outcome is Outcome.NOT_APPLIED
    assert failure.title == "0001-x.patch: swap.c: hunk #1: does not apply"
    assert not (lab.log_dir / "build.log").exists()


def test_a_symbol_that_is_not_granted_stops_the_build_with_the_reason(lab: Lab) -> None:
    lab.fragment("base", "CONFIG_SWAP=y\nCONFIG_ZSWAP=y\n")

    failure = lab.build()

    assert isinstance(failure, BuildFailure)
    assert failure.outcome is Outcome.BUILD_FAILED
    assert failure.title == "CONFIG_ZSWAP: asked for y, became n (unmet: CRYPTO (CRYPTO=n))"


def test_a_symbol_that_only_other_kernels_have_need_not_be_granted(lab: Lab) -> None:
    lab.fragment("base", "CONFIG_SWAP=y\nCONFIG_NUMA_MIGRATION=y\n")
    assert isinstance(lab.build(), KernelImage)

    lab.write("Kconfig", f'{KCONFIG}\nconfig NUMA_MIGRATION\n\tbool "Migration"\n\tdepends on NUMA\n')
    failure = lab.build()

    assert isinstance(failure, BuildFailure)
    assert failure.title == "CONFIG_NUMA_MIGRATION: asked for y, became n (unmet: NUMA (NUMA=n))"


def test_an_older_kernel_gets_modules_where_its_kprobes_depend_on_them(lab: Lab) -> None:
    # Until Linux 6.9.
    modules = 'config MODULES\n\tbool "Modules"\n\nconfig KPROBES\n\tbool "Kprobes"\n\tdepends on MODULES\n'
    lab.write("Kconfig", f"{KCONFIG}\n{modules}")
    lab.fragment("base", "CONFIG_SWAP=y\nCONFIG_KPROBES=y\n")

    image = lab.build()

    assert isinstance(image, KernelImage)
    assert "CONFIG_MODULES=y" in image.config.read_text()


def test_a_symbol_that_no_kernel_is_known_to_have_stops_the_build(lab: Lab) -> None:
    lab.fragment("base", "CONFIG_SWAP=y\nCONFIG_NUMA_MIGRATION=y\nCONFIG_NO_SUCH=y\n")

    failure = lab.build()

    assert isinstance(failure, BuildFailure)
    assert failure.title == "CONFIG_NO_SUCH: asked for y, became n (this kernel has no such symbol)"


def test_a_warning_in_a_touched_file_is_new_and_stays_known_in_the_cache(lab: Lab) -> None:
    series = patch(MORE_SLOTS.replace("+\treturn", "+\tint unused;\n+\treturn").replace("+2,4", "+2,5"))
    lab.build(series)

    image = lab.build(series)

    assert isinstance(image, KernelImage)
    (warning,) = image.new_warnings
    assert warning.startswith("swap.c:4:13: warning: unused variable")


def test_a_fragment_that_does_not_exist_is_the_users_to_mend(lab: Lab) -> None:
    (lab.tmp_path / "base.config").unlink()

    with pytest.raises(UserError, match="there is no kconfig fragment"):
        lab.build()


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolMissing, match="make is not installed"):
        check_tools(ARCHES["x86_64"])


def test_an_image_that_was_damaged_in_the_cache_is_built_again(lab: Lab) -> None:
    first = lab.build()
    assert isinstance(first, KernelImage)
    first.image.write_bytes(b"damaged")

    again = lab.build()

    assert isinstance(again, KernelImage)
    assert again.image.read_bytes()[:4] == b"\x7fELF"


def test_pruning_removes_what_was_used_longest_ago(lab: Lab) -> None:
    old = lab.build()
    new = lab.build(patch(MORE_SLOTS))
    assert isinstance(old, KernelImage)
    assert isinstance(new, KernelImage)
    size = sum(file.stat().st_size for file in new.image.parent.iterdir())

    gone = prune(lab.tmp_path / "cache", size)

    assert gone == (old.image.parent,)
    assert find_image(lab.tmp_path / "cache", new.image.parent.name, new.build) is not None


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine that answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def hostile(victim: Path, port: int, *, home: bool) -> str:
    """A Makefile that tries each way out, and notes in its own output folder what worked."""
    attacks = {
        "source": "echo x >> $(CURDIR)/swap.h",
        "victim": f"echo x > {victim}/written",
        "read": f"cat {victim}/secret",
        "network": f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'",
    }
    lines = [f"\t@({command}) && echo {name} >> $(O)/escaped || true" for name, command in attacks.items()]
    if home:
        # Succeeds in the sandbox too, where the folder is an empty one of its own.
        lines.append(f"\t@echo x > {Path.home()}/patchrig-was-here || true")
        lines.append("\t@mount -o remount,rw,bind / && echo remount >> $(O)/escaped || true")
    return MAKEFILE.replace("allnoconfig:\n", "\n".join(["allnoconfig:", "\t@echo tried > $(O)/tried", *lines, ""]))


def test_a_hostile_makefile_reaches_nothing_but_the_output_folder(lab: Lab, port: int) -> None:
    if not lab.sandbox:
        pytest.skip("this host lets nobody make the namespaces that the sandbox needs")
    victim = lab.tmp_path / "victim"  # Beside the cache, below /tmp: hidden, like a home.
    victim.mkdir()
    (victim / "secret").write_text("key\n")
    lab.write("Makefile", hostile(victim, port, home=True))

    image = lab.build()

    assert isinstance(image, KernelImage)
    (out,) = (lab.tmp_path / "cache/trees").glob("*/builds/plain.x86_64")
    assert (out / "tried").read_text() == "tried\n"
    assert not (out / "escaped").exists(), (out / "escaped").read_text()
    assert not (victim / "written").exists()
    assert not (Path.home() / "patchrig-was-here").exists()


def test_the_same_makefile_does_reach_out_where_the_user_gave_up_the_sandbox(lab: Lab, port: int) -> None:
    # Else the test above could pass because the attacks don't work anywhere.
    victim = lab.tmp_path / "victim"
    victim.mkdir()
    (victim / "secret").write_text("key\n")
    lab.write("Makefile", hostile(victim, port, home=False))

    lab.build(sandbox=False)

    (out,) = (lab.tmp_path / "cache/trees").glob("*/builds/plain.x86_64.no-sandbox")
    assert (out / "escaped").read_text().split() == ["source", "victim", "read", "network"]


def test_a_link_in_place_of_the_image_is_not_followed(lab: Lab) -> None:
    lab.write(
        "Makefile", MAKEFILE.replace("\t@$(CC) -nostdlib", "\t@ln -s /etc/hostname $(O)/vmlinux; true $(CC) -nostdlib")
    )

    failure = lab.build()

    assert isinstance(failure, BuildFailure)
    assert failure.outcome is Outcome.BUILD_FAILED
    assert failure.title.startswith("what the build left can't be used: no plain file at vmlinux")


def test_the_stripped_image_still_has_its_notes(lab: Lab) -> None:
    image = lab.build()

    assert isinstance(image, KernelImage)
    notes = run(["readelf", "-n", str(image.image)], log=lab.tmp_path / "n.log", until=Deadline.after(30, "readelf"))
    assert "Build ID" in notes.output


@pytest.fixture
def overlay(lab: Lab) -> Overlay:
    folder = lab.tmp_path / "overlay"
    for place, text in {"files/lib/patchrig/hook.txt": "hook\n", "appended/Makefile": "\n# the hook\n"}.items():
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_text(text)
    return load_overlay(folder, patch(MORE_SLOTS))


def test_an_overlay_is_laid_on_the_series_and_gone_in_the_next_build(lab: Lab, overlay: Overlay) -> None:
    image = lab.build(patch(MORE_SLOTS), overlay=overlay)
    src = next((lab.tmp_path / "cache" / "trees").glob("*/layers/*/src"))
    laid = (src / "lib/patchrig/hook.txt").exists(), "# the hook" in (src / "Makefile").read_text()
    lab.build(patch(MORE_SLOTS))

    assert isinstance(image, KernelImage)
    assert laid == (True, True)
    assert "overlay" in image.hashes
    assert not (src / "lib/patchrig/hook.txt").exists()
    assert (src / "Makefile").read_text() == MAKEFILE


@pytest.mark.parametrize("series", [patch(MORE_SLOTS), BASELINE], ids=["patched", "baseline"])
def test_an_instrumented_kernel_comes_with_its_changed_lines(lab: Lab, overlay: Overlay, series: Series) -> None:
    built = lab.build(series, overlay=overlay)
    again = lab.build(series, overlay=overlay)

    assert isinstance(built, KernelImage)
    assert isinstance(again, KernelImage)
    assert built.coverage
    assert again.coverage == built.coverage
    (line,) = built.coverage.lines
    # The toy's make knows of no callback.
    assert (line.file, line.line, line.state) == ("swap.c", 4, LineState.NOT_INSTRUMENTED)
    assert line.text == ("\treturn SLOTS + 1;" if series.patches else "\treturn SLOTS;")


def test_a_seeded_bug_on_top_moves_the_changed_lines(lab: Lab, overlay: Overlay) -> None:
    bug = '--- a/swap.c\n+++ b/swap.c\n@@ -1,2 +1,3 @@\n #include "swap.h"\n+#define BROKEN\n int swap(void)\n'
    both = replace(patch(MORE_SLOTS), patches=(*patch(MORE_SLOTS).patches, *patch(bug).patches))

    built = lab.build(both, overlay=overlay)

    assert isinstance(built, KernelImage)
    assert built.coverage
    assert [(line.line, line.text) for line in built.coverage.lines] == [
        (2, "#define BROKEN"),
        (5, "\treturn SLOTS + 1;"),
    ]


def same_origin(series: Series) -> Series:
    return replace(series, origin="/home/me/swap.patch")


def test_an_edited_series_compiles_only_what_was_edited(lab: Lab) -> None:
    more = '--- a/main.c\n+++ b/main.c\n@@ -1,2 +1,3 @@\n #include "swap.h"\n+#define MAIN\n void _start(void)\n'
    first = patch(MORE_SLOTS + more)
    lab.build(same_origin(first))
    lab.build(same_origin(patch(MORE_SLOTS.replace("SLOTS + 1", "SLOTS + 2") + more)))

    assert lab.compiled() == ["swap.o"]


def test_objects_of_a_series_never_come_to_another_or_to_the_baseline(lab: Lab) -> None:
    """Its make leaves objects that are newer than anything, and settings for the compiler cache."""
    evil = (
        "\t@echo 'int swap(void) { return 666; }' > $(O)/evil.c; gcc -c -o $(O)/swap.o $(O)/evil.c;"
        " touch -d '2037-01-01' $(O)/swap.o; echo 'compiler = false' > $(CCACHE_DIR)/ccache.conf || true"
    )
    makefile = MAKEFILE.replace("allnoconfig:\n", f"allnoconfig:\n{evil}\n")
    lines = makefile.splitlines()
    at = lines.index("allnoconfig:") + 1
    context = lines[at - 2 : at], lines[at + 1 : at + 3]
    hunk = [*(f" {line}" for line in context[0]), f"+{lines[at]}", *(f" {line}" for line in context[1])]
    diff = f"--- a/Makefile\n+++ b/Makefile\n@@ -{at - 1},4 +{at - 1},5 @@\n" + "\n".join(hunk) + "\n"
    reference = lab.build()
    shutil.rmtree(lab.tmp_path / "cache/images")

    hostile = lab.build(patch(diff))
    baseline, other = lab.build(), lab.build(patch(MORE_SLOTS))

    assert isinstance(hostile, KernelImage)
    assert isinstance(reference, KernelImage)
    assert isinstance(baseline, KernelImage)
    assert isinstance(other, KernelImage)
    assert hostile.hashes["image"] != reference.hashes["image"]
    assert baseline.hashes["image"] == reference.hashes["image"]
    assert not (lab.tmp_path / "cache/ccache/ccache.conf").exists()
    fresh = Lab(lab.tmp_path / "fresh")
    right = fresh.build(patch(MORE_SLOTS))
    assert isinstance(right, KernelImage)
    assert other.hashes["image"] == right.hashes["image"]


def test_a_build_folder_is_not_built_on_after_a_crash_of_this_machine(lab: Lab) -> None:
    lab.build()
    (mark,) = (lab.tmp_path / "cache/trees").glob("*/builds/plain.x86_64.json")
    mark.write_text('{"state": "building", "boot": "another"}')
    (mark.parent / "plain.x86_64" / "swap.o").write_bytes(b"")
    shutil.rmtree(lab.tmp_path / "cache/images")

    assert isinstance(lab.build(), KernelImage)
    assert sorted(lab.compiled()) == ["main.o", "swap.o"]


OUTPUTS = {
    "pipe": "mkfifo", "link": "ln -s /etc/passwd", "folder": "mkdir", "nothing": "true",
}  # fmt: skip


@pytest.mark.parametrize("name", [".config", "include/config/kernel.release", "vmlinux"])
@pytest.mark.parametrize("command", OUTPUTS.values(), ids=OUTPUTS)
def test_what_is_no_plain_file_is_no_kernel_and_holds_nobody_up(lab: Lab, name: str, command: str) -> None:
    trick = f"\t@rm -f $(O)/{name}; {command} $(O)/{name}\n"
    after = "|| true\n" if name == ".config" else "$(O)/vmlinux $^\n"
    lab.write("Makefile", MAKEFILE.replace(after, after + trick))

    failure = lab.build()

    assert isinstance(failure, BuildFailure), failure
    assert failure.outcome is Outcome.BUILD_FAILED


# Above the compiler's line in the Makefile; each is more than the limits of the test.
GREEDY = {
    "log": ("@yes | head -c 9M", "printed more than"),
    "memory": ("@head -c 600M /dev/zero | tail -c 600M | (sleep 20; cat > /dev/null)", "of memory"),
    "processes": ("@for i in $$(seq 5000); do sleep 30 & done; wait", ""),
    "file": ("@head -c 5G /dev/zero > $(O)/huge", ""),
    "scratch": ("@for i in $$(seq 9); do head -c 300M /dev/zero > /tmp/$$i || exit 1; done", ""),
}


@pytest.mark.parametrize(("command", "title"), GREEDY.values(), ids=GREEDY)
def test_a_build_that_takes_too_much_fails_alone(lab: Lab, command: str, title: str) -> None:
    if not lab.sandbox:
        pytest.skip("this host lets nobody make the namespaces that the sandbox needs")
    lab.limits = BuildLimits(memory=500 << 20, log=8 << 20)
    lines = MAKEFILE.splitlines()
    at = lines.index("vmlinux: $(addprefix $(O)/,$(objects))")
    head = f"--- a/Makefile\n+++ b/Makefile\n@@ -{at + 1},2 +{at + 1},3 @@\n"
    failure = lab.build(patch(f"{head} {lines[at]}\n+\t{command}\n {lines[at + 1]}\n"))

    assert isinstance(failure, BuildFailure)
    assert failure.outcome is Outcome.BUILD_FAILED
    assert title in failure.title
    assert failure.log is not None
    assert failure.log.stat().st_size <= lab.limits.log
    assert isinstance(lab.build(), KernelImage)


def test_no_file_keeps_a_set_user_id_bit(lab: Lab) -> None:
    lab.write("Makefile", MAKEFILE.replace("$(O)/vmlinux $^\n", "$(O)/vmlinux $^\n\t@chmod 6755 $(O)/vmlinux\n"))

    lab.build()

    (vmlinux,) = (lab.tmp_path / "cache/trees").glob("*/builds/plain.x86_64/vmlinux")
    assert vmlinux.stat().st_mode & 0o6000 == 0


def test_a_patch_on_top_of_a_series_starts_from_what_the_series_built(lab: Lab) -> None:
    more = '--- a/main.c\n+++ b/main.c\n@@ -1,2 +1,3 @@\n #include "swap.h"\n+#define MAIN\n void _start(void)\n'
    series = replace(patch(MORE_SLOTS), origin="a")
    on_top = replace(patch(MORE_SLOTS + more), origin="a and b", below=("a",))
    lab.build(series)
    built = lab.build(on_top)

    assert lab.compiled() == ["main.o"]
    fresh = Lab(lab.tmp_path / "fresh")
    right = fresh.build(on_top)
    assert isinstance(built, KernelImage)
    assert isinstance(right, KernelImage)
    assert built.hashes["image"] == right.hashes["image"]
    lab.build(replace(series, patches=patch(MORE_SLOTS.replace("+ 1", "+ 2")).patches))
    assert lab.compiled() == ["swap.o"]
    lab.build(on_top)
    assert lab.events[-1] == BuildEnded(build=built.build, text="from the cache", good=True)


def test_a_series_under_anothers_name_gets_no_layer_of_it(lab: Lab) -> None:
    """The same path, author and subject: what runs on the host tells them apart."""
    lines = MAKEFILE.splitlines()
    at = lines.index("allnoconfig:")
    evil = (
        f"--- a/Makefile\n+++ b/Makefile\n@@ -{at + 1},2 +{at + 1},3 @@\n {lines[at]}\n"
        "+\t@echo 'int swap(void) { return 666; }' > /tmp/x.c; gcc -c -o $(O)/swap.o /tmp/x.c;"
        f" touch -d 2037-01-01 $(O)/swap.o\n {lines[at + 1]}\n"
    )
    lab.build(same_origin(patch(MORE_SLOTS + evil)))
    built = lab.build(same_origin(patch(MORE_SLOTS)))
    fresh = Lab(lab.tmp_path / "fresh")
    right = fresh.build(same_origin(patch(MORE_SLOTS)))

    assert isinstance(built, KernelImage)
    assert isinstance(right, KernelImage)
    assert built.hashes["image"] == right.hashes["image"]
