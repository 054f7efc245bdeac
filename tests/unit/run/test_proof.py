# SPDX-License-Identifier: GPL-2.0-or-later
"""From what a guest says to the states of sites and changed functions."""

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.model.blocks import Block, BlockCount, ChangedLine, CoverageMap, LineState, Piece
from orchestrator.model.configuration import Failure
from orchestrator.model.guests import Ending, Observation, WorkloadResult
from orchestrator.model.probes import ChangedSeen, Located, LocatedFunction, LocatedSite, SiteState
from orchestrator.run.proof import with_proof
from tests.unit.samples import GOOD_RESULT, cell, guest_run, result

WORKLOAD = cell().workload.model_copy(update={"files": ("mm/a.c",)})


def function(label: str, *, file: str = "mm/a.c", first: int = 1) -> LocatedFunction:
    return LocatedFunction(label=label, file=file, first=first, last=first + 9, sources=(file,), entries=(label,))


def seen(located: Located, said: WorkloadResult = GOOD_RESULT) -> Observation:
    return with_proof(guest_run(result=said), WORKLOAD, located, None)


def counted(changed: Mapping[str, int | None]) -> WorkloadResult:
    return replace(result(), changed=changed)


def changed_of(run: Observation) -> ChangedSeen:
    assert run.changed is not None
    return run.changed


def test_a_site_is_absent_or_reached_or_not() -> None:
    sites = (
        LocatedSite(name="gone", why="no f()"),
        LocatedSite(name="idle", way="f()", returns=("f",)),
        LocatedSite(name="busy", failure=Failure.NULL_POINTER, way="call of f() by g()", returns=("f",)),
    )
    counters = {"site.busy.calls": 9, "site.busy.failed": 2, "site.idle.calls": 0, "site.sampled": 1}

    gone, idle, busy = seen(Located(sites={"mincore": sites}), result(counters=counters)).sites

    assert (gone.state, gone.detail) == (SiteState.ABSENT, "no f()")
    assert (idle.state, idle.failed) == (SiteState.NOT_REACHED, None)
    assert (busy.state, busy.calls, busy.failed, busy.sampled) == (SiteState.REACHED, 9, 2, True)


def test_what_the_guest_could_not_count_is_not_called_unreached() -> None:
    located = Located(sites={"mincore": (LocatedSite(name="s", way="f()", returns=("f",)),)})

    (unsaid,) = seen(located).sites
    (refused,) = seen(located, result(counters={"site.s.calls": 0}, missing="cannot count the calls of site s")).sites

    assert (unsaid.state, refused.state) == (SiteState.NOT_COUNTED, SiteState.NOT_COUNTED)


def test_each_changed_function_is_in_one_list() -> None:
    located = Located(
        sites={},
        changed=(
            function("ran"),
            function("idle"),
            function("refused"),
            replace(function("cut"), partly=True),
            replace(function("cut_and_ran"), partly=True),
            replace(function("no_code"), sources=(), entries=()),
            replace(function("no_probe"), entries=()),
            function("elsewhere", file="mm/b.c"),
        ),
    )

    changed = changed_of(seen(located, counted({"0": 5, "1": 0, "2": None, "3": 0, "4": 1, "7": 0})))

    assert changed.ran == ("ran", "cut_and_ran")
    assert changed.not_reached == ("idle", "elsewhere")
    assert changed.no_code == ("no_code",)
    assert changed.unknown == ("refused", "cut", "no_probe")
    assert changed.why_unknown == {
        "refused": "the kernel allows no probe there",
        "cut": "it did not run where it has a probe, and some inlined copies have none",
        "no_probe": "the kernel allows no probe there",
    }
    assert "elsewhere" not in changed.meant


def test_a_guest_that_says_nothing_of_them_leaves_them_unknown() -> None:
    changed = changed_of(seen(Located(sites={}, changed=(function("f"),))))

    assert (changed.ran, changed.not_reached, changed.unknown) == ((), (), ("f",))
    assert changed.why_unknown == {"f": "the guest did not report it"}


def test_of_more_functions_than_a_cell_probes_the_others_are_named_with_that_reason() -> None:
    many = tuple(function(f"f{number}") for number in range(65))

    changed = changed_of(seen(Located(sites={}, changed=many), counted({str(number): 0 for number in range(65)})))

    assert changed.why_unknown == {"f64": "a cell probes 64 functions at most, and this was not among them"}


def test_an_instrumented_kernel_tells_by_its_blocks_and_lines() -> None:
    located = Located(
        sites={}, changed=tuple(function(name, first=at) for name, at in (("f", 1), ("g", 20), ("h", 40), ("i", 60)))
    )
    blocks = tuple(
        Block(offset=at, target="f", inside="f", file="mm/a.c", line=line) for at, line in ((16, 3), (32, 25))
    )
    line = ChangedLine(
        file="mm/a.c", line=26, text="x();", state=LineState.CODE, pieces=(Piece(inside="g", terms=((32, 1),)),)
    )
    boot = ChangedLine(file="mm/a.c", line=61, text="y();", state=LineState.BOOT_ONLY)
    coverage = CoverageMap(side="new", diff=(), lines=(line, boot), blocks=blocks)
    run = replace(guest_run(), executed={16: BlockCount(hits=3)})

    changed = changed_of(with_proof(run, WORKLOAD, located, coverage))

    assert (changed.ran, changed.not_reached, changed.unknown) == (("f",), ("g",), ("h", "i"))
    gone = changed_of(with_proof(replace(run, executed=None), WORKLOAD, located, coverage))
    assert gone.unknown == ("f", "g", "h", "i")
    assert changed.why_unknown == {"h": "none of its lines has a count", "i": "it runs at boot only"}
    assert set(gone.why_unknown.values()) == {"the guest sent no counts"}


def test_what_ran_before_the_load_began_only_was_not_reached_and_is_told() -> None:
    located = Located(
        sites={}, changed=tuple(function(name, first=at) for name, at in (("f", 1), ("g", 20), ("h", 40)))
    )
    blocks = tuple(
        Block(offset=at, target=name, inside=name, file="mm/a.c", line=line)
        for at, name, line in ((16, "f", 3), (32, "g", 25), (48, "h", 45))
    )
    coverage = CoverageMap(side="new", diff=(), lines=(), blocks=blocks)
    run = replace(guest_run(), executed={16: BlockCount(hits=3)}, early={16: 1, 32: 2})

    changed = changed_of(with_proof(run, WORKLOAD, located, coverage))

    assert (changed.ran, changed.not_reached, changed.early, changed.never_ran) == (("f",), ("g", "h"), ("g",), ("h",))


def test_without_a_result_or_without_places_nothing_is_said() -> None:
    located = Located(sites={}, changed=(function("f"),))
    hung = guest_run(Ending.SSH_LOST)

    assert with_proof(hung, WORKLOAD, located, None) == hung
    assert with_proof(guest_run(), WORKLOAD, None, None) == guest_run()
    assert with_proof(guest_run(), WORKLOAD, Located(sites={}), None).changed is None
