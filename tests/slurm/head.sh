#!/bin/bash
# The first process of a cluster's namespaces: it lays the links and starts the daemons.
# When its input closes it ends, and then the kernel ends all that lives in the namespaces.
#   head.sh FOLDER NODE...
set -euo pipefail
folder=$1
shift
cd "$folder"

find_address() { getent hosts "$1" | cut -d ' ' -f 1; }

# Cable two networks: a node's eth0 to the switch, which is here.
cable_node() {
  touch "networks/$1"
  unshare --net="networks/$1" ip link set lo up
  ip link add "$1" type veth peer name eth0 netns "$folder/networks/$1"
  ip link set "$1" master switch up
  nsenter --net="networks/$1" ip address add "$(find_address "$1")/24" dev eth0
  nsenter --net="networks/$1" ip link set eth0 up
}

# The kernel does it as well, once it has given up the last connection: minutes later.
trap 'ip link delete uplink' EXIT
echo 'the namespaces are there'
exec >&2
read -r _ # until the uplink is there, too
hostname head
mount --bind hosts /etc/hosts
ip link set lo up
ip link add switch type bridge
ip address add "$(find_address head)/24" dev switch
ip link set uplink master switch up
ip link set switch up

dd if=/dev/urandom of=munge/key bs=1024 count=1 status=none
chmod 400 munge/key
munged --force --foreground --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
  --pid-file="$folder/munge/pid" --log-file="$folder/log/munged.log" \
  --seed-file="$folder/munge/seed" &
for node; do cable_node "$node"; done
for _ in {1..500}; do [ -S munge/socket ] && break || sleep 0.02; done
slurmctld -D &
for node; do
  nsenter --net="networks/$node" unshare --uts --mount \
    sh -c 'hostname "$0" && mount -t sysfs sysfs /sys && exec slurmd -D' "$node" &
done
read -r _ || true # until the input closes
