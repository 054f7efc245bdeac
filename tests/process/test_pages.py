# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages in a real browser, where Debian's Chromium is installed: nothing is wider than a phone but what scrolls."""

import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.host.process import find_tool
from orchestrator.report.coverage.figures import coverage_of
from orchestrator.report.run_page.run_page import run_page_text
from orchestrator.report.timeline import timeline_svg
from tests.unit.coverage_samples import FIRST, SECOND
from tests.unit.coverage_samples import report as widened_report
from tests.unit.mutation_samples import VERDICTS, hostile_mutation, mutation, page_of
from tests.unit.report.test_hostile import HOSTILE, hostile_report
from tests.unit.samples import compared_report, mixed_report

CHROMIUM = find_tool("chromium")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]

REPORTS = {
    "mixed": mixed_report(),
    "compared": compared_report(),
    "covered": widened_report(FIRST, SECOND),
    "hostile": hostile_report(),
}
PAGES = {
    **{
        name: run_page_text(report, timeline=timeline_svg(report), coverage=coverage_of(report))
        for name, report in REPORTS.items()
    },
    "mutants": page_of(mutation(*VERDICTS)),
    "hostile mutants": page_of(hostile_mutation(HOSTILE)),
}
PHONE = 500  # Chromium makes no narrower window


def browse(folder: Path, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    profile = folder / "profile"
    argv = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", *options]
    return subprocess.run([*argv, page.as_uri()], capture_output=True, text=True, check=True, timeout=300)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_on_a_phone_and_printed(name: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(PAGES[name])
    # The frame asks the browser how wide the page gets; the page itself has no script.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" style="width:{PHONE - 60}px;height:900px" src="report.html"></iframe><script>'
        "f.onload = () => { const d = f.contentDocument.documentElement; "
        "document.title = `${d.scrollWidth} ${d.clientWidth}` }</script>"
    )
    for picture, width in (("phone", PHONE), ("desk", 1280)):
        browse(tmp_path, page, f"--window-size={width},1600", f"--screenshot={tmp_path / picture}.png")
    browse(tmp_path, page, f"--print-to-pdf={tmp_path / 'paper.pdf'}")

    dom = browse(
        tmp_path, frame, f"--window-size={PHONE},1000", "--allow-file-access-from-files",
        "--virtual-time-budget=5000", "--dump-dom",
    ).stdout  # fmt: skip

    assert (tmp_path / "phone.png").stat().st_size > 20_000
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
    found = re.search(r"<title>(\d+) (\d+)</title>", dom)
    assert found is not None, dom
    assert int(found[1]) <= int(found[2])
