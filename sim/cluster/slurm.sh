#!/usr/bin/env bash
#SBATCH --job-name=tmv-all-layers
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --requeue
# One task of a Slurm array verifies one shard of `sim --all-layers`. A task that was killed resumes from its journal.
#
#   cargo build -p sim && target/debug/sim --layer 0 --op k_proj     # builds the model of the unit once
#   id=$(sbatch --parsable --array=1-8 sim/cluster/slurm.sh RESULTS [options of sim])
#   sbatch --dependency=afterok:$id --wrap 'target/debug/sim merge RESULTS/*.json --json whole.json'
#
# SIM names the program; the default is target/debug/sim. All tasks need the same file system. If TMV_CACHE_DIR is
# set, it must be the same for all tasks.
set -euo pipefail
results=$1
shift
mkdir -p "$results"
shard=$results/$SLURM_ARRAY_TASK_ID-of-$SLURM_ARRAY_TASK_COUNT
exec "${SIM:-target/debug/sim}" --all-layers --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
    --jobs "${SLURM_CPUS_PER_TASK:-1}" --journal "$shard.jsonl" --json "$shard.json" "$@"
