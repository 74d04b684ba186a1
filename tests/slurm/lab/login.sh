#!/bin/sh
# Process 1 of the lab's login host: its network, munge and the controller. Ends with everything in it.
# Usage: login.sh LAB ADDRESS
lab=$1 address=$2
mount --make-rprivate /
hostname login
mount --bind "$lab/etc/hosts" /etc/hosts
# No name server can be reached from here; gRPC would wait for one at every short name.
mount --bind "$lab/etc/resolv.conf" /etc/resolv.conf
mount -t tmpfs tmpfs /dev/shm
ip link set lo up
ip link add lan type bridge
ip address add "$address/24" dev lan
ip link set lan up
munged --foreground --key-file="$lab/etc/munge.key" --socket="$lab/munge.socket" \
  --pid-file="$lab/munged.pid" --log-file="$lab/log/munged.log" --seed-file="$lab/munged.seed" &
until munge --no-input --socket="$lab/munge.socket" >/dev/null 2>&1; do sleep 0.05; done
# Started anew whenever it ends: stopping it is how the lab restarts it.
while :; do
  slurmctld -D >>"$lab/log/slurmctld.out" 2>&1
  sleep 0.2
done &
while :; do wait; sleep 1; done
