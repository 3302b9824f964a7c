#!/bin/busybox sh
# PID 1 of the guest: a node's root, read-only over 9p, below a writable layer in memory.
/bin/busybox --install -s /bin
set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in virtio_pci virtio_net 9pnet_virtio 9p overlay; do
    modprobe "$module"
done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro root /lower
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work
mount -t overlay -o lowerdir=/lower,upperdir=/run/upper,workdir=/run/work overlay /root
mkdir -p /root/lib/modules
cp -r /lib/modules/* /root/lib/modules/
for folder in proc sys dev; do
    mount --move "/$folder" "/root/$folder"
done
# QEMU's own network: it goes on through the node's, in whose namespace QEMU runs.
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
# Not a child: the kernel runs request-key in the root folder of PID 1.
exec switch_root /root /bin/sh /usr/share/lab/guest.sh
