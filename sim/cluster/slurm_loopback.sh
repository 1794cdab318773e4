#!/usr/bin/env bash
# Runs slurm.sh on a Slurm of one node on the loopback of this machine. The purpose is to check the script, not its
# speed. Needs root, and Debian's slurm-wlm and munge. Stops every process that it starts. No test depends on this
# script.
#
#   sudo sim/cluster/slurm_loopback.sh SHARDS [options of sim]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
shards=$1
shift
for tool in munged slurmctld slurmd sbatch; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install slurm-wlm munge" >&2; exit 4; }
done
work=$(mktemp -d)
chmod 755 "$work"
pids=()
clean() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT

node=$(hostname -s)
cores=$(nproc)
export SLURM_CONF=$work/slurm.conf
mkdir -p "$work"/{state,spool}
cat > "$SLURM_CONF" <<CONF
ClusterName=loopback
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cores RealMemory=2000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF

dd if=/dev/urandom of="$work/munge.key" bs=128 count=1 status=none
chmod 600 "$work/munge.key"
munged --force --foreground --key-file "$work/munge.key" --socket "$work/munge.socket" --pid-file "$work/munge.pid" \
    --seed-file "$work/munge.seed" --log-file "$work/munge.log" >/dev/null 2>&1 &
pids+=($!)
sleep 1
slurmctld -D >/dev/null 2>&1 &
pids+=($!)
sleep 1
slurmd -D >/dev/null 2>&1 &
pids+=($!)
for _ in $(seq 50); do
    [ "$(sinfo -h -o %t 2>/dev/null || true)" = idle ] && break
    sleep 0.2
done
sinfo

sbatch --wait --array="1-$shards" --cpus-per-task=1 --mem=0 --output="$work/%a.log" sim/cluster/slurm.sh "$work/results" "$@" ||
    { cat "$work"/*.log >&2; exit 5; }
"${SIM:-target/debug/sim}" merge "$work"/results/*.json
