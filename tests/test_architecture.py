# SPDX-License-Identifier: GPL-2.0-or-later
"""The layout's rules, read from the source: who may import what, how long things may get, and what may not be there."""

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from orchestrator.model import configuration

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = PROJECT / "orchestrator"
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
DECISION = PROJECT / "docs" / "decisions" / "0001-dependencies.md"

STAGES = ("plan", "kernel", "vm", "guest", "judge", "report")
# Folder -> the folders that it may import, besides itself. The stages never meet: `run` puts them together.
MAY_IMPORT = {
    "cli": ("run", *STAGES, "model", "host"),
    "run": (*STAGES, "model", "host"),
    **dict.fromkeys(STAGES, ("model", "host")),
    "model": ("host",),
    "host": (),
}

STANDARD_DOORS = {"sqlite3": "report/history/database.py", "subprocess": "host/process.py"}

# PyPI's name -> what is imported, where the two differ.
IMPORT_NAMES = {
    "Jinja2": "jinja2",
    "junit-xml": "junit_xml",
    "pyelftools": "elftools",
    "PyYAML": "yaml",
    "qemu.qmp": "qemu",
    "tree-sitter": "tree_sitter",
    "tree-sitter-c": "tree_sitter_c",
}

PURE = (
    "judge/",
    "model/",
    "vm/argv.py",
    "kernel/compile/kconfig.py",
    "kernel/mutants/",
    "plan/expansion.py",
    "plan/bug_cells.py",
    "plan/names.py",
    "plan/schema.py",
)
INPUT_OUTPUT = ("os", "shutil", "socket", "subprocess", "tempfile", "time", "urllib", "threading")
OUR_INPUT_OUTPUT = ("orchestrator.host.process", "orchestrator.host.deadline")
FILE_METHODS = ("open", "read_text", "write_text", "read_bytes", "write_bytes", "exists", "is_file", "glob", "rglob")

# What nobody foresaw costs one cell and not the run.
CATCH_ALL = {
    "run/endings.py": "Exception",
    "host/cluster.py": "Exception",  # which Dask's SSHCluster raises itself
}

LONGEST_MODULE = 400
LONGEST_FUNCTION = 50
LONG_MODULES = {"judge/patterns.py": "a table of kernel messages"}
LONG_FUNCTIONS: dict[str, str] = {}  # "vm/argv.py:qemu_argv": "an argv literal with a reason for each option"

BANNED_MODULES = ("utils", "helpers", "common", "manager", "base", "misc")
BANNED_SUFFIXES = ("Manager", "Handler", "Helper", "Info", "Data")

each_file = pytest.mark.parametrize("file", FILES, ids=str)


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def imported_modules(file: Path) -> Iterator[str]:
    """Dotted names, `from orchestrator import process` included as orchestrator.process."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            ours = node.module == "orchestrator"
            yield from (f"orchestrator.{alias.name}" for alias in node.names) if ours else [str(node.module)]


def our_modules(file: Path) -> Iterator[str]:
    """The modules of ours that are imported, with `from orchestrator.host import process` as that module."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("orchestrator"):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def our_imports(file: Path) -> Iterator[str]:
    """What is imported of ourselves, as the first name below orchestrator."""
    for module in imported_modules(file):
        if module.startswith("orchestrator."):
            yield module.split(".")[1]


@cache
def documented_doors() -> dict[str, str]:
    """Import name -> door, from the first table of the decision."""
    rows = re.findall(r"^\| (\S+) \| (`\S+`|anywhere) \| \S.* \|$", DECISION.read_text(encoding="utf-8"), re.MULTILINE)
    return {IMPORT_NAMES.get(name, name): door.strip("`") for name, door in rows}


def dependencies(table: list[str]) -> set[str]:
    return {re.split(r"[<>=~! ]", entry)[0] for entry in table}


@cache
def project_table() -> dict[str, list[str]]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    return {"run": [*project["dependencies"], *optional["cluster"]], "dev": optional["dev"]}


def test_each_module_lies_in_a_folder_that_has_a_rule() -> None:
    loose = [str(file) for file in FILES if len(file.parts) == 1 and file.name not in ("__init__.py", "__main__.py")]
    assert not loose, "orchestrator/ has folders only"
    assert {file.parts[0] for file in FILES if len(file.parts) > 1} == set(MAY_IMPORT)


@each_file
def test_imports_go_downwards(file: Path) -> None:
    here = file.parts[0]
    if here in MAY_IMPORT:
        strangers = set(our_imports(file)) - {here, *MAY_IMPORT[here]}
        assert not strangers, f"{file} imports {', '.join(strangers)}; {here}/ may import {', '.join(MAY_IMPORT[here])}"


def test_no_two_modules_have_one_name() -> None:
    counts = Counter(file.stem for file in FILES if file.name != "__init__.py")
    assert [stem for stem, count in counts.items() if count > 1] == []


@each_file
def test_each_outside_thing_has_one_door(file: Path) -> None:
    doors = {name: door for name, door in documented_doors().items() if door != "anywhere"} | STANDARD_DOORS
    for module in imported_modules(file):
        door = doors.get(module.partition(".")[0])
        # A door that ends in a slash is a folder.
        inside = door is not None and door.endswith("/") and file.as_posix().startswith(door)
        assert inside or door in (None, file.as_posix()), f"{file} imports {module}, whose door is {door}"


@each_file
def test_what_is_imported_is_a_declared_dependency(file: Path) -> None:
    declared = {IMPORT_NAMES.get(name, name) for name in dependencies(project_table()["run"])}
    top_level = {module.partition(".")[0] for module in imported_modules(file)}
    unknown = top_level - declared - set(sys.stdlib_module_names) - {"orchestrator"}
    # pydantic's own core has no version of its own to choose.
    assert not unknown - {"pydantic_core"}, f"{file}: not in pyproject.toml"


@each_file
def test_dask_is_imported_only_when_a_cluster_is_used(file: Path) -> None:
    # It takes half a second, and an installation without it must work.
    at_once = {node.module for node in tree_of(file).body if isinstance(node, ast.ImportFrom)}
    assert "orchestrator.host.cluster" not in at_once, f"{file}: import it in the function that needs it"


@each_file
def test_pure_modules_touch_nothing(file: Path) -> None:
    if not file.as_posix().startswith(PURE):
        return
    assert not set(INPUT_OUTPUT) & {module.partition(".")[0] for module in imported_modules(file)}
    assert not set(OUR_INPUT_OUTPUT) & set(our_modules(file))
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert name not in FILE_METHODS, f"{file}:{node.lineno}: {name}() in a pure module"


@each_file
def test_modules_stay_readable(file: Path) -> None:
    lines = len((PACKAGE / file).read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE or file.as_posix() in LONG_MODULES, f"{file} has {lines} lines"


@each_file
def test_functions_stay_short(file: Path) -> None:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            name = f"{file.as_posix()}:{node.name}"
            assert lines <= LONGEST_FUNCTION or name in LONG_FUNCTIONS, f"{name} has {lines} lines"


@each_file
def test_only_the_command_line_catches_everything_or_exits(file: Path) -> None:
    if file.as_posix() == "cli/main.py":
        return
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            everything = re.search(r"\b(Exception|BaseException|everything)\b", caught)
            # What cleans up and raises again catches nothing.
            raises_again = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            allowed = raises_again or caught == CATCH_ALL.get(file.as_posix())
            assert not everything or allowed, f"{file}:{node.lineno}: except {caught}"
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in ("sys.exit", "os._exit"), f"{file}:{node.lineno}: only cli/main.py exits"


@each_file
def test_names_say_what_a_thing_is(file: Path) -> None:
    assert file.stem not in BANNED_MODULES, f"{file}: name it after what is in it"
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(BANNED_SUFFIXES), f"{file}:{node.lineno}: {node.name}: use the domain's noun"


@pytest.mark.parametrize("file", [file for file in FILES if file.name == "__init__.py"], ids=str)
def test_package_files_are_empty(file: Path) -> None:
    assert not (PACKAGE / file).read_text(encoding="utf-8").strip()


def test_each_dependency_has_its_reason() -> None:
    text = DECISION.read_text(encoding="utf-8")
    declared = {name for table in project_table().values() for name in dependencies(table)}
    documented = set(re.findall(r"^\| (?!package )([\w.-]*[a-zA-Z][\w.-]*) \|", text, re.MULTILINE))
    assert documented == declared, f"{DECISION.name} and pyproject.toml differ"


def test_each_door_is_a_module_that_uses_it() -> None:
    for name, door in documented_doors().items():
        if door != "anywhere":
            files = (PACKAGE / door).glob("*.py") if door.endswith("/") else [PACKAGE / door]
            used = {
                module.partition(".")[0] for path in files for module in imported_modules(path.relative_to(PACKAGE))
            }
            assert name in used, f"{door}: no {name}"


def test_what_is_no_code_is_installed_with_the_package() -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = {
        path
        for package, patterns in declared["package-data"].items()
        for pattern in patterns
        for path in PROJECT.joinpath(*package.split(".")).glob(pattern)
    }
    data = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert data == found


TESTS = sorted(path.relative_to(PROJECT) for path in (PROJECT / "tests").rglob("*.py"))


def copied_with(tree: ast.Module) -> Iterator[str]:
    """The fields that a copy of a model has with other values: strings, which mypy does not check."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".model_copy"):
            written = [key for word in node.keywords if isinstance(word.value, ast.Dict) for key in word.value.keys]
            yield from (str(key.value) for key in written if isinstance(key, ast.Constant))


def test_a_copy_of_a_model_has_other_values_of_fields_that_there_are() -> None:
    models = [one for one in vars(configuration).values() if isinstance(one, type) and issubclass(one, BaseModel)]
    fields = {name for model in models for name in model.model_fields}
    assert "devices" in fields
    for file in (*TESTS, *(Path("orchestrator") / file for file in FILES)):
        unknown = set(copied_with(ast.parse((PROJECT / file).read_text(encoding="utf-8")))) - fields
        assert not unknown, (
            f"{file}: no model of orchestrator/model/configuration.py has the field {', '.join(unknown)}"
        )


def patches(tree: ast.Module) -> Iterator[int]:
    """The lines where what belongs to a module or a class is exchanged behind its back."""
    imported = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and "mock" in ast.unparse(node):
            yield node.lineno
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("setattr", "delattr"):
            yield node.lineno
        # The first name of what is written to, as in `deadline.Deadline.after = ...`.
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield from [node.lineno] if ast.unparse(node).partition(".")[0] in imported else []


def test_a_patch_is_found() -> None:
    for text in (
        "from unittest import mock",
        "from unittest.mock import patch",
        "monkeypatch.setattr(deadline, '_cancelled', Event())",
        "setattr(deadline, 'POLL_SECONDS', 0)",
        "import time\ntime.sleep = print",
        "from orchestrator.host import deadline\ndeadline.Deadline.after = late",
    ):
        assert list(patches(ast.parse(text))), text
    assert not list(patches(ast.parse("import os\nself.x = 1\nmonkeypatch.setenv('A', 'b')")))


@pytest.mark.parametrize("file", TESTS, ids=str)
def test_no_test_patches_what_it_tests(file: Path) -> None:
    # A value, an argument or a fake program says what it stands for; a patch breaks with each change.
    found = list(patches(ast.parse((PROJECT / file).read_text(encoding="utf-8"))))

    assert not found, f"{file}: lines {found}: give it a value, an argument, or a fake program"


def project_files() -> list[Path]:
    """Everything that git tracks or would."""
    skipped = {".git", ".venv", "results", "__pycache__", ".hypothesis"}
    return [
        path
        for path in PROJECT.rglob("*")
        if path.is_file()
        and not skipped & set(path.relative_to(PROJECT).parts)
        and not any(part.endswith(("_cache", ".egg-info")) for part in path.relative_to(PROJECT).parts)
    ]


def test_no_file_names_a_registry_a_mirror_or_a_machine() -> None:
    # Hosts come from how apt and pip are configured. Put together here, as this file is read as well.
    names = [
        ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("debian", "org"), ("debian", "net"))
    ]
    names.append("/".join(("", "work", "")))
    for path in project_files():
        text = path.read_bytes().decode("utf-8", errors="replace").lower()
        found = [name for name in names if name in text]
        assert not found, f"{path.relative_to(PROJECT)} names {', '.join(found)}"


# Code that is compiled into a kernel has the kernel's licence, all other code b4's and kcidb's.
KERNEL_CODE = ("kernels/overlays/",)
SOURCE_SUFFIXES = (".py", ".c", ".h", ".S", ".sh")
KBUILD_FILES = ("Makefile", "Kconfig", "Kbuild")
WITHOUT_LICENCE_LINE = (
    "kernels/overlays/mutants/appended/",
    "kernels/overlays/reach/appended/",
    "kernels/overlays/widened/appended/",  # they go to the end of files of the kernel's, which have theirs
    "tests/golden/",  # what comes out of us
)


def licensed_files() -> list[Path]:
    """Source files and scripts, empty ones aside; relative to the project."""
    found = []
    for path in project_files():
        here = path.relative_to(PROJECT)
        first = path.read_bytes()[:2]
        source = path.suffix in SOURCE_SUFFIXES or path.name in KBUILD_FILES or first == b"#!"
        if source and first and not here.as_posix().startswith(WITHOUT_LICENCE_LINE):
            found.append(here)
    return sorted(found)


@pytest.mark.parametrize("file", licensed_files(), ids=str)
def test_a_source_file_begins_with_its_licence(file: Path) -> None:
    licence = "GPL-2.0-only" if file.as_posix().startswith(KERNEL_CODE) else "GPL-2.0-or-later"
    first, second, *_ = [*(PROJECT / file).read_text(encoding="utf-8").splitlines(), ""]
    line = second if first.startswith("#!") else first

    assert re.fullmatch(rf"(#|//|/\*) SPDX-License-Identifier: {licence}( \*/)?", line), f"{file}: {line}"


def test_the_licence_of_the_package_is_that_of_its_files() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["license"] == "GPL-2.0-or-later"
    assert "GNU GENERAL PUBLIC LICENSE" in (PROJECT / "LICENSE").read_text(encoding="utf-8")
    files = {file.parts[0] for file in licensed_files()}
    assert {"orchestrator", "tests", "benchmarks", "tools", "kernels", "Makefile"} <= files
