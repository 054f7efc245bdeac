# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether builds and guests run in the sandbox; where they don't, the run says what that means."""

from orchestrator.host.errors import InfraError
from orchestrator.host.sandbox import sandbox_works
from orchestrator.model.events import Listener, Notice

_OPEN_PORTS = "every user of this machine reaches the guests' SSH ports on 127.0.0.1"


def builds_in_sandbox(wanted: bool, listener: Listener) -> bool:
    """For builds, and their guests. Raises InfraError where it is wanted and can't be had."""
    if not wanted:
        what = "the series' own build files and QEMU run with your rights on this machine"
        listener(Notice(text=f"NO SANDBOX: {what}, and {_OPEN_PORTS}"))
        return False
    if not sandbox_works():
        raise InfraError(
            "bubblewrap can't make a sandbox here, and a series is code that strangers wrote",
            hint="patchrig doctor  # says why; --no-sandbox builds without one, with your rights",
        )
    return True


def guests_in_sandbox(wanted: bool, listener: Listener) -> bool:
    """For the guests of kernels that were built before: without it where it can't be had."""
    if wanted and sandbox_works():
        return True
    why = "bubblewrap can't make one here" if wanted else "--no-sandbox"
    listener(Notice(text=f"NO SANDBOX ({why}): QEMU runs with your rights, and {_OPEN_PORTS}"))
    return False
