# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest's test suite printed -> its subtests: through the parser of the tree under test, in the sandbox."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, OutOfTime
from orchestrator.host.paths import scratch_folder
from orchestrator.host.process import last_lines, spawn
from orchestrator.host.sandbox import Limits, Mount, Sandbox, confined_argv
from orchestrator.host.untrusted import BadFile, read_plain_text
from orchestrator.judge.ktap import documents, nested, output_of, subtests_of
from orchestrator.model.guests import Ending, Observation
from orchestrator.model.subtests import SubtestStatus, SuiteResult
from orchestrator.model.suites import SuiteFiles
from orchestrator.run.ktap_driver import SEPARATOR

PARSER_FOLDER = "ktap"
"""In the folder of a build, in the run's results."""
_NOT_BUILT = "not-built"
_SECONDS = 60.0
_MOST_OUTPUT = 64 << 20
_LIMITS = Limits(processes=16, process_bytes=2 << 30, file_bytes=_MOST_OUTPUT, scratch_bytes=16 << 20)
# The exit status of a shell whose command a signal ended, or that could not run it; below it is the suite's own word.
_NOT_OF_SUITE = 125
_DRIVER = Path(__file__).with_name("ktap_driver.py")
_SEEN = PurePath("/patchrig")


@dataclass(frozen=True, kw_only=True, slots=True)
class KtapParser:
    """A tree's own parser, as it lies in the folder of a build, and the tests that could not be built."""

    folder: Path
    sandbox: bool

    @property
    def not_built(self) -> tuple[str, ...]:
        try:
            return tuple(read_plain_text(self.folder, _NOT_BUILT, most_bytes=1 << 20).split())
        except BadFile:
            return ()


def keep_parser(suites: SuiteFiles, build_folder: Path, *, sandbox: bool) -> KtapParser:
    """Write a tree's parser to the folder of a build, from where a repeated cell takes it."""
    folder = build_folder / PARSER_FOLDER
    folder.mkdir(exist_ok=True)
    for name, text in suites.parser.items():
        (folder / name).write_bytes(text)
    (folder / _NOT_BUILT).write_text("\n".join(suites.not_built), encoding="utf-8")
    return KtapParser(folder=folder, sandbox=sandbox)


def suite_result(run: Observation, printed: str, parser: KtapParser | None) -> SuiteResult:
    """What the suite of a guest that has ended said; that it can't be read is a result too."""
    found = [nested(document) for document in documents(output_of(printed))]
    ended = run.ending is Ending.REPORTED and run.exit_status is not None and run.exit_status <= _NOT_OF_SUITE
    not_built = parser.not_built if parser else ()
    if not found:
        return SuiteResult(subtests=(), complete=ended, not_built=not_built)
    try:
        subtests = subtests_of(_parsed(found, parser))
    except (ValueError, InfraError, OutOfTime, RecursionError) as e:
        return SuiteResult(subtests=(), complete=False, unreadable=str(e).splitlines()[0], not_built=not_built)
    cut_short = any(one.status is SubtestStatus.TIMED_OUT for one in subtests)
    return SuiteResult(subtests=subtests, complete=ended and not cut_short, not_built=not_built)


def _parsed(found: Sequence[Sequence[str]], parser: KtapParser | None) -> object:
    """What the parser's driver prints. Raises ValueError where the parser is missing, breaks, or takes too much."""
    if parser is None or not (parser.folder / "kunit_parser.py").exists():
        raise ValueError("the tree has no tools/testing/kunit/kunit_parser.py, which reads KTAP")
    with scratch_folder() as scratch:
        folder = Path(scratch)
        text = f"\n{SEPARATOR}\n".join("\n".join(lines).replace(SEPARATOR, " ") for lines in found)
        (folder / "ktap").write_text(text, encoding="utf-8", errors="backslashreplace")
        folder.chmod(0o755)
        log = folder / "json"
        with spawn(_argv(folder / "ktap", parser), log=log) as child:
            status = Deadline.after(_SECONDS, "the tree's KTAP parser").until(child.poll)
        if log.stat().st_size > _MOST_OUTPUT:
            raise ValueError("the tree's KTAP parser prints without an end")
        said = log.read_text(encoding="utf-8", errors="replace")
    if status != 0:
        raise ValueError(f"the tree's KTAP parser fails: {last_lines(said, 1).strip()}")
    return json.loads(said.rstrip("\n").rpartition("\n")[2])


def _argv(text: Path, parser: KtapParser) -> Sequence[str]:
    places = {_DRIVER: "driver.py", text: "ktap", parser.folder: "parser"}
    inside = Sandbox(
        readable=(
            *(Mount(source.absolute(), _SEEN / name) for source, name in places.items()),
            # The Python that runs patchrig, which need not be Debian's.
            Path(sys.base_prefix),
        ),
        limits=_LIMITS,
    )
    seen = {source: _SEEN / name if parser.sandbox else source.absolute() for source, name in places.items()}
    argv = [
        str(Path(sys.executable).resolve()),
        "-I",
        "-B",
        str(seen[_DRIVER]),
        str(seen[parser.folder]),
        str(seen[text]),
    ]
    return confined_argv(argv, inside, sandbox=parser.sandbox)
