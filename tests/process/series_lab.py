# SPDX-License-Identifier: GPL-2.0-or-later
"""A small git repository with a branch of every kind of change, and what a series makes of its files."""

import os
import shutil
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.process import check
from orchestrator.kernel.series.load import Series, load_series
from orchestrator.kernel.source.apply import NotApplied, apply_series

BASE = {
    "Makefile": "VERSION = 6\nPATCHLEVEL = 19\nSUBLEVEL = 6\n",
    "Kconfig": "",
    "mm/swap.c": "".join(f"int line{n};\n" for n in range(40)),
    "mm/swap.h": "/* a header */\nint h;\n",
    "lib/sort.c": "".join(f"int sort{n};\n" for n in range(30)),
    "lib/dos.c": "int a;\r\nint b;\r\nint c;\n",
    "scripts/run.sh": "#!/bin/sh\n",
    "docs/gone.rst": "gone\n",
    "docs/my file.rst": "one\ntwo\n",
}


def until() -> Deadline:
    return Deadline.after(60, "a test")


class SeriesLab:
    """The repository `work`: `master`, and `topic` with three commits on top of it."""

    def __init__(self, folder: Path, *, fill: bool = True) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.number = 0
        if fill:
            self.work.mkdir()
            self.fill()

    def copied(self, folder: Path) -> "SeriesLab":
        shutil.copytree(self.work, folder / "work", symlinks=True)
        return SeriesLab(folder, fill=False)

    def fill(self) -> None:
        for name, text in BASE.items():
            self.write(name, text)
        self.git("init", "-q", "-b", "master")
        self.commit("base")
        self.git("checkout", "-q", "-b", "topic")
        self.write("mm/swap.c", BASE["mm/swap.c"].replace("int line5;", "long line5;"))
        self.write("mm/new file.c", "int fresh;\n")
        self.commit("mm: swap: one")
        self.git("mv", "lib/sort.c", "lib/list_sort.c")
        self.write("lib/list_sort.c", BASE["lib/sort.c"] + "int more;\n")
        self.write('docs/na\u00efve "name".rst', "text\n")
        self.git("rm", "-q", "docs/gone.rst")
        (self.work / "scripts/run.sh").chmod(0o755)
        self.commit("lib: two")
        (self.work / "mm/blob.bin").write_bytes(bytes(range(256)) * 4)
        (self.work / "link").symlink_to("mm/swap.c")
        self.write("lib/dos.c", "int a;\r\nint bb;\r\nint c;\n")
        self.write("docs/my file.rst", "one\ntwo")
        self.commit("lib: three")

    def write(self, name: str, text: str) -> None:
        (self.work / name).parent.mkdir(parents=True, exist_ok=True)
        (self.work / name).write_bytes(text.encode())

    def git(self, *arguments: str) -> str:
        who = {"NAME": "A U Thor", "EMAIL": "a@localhost"}
        env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        env |= {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        argv = ["git", "-C", str(self.work), *arguments]
        return check(argv, log=self.folder / "git.log", until=until(), env=env)

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def file(self, name: str, *arguments: str) -> Path:
        """A file with what git writes with --output."""
        path = self.folder / name
        self.git(*arguments[:1], f"--output={path}", *arguments[1:])
        return path

    def mails(self, name: str, *options: str, commits: str = "master..topic") -> Path:
        """A folder of git format-patch."""
        path = self.folder / name
        self.git("format-patch", "-q", *options, f"--output-directory={path}", commits)
        return path

    def files(self, revision: str) -> dict[str, str]:
        """Each path of a commit with its mode and content."""
        listed = self.git("ls-tree", "-r", "-z", revision).split("\0")
        return {path: mode for line in listed if line for mode, _, path in [line.partition("\t")]}

    def read(self, *paths: Path, version: str = "", tree: bool = False) -> Series:
        log = self.folder / "read.log"
        return load_series(paths, tree=self.work if tree else None, log=log, until=until(), version=version)

    def applied(self, series: Series, base: str = "master") -> dict[str, str] | NotApplied:
        """The files of `base` with the series on them. Only what the series is known to touch is put before git."""
        self.number += 1
        scratch = self.folder / f"scratch{self.number}"
        whole = self.folder / f"whole{self.number}"
        for folder in (scratch, whole):
            folder.mkdir()
        self.git("--work-tree", str(whole), "checkout", base, "--", ".")
        self.git("reset", "-q", "--hard")
        touched = [str(file) for file in series.touched]
        for name in touched:
            self.move(whole / name, scratch / name)
        logs = self.folder / f"logs{self.number}"
        logs.mkdir()
        if problem := apply_series(series, scratch, log_dir=logs, until=until()):
            return problem
        for name in touched:
            self.move(scratch / name, whole / name)
        assert not [path for path in scratch.rglob("*") if not path.is_dir()]
        return self.files_in(whole)

    def files_in(self, folder: Path) -> dict[str, str]:
        self.git("--work-tree", str(folder), "add", "-A", "-f", ".")
        tree = self.git("write-tree").strip()
        self.git("reset", "-q", "--hard")
        return self.files(tree)

    @staticmethod
    def move(source: Path, target: Path) -> None:
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
