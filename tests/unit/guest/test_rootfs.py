# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the guest's packages come from, and how its programs are compiled."""

import os
import stat
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from orchestrator.guest.archive import COMPILED, SCRIPTS, program_path
from orchestrator.guest.programs import Library, compile_argv, program_bytes
from orchestrator.guest.rootfs import FOLDERS, MOST_BYTES, PACKAGES, base_archive, package_entries
from orchestrator.host.deadline import Deadline
from orchestrator.host.debian import SUITE, apt_sources, mmdebstrap_argv, sources_of
from orchestrator.host.errors import InfraError, ToolMissing, UserError
from orchestrator.host.process import find_tool
from orchestrator.model.arch import ARCHES, Arch
from orchestrator.plan.checks import GUEST_PROGRAMS
from tests.unit.samples import cell

X86 = ARCHES["x86_64"]
LISTING = f"""http://mirror.example/debian|{SUITE}|main|/usr/share/keyrings/debian.gpg
http://mirror.example/debian|{SUITE}|contrib|
http://mirror.example/debian|{SUITE}|main|
http://mirror.example/debian|{SUITE}-updates|main|
http://mirror.example/security|{SUITE}-security|main|
http://other.example/debian|{SUITE}|main|
http://mirror.example/debian|sid|main|
"""


def test_the_suites_main_component_is_taken_from_every_mirror_once() -> None:
    assert sources_of(LISTING) == (
        f"deb http://mirror.example/debian {SUITE} main",
        f"deb http://other.example/debian {SUITE} main",
    )


@pytest.mark.parametrize("listing", ["", "http://mirror.example/debian|sid|main|\n", "no fields at all\n"])
def test_without_a_mirror_of_the_suite_it_says_what_to_look_at(listing: str) -> None:
    with pytest.raises(InfraError, match=f"no mirror of Debian {SUITE}") as raised:
        sources_of(listing)

    assert "apt-get" in raised.value.hint


@pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)
def test_packages_are_unpacked_and_none_of_their_scripts_runs(arch: Arch) -> None:
    argv = mmdebstrap_argv(PACKAGES, arch.debian, root=Path("/r"), sources=Path("/s"))

    assert "--variant=extract" in argv
    assert f"--include={','.join(PACKAGES)}" in argv
    assert argv[-3:] == [SUITE, "/r", "/s"]


def test_no_workload_may_have_the_name_of_a_program_of_the_guests_own() -> None:
    assert set(GUEST_PROGRAMS) == {*COMPILED, *SCRIPTS}


def test_a_workload_is_compiled_statically_with_all_of_the_library(tmp_path: Path) -> None:
    argv = compile_argv(Path("w.c"), Path("out"), ARCHES["arm64"], Library(folder=tmp_path), Path("l.a"))

    assert argv[0] == "aarch64-linux-gnu-gcc"
    assert {"-static", "-Werror", f"-I{tmp_path}"} <= set(argv)
    assert argv[-6:] == ["-o", "out", "w.c", "-Wl,--whole-archive", "l.a", "-Wl,--no-whole-archive"]


def made(source: Path, tmp_path: Path) -> bytes:
    until = Deadline.after(120, "the compiler")
    library = Library(folder=tmp_path / "lib")
    return program_bytes(source, X86, library, cache=tmp_path / "cache", log=tmp_path / "log", until=until)


def test_a_script_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "w.sh").write_bytes(b"#!/bin/sh\n\xff")

    assert made(tmp_path / "w.sh", tmp_path) == b"#!/bin/sh\n\xff"


needs_gcc = pytest.mark.skipif(find_tool(f"{X86.compiler_prefix}gcc") is None, reason="no gcc for x86_64")


@needs_gcc
def test_a_program_is_compiled_once_and_again_when_it_changed(tmp_path: Path) -> None:
    source = tmp_path / "w.c"
    source.write_text("int main(void) { return 0; }\n")

    first = made(source, tmp_path)
    again = made(source, tmp_path)
    source.write_text("int main(void) { return 1; }\n")
    changed = made(source, tmp_path)

    assert first[:4] == b"\x7fELF"
    assert first == again != changed
    assert len(list((tmp_path / "cache/programs").glob("w-*.sealed"))) == 2
    assert len(list((tmp_path / "cache/programs").glob("library-*.sealed"))) == 1


@needs_gcc
def test_a_program_has_all_of_the_library_which_is_compiled_once_and_again_when_it_changed(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (library / "value.h").write_text("#define VALUE 1\n")
    (library / "value.c").write_text('#include "value.h"\nint value(void) { return VALUE; }\n')
    # Nobody calls it: it runs before main().
    (library / "before.c").write_text(
        '#include <unistd.h>\n__attribute__((constructor)) static void say(void) { (void)!write(1, "x", 1); }\n'
    )
    for name in ("a", "b"):
        (tmp_path / f"{name}.c").write_text("int value(void);\nint main(void) { return value(); }\n")

    def status_of(name: str) -> tuple[int, str]:
        program = tmp_path / "program"
        program.unlink(missing_ok=True)
        program.write_bytes(made(tmp_path / f"{name}.c", tmp_path))
        program.chmod(0o700)
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert [status_of(name) for name in ("a", "b")] == [(1, "x"), (1, "x")]
    assert len(list((tmp_path / "cache/programs").glob("library-*.sealed"))) == 1
    (library / "value.h").write_text("#define VALUE 2\n")
    assert status_of("a") == (2, "x")


@needs_gcc
def test_a_library_that_does_not_compile_is_named_with_the_compilers_words(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "bad.c").write_text("int f(void) { return nothing; }\n")
    (tmp_path / "w.c").write_text("int main(void) { return 0; }\n")

    with pytest.raises(UserError, match="lib does not compile for x86_64") as raised:
        made(tmp_path / "w.c", tmp_path)

    assert "nothing" in str(raised.value)


@needs_gcc
@pytest.mark.parametrize("damage", ["bit", "empty", "zeros"])
def test_a_program_that_was_damaged_in_the_cache_is_compiled_again(damage: str, tmp_path: Path) -> None:
    source = tmp_path / "w.c"
    source.write_text("int main(void) { return 0; }\n")
    first = made(source, tmp_path)
    (kept,) = (tmp_path / "cache/programs").glob("w-*.sealed")
    content = bytearray(kept.read_bytes())
    content[100] ^= 1
    kept.write_bytes({"bit": bytes(content), "empty": b"", "zeros": bytes(len(content))}[damage])

    assert made(source, tmp_path) == first


def fake_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """apt and mmdebstrap of a host that has them; what mmdebstrap was called for is in the log that comes back."""
    calls = tmp_path / "calls"
    programs = {
        "apt-get": f"#!/bin/sh\necho 'http://mirror.example/debian|{SUITE}|main|'\n",
        "mmdebstrap": f'#!/bin/sh\necho x >> {calls}\nfor root in "$@"; do case "$root" in */root) break;; esac; done\n'
        'mkdir -p "$root/bin"\n',
    }
    for name, text in programs.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return calls


@pytest.mark.parametrize("damage", ["bit", "empty", "zeros", "none"])
def test_a_root_file_system_that_was_damaged_in_the_cache_is_made_again(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_packages(tmp_path, monkeypatch)

    def archive() -> bytes:
        until = Deadline.after(60, "the archive")
        return base_archive(X86, cache=tmp_path / "cache", log=tmp_path / "log", until=until)

    first = archive()
    (kept,) = (tmp_path / "cache/rootfs").glob("*.sealed")
    content = bytearray(kept.read_bytes())
    if damage != "none":
        content[100] ^= 1
        kept.write_bytes({"bit": bytes(content), "empty": b"", "zeros": bytes(len(content))}[damage])

    assert archive() == first
    assert calls.read_text().count("x") == (1 if damage == "none" else 2)


@needs_gcc
def test_a_program_is_compiled_again_when_a_header_beside_it_changed(tmp_path: Path) -> None:
    (tmp_path / "w.c").write_text('#include "status.h"\nint main(void) { return STATUS; }\n')
    (tmp_path / "status.h").write_text("#define STATUS 0\n")

    first = made(tmp_path / "w.c", tmp_path)
    (tmp_path / "status.h").write_text("#define STATUS 1\n")

    assert made(tmp_path / "w.c", tmp_path) != first


@needs_gcc
def test_a_program_that_does_not_compile_is_the_users_error_in_the_compilers_words(tmp_path: Path) -> None:
    (tmp_path / "w.c").write_text("int main(void) { return nothing; }\n")

    with pytest.raises(UserError, match="does not compile for x86_64") as raised:
        made(tmp_path / "w.c", tmp_path)

    assert "undeclared" in str(raised.value)


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.c").write_text("int main(void) { return 0; }\n")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolMissing, match="x86_64-linux-gnu-gcc"):
        made(tmp_path / "w.c", tmp_path)


def test_a_program_lies_beside_its_yaml_or_in_guest_scripts(tmp_path: Path) -> None:
    workload, own, scripts = cell().workload, tmp_path / "own", tmp_path / "scripts"
    for folder in (own, scripts):
        folder.mkdir()
    (scripts / "mincore.c").touch()

    assert program_path(workload, own / "w.yaml", scripts) == scripts / "mincore.c"
    (own / "mincore.c").touch()
    assert program_path(workload, own / "w.yaml", scripts) == own / "mincore.c"


def test_a_program_that_is_nowhere_is_the_users_error_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no mincore\.c; looked for .*own/mincore\.c and .*scripts/mincore\.c"):
        program_path(cell().workload, tmp_path / "own" / "w.yaml", tmp_path / "scripts")


@pytest.mark.skipif(find_tool("apt-get") is None, reason="apt is not installed")
def test_apt_is_asked_for_the_mirrors(tmp_path: Path) -> None:
    try:
        sources = apt_sources(log=tmp_path / "log", until=Deadline.after(60, "apt"))
    except InfraError as e:
        pytest.skip(f"no mirror is configured here: {e}")

    assert all(source.startswith("deb ") and source.endswith(f" {SUITE} main") for source in sources)


def unpacked_root(tmp_path: Path) -> Path:
    """Parts of a root as mmdebstrap leaves it, not merged, with things that a guest must not get."""
    root = tmp_path / "root"
    files = {
        "bin/bash": 0o755, "usr/bin/stress-ng": 0o4755, "usr/sbin/ip": 0o755, "etc/bash.bashrc": 0o644,
        "usr/share/doc/bash/copyright": 0o644, "var/lib/dpkg/status": 0o644, "etc/patchrig-packages": 0o644,
        "patchrig/run-workload": 0o755, "usr/lib/x86_64-linux-gnu/libcap.so.2.66": 0o644,
    }  # fmt: skip
    for path, mode in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
        (root / path).chmod(mode)
    (root / "bin/sh").symlink_to("dash")
    (root / "usr/lib/x86_64-linux-gnu/libcap.so.2").symlink_to("libcap.so.2.66")
    (root / "usr/bin/passwd").symlink_to("/etc/passwd")
    os.mkfifo(root / "usr/bin/pipe")
    return root


def test_all_files_of_a_workload_s_packages_are_in_the_root_but_for_documents_and_devices(tmp_path: Path) -> None:
    entries = {entry.path: entry for entry in package_entries(unpacked_root(tmp_path))}

    assert {path for path, entry in entries.items() if stat.S_ISREG(entry.mode)} == {
        "bin/bash", "usr/bin/stress-ng", "usr/sbin/ip", "etc/bash.bashrc", "etc/patchrig-packages",
        "usr/lib/x86_64-linux-gnu/libcap.so.2.66",
    }  # fmt: skip
    assert entries["usr/bin/stress-ng"].data == b"usr/bin/stress-ng"
    assert "bin/sh" not in entries


def test_no_file_of_a_package_has_more_rights_than_its_user(tmp_path: Path) -> None:
    entries = list(package_entries(unpacked_root(tmp_path)))

    assert not [entry.path for entry in entries if entry.mode & 0o7000]


def test_a_link_is_kept_and_what_it_names_on_this_machine_is_not_read(tmp_path: Path) -> None:
    links = {entry.path: entry.data for entry in package_entries(unpacked_root(tmp_path)) if stat.S_ISLNK(entry.mode)}

    assert links["usr/bin/passwd"] == b"/etc/passwd"
    # Scripts name their interpreter by its short name.
    assert (links["bin/stress-ng"], links["sbin/ip"]) == (b"/usr/bin/stress-ng", b"/usr/sbin/ip")
    assert "bin/bash" not in links


def test_folders_come_before_what_is_in_them(tmp_path: Path) -> None:
    seen = set(FOLDERS)
    for entry in package_entries(unpacked_root(tmp_path)):
        parents = {str(parent) for parent in PurePosixPath(entry.path).parents} - {"."}
        assert parents <= seen
        seen |= {entry.path} if stat.S_ISDIR(entry.mode) else set()


def test_packages_that_are_too_large_for_memory_are_refused(tmp_path: Path) -> None:
    root = unpacked_root(tmp_path)
    with (root / "usr/lib/large").open("wb") as file:
        file.truncate(MOST_BYTES)

    with pytest.raises(UserError, match="more than 512 MiB"):
        list(package_entries(root))


def test_a_root_with_packages_is_kept_apart_from_one_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_packages(tmp_path, monkeypatch)
    until = Deadline.after(60, "the archive")
    where = {"cache": tmp_path / "cache", "log": tmp_path / "log"}

    for packages in ((), ("b", "a"), ("a", "b", "a"), ("a=1", "b")):
        base_archive(X86, packages, **where, until=until)

    assert calls.read_text().count("x") == 3
    assert len(list((tmp_path / "cache/rootfs").glob("*.sealed"))) == 3


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("E: Unable to locate package nonesuch", UserError),
        ("E: Version '9' for 'bash' was not found", UserError),
        ("E: Failed to fetch http://mirror.example", InfraError),
    ],
)
def test_a_package_that_there_is_not_is_the_user_s_error(
    said: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_packages(tmp_path, monkeypatch)
    (tmp_path / "bin/mmdebstrap").write_text(f'#!/bin/sh\necho "{said}"\nexit 25\n')

    with pytest.raises(error, match=said.split()[-1]):
        base_archive(X86, ["x"], cache=tmp_path / "cache", log=tmp_path / "log", until=Deadline.after(60, "it"))
