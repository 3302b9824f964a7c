# PID 1 of a node. Called in fresh mount, PID, UTS, IPC and network namespaces, it makes the root, moves into it, says
# that it is ready, and reaps orphans until it is killed.
# In: LAB_LOWER (overlay lowers, colon separated), LAB_DIR (upper, work, root), LAB_HOSTNAME, LAB_SHARED (apt's folders),
# LAB_READY (file to write).
set -eu

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
# The shell's wait collects every child, adopted ones too.
while :; do
    sleep 86400 &
    wait
done
