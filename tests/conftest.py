# SPDX-License-Identifier: GPL-2.0-or-later
"""What all tests share: golden files, how many examples hypothesis tries, and what runs side by side.

Golden files: the text that is expected lies in a file, and `pytest --update-golden` writes it anew.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# No test measures time, and a busy machine is no bug.
settings.register_profile("patchrig", deadline=None)
# `make unit` asks for it: what it does not try, `make test` does.
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("patchrig")

GOLDEN = Path(__file__).parent / "golden"


class Golden:
    """What a test compares with its golden files.

    A case file is what is expected, a blank line, and the raw input. Other golden files are expected text only.
    """

    def __init__(self, *, update: bool) -> None:
        self.update = update

    def split(self, case: Path) -> tuple[str, str]:
        """What is expected and the raw input of a case file. It begins with the blank line when nothing is expected."""
        text = case.read_text(encoding="utf-8")
        if text.startswith("\n"):
            return "", text[1:]
        expected, _, raw = text.partition("\n\n")
        return expected, raw

    def check(self, case: Path, expected: str | Sequence[str], actual: str | Sequence[str]) -> None:
        """Compare what split() gave with what came out."""
        if self.update:
            _, raw = self.split(case)
            case.write_text("".join(f"{line}\n" for line in _lines(actual)) + f"\n{raw}", encoding="utf-8")
        else:
            assert _lines(actual) == _lines(expected), f"{case}: not as expected; pytest --update-golden accepts it"

    def text(self, file: Path, actual: str) -> None:
        """Compare a whole file, which need not be there yet with --update-golden."""
        if self.update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(actual, encoding="utf-8")
        assert file.is_file(), f"{file} is missing; pytest --update-golden writes it"
        assert actual == file.read_text(encoding="utf-8"), f"{file}: differs; pytest --update-golden accepts it"


def _lines(text: str | Sequence[str]) -> list[str]:
    return text.splitlines() if isinstance(text, str) else list(text)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what comes out into the golden files")


# They build kernels with all cores, or give guests a limit of seconds: one after the other, when all else is over.
WHOLE_MACHINE = ("tests/boot/", "tests/faults/")


class OneForTheMachine(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Every test goes to any worker, but those that need the whole machine go to one.

    By the test's path: pytest-xdist's own marker for that is lost with pytest 9.2, which it wrote the group into.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "machine" if nodeid.startswith(WHOLE_MACHINE) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneForTheMachine | None:
    return OneForTheMachine(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.nodeid.startswith(WHOLE_MACHINE))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(update=bool(request.config.getoption("--update-golden")))
