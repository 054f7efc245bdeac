# SPDX-License-Identifier: GPL-2.0-or-later
"""The cores of this machine."""

import os


def host_cores() -> int:
    """Those that this process may use: a container or taskset(1) may leave it fewer than there are."""
    return len(os.sched_getaffinity(0))
