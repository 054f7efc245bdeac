# SPDX-License-Identifier: GPL-2.0-or-later
# make run     set up this machine, then the whole swapoff matrix; ARGS="--arch x86_64" is passed on
# make test    set up this machine, then the tests, real boots included; ARGS="-k name" is passed on
# make boots   every test that boots a kernel, also those that make test leaves out: kernels of all flavours are built
# make unit    the tests of tests/unit, the architecture and the linters, no guest and no build: under a minute on two cores
# make lint    formatting, linters, types, shellcheck, the warnings of the guest programs, the import rules
# make benchmark   the speed of the main job on this machine, as a table; ARGS="--only boot" for one row, --list for all
# make simulation     what planner, scheduler and report cost with a thousand workers that answer at once; ARGS="--cells 100000"
# make targets what is asked of coverage, seeded bugs and control, measured: hours; ARGS="--read FOLDER..." reads what there is
# make measurements   docs/measurements.md, from the figures that benchmark and targets store with ARGS="--write"
# make pictures       the pictures of the README, from a short real run
# make deb     dist/patchrig_*.deb, a Debian package with all Python libraries that patchrig needs
# make man     docs/man/patchrig.1, the manual page, from the help texts of all commands
# make corpus  how the judge does on a folder of console logs with verdicts, and when rules are left out; CORPUS=DIR
# make faults  crashes, full disks, bit flips and hostile series against patchrig: two hours; SEED=7, ARGS="--only F7 --tries 5"
# make setup   only set up: Debian packages and .venv

.PHONY: help run test boots unit lint benchmark simulation targets measurements pictures man deb corpus faults setup

help:
	@sed -n 's/^# make/make/p' Makefile

run: setup
	.venv/bin/patchrig run configs/swapoff.yaml $(ARGS)

# The marker expression overrides pyproject.toml's, which leaves out all boots. What needs the whole machine goes to
# one worker, and comes last (tests/conftest.py): no worker takes it before all else was given out.
test: setup
	.venv/bin/pytest -m "not long" -n auto --dist loadscope --no-loadscope-reorder $(ARGS)

boots: setup
	.venv/bin/pytest -m boot tests/boot $(ARGS)

# The longest tests come first, so that no worker waits for another at the end.
unit: setup
	.venv/bin/pytest -n auto --dist worksteal --hypothesis-profile quick tests/test_linters.py tests/test_architecture.py tests/unit $(ARGS)

lint: setup
	.venv/bin/pytest tests/test_linters.py tests/test_architecture.py $(ARGS)

benchmark: setup
	.venv/bin/python -m benchmarks.measure $(ARGS)

simulation: setup
	.venv/bin/python -m benchmarks.simulated_cluster $(ARGS)

targets: setup
	.venv/bin/python -m benchmarks.reach $(ARGS)

measurements: setup
	.venv/bin/python -m benchmarks.measurements

pictures: setup
	.venv/bin/python -m benchmarks.picture $(ARGS)

man: setup
	.venv/bin/python -m tools.manual --write

deb: setup
	@tools/deb dist

corpus: setup
	@CORPUS="$(CORPUS)" .venv/bin/python -m tests.corpus
	@CORPUS="$(CORPUS)" .venv/bin/python -m tests.crossvalidate

faults: setup
	@SEED="$(SEED)" .venv/bin/python -m tests.faults $(ARGS)

setup:
	@tools/setup
