# SPDX-License-Identifier: GPL-2.0-or-later
"""A wheel works: it is built without a network, installed in an environment of its own, and used in an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = ("orchestrator", "configs", "guest-scripts", "kernels", "tools", "docs/man")
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")


def output_of(argv: list[object], cwd: Path, *, good: tuple[int, ...] = (0,)) -> str:
    environment = {**os.environ, "PATCHRIG_CACHE": str(cwd / "cache")}
    environment.pop("PYTHONPATH", None)  # which may lead to the checkout
    words = [str(word) for word in argv]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in good, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A build leaves files behind where it is done.
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copytree(PROJECT / name, folder / "project" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(PROJECT / name, folder / "project")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    output_of([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "project"], folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def patchrig(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an installed wheel; what it depends on is that of the tests' own environment."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "of-the-tests.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "--quiet"]
    output_of([*pip, "--no-deps", "--no-index", wheel], folder)
    return folder / "bin" / "patchrig"


def test_the_wheel_names_its_licence_and_has_all_of_the_package_and_its_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        headers = Parser().parsestr(archive.read(metadata).decode())
        program = archive.getinfo("orchestrator/data/guest-scripts/run-workload")

    assert headers["License-Expression"] == "GPL-2.0-or-later"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    data = {name.removeprefix("orchestrator/data/") for name in names if name.startswith("orchestrator/data/")}
    folders = [PROJECT / name for name in ("configs", "guest-scripts", "kernels")]
    there = {str(path.relative_to(PROJECT)) for folder in folders for path in folder.rglob("*") if path.is_file()}
    assert data == there | {"tools/packages.txt"}
    modules = {str(path.relative_to(PROJECT)) for path in (PROJECT / "orchestrator").rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py")}
    assert bool(program.external_attr >> 16 & 0o100) == os.access(PROJECT / "guest-scripts" / "run-workload", os.X_OK)


def test_an_installed_patchrig_has_its_manual_where_man_looks_for_it(patchrig: Path) -> None:
    page = patchrig.parents[1] / "share" / "man" / "man1" / "patchrig.1"

    assert page.read_bytes() == (PROJECT / "docs" / "man" / "patchrig.1").read_bytes()


@pytest.mark.parametrize("matrix", ["swapoff", "configs/swapoff.yaml"])
def test_an_installed_patchrig_finds_its_matrices_from_any_folder(matrix: str, patchrig: Path, tmp_path: Path) -> None:
    cells = json.loads(output_of([patchrig, "list", matrix, "--arch", "x86_64", "--json"], tmp_path))

    assert {"patched.plain.x86_64.swapin"} <= {cell["name"] for cell in cells}
    assert list(tmp_path.iterdir()) == []


def test_a_matrix_of_the_users_goes_before_the_installed_one(patchrig: Path, tmp_path: Path) -> None:
    mine = tmp_path / "configs" / "swapoff.yaml"
    mine.parent.mkdir()
    mine.write_text("kernel: 6.19\nvariants: [baseline]\narches: [arm64]\nworkloads: [mincore]\n")

    cells = json.loads(output_of([patchrig, "list", "configs/swapoff.yaml", "--json"], tmp_path))

    assert [cell["name"] for cell in cells] == ["baseline.plain.arm64.mincore"]


def test_an_installed_patchrig_finds_its_kernels_flavours_and_workloads(patchrig: Path, tmp_path: Path) -> None:
    output_of([patchrig, "list", "swapoff", "--kernel", "6.19", "--flavour", "widened+kasan"], tmp_path)
    schema = json.loads(output_of([patchrig, "schema", "matrix"], tmp_path))

    assert schema == json.loads((PROJECT / "configs" / "schema" / "matrix.json").read_text())


def test_an_installed_patchrig_reads_its_series_and_runs_where_the_user_is(patchrig: Path, tmp_path: Path) -> None:
    (tmp_path / "no-kernel").mkdir()
    argv = [patchrig, "run", "swapoff", "--arch", "x86_64", "--tree", "no-kernel"]

    output_of(argv, tmp_path, good=(2,))

    assert (tmp_path / "results").is_dir()


def test_an_installed_patchrig_knows_what_this_machine_needs(patchrig: Path, tmp_path: Path) -> None:
    # 3: something is missing here.
    said = json.loads(output_of([patchrig, "doctor", "--json"], tmp_path, good=(0, 3)))

    assert set(said["kvm"]) == {"x86_64", "arm64"}
    assert said["missing"] == [] or {"package", "tool", "reason"} == set(said["missing"][0])


def test_an_installed_patchrig_has_no_file_of_the_checkout(patchrig: Path, tmp_path: Path) -> None:
    code = "from orchestrator.host import paths; print(paths.PACKAGE, paths.PROJECT, paths.RESULTS.absolute())"

    package, project, results = output_of([patchrig.with_name("python"), "-c", code], tmp_path).split()

    assert Path(package).is_relative_to(patchrig.parents[1])
    assert Path(project) == Path(package) / "data"
    assert Path(results) == tmp_path / "results"
