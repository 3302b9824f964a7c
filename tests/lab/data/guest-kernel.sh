# Makes `vmlinuz` and `initrd.gz` in the current folder: Debian's own kernel, taken from its package without installing
# it, and a RAM disk with busybox, $1 as its /init and the modules that the guest may ask for.
set -eu
fetch() { apt-get -q -o APT::Sandbox::User=root download "$(kernel)" busybox-static; }
kernel() { apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: //p'; }
# Lists age: where a package is gone from the mirror, ask once for new ones.
fetch || { apt-get -q update && fetch; }

mkdir -p ram/lib ram/proc ram/sys ram/dev ram/lower ram/run ram/root
dpkg-deb --fsys-tarfile busybox-static_*.deb | tar -C ram -x ./bin
set --  "$1" './boot/vmlinuz-*' './lib/modules/*/modules.*'
for path in crypto lib arch/x86/crypto drivers/virtio drivers/net/virtio_net.ko drivers/net/net_failover.ko \
    net/core/failover.ko net/9p net/dns_resolver fs/9p fs/netfs fs/fscache fs/overlayfs fs/smb fs/nls fs/autofs; do
    set -- "$@" "./lib/modules/*/kernel/$path"
done
init=$1
shift
dpkg-deb --fsys-tarfile linux-image-*.deb | tar -C ram -x --wildcards "$@"
mv ram/boot/vmlinuz-* vmlinuz
version=$(ls ram/lib/modules)
depmod -b ram "$version"
printf '%s' "$init" >ram/init
chmod 755 ram/init
(cd ram && find . | cpio --quiet -o -H newc | gzip -1) >initrd.gz
rm -r ram ./*.deb
