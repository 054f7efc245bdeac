# SPDX-License-Identifier: GPL-2.0-or-later
"""One word for one thing: the words that docs/glossary.md retires are in no text that people read, and in no name."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click
import pytest

PROJECT = Path(__file__).resolve().parent.parent
GLOSSARY = PROJECT / "docs" / "glossary.md"

# The first column of the glossary's table of retired words -> how the word is recognised in a text.
RETIRED = {
    "complaint": r"complain(?:t|ts|s|ed)?",
    "mend": r"mend(?:s|ed|ing)?",
    "widening (noun)": r"widening",
    "saved guest, clone": r"saved guests?|clones?",
    "renew": r"renew(?:s|ed|al)?",
    "kit, workbench, workshop, crew": r"kit|workbench|workshop|crews?",
    "board": r"board",
    "flipper": r"flippers?",
    "stuck (noun)": r"the stuck(?! \w)|stuck\.[ch]",
    "accomplice, dealer, dropper": r"accomplices?|dealers?|droppers?",
    "gate": r"gates?",
    "newcomer": r"newcomers?",
    "machinery": r"machinery",
    "witness": r"witness(?:es)?",
    "told, known, found, made, said (nouns)": r"the (?:told|found|made|said)(?! \w)",
    "in earnest, befall": r"in earnest|befalls?",
}
TEXT = re.compile(rf"\b(?:{'|'.join(RETIRED.values())})\b", re.IGNORECASE)
# Parts of names. `found` and `known` are good names for a moment's variable, and bad ones for a type.
PART_OF_NAME = re.compile(
    r"complaints?|mend|mended|widening|renew|renewed|kit|workbench|workshop|crew|board|flipper|accomplice|dealer|dropper|"
    r"gates?|newcomer|machinery|witness|told",
    re.IGNORECASE,
)
# Keys of cells.jsonl, which stay.
JSON_KEYS = ("widening",)
PART_OF_TYPE = re.compile(r"Told|Known|Found|Made|Said")
# Tables of what kernels print and of kernel functions; its strings are not ours.
KERNEL_TEXTS = ("orchestrator/judge/patterns.py", "orchestrator/judge/infrastructure.py", "orchestrator/judge/scan.py")
# History says how things were called.
NOT_READ = ("CHANGELOG.md", "docs/glossary.md")


def relative(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def files(*patterns: str) -> list[Path]:
    every = sorted(path for pattern in patterns for path in PROJECT.glob(pattern))
    return [path for path in every if not relative(path).startswith((*NOT_READ, ".venv/"))]


TEXTS = files(
    "*.md", "docs/**/*.md", "*/README.md", "kernels/*/README.md", "docs/measurements/*.json",
    "configs/**/*.yaml", "configs/**/*.config", "configs/**/*.json", "configs/ci/*", "kernels/*.yaml",
    "Makefile", "pyproject.toml", "tools/*", "orchestrator/report/templates/*",
)  # fmt: skip
CODE = files("orchestrator/**/*.py", "benchmarks/*.py")


def retired_in(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        yield from (f"{number}: {match.group()}" for match in TEXT.finditer(line))


def texts_of(code: str, *, strings: bool) -> Iterator[tuple[int, str]]:
    """Comments, and strings of more than one word, docstrings and help texts among them, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        prose = strings and token.type == tokenize.STRING and " " in token.string
        if token.type == tokenize.COMMENT or prose:
            yield token.start[0], token.string


def names_of(code: str) -> Iterator[tuple[int, str, bool]]:
    """Line and name of whatever the code names, and whether that is a type."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.ClassDef(name=name, lineno=line):
                yield line, name, True
            case ast.FunctionDef(name=name, lineno=line) | ast.arg(arg=name, lineno=line):
                yield line, name, False
            case (
                ast.Name(id=name, ctx=ast.Store(), lineno=line) | ast.Attribute(attr=name, ctx=ast.Store(), lineno=line)
            ):
                yield line, name, False


def parts_of(name: str) -> list[str]:
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_no_text_has_a_retired_word(path: Path) -> None:
    assert list(retired_in(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_no_comment_docstring_or_message_has_a_retired_word(path: Path) -> None:
    texts = texts_of(path.read_text(encoding="utf-8"), strings=relative(path) not in KERNEL_TEXTS)
    assert [f"{line}: {word}" for line, text in texts for word in retired_in(text)] == []


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_no_name_has_a_retired_word(path: Path) -> None:
    bad = [
        f"{line}: {name}"
        for line, name, is_type in names_of(path.read_text(encoding="utf-8"))
        for part in parts_of(name)
        if name not in JSON_KEYS
        if PART_OF_NAME.fullmatch(part) or (is_type and PART_OF_TYPE.fullmatch(part))
    ]
    assert bad == []


def test_no_option_has_a_retired_word() -> None:
    from orchestrator.cli.main import cli

    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in cli.list_commands(context)]
    options = chain.from_iterable(command.params for command in commands if command)
    names = [name for option in options for name in option.opts if name.startswith("--")]
    assert names
    assert [name for name in names if TEXT.search(name)] == []


def test_the_glossary_and_this_test_retire_the_same_words() -> None:
    table = GLOSSARY.read_text(encoding="utf-8").partition("## Retired words")[2]
    rows = re.findall(r"^\| (?!retired \|)([^|]+?) \| ", table, re.MULTILINE)
    assert rows == list(RETIRED)
