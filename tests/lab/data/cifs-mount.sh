# The check of bin/cifs-mount, as PID 1 of the joined client under Debian's kernel. LOGIN_HOST, SHARE_HOST, USER_NAME,
# USER_PASSWORD, OTHER_NAME and OTHER_PASSWORD are set before it. What it says goes to the second serial line; its last
# line is "guest: passed", or "guest: failed: " and what.
exec >/dev/ttyS1 2>&1 </dev/null
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
export PATH HOME LANG TERM
SERVICE=cifs/$SHARE_HOST
EXAMPLES=/usr/share/doc/entrad/examples/azure-files

end() {
    echo "guest: $1"
    sleep 1
    echo o >/proc/sysrq-trigger
    # The disk may be gone already: nothing but the shell itself runs now.
    wait
}
fail() {
    for log in /var/log/lab-*.log /var/log/messages; do
        echo "--- the end of $log"
        tail -n 20 "$log"
    done
    dmesg | tail -n 20
    end "failed: $1"
}
# until_ok SECONDS WORDS...: waits for a command's success
until_ok() {
    limit=$1
    shift
    for step in $(seq "$limit"); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 1
    done
    return 1
}
service() {
    name=$1
    shift
    setsid "$@" >"/var/log/lab-guest-$name.log" 2>&1 &
}
as() {
    SSHPASS=$2 timeout "${SESSION:-60}" sshpass -e ssh -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR \
        -oPreferredAuthentications=password -oPubkeyAuthentication=no -oNumberOfPasswordPrompts=1 -l "$1" localhost "$3"
}
mount_for() {
    options=sec=krb5,cruid=$(id -u "$1"),serverino,nosharesock,actimeo=30,mfsymlinks
    echo "# mount -t cifs -o $options //$SHARE_HOST/share $2"
    timeout 60 mount -t cifs -o "$options" "//$SHARE_HOST/share" "$2" 2>&1
}
# refused USER WHY: the kernel finds no key (ENOKEY, 126), and nothing is mounted
refused() {
    said=$(mount_for "$1" /srv/refused)
    status=$?
    echo "$said"
    [ "$status" -ne 0 ] || fail "a mount for $1, $2"
    case $said in
    *"mount error(126)"*) ;;
    *) fail "the mount for $1 ($2) was refused for another reason than a missing key" ;;
    esac
    ! grep -q " /srv/refused " /proc/mounts || fail "a mount for $1, $2, in spite of the error"
}

# lists PATH: the user sees the share's file there, in a session
lists() {
    seen=$(as "$USER_NAME" "$USER_PASSWORD" "id -un; ls -l '$1' && cat '$1/readme.txt'")
    echo "$seen"
    case $seen in
    *readme.txt*"from the share"*) ;;
    *) fail "$USER_NAME does not see the share's file in $1" ;;
    esac
}
# domain_ticket_alone USER PASSWORD: a ccache with nothing but the domain's ticket, which no login made
domain_ticket_alone() {
    setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups sh -c \
        'kdestroy -q 2>/dev/null; printf "%s\n" "$2" | kinit "$1" >/dev/null && klist && ! klist | grep -q cifs/' sh "$1" "$2" ||
        fail "kinit $1"
}
# keeps_others_out PATH: a local user reads nothing through another's mount
keeps_others_out() {
    said=$(setpriv --reuid=localuser --regid=localuser --clear-groups cat "$1/readme.txt" 2>&1) &&
        fail "localuser reads $1"
    echo "$said"
    case $said in
    *"Permission denied"*) ;;
    *) fail "localuser was kept out of $1 for another reason" ;;
    esac
}

mkdir -p /dev/pts /dev/shm /srv/share /srv/refused /srv/azure
mount -t devpts -o ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd /run/lock
hostname "$(cat /etc/hostname)"
echo "Linux $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s"

service syslog busybox syslogd -n -O /var/log/messages
service sshd /usr/sbin/sshd -D -e
service entrad /usr/sbin/entrad --foreground
until_ok 60 getent passwd "$USER_NAME" || fail "entrad does not answer for $USER_NAME"
until_ok 60 getent passwd "$OTHER_NAME" || fail "entrad does not answer for $OTHER_NAME"

refused "$USER_NAME" "before the login"

# A session that stays to the end: its ccache goes with it.
SESSION=1000 as "$USER_NAME" "$USER_PASSWORD" "for i in \$(seq 60); do klist 2>/dev/null | grep -q $SERVICE && break; sleep 1; done; klist; sleep 1000" \
    >/var/log/lab-guest-session.log 2>&1 &
until_ok 60 grep -q "$SERVICE" /var/log/lab-guest-session.log || fail "no ticket for $SERVICE in the session"
cat /var/log/lab-guest-session.log

# From here on nobody gets a ticket of the cloud: what is mounted is mounted with what the login brought.
echo "# the KDC proxy is out of reach"
cp /etc/hosts /etc/hosts.lab
sed -i "s/ $LOGIN_HOST//; 1s/\$/ $LOGIN_HOST/" /etc/hosts
mount_for "$USER_NAME" /srv/share || fail "the mount"
grep ' /srv/share cifs ' /proc/mounts || fail "no mount"
grep ' /srv/share cifs ' /proc/mounts | grep -q 'sec=krb5,cruid=' || fail "the mount is without sec=krb5"
lists /srv/share
echo "by root" >/srv/share/by-root.txt || fail "root writes no file"
refused "$OTHER_NAME" "who has no ticket, beside the other's mount"
domain_ticket_alone "$OTHER_NAME" "$OTHER_PASSWORD"
refused "$OTHER_NAME" "who has the domain's ticket alone"
setpriv --reuid="$OTHER_NAME" --clear-groups --regid="$(id -g "$OTHER_NAME")" kdestroy
echo "# the KDC proxy is back"
cp /etc/hosts.lab /etc/hosts
umount /srv/share || fail "umount"

# The examples that ship, as they are: the unit's source and options, then autofs with its map.
unit=$EXAMPLES/srv-azure.mount
grep -E '^(What|Options)=' "$unit"
timeout 60 mount -t cifs -o "$(sed -n 's/^Options=//p' "$unit")" "$(sed -n 's/^What=//p' "$unit")" /srv/azure ||
    fail "the mount of $unit"
lists /srv/azure
as "$USER_NAME" "$USER_PASSWORD" 'echo "by its user" >/srv/azure/by-its-user.txt' || fail "$USER_NAME writes no file"
keeps_others_out /srv/azure
umount /srv/azure || fail "umount"

cp "$EXAMPLES/azure-files.autofs" /etc/auto.master.d/
cp "$EXAMPLES/auto.azure-files" /etc/
service automount automount --foreground --dont-check-daemon
until_ok 60 grep -q ' /mnt/azure autofs ' /proc/mounts || fail "automount does not start"
lists "/mnt/azure/$USER_NAME"
grep " /mnt/azure/$USER_NAME cifs " /proc/mounts || fail "autofs mounted something else"
keeps_others_out "/mnt/azure/$USER_NAME"
! ls "/mnt/azure/$OTHER_NAME" || fail "autofs mounted for $OTHER_NAME, who has no ticket"

# cifs.upcall goes to the proxy itself where the ccache has the domain's ticket.
domain_ticket_alone "$USER_NAME" "$USER_PASSWORD"
mount_for "$USER_NAME" /srv/share || fail "the mount with the domain's ticket alone"
grep -h . /srv/share/readme.txt || fail "reading through it"
end passed
