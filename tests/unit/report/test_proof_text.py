# SPDX-License-Identifier: GPL-2.0-or-later
"""Sites and changed functions in words: of a cell, and of a run."""

from dataclasses import replace

from orchestrator.model.configuration import Variant
from orchestrator.model.interfaces import InterfaceUse
from orchestrator.model.probes import ChangedSeen, SiteSeen, SiteState
from orchestrator.model.reports import CellReport
from orchestrator.report.proof_text import (
    changed_text,
    interface_lines,
    ran_anywhere,
    reach_by_arch,
    reach_text,
    site_text,
)
from orchestrator.report.summary import summary_text
from tests.unit.report_texts import junit_text
from tests.unit.samples import cell, cell_report, guest_run, result, run_report

WAY = "call of f() by g()"


def report(changed: ChangedSeen, *, arch: str = "x86_64", variant: Variant = Variant.PATCHED) -> CellReport:
    gone = SiteSeen(name="fault", state=SiteState.ABSENT, detail="no f()")
    run = replace(guest_run(), changed=changed, sites=(gone,))
    return cell_report(of=cell(arch=arch, variant=variant), run=run)


def test_a_site_says_its_state_and_how_it_is_seen() -> None:
    reached = SiteSeen(name="s", state=SiteState.REACHED, detail=WAY, calls=9, failed=0, sampled=True)

    assert site_text(reached) == f"site s: reached ({WAY}): at least 9 calls, 0 failed"
    assert site_text(replace(reached, failed=None, sampled=False)) == f"site s: reached ({WAY}): 9 calls"
    assert site_text(SiteSeen(name="s", state=SiteState.NOT_REACHED, detail=WAY)) == f"site s: not reached ({WAY})"
    absent = SiteSeen(name="s", state=SiteState.ABSENT, detail="no f()")
    assert site_text(absent) == "site s: this kernel does not have it (no f())"


def test_it_is_said_what_became_of_the_interface_files_of_the_series() -> None:
    uses = (
        InterfaceUse(name="cgroup:memory.swap.tiers", path="memory.swap.tiers", reads=8, writes=2, refused=5),
        InterfaceUse(name="sysfs:tiers", path="/sys/kernel/mm/swap/tiers"),
        InterfaceUse(name="sysctl:vm/panic_on_oom", path="/proc/sys/vm/panic_on_oom", why="it panics", reads=1),
        InterfaceUse(name="cgroup:current", path="memory.swap.current", reads=1),
        InterfaceUse(name="debugfs:foo"),
    )
    run = guest_run(result=replace(result(), interfaces=uses))

    assert interface_lines([run, guest_run()]) == (
        "interface files of the series: memory.swap.tiers used (read 8 times, written 2 times, 5 writes refused); "
        "/sys/kernel/mm/swap/tiers NOT USED; "
        "/proc/sys/vm/panic_on_oom used (read 1 times, written 0 times, 0 writes refused), "
        "not tried in full: it panics; "
        "memory.swap.current used (read 1 times, written 0 times, 0 writes refused); "
        "foo NOT FOUND",
    )
    assert "memory.swap.tiers used (read 16 times" in interface_lines([run, run])[0]
    assert interface_lines([guest_run()]) == ()
    report = cell_report(of=cell(), run=run)
    assert "foo NOT FOUND" in summary_text(run_report(report)).replace("\n", " ")
    assert "foo NOT FOUND" in junit_text(run_report(report))


def test_changed_functions_are_counted_where_somebody_could_look() -> None:
    changed = ChangedSeen(ran=("a", "b"), not_reached=("f", "g"), no_code=("h",), unknown=("i",))

    assert changed_text(changed) == (
        "changed functions: 2 of 4 ran; not reached: f, g; 1 without code in this kernel; not observed: i"
    )
    assert changed_text(ChangedSeen(ran=(), not_reached=(), unknown=("f",))) == (
        "changed functions: not known whether any ran; not observed: f"
    )
    many = ChangedSeen(ran=(), not_reached=tuple(f"f{at}" for at in range(20)))
    assert changed_text(many).endswith("f11 and 8 more")


def test_what_ran_before_the_load_only_is_not_called_unreached() -> None:
    one = ChangedSeen(ran=("a",), not_reached=("b", "f", "g"), early=("f", "b"))
    other = ChangedSeen(ran=("b",), not_reached=("a", "f", "g"), early=("f",))

    (reach,) = reach_by_arch((report(one), report(other)))

    assert changed_text(one) == ("changed functions: 1 of 4 ran; not reached: g; ran before the load began only: f, b")
    assert reach_text(reach) == (
        "x86_64: 2 of 4 changed functions ran in some cell; REACHED BY NO CELL: g; ran before the load began only: f"
    )
    assert ran_anywhere((report(one), report(other))) == {"a", "b", "f"}


def test_what_was_not_observed_is_listed_by_its_reason() -> None:
    why = {"a": "the kernel allows no probe there", "b": "the guest sent no counts", "c": "the guest sent no counts"}
    one = ChangedSeen(ran=("d",), not_reached=(), unknown=("a", "b", "c"), why_unknown=why)
    other = ChangedSeen(ran=("b",), not_reached=(), unknown=("a",), why_unknown={"a": why["a"]})

    (reach,) = reach_by_arch((report(one), report(other)))

    assert changed_text(one) == (
        "changed functions: 1 of 1 ran; not observed (the kernel allows no probe there): a; "
        "not observed (the guest sent no counts): b, c"
    )
    assert reach_text(reach) == (
        "x86_64: 2 of 2 changed functions ran in some cell; not observed (the kernel allows no probe there): a; "
        "not observed (the guest sent no counts): c"
    )


def test_a_run_lists_what_no_cell_reached_for_each_arch() -> None:
    cells = (
        report(ChangedSeen(ran=("a",), not_reached=("b", "c"), unknown=("d", "e"), no_code=("h",))),
        report(ChangedSeen(ran=("b",), not_reached=("a", "d"), unknown=("c", "e"), no_code=("h",))),
        report(ChangedSeen(ran=(), not_reached=(), unknown=("a",)), arch="arm64"),
        report(ChangedSeen(ran=("c",), not_reached=()), variant=Variant.BASELINE),
    )

    x86, arm = map(reach_text, reach_by_arch(cells))

    assert x86 == (
        "x86_64: 2 of 4 changed functions ran in some cell; REACHED BY NO CELL: c, d; "
        "without code in these kernels: h; not observed: e"
    )
    assert arm == "arm64: no cell could tell which of the changed functions ran; not observed: a"


def test_summary_and_junit_have_the_states() -> None:
    whole = run_report(report(ChangedSeen(ran=("a",), not_reached=("b",))))

    summary, junit = summary_text(whole), junit_text(whole)

    for text in (" ".join(summary.split()), junit):
        assert "site fault: this kernel does not have it (no f())" in text
        assert "changed functions: 1 of 2 ran; not reached: b" in text
    assert "x86_64: 1 of 2 changed functions ran in some cell; REACHED BY NO CELL: b" in " ".join(summary.split())
