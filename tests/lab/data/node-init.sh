# PID 1 of a node. Called in fresh mount, PID, UTS, IPC and network namespaces, it makes the root, moves into it, says
# that it is ready, and reaps orphans until it is killed; or it becomes the node's own systemd.
# In: LAB_LOWER (overlay lowers, colon separated), LAB_DIR (upper, work, root), LAB_HOSTNAME, LAB_SHARED (apt's folders),
# LAB_READY (file to write), LAB_CGROUP (for systemd: this node's folder below the root of cgroup2; else empty).
set -eu

# systemd wants a tree of control groups that is its own: a group that this process moves into, and then a namespace in
# which that group is the root. The namespace is made by a program of its own: the script starts over in it.
if [ -n "$LAB_CGROUP" ] && [ -z "${LAB_IN_CGROUP:-}" ]; then
    tree=$LAB_DIR/cgroup
    mkdir -p "$tree"
    mount -t cgroup2 cgroup2 "$tree"
    mkdir -p "$tree/$LAB_CGROUP"
    # 0 is the writer, whatever its number is in which PID namespace.
    echo 0 >"$tree/$LAB_CGROUP/cgroup.procs"
    umount "$tree"
    LAB_IN_CGROUP=yes exec unshare --cgroup sh "$0"
fi

# The host's /proc is still mounted here, so this is the PID and the start time that the host knows.
read -r stat </proc/self/stat
set -- $stat
pid=$1 started=${22}

root=$LAB_DIR/root
mount -t overlay entra-lab \
    -o "lowerdir=$LAB_LOWER,upperdir=$LAB_DIR/upper,workdir=$LAB_DIR/work" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/lock" "$root/run/lab"
chmod 1777 "$root/run/lock"
# Package lists and archives that all nodes share; apt uses them only through a private bind (see apt.rs).
mkdir "$root/run/lab/apt"
mount --bind "$LAB_SHARED" "$root/run/lab/apt"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
while read -r name major minor; do
    mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done <<NODES
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
NODES
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
hostname "$LAB_HOSTNAME"
if [ -n "$LAB_CGROUP" ]; then
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
    # A booting Debian sets the kernel's parameters (sysctl.d(5)), and most of them are the whole machine's: only those of
    # the node's own network can be written.
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
    mount -o remount,bind,ro,nosuid,nodev,noexec "$root/proc/sys"
    # systemd names the host by it.
    echo "$LAB_HOSTNAME" >"$root/etc/hostname"
fi

exec 3>"$LAB_READY.new"
ready=$LAB_READY
umask 022
cd "$root"
pivot_root . mnt
cd /
# The rename goes through the old root while it is still there: nobody sees a half-written file.
echo "$pid $started" >&3
exec 3>&-
mv "/mnt$ready.new" "/mnt$ready"
umount -l /mnt
if [ -n "$LAB_CGROUP" ]; then
    # systemd's interface with containers: https://systemd.io/CONTAINER_INTERFACE/. The clock, modules and the hardware are
    # the whole machine's too.
    exec env -i container=entra-lab setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time,-sys_boot,-syslog /sbin/init
fi
# The shell's wait collects every child, adopted ones too.
while :; do
    sleep 86400 &
    wait
done
