# SPDX-License-Identifier: GPL-2.0-or-later
"""Which selftests MAINTAINERS has for the files of a series."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.maintained_suites import suites_for

TEXT = """\
List of maintainers
===================

.. note:: F: explains patterns

BUCKETS
M:	A Person <a@example.org>
F:	include/linux/bucket.h
F:	mm/bucket*.c
F:	tools/testing/selftests/buckets/
X:	mm/bucket_old.c

MEMORY
F:	include/linux/mm*.h
F:	mm/
F:	tools/testing/selftests/mm/*thp*
F:	tools/testing/selftests/mm/pages.c

BONDS
F:	drivers/*/bond/
F:	tools/testing/selftests/drivers/net/bond/

TESTS
F:	tools/testing/selftests/

THE REST
F:	*
F:	*/
"""


def names(*files: str, text: str = TEXT) -> list[str]:
    return [suite.name for suite in suites_for(text, files)]


def test_the_suites_of_the_section_of_a_changed_file() -> None:
    (first, second) = suites_for(TEXT, ["mm/bucket_new.c"])

    assert (first.name, first.reason) == ("kselftest:buckets", "BUCKETS")
    assert (second.name, second.reason) == ("kselftest:mm", "MEMORY")


def test_that_of_most_files_comes_first() -> None:
    assert names("mm/bucket.c", "mm/zone.c", "mm/slab.c") == ["kselftest:mm", "kselftest:buckets"]


def test_an_exception_of_a_section_is_not_its_own() -> None:
    assert names("mm/bucket_old.c") == ["kselftest:mm"]


def test_a_star_stops_at_a_slash_and_a_folder_covers_all_below_it() -> None:
    assert names("drivers/net/bond/deep/main.c") == ["kselftest:drivers/net/bond"]
    assert names("drivers/net/other/bond/main.c") == []
    assert names("include/linux/mm/x.h") == []
    assert names("include/linux/mmap.h") == ["kselftest:mm"]


def test_a_folder_with_selftests_of_its_name_has_them_without_a_section() -> None:
    text = "PAGES\nF:\tlib/pages.c\nF:\ttools/testing/selftests/mm/\n"

    (suite,) = suites_for(text, ["mm/unlisted.c"])

    assert (suite.name, suite.reason) == ("kselftest:mm", "the series changes mm/")


def test_documentation_and_files_of_nobody_have_none() -> None:
    assert names("Documentation/mm/page.rst", "mm/Kconfig", "sound/core.c", "Makefile") == []
    assert names("mm/page.c", text="") == []
    assert names("mm/page.c", text="ODD\nF:\t/\nF:\t//\n") == []


@given(
    st.text(alphabet="FX:\t \n*?[]/abc.", max_size=300), st.lists(st.text(alphabet="ab/.c", max_size=20), max_size=4)
)
def test_any_file_of_that_name_is_survived(text: str, files: list[str]) -> None:
    assert all(suite.name.startswith("kselftest:") for suite in suites_for(text, files))
