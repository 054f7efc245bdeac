# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as KCIDB's JSON: a checkout for each variant, its builds, and a test for each cell (pure).

Source: the I/O schema 5.3 of the Python package kcidb-io.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from orchestrator.host.text import json_text, printable
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Severity
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport

KCIDB_FILE = "kcidb.json"
VERSION = {"major": 5, "minor": 3}
# So many characters of a log KCIDB keeps.
_MOST_LOG = 16_384

# FAIL: the tested code is faulty. DONE: it ran, and told nothing of the code. MISS: our side kept it from running.
STATUS = {
    Outcome.PASSED: "PASS",
    Outcome.SKIPPED: "SKIP",
    Outcome.SUBTESTS_FAILED: "DONE",
    Outcome.NOT_EXERCISED: "DONE",
    Outcome.FAILED: "FAIL",
    Outcome.HUNG: "FAIL",
    Outcome.CORRUPTED: "FAIL",
    Outcome.CRASHED: "FAIL",
    Outcome.BOOT_FAILED: "FAIL",
    Outcome.BUILD_FAILED: "MISS",
    Outcome.NOT_APPLIED: "MISS",
    Outcome.LOST: "MISS",
}

_Entry = dict[str, object]


def kcidb_text(report: RunReport, *, origin: str) -> str:
    """JSON for `kcidb-submit`; `origin` is the name of the CI system, as KCIDB knows it: [a-z0-9_]+."""
    builds = _builds(report)
    variants = sorted({build.variant for build in builds})
    whole = {
        "version": VERSION,
        "checkouts": [_checkout(report, variant, builds, origin) for variant in variants],
        "builds": [_build(report, build, image, origin) for build, image in builds.items()],
        "tests": [_test(report, cell, origin) for cell in report.cells],
    }
    return json_text(whole, indent=1) + "\n"


def _builds(report: RunReport) -> Mapping[Build, KernelImage | BuildFailure | None]:
    """Also those that nothing came of: None."""
    found: dict[Build, KernelImage | BuildFailure | None] = {cell.cell.build: None for cell in report.cells}
    return found | {image.build: image for image in report.builds}


def _checkout(
    report: RunReport,
    variant: Variant,
    builds: Mapping[Build, KernelImage | BuildFailure | None],
    origin: str,
) -> _Entry:
    own = [image for build, image in builds.items() if build.variant is variant]
    refused = [one for one in own if isinstance(one, BuildFailure) and one.outcome is Outcome.NOT_APPLIED]
    images = [one for one in own if isinstance(one, KernelImage)]
    what = f"{report.matrix.kernel}, {report.series_title or 'with a series'}"
    entry: _Entry = {
        "id": _id(report, origin, variant),
        "origin": origin,
        "comment": _text(report.matrix.kernel if variant is Variant.BASELINE else what),
        "start_time": report.started,
        "misc": {"patchrig_run": report.id, **(dict(images[0].hashes) if images else {})},
    }
    if variant is Variant.BASELINE:
        entry["patchset_hash"] = ""
    if refused:
        return entry | {"valid": False, "log_excerpt": _text(f"{refused[0].title}\n{refused[0].detail}")}
    return entry | ({"valid": True} if images or any(own) else {})


def _build(report: RunReport, build: Build, image: KernelImage | BuildFailure | None, origin: str) -> _Entry:
    entry: _Entry = {
        "id": _id(report, origin, build.name),
        "checkout_id": _id(report, origin, build.variant),
        "origin": origin,
        "architecture": build.arch,
        "config_name": build.flavour,
    }
    if isinstance(image, KernelImage):
        entry |= {"status": "PASS", "comment": _text(image.release), "misc": {"new_warnings": list(image.new_warnings)}}
        # One from the cache took no time, and did before.
        return entry | ({"duration": image.seconds} if image.seconds else {})
    if image is None or image.outcome is Outcome.NOT_APPLIED:
        return entry | {"status": "MISS"}
    return entry | {"status": "FAIL", "log_excerpt": _text(f"{image.title}\n{image.detail}")}


def _test(report: RunReport, cell: CellReport, origin: str) -> _Entry:
    verdict, of = cell.verdict, cell.cell
    began = min((span.start for span in cell.spans), default=None)
    entry: _Entry = {
        "id": _id(report, origin, of.name),
        "build_id": _id(report, origin, of.build.name),
        "origin": origin,
        "path": f"patchrig.{of.workload.name}",
        "status": STATUS[verdict.outcome],
        "comment": _text(f"{verdict.outcome}: {verdict.title}"),
        "duration": cell.seconds,
        "environment": {"comment": f"QEMU, {cell.run.accelerator if cell.run else 'never booted'}"},
        "misc": {
            "outcome": str(verdict.outcome),
            "reasons": [printable(reason) for reason in verdict.reasons],
            "seed": of.seed,
            "load_seconds": of.seconds,
            "repeat": of.repeat,
        },
    }
    if began is not None:
        started = datetime.fromisoformat(report.started) + timedelta(seconds=began)
        entry["start_time"] = started.isoformat(timespec="seconds")
    excerpt = "\n\n".join(_splats(cell)) or "\n".join(verdict.reasons)
    return entry | ({"log_excerpt": _text(excerpt)} if excerpt else {})


def _splats(cell: CellReport) -> Iterator[str]:
    return (crash.text or crash.title for crash in cell.crashes if crash.severity is Severity.FATAL)


def _id(report: RunReport, origin: str, what: object) -> str:
    return f"{origin}:{printable(report.id)}/{what}"


def _text(text: str) -> str:
    """As KCIDB takes a text: without NUL, and not too long."""
    return printable(text)[:_MOST_LOG]
