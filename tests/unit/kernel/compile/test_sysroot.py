# SPDX-License-Identifier: GPL-2.0-or-later
"""The libraries of an arch are unpacked from packages once."""

import os
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.debian import SUITE
from orchestrator.kernel.compile.sysroot import PACKAGES, sysroot
from orchestrator.model.arch import ARCHES

MMDEBSTRAP = """#!/bin/sh
echo "$*" >> CALLS
for root in "$@"; do case "$root" in */root) break;; esac; done
mkdir -p "$root/usr/include" "$root/usr/lib" "$root/usr/share/doc" "$root/var/lib"
echo "int f(void);" > "$root/usr/include/numa.h"
ln -s libnuma.so.1 "$root/usr/lib/libnuma.so"
echo > "$root/usr/share/doc/x"
"""


def test_they_are_kept_by_arch_without_what_no_compiler_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    programs = {
        "apt-get": f"#!/bin/sh\necho 'http://mirror.example/debian|{SUITE}|main|'\n",
        "mmdebstrap": MMDEBSTRAP.replace("CALLS", str(calls)),
    }
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = []

    for name in ("x86_64", "x86_64", "arm64"):
        until = Deadline.after(60, "the libraries")
        with sysroot(ARCHES[name], cache=tmp_path / "cache", log=tmp_path / "log", until=until) as folder:
            found.append(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()))
            assert (folder / "usr/lib/libnuma.so").readlink() == Path("libnuma.so.1")
        assert not folder.exists()

    assert found == [["usr/include/numa.h", "usr/lib/libnuma.so"]] * 3
    assert [line.count(f"--include={','.join(PACKAGES)}") for line in calls.read_text().splitlines()] == [1, 1]
