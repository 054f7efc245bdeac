#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# One shard of a run as a task of a SLURM array. Explained in docs/nightly.md. Arguments are those of `patchrig run`:
#
#   job=$(sbatch --parsable --array=1-8 configs/ci/slurm-array.sh swapoff)
#   sbatch --dependency="afterany:$job" --wrap "patchrig merge results/$job/*/latest"
#
#SBATCH --job-name=patchrig
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=03:00:00
#SBATCH --requeue
#SBATCH --open-mode=append

set -eu
# On a disk that all nodes see. Each task has a folder of its own; so "latest" is its own, too. Set PATCHRIG_CACHE to a
# folder on a disk of the node if home folders are slow.
results="${PATCHRIG_RESULTS:-$PWD/results}/$SLURM_ARRAY_JOB_ID/$SLURM_ARRAY_TASK_ID"
status=0
if [ -e "$results/latest/plan.json" ]; then
    # The task was requeued, after a node failure or for another job: the cells that had ended stay.
    patchrig resume latest --results "$results" || status=$?
else
    patchrig run "$@" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --results "$results" || status=$?
fi
# A bad kernel is no failure of this task: `patchrig merge` says so, for all shards.
[ "$status" -eq 1 ] || exit "$status"
