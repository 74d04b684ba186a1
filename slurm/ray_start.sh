# Sourced by ray_generate.sbatch and ray_cluster.sbatch: a Ray cluster of the nodes of this job.
#
# Needs `python`. Sets RAY_ADDRESS, DASHBOARD and the token's variables, `nodes`, `head` (a process)
# and `step` (words that start one), and returns when all nodes are there; else it says which one is
# missing and ends the job. No `ray stop`: the head ends with the script, Slurm ends the steps.

# Every job has ports of its own, so that several may share a node.
base=$((20000 + SLURM_JOB_ID % 1500 * 8))
# Of each node alone, and short, as Unix sockets lie in it.
temp=${RELUME_LOCAL:-/tmp}/ray-$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}

# Whoever has the token may run code here: it is this job's alone, and only its owner can read it.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=${RELUME_TOKENS:-$HOME}/.relume-ray-$SLURM_JOB_ID.token
(umask 077; od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")
head=
end_ray() {
  rm -f "$RAY_AUTH_TOKEN_PATH"
  if [ -n "$head" ]; then kill $head && wait $head; fi || true
}
trap end_ray EXIT

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
# By address: a name may mean another network to Ray than it does to the shell. Not 127.0.1.1, which
# some hosts have for their own name: no other node would find it.
address=$(getent ahostsv4 "${nodes[0]}" | awk '$1 !~ /^127[.]/ {print $1; exit}')
if [ -z "$address" ]; then address=$(hostname -I | awk '{print $1}'); fi
export RAY_ADDRESS=$address:$base
DASHBOARD=http://$address:$((base + 1))

# Nobody is served here whom a node that is told to end would have to wait for.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0

# Slurm ends a job that it preempts by TERM to its steps, which is not for this script. So the head
# is no step: Ray stays while the driver, which is one, ends in order. Each other node is a step of
# its own: one that dies then takes no other along. --overlap: steps share the job's processors.
ray_start=("$python" -m ray.scripts.scripts start --block --disable-usage-stats
  --num-cpus="$SLURM_CPUS_PER_TASK" --dashboard-agent-listen-port=$((base + 3))
  --dashboard-agent-grpc-port=$((base + 4)) --metrics-export-port=$((base + 5))
  --runtime-env-agent-port=$((base + 6)))
step=(srun --overlap --nodes=1 --ntasks=1 --cpus-per-task="$SLURM_CPUS_PER_TASK")

"${ray_start[@]}" --head --node-ip-address="$address" --port=$base --temp-dir="$temp" \
  --dashboard-host="$address" --dashboard-port=$((base + 1)) --ray-client-server-port=$((base + 2)) &
head=$!
until "$python" -m ray.scripts.scripts health-check --address "$RAY_ADDRESS" >/dev/null 2>&1; do
  kill -0 $head 2>/dev/null || { echo "error: Ray did not start on ${nodes[0]}; see above" >&2; exit 1; }
  sleep 0.5
done
for node in "${nodes[@]:1}"; do
  "${step[@]}" --nodelist="$node" ${SLURM_GPUS_PER_NODE:+--gpus-per-node="$SLURM_GPUS_PER_NODE"} \
    "${ray_start[@]}" --address="$RAY_ADDRESS" &
done
"$python" -m cluster.wait "$RAY_ADDRESS" "${RELUME_PATIENCE_S:-180}" "${nodes[@]}"
