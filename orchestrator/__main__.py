# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m orchestrator`: the same as `patchrig`."""

from orchestrator.cli.main import main

if __name__ == "__main__":
    main()
