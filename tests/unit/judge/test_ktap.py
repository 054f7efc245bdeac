# SPDX-License-Identifier: GPL-2.0-or-later
"""A suite's output on its way to the tree's parser, and what comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.ktap import MOST_SUBTESTS, documents, nested, output_of, subtests_of
from orchestrator.model.subtests import SubtestStatus

KSELFTEST = """TAP version 13
1..2
# timeout set to 900
# selftests: one: outer.sh
# TAP version 13
# # running ./inner
# # TAP version 13
# # ok 1 deep
# # 1..1
# ok 1 inner
# # remark
# # ok then
# 1..1
not ok 1 selftests: one: outer.sh # exit=1
# selftests: one: plain
# ok
ok 2 selftests: one: plain # SKIP
""".splitlines()


def test_nested_results_come_below_a_line_with_their_name_and_their_plan() -> None:
    assert nested(KSELFTEST) == [
        "TAP version 13",
        "1..2",
        "# timeout set to 900",
        "# selftests: one: outer.sh",
        "    KTAP version 1",
        "    # Subtest: selftests: one: outer.sh",
        "    1..1",
        "    # running ./inner",
        "        KTAP version 1",
        "        # Subtest: inner",
        "        1..1",
        "        ok 1 deep",
        "    ok 1 inner",
        "    # remark",
        "    # ok then",
        "not ok 1 selftests: one: outer.sh # exit=1",
        "# selftests: one: plain",
        "# ok",
        "ok 2 selftests: one: plain # SKIP",
    ]


def test_a_plan_that_promises_more_than_there_is_becomes_what_there_is() -> None:
    lines = ["TAP version 13", "1..1", "# TAP version 13", "# 1..7", "# ok 1 a", "not ok 1 all # exit=139"]

    assert "    1..1" in nested(lines)
    assert "    1..7" not in nested(lines)


def test_what_has_no_end_keeps_its_results() -> None:
    lines = ["TAP version 13", "1..1", "# TAP version 13", "# 1..7", "# ok 1 a"]

    assert "    ok 1 a" in nested(lines)


def test_what_is_nested_by_blanks_stays_as_it_is() -> None:
    lines = ["KTAP version 1", "1..1", "    KTAP version 1", "    # Subtest: x", "    1..1", "    ok 1 a", "ok 1 x"]

    assert nested(lines) == lines


def test_a_document_without_results_leaves_the_word_to_the_result_behind_it() -> None:
    lines = ["TAP version 13", "1..1", "# TAP version 13", "# 1..0 # SKIP no hugetlb", "ok 1 all # SKIP"]

    assert nested(lines) == [*lines[:-1], "ok 1 all # SKIP no hugetlb"]


def test_a_name_with_a_number_sign_is_not_left_out() -> None:
    lines = ["TAP version 13", "1..2", "ok 1 case #3 # SKIP no #4", "not ok 2 a#b", "ok 3 # SKIP why", "ok 4 # XFAIL x"]

    assert nested(lines)[2:] == [
        *("ok 1 case no.3 # SKIP no #4", "not ok 2 ano.b", "ok 3 unnamed # SKIP why", "ok 4 x # XFAIL")
    ]


def test_a_plan_is_enough_to_begin_a_document() -> None:
    lines = ["TAP version 13", "1..1", "# # remark", "# 1..1", "# ok 1 deep", "ok 1 all"]

    assert nested(lines)[2:] == [
        *("# # remark", "    KTAP version 1", "    # Subtest: all", "    1..1", "    ok 1 deep", "ok 1 all")
    ]


def test_documents_one_behind_the_other_are_told_apart() -> None:
    assert documents(["noise", "TAP version 13", "1..0", "# TAP version 13", "KTAP version 1", "ok 1 a"]) == [
        ["TAP version 13", "1..0", "# TAP version 13"],
        ["KTAP version 1", "ok 1 a"],
    ]


def test_only_what_the_command_printed_is_read() -> None:
    assert output_of('|TAP version 13\n{"type": "progress"}\nok 1 forged\n|ok 1 a\n') == ["TAP version 13", "ok 1 a"]


@given(st.lists(st.sampled_from([*KSELFTEST, "# # # TAP version 13", "# not ok 3 x", "1..9", ""])))
def test_no_result_is_lost_or_invented_whatever_comes(lines: list[str]) -> None:
    made = nested(lines)

    assert len([line for line in made if line.lstrip() == "ok 1 deep"]) <= lines.count("# # ok 1 deep")
    for text in ("not ok 1 selftests: one: outer.sh # exit=1", "ok 2 selftests: one: plain # SKIP"):
        assert [line.lstrip() for line in made].count(text) == lines.count(text)


@given(st.lists(st.text("# okTAPversin13.\n", max_size=30)))
def test_any_text_is_taken(lines: list[str]) -> None:
    nested(lines)


def entry(*path: str, status: str = "SUCCESS", line: str = "ok 1 x", **more: object) -> dict[str, object]:
    return {"path": list(path), "status": status, "line": line, "log": [], "group": False, **more}


@pytest.mark.parametrize(
    ("status", "line", "expected", "reason"),
    [
        ("SUCCESS", "ok 1 x", SubtestStatus.OK, ""),
        ("FAILURE", "not ok 1 x", SubtestStatus.NOT_OK, ""),
        ("FAILURE", "not ok 1 x # exit=139", SubtestStatus.NOT_OK, "exit=139"),
        ("FAILURE", "not ok 1 x # TIMEOUT 45 seconds", SubtestStatus.TIMED_OUT, "timeout: 45 seconds"),
        ("SKIPPED", "ok 1 x # SKIP no hugetlb", SubtestStatus.SKIPPED, "no hugetlb"),
        ("SKIPPED", "ok 1 x # SKIP", SubtestStatus.SKIPPED, ""),
        ("TEST_CRASHED", "", SubtestStatus.UNFINISHED, ""),
        ("SUCCESS", "", SubtestStatus.UNFINISHED, ""),
        ("no such status", "ok 1 x", SubtestStatus.UNFINISHED, ""),
    ],
)
def test_the_status_of_a_subtest(status: str, line: str, expected: SubtestStatus, reason: str) -> None:
    (found,) = subtests_of([entry("x", status=status, line=line)])

    assert (found.status, found.reason) == (expected, reason)


def test_two_subtests_of_one_name_stay_two() -> None:
    assert [one.path for one in subtests_of([entry("a", "b"), entry("a", "b")])] == ["a/b", "a/b (again 2)"]


def test_only_what_is_bad_keeps_its_last_lines() -> None:
    bad = entry("a", status="FAILURE", line="not ok 1 a", log=[f"line {number}\x1b" for number in range(100)])

    found = subtests_of([bad, entry("b", log=["x"])])

    assert (len(found[0].diagnostics), found[1].diagnostics) == (20, ())
    assert "\x1b" not in "".join(found[0].diagnostics)


@pytest.mark.parametrize("bad", [{}, [1], [{}], [entry(), {"path": "x"}], [entry("x")] * (MOST_SUBTESTS + 1), None])
def test_what_the_parser_can_not_have_meant_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        subtests_of(bad)


def test_an_address_in_a_name_does_not_make_it_another_subtest() -> None:
    (found,) = subtests_of([entry("mmap 0x7ffd12345678 of 0x10")])

    assert found.path == "mmap 0x... of 0x10"


def test_a_suite_in_which_all_is_bad_keeps_few_last_lines() -> None:
    bad = [entry(f"t{at}", status="FAILURE", line="not ok 1 x", log=["why"]) for at in range(1000)]

    assert sum(bool(one.diagnostics) for one in subtests_of(bad)) == 200
