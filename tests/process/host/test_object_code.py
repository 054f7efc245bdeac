# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects that gcc really made: which differ in what they bring into a kernel, and which in debug information alone."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.host.object_code import object_code

BASE = """\
extern int take(const char *);
static int seen;
static const char *names[] = {"one", "two"};
static int __attribute__((noinline)) inner(int x) { static int calls; return x + calls++ + seen; }
int outer(unsigned int x) { if (x < 5) seen = 3; return inner(x) + take(names[x & 1]); }
"""


def code(folder: Path, text: str, *options: str) -> str:
    source, target = folder / "a.c", folder / "a.o"
    source.write_text(text)
    subprocess.run(["gcc", "-O2", *options, "-c", "-o", str(target), str(source)], check=True)
    found = object_code(target.read_bytes())
    assert found is not None
    return found


@pytest.mark.parametrize("options", [(), ("-g",), ("-g", "-ffunction-sections", "-fpie")])
def test_what_compiles_to_the_same_is_the_same(tmp_path: Path, options: tuple[str, ...]) -> None:
    base = code(tmp_path, BASE, *options)

    # Other columns, another number in the name of the static variable, a condition that always holds.
    assert code(tmp_path, BASE.replace("if (x < 5)", "if (((x < 5)))"), *options) == base
    assert code(tmp_path, "static int unused; " + BASE, "-Wno-unused", *options) == base
    assert code(tmp_path, BASE.replace("x < 5", "x < 5 && x + 1u > 0u"), *options) == base
    assert code(tmp_path, BASE, "-g") == code(tmp_path, BASE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x < 5", "x < 6"),
        ("seen = 3", "seen = 4"),
        ("take(names", "give(names"),
        ('"two"', '"tvo"'),
        ("int outer", "static int __attribute__((used)) outer"),
        ("int outer", "__attribute__((weak)) int outer"),
        ("int outer", '__attribute__((section(".init.text"))) int outer'),
        ("int outer", '__attribute__((visibility("hidden"))) int outer'),
        ("names[x & 1]", "names[~x & 1]"),
        ("static int seen;", "static int seen = 1;"),
        ("static int seen;", "static int seen __attribute__((aligned(64)));"),
        ("inner", "renamed"),
    ],
)
def test_what_a_kernel_would_have_otherwise_is_not_the_same(tmp_path: Path, before: str, after: str) -> None:
    text = BASE.replace("extern int take", "extern int give(const char *);\nextern int take")

    assert code(tmp_path, text.replace(before, after), "-g") != code(tmp_path, text, "-g")


def test_what_is_no_object_has_no_code(tmp_path: Path) -> None:
    code(tmp_path, BASE)
    whole = (tmp_path / "a.o").read_bytes()
    linked = tmp_path / "a.so"
    subprocess.run(["gcc", "-shared", "-nostdlib", "-o", str(linked), "-x", "c", "/dev/null"], check=True)

    for content in (b"", b"\x7fELF", b"text", whole[:64], whole[:-70], linked.read_bytes()):
        assert object_code(content) is None
