# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig run --patch`: what of a mailbox is tested, the user is told when the run begins."""

import pytest

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.fake_host import Host, passing
from tests.process.toy_kernel import ToyKernel, patch

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    return ToyKernel(host)


def mail(subject: str, diff: str) -> str:
    return f"From a@b Sat Nov  1 10:00:00 2025\nFrom: A <a@b>\nSubject: {subject}\n\nwhy\n---\n{diff}\n"


def test_the_diff_of_a_reply_is_not_tested_and_the_run_says_so(kernel: ToyKernel) -> None:
    good, idea = patch("slots = 2;", "slots = 3;"), patch("slots = 3;", "slots = no_such_thing;")
    kernel.write("t.mbox", mail("[PATCH] swap: three", good) + mail("Re: [PATCH] swap: three", idea))
    kernel.host.scenario(passing())

    done = kernel.run("--patch", str(kernel.folder / "t.mbox"), "--variant", "patched")

    assert done.returncode == 0, done.stderr
    assert "not part of the series: 'Re: swap: three': a reply; its diff is not taken" in done.stdout + done.stderr


def test_several_versions_end_a_run_before_anything_is_built(kernel: ToyKernel) -> None:
    mails = (mail(f"[PATCH{mark}] swap: x", patch("slots = 2;", f"slots = {n};")) for n, mark in ((3, ""), (4, " v2")))
    kernel.write("t.mbox", "".join(mails))
    kernel.host.scenario(passing())

    refused = kernel.run("--patch", str(kernel.folder / "t.mbox"), "--variant", "patched")

    assert refused.returncode == 2
    assert "v1 (1 patches), v2 (1 patches)" in refused.stderr
    assert "--series-version 2" in refused.stderr
    chosen = kernel.run("--patch", str(kernel.folder / "t.mbox"), "--series-version", "2", "--variant", "patched")
    assert chosen.returncode == 0, chosen.stderr
