# SPDX-License-Identifier: GPL-2.0-or-later
"""How the judge's rules do on logs that they were not made with: an estimate, by leaving out what only those need.

`make corpus` prints it below its table. The corpus is split at random, ten times. For each half, the rules of
orchestrator/judge/infrastructure.py that match a function only in logs of that half are taken away (`by rule`), or each
single form of a name (`by form`). What is then right is what a person would have got who saw the other half only and
made no rule from knowledge of the kernel: the judge must do better on logs that nobody has seen.
"""

import random
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from orchestrator.judge import infrastructure
from orchestrator.judge.infrastructure import Family
from tests.corpus import CORPUS, read, score

SPLITS = 10

Form = tuple[int, str, str]  # the family's number, a rule of it, and one of that rule's forms


@cache
def logs() -> tuple[Path, ...]:
    return tuple(sorted(path for path in CORPUS.iterdir() if path.name.isdigit()))


def families() -> tuple[Family, ...]:
    return tuple(value for value in vars(infrastructure).values() if isinstance(value, Family))


@cache
def forms_of(path: Path) -> frozenset[Form]:
    """The forms that match a function which the judge had to decide on in this log."""
    for family in families():
        family.known.clear()
    read(path)
    return frozenset(
        (number, rule, form)
        for number, family in enumerate(families())
        for name in (name for name, matches in family.known.items() if matches)
        for rule, forms in family.rules.items()
        for form in forms
        if fits(form, name)
    )


@cache
def fits(form: str, name: str) -> bool:
    return Family(one=form).match(name)


@contextmanager
def only(forms: Collection[Form]) -> Iterator[None]:
    """The judge with no other forms than these."""
    for number, family in enumerate(families()):
        family.use(
            {rule: tuple(one for one in of if (number, rule, one) in forms) for rule, of in family.rules.items()}
        )
    yield
    for family in families():
        family.use(family.rules)


def whole_rules(forms: Collection[Form]) -> frozenset[Form]:
    """All forms of the rules that these forms are of."""
    used = {(number, rule) for number, rule, _ in forms}
    return frozenset(
        (number, rule, form)
        for number, family in enumerate(families())
        for rule, forms in family.rules.items()
        for form in forms
        if (number, rule) in used
    )


def left_out(seen: Iterable[Path], unseen: Iterable[Path]) -> tuple[float, float]:
    """The function's share in the unseen logs by the rules, and by the forms, that the seen ones have a use for."""
    paths = tuple(unseen)
    forms = frozenset[Form]().union(*map(forms_of, seen))
    with only(whole_rules(forms)):
        by_rule = score(map(read, paths)).function
    with only(forms):
        return by_rule, score(map(read, paths)).function


def splits(count: int = SPLITS) -> Iterator[tuple[tuple[Path, ...], tuple[Path, ...]]]:
    for seed in range(count):
        mixed = list(logs())
        random.Random(seed).shuffle(mixed)
        half = len(mixed) // 2
        yield tuple(mixed[:half]), tuple(mixed[half:])


def main() -> int:
    if not CORPUS.is_dir():
        sys.stderr.write(f"{CORPUS} is not here, so nothing was measured\n  make corpus CORPUS=DIR\n")
        return 2
    heads = ("kind", "precise", "function", "by rule", "by form")
    sys.stdout.write(f"{'half':<6}{'logs':>6}{''.join(f'{head:>10}' for head in heads)}\n")
    strict: list[tuple[float, float]] = []
    for number, halves in enumerate(splits()):
        for half, (seen, unseen) in zip("ab", (halves[::-1], halves), strict=True):
            of = score(map(read, unseen))
            strict.append(left_out(seen, unseen))
            shares = (of.kind, of.precision, of.function, *strict[-1])
            sys.stdout.write(f"{number}{half:<5}{of.logs:6}{''.join(f'{share:10.1%}' for share in shares)}\n")
    for what, values in zip(heads[3:], zip(*strict, strict=True), strict=True):
        sys.stdout.write(f"left out {what}: {sum(values) / len(values):.1%} in the mean, {min(values):.1%} at least\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
