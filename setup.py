# SPDX-License-Identifier: GPL-2.0-or-later
"""What pyproject.toml can't say: the wheel has the project's folders inside the package, where host/paths.py looks."""

from collections.abc import Iterator
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PROJECT = Path(__file__).parent
FOLDERS = ("configs", "guest-scripts", "kernels")
FILES = ("tools/packages.txt",)
TARGET = Path("orchestrator", "data")


def data_files() -> Iterator[Path]:
    """Relative to the project, and in the wheel to TARGET."""
    for folder in FOLDERS:
        yield from (path.relative_to(PROJECT) for path in sorted(PROJECT.joinpath(folder).rglob("*")) if path.is_file())
    yield from map(Path, FILES)


class BuildWithData(build_py):
    """build_py that also copies the data; an editable install uses the folders of the checkout."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for path in data_files():
                target = Path(self.build_lib) / TARGET / path
                self.mkpath(str(target.parent))
                self.copy_file(str(PROJECT / path), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        ours = [] if self.editable_mode else [str(Path(self.build_lib) / TARGET / path) for path in data_files()]
        return [*super().get_outputs(include_bytecode), *ours]


# Where man looks for the manual of a program in bin/.
setup(cmdclass={"build_py": BuildWithData}, data_files=[("share/man/man1", ["docs/man/patchrig.1"])])
