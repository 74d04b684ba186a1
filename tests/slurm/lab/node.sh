#!/bin/sh
# Process 1 of one of the lab's nodes: its own address, host name, processes, /dev/shm and /tmp/ray.
# Usage: node.sh NODE ADDRESS GATEWAY [OPTION OF SLURMD]
node=$1 address=$2 gateway=$3
shift 3
mount --make-rprivate /
hostname "$node"
mount -t tmpfs tmpfs /dev/shm
mkdir -p /tmp/ray /tmp/local
mount -t tmpfs tmpfs /tmp/ray
mount -t tmpfs tmpfs /tmp/local
ip link set lo up
# The lab plugs the other end in from outside.
until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
ip address add "$address/24" dev eth0
ip link set eth0 up
ip route add default via "$gateway"
slurmd -D -N "$node" "$@" &
while :; do wait; sleep 1; done
