# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of configs/ci/ as GitHub and GitLab run them, on a host with a toy kernel and a fake QEMU.

The scripts are run as they are, in a checkout of this project. What a script needs root or a network for is a fake that
writes its command line to a log: apt-get, `make setup`, useradd, chown, setpriv, bwrap.

Sources: GitHub's "Workflow syntax for GitHub Actions" (shell: bash, if: always()), @actions/glob (paths of caches and
artifacts, with `!`); GitLab's "CI/CD YAML syntax reference" (script, cache, artifacts).
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from orchestrator.host.paths import PROJECT
from tests.process.toy_kernel import ToyKernel

CI = PROJECT / "configs" / "ci"
_PARTS = ("orchestrator", "configs", "guest-scripts", "kernels")
_LOGGED = '#!/bin/sh\necho "${{0##*/}} $*" >>{log}\n'
_PROGRAMS = {
    "apt-get": 'echo "http://mirror.example/debian|bookworm|main|"\n',
    "make": '[ "$*" = setup ] || exec {real} "$@"\nmkdir -p .venv/bin && cp {launcher} .venv/bin/patchrig\n',
    "useradd": "",
    "chown": "",
    "bwrap": "",
    # patchrig calls it, too.
    "setpriv": '[ "$*" = "${{*#--reuid patchrig}}" ] && exec {real} "$@"\nshift 5 && exec "$@"\n',
}


@dataclass(kw_only=True)
class Machine:
    """A CI server's runner: the folder that jobs have their checkout in, and what the server keeps between jobs."""

    kernel: ToyKernel
    workspace: Path
    environment: dict[str, str]
    caches: dict[str, dict[str, bytes]] = field(default_factory=dict, repr=False)  # key -> files, the newest last
    artifacts: dict[str, dict[str, bytes]] = field(default_factory=dict, repr=False)  # name -> files

    @property
    def log(self) -> list[str]:
        """The command lines of the last job that needed root or a network."""
        return (self.kernel.folder / "ci.log").read_text().splitlines()

    def begin(self) -> None:
        """An empty workspace, as each job has it."""
        shutil.rmtree(self.workspace, ignore_errors=True)
        self.workspace.mkdir()
        (self.kernel.folder / "ci.log").write_text("")

    def checkout(self) -> None:
        """This project's files, with the toy kernel's matrix."""
        for name in _PARTS:
            shutil.copytree(self.kernel.folder / "commit" / name, self.workspace / name)
        configs = self.workspace / "configs"
        shutil.copy(self.kernel.folder / "matrix.yaml", configs / "swapoff.yaml")
        shutil.copy(self.kernel.folder / "series.patch", configs)
        shutil.copytree(self.kernel.folder / "workloads", configs / "workloads", dirs_exist_ok=True)

    def bash(self, script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """One script; both servers show output and errors in one log."""
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            env=environment, cwd=self.workspace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, timeout=3000,
        )  # fmt: skip

    def put(self, files: Mapping[str, bytes], below: str = ".") -> None:
        for name, data in files.items():
            target = self.workspace / below / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            # Neither server keeps modes of programs in all its ways; the toy kernel's cache has links to none.
            target.chmod(0o755)

    def taken(self, patterns: Sequence[str], *, links: bool) -> dict[str, bytes]:
        """The files that patterns match; those that begin with `!` take away. `links`: follow those to folders."""
        good = [pattern.rstrip("/") for pattern in patterns if not pattern.startswith("!")]
        bad = [pattern[1:].rstrip("/") for pattern in patterns if pattern.startswith("!")]
        found: dict[str, bytes] = {}
        for folder, _, names in os.walk(self.workspace, followlinks=links):
            for name in names:
                path = Path(folder, name)
                shown = str(path.relative_to(self.workspace))
                if path.is_file() and _chosen(shown, good) and not _chosen(shown, bad):
                    found[shown] = path.read_bytes()
        return found


def new_machine(kernel: ToyKernel) -> Machine:
    folder = kernel.folder
    # Once: all checkouts are of one commit, also while somebody edits the project.
    for name in _PARTS:
        shutil.copytree(PROJECT / name, folder / "commit" / name, ignore=shutil.ignore_patterns("__pycache__"))
    launcher = folder / "launcher"
    workspace = folder / "workspace"
    path = f"import sys\nsys.path.insert(0, {str(workspace)!r})\n"
    launcher.write_text(f"#!{sys.executable} -P\n{path}from orchestrator.cli.main import main\nmain()\n")
    launcher.chmod(0o755)
    for name, text in _PROGRAMS.items():
        script = (_LOGGED + text).format(log=folder / "ci.log", launcher=launcher, real=shutil.which(name) or "false")
        (kernel.host.programs / name).write_text(script)
        (kernel.host.programs / name).chmod(0o755)
    mine = {name: value for name, value in kernel.host.environment.items() if not name.startswith("PATCHRIG_")}
    return Machine(kernel=kernel, workspace=workspace, environment=mine)


def _chosen(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches the path or a folder that it is in."""
    parts = path.split("/")
    starts = [parts[:count] for count in range(1, len(parts) + 1)]
    return any(_matches(start, pattern.split("/")) for pattern in patterns for start in starts)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[count:], pattern[1:]) for count in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


@dataclass(frozen=True, kw_only=True)
class Done:
    """A job that has ended."""

    code: int  # of the script that failed; 0 if none did
    log: str
    summary: str = ""  # of the step, on GitHub
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # its artifact

    def lines(self, kind: str) -> list[str]:
        """GitHub's annotations of a kind: error, warning, notice."""
        return [line for line in self.log.splitlines() if line.startswith(f"::{kind}")]

    def written(self, name: str) -> str:
        return self.files[name].decode()


class GithubJob:
    """A job of a workflow: its steps, one after the other."""

    def __init__(self, machine: Machine, file: str, job: str, values: Mapping[str, str]) -> None:
        self.machine = machine
        self.steps: list[dict[str, Any]] = yaml.safe_load((CI / file).read_text())["jobs"][job]["steps"]
        self.values = values  # of the expressions
        own = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(machine.workspace)}
        self.environment = machine.environment | own
        self.artifact: dict[str, bytes] = {}

    def run(self) -> Done:
        folder = self.machine.kernel.folder
        files = {name: folder / name.lower() for name in ("GITHUB_ENV", "GITHUB_STEP_SUMMARY")}
        for name, path in files.items():
            path.write_text("")
            self.environment[name] = str(path)
        self.machine.begin()
        code, log = 0, ""
        for step in self.steps:
            assert step.get("if", "always()") == "always()"
            if code and "if" not in step:
                continue
            if "uses" in step:
                self._action(step["uses"].partition("@")[0], step.get("with", {}))
                continue
            given = {name: self._filled(value) for name, value in step.get("env", {}).items()}
            done = self.machine.bash(self._filled(step["run"]), self.environment | given)
            code, log = code or done.returncode, log + done.stdout
            lines = files["GITHUB_ENV"].read_text().splitlines()
            self.environment |= {name: value for name, _, value in (line.partition("=") for line in lines)}
        return Done(code=code, log=log, summary=files["GITHUB_STEP_SUMMARY"].read_text(), files=self.artifact)

    def _filled(self, text: str) -> str:
        """The text with the values of its expressions."""
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: self.values[found[1]], text)

    def _action(self, name: str, given: Mapping[str, Any]) -> None:
        machine, paths = self.machine, self._filled(str(given.get("path", ""))).splitlines()
        if name == "actions/checkout":
            machine.checkout()
        elif name == "actions/cache/restore":
            wanted = [given["key"], *given["restore-keys"].splitlines()]
            machine.put(next(self._caches(map(self._filled, wanted)), {}))
        elif name == "actions/cache/save":
            machine.caches[self._filled(given["key"])] = machine.taken(paths, links=False)
        elif name == "actions/upload-artifact":
            files = machine.taken(paths, links=True)
            # With one place alone, names are those below it.
            places = {path.rstrip("/") for path in paths if not path.startswith("!")}
            only = f"{places.pop()}/" if len(places) == 1 else ""
            self.artifact = {path.removeprefix(only): data for path, data in files.items()}
            machine.artifacts[self._filled(given["name"])] = self.artifact
        elif name == "actions/download-artifact":
            for artifact, files in machine.artifacts.items():
                if fnmatchcase(artifact, given["pattern"]):
                    machine.put(files, f"{given['path']}/{artifact}")
        else:
            raise AssertionError(f"{name}: this action is not known")

    def _caches(self, keys: Iterable[str]) -> Iterator[dict[str, bytes]]:
        for key in keys:
            yield from (files for name, files in reversed(self.machine.caches.items()) if name.startswith(key))


class GitlabJob:
    """A job of a pipeline: its before_script and script, in one shell."""

    def __init__(self, machine: Machine, file: str, job: str, variables: Mapping[str, str]) -> None:
        whole = yaml.safe_load((CI / file).read_text())
        self.machine = machine
        self.job: dict[str, Any] = {**whole.get("default", {}), **whole[job]}
        predefined = {"GITLAB_CI": "true", "CI_PROJECT_DIR": str(machine.workspace)}
        own = {**whole.get("variables", {}), **self.job.get("variables", {}), **variables}
        known = machine.environment | predefined
        self.environment = known | {name: _expanded(value, known) for name, value in own.items()}

    @property
    def retried(self) -> Sequence[int]:
        """The exit codes after which it runs once more."""
        codes = self.job["retry"]["exit_codes"]
        return [codes] if isinstance(codes, int) else codes

    def run(self, earlier: Iterable[Mapping[str, bytes]] = ()) -> Done:
        """`earlier`: artifacts of the jobs of earlier stages."""
        machine, cache, artifacts = self.machine, self.job["cache"], self.job["artifacts"]
        machine.begin()
        machine.checkout()
        machine.put(machine.caches.get(cache["key"], {}))
        for files in earlier:
            machine.put(files)
        done = machine.bash("\n".join([*self.job["before_script"], *self.job["script"]]), self.environment)
        machine.caches[cache["key"]] = machine.taken(cache["paths"], links=False)
        reports = [str(path) for name, path in artifacts.get("reports", {}).items() if name != "coverage_report"]
        assert cache["when"] == artifacts["when"] == "always"
        taken = machine.taken([*artifacts["paths"], *reports], links=False)
        # What is excluded are files, and not what is in a folder that the pattern names.
        excluded = [pattern.split("/") for pattern in artifacts["exclude"]]
        files = {path: data for path, data in taken.items() if not any(_matches(path.split("/"), p) for p in excluded)}
        return Done(code=done.returncode, log=done.stdout, files=files)


def _expanded(text: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: known.get(found[1], ""), text)
