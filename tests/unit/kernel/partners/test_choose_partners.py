# SPDX-License-Identifier: GPL-2.0-or-later
"""Who meets the changed functions."""

from dataclasses import replace

from orchestrator.kernel.partners.choose_partners import MOST, MOST_FILES, MOST_LINES, partners_of
from orchestrator.model.series_diff import ChangedFile, ChangedFunction, DiffLine, SeriesDiff

FILE = """\
static long drop(struct cache *cache, unsigned long index)
{
	int order = order_of(&cache->pages, index);

	return swap_pages(&cache->pages, index, 1 << order);
}

static void divide(struct cache *cache, unsigned long index)
{
	xas_store(&cache->pages, index);
}

static int look(struct cache *cache)
{
	return cache->pages.count;
}

static int other(struct bystander *one)
{
	one->hits++;
	return one->hits;
}
"""
DIFF = SeriesDiff(
    files=(
        ChangedFile(
            path="mm/cache.c",
            hunks=((DiffLine(kind="+", old=0, new=3, text="\tint order = order_of(&cache->pages, index);"),),),
        ),
    ),
    functions=(ChangedFunction(file="mm/cache.c", name="drop", first=1, last=6),),
    texts={"mm/cache.c": FILE},
)


def named(**sources: str) -> list[str]:
    return [one.function for one in partners_of(DIFF, {f"mm/{name}.c": text for name, text in sources.items()})]


def test_who_writes_what_the_changed_function_reads_is_a_partner() -> None:
    assert "divide" in named()
    assert not {"drop", "other"} & set(named())


def test_why_is_said() -> None:
    divide = next(one for one in partners_of(DIFF, {}) if one.function == "divide")

    assert divide.file == "mm/cache.c"
    assert "cache.pages" in divide.shares


def test_partners_lie_in_other_files_too_and_nearer_ones_come_first() -> None:
    assert named(far=FILE.replace("divide", "far_away").replace("drop", "far_drop")).index("divide") < named(
        far=FILE.replace("divide", "far_away").replace("drop", "far_drop")
    ).index("far_away")


CALLER = """\
static long prepare(struct request *request)
{
	struct cache *cache = request_cache(request);

	return drop(cache, 3);
}
"""


def test_who_calls_the_changed_function_comes_first() -> None:
    series = replace(DIFF, texts={"mm/cache.c": FILE + CALLER})
    first = partners_of(series, {})[0]

    assert first.function == "prepare"
    assert first.shares[0] == "drop"
    # In another file it is another function of that name, or one that many use.
    assert "prepare" not in named(far=CALLER)


def test_what_many_call_has_no_callers_among_its_partners() -> None:
    many = "".join(CALLER.replace("prepare", f"prepare{n}") for n in range(5))

    assert not [
        one for one in partners_of(replace(DIFF, texts={"mm/cache.c": FILE + many}), {}) if "prepare" in one.function
    ]


def test_there_are_not_too_many() -> None:
    body = "static void f{n}(struct cache *cache)\n{{\n\tcache->pages = 0;\n{more}}}\n"
    many = {f"file{n}": body.format(n=n, more="") for n in range(40)}
    long = {f"file{n}": body.format(n=n, more="\tx();\n" * (MOST_LINES // 3)) for n in range(12)}

    assert len({one.file for one in partners_of(DIFF, {f"mm/{name}.c": text for name, text in many.items()})}) <= (
        MOST_FILES + 1
    )
    assert len(named(one="".join(many.values()))) == MOST
    assert len([name for name in named(one="".join(long.values())) if name.startswith("f")]) <= 3


def test_a_state_that_everybody_has_tells_nothing() -> None:
    others = {f"file{n}": f"static void f{n}(struct cache *cache)\n{{\n\tcache->pages = 0;\n}}\n" for n in range(99)}

    assert named(**others) == []


def test_a_series_without_functions_has_none() -> None:
    assert partners_of(SeriesDiff(files=(), functions=(), texts={}), {"mm/cache.c": FILE}) == ()
