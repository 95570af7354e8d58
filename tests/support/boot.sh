#!/usr/bin/env bash
# Boots systemd in a tree and keeps watch over it: boot.sh TREE NAME [arguments for systemd-nspawn]
#
# Says `ready PID` on stdout when all that is started at boot was started; PID is its PID 1 as seen from here. When stdin ends the
# machine ends, and nothing of it is left: that is when the test closes it, or died. Needs root. The tree itself is never written to.
set -euo pipefail
export LC_ALL=C.UTF-8
tree=$1 name=$2
shift 2
unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
[ -n "$unified" ] || { echo "no cgroup2 file system is mounted"; exit 1; }
cgroup=$unified/$name
scratch=$(mktemp -d "/tmp/$name.XXXXXX")
mkdir "$cgroup"

(
    echo "$BASHPID" >"$cgroup/cgroup.procs"
    # Its cgroups are a file system of its own, also where this machine has the old kind.
    # shellcheck disable=SC2016 # the inner shell expands it
    exec env TMPDIR="$scratch" unshare --mount --propagation private -- bash -c '
        umount -R -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec systemd-nspawn "$@"' nspawn \
        --quiet --directory="$tree" --machine="$name" --register=no --keep-unit --boot --private-network --console=pipe \
        --link-journal=no --volatile=overlay "$@"
) </dev/null >"$scratch/console" 2>&1 &
nspawn=$!

# shellcheck disable=SC2317 # the trap calls it
finish() {
    trap - EXIT
    # PID 1 takes all the others of its namespace with it; then nspawn tidies up and ends.
    [ -z "${leader:-}" ] || kill -KILL "$leader" 2>/dev/null || true
    for _ in {1..100}; do
        kill -0 "${leader:+$nspawn}" 2>/dev/null || break
        sleep 0.02
    done
    kill -KILL "$nspawn" 2>/dev/null || true
    [ ! -e "$cgroup/cgroup.kill" ] || echo 1 >"$cgroup/cgroup.kill"
    wait "$nspawn" 2>/dev/null || true
    for _ in {1..100}; do
        find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null && break
        [ -d "$cgroup" ] || break
        sleep 0.02
    done
    rm -rf --one-file-system "$scratch"
}
trap finish EXIT

inside() { nsenter -t "$leader" -m -u -i -n -p -C -- "$@"; }
state=
for _ in {1..600}; do
    kill -0 "$nspawn" 2>/dev/null || break
    leader=$(pgrep -P "$nspawn" -x systemd || true)
    [ -z "$leader" ] || state=$(inside systemctl is-system-running --wait 2>/dev/null || true)
    case $state in
        running | degraded)
            echo "ready $leader"
            # Returns when the test is done, or is no more.
            cat >/dev/null
            exit 0
            ;;
    esac
    sleep 0.05
done
echo "systemd did not boot (${state:-no PID 1}): $(tail -n 20 "$scratch/console" | tr '\n' '|')"
exit 1
