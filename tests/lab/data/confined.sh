# The check of bin/confined, under Debian's kernel. First as PID 1: it becomes systemd, with this script as a service; then
# as that service. DOMAIN, JOINER, JOINER_PASSWORD, USER_NAME, USER_PASSWORD, OTHER_NAME and OTHER_PASSWORD are set before
# it. What it says goes to the second serial line; its last line is "guest: passed", or "guest: failed: " and what.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
export PATH HOME LANG TERM
if [ $$ = 1 ]; then
    cat >/etc/systemd/system/lab-guest.service <<'UNIT'
[Unit]
After=basic.target apparmor.service ssh.service dbus.service systemd-logind.service
[Service]
ExecStart=/bin/sh /usr/share/lab/guest.sh
UNIT
    ln -s ../lab-guest.service /etc/systemd/system/multi-user.target.wants/
    # Installed for the sake of `net`; their start takes time.
    for unit in smbd nmbd winbind samba-ad-dc; do
        rm -f "/etc/systemd/system/multi-user.target.wants/$unit.service"
    done
    exec /lib/systemd/systemd
fi
exec >/dev/ttyS1 2>&1 </dev/null
PROFILES=/sys/kernel/security/apparmor/profiles
FAILED=

fail() {
    echo "FAILED: $1"
    FAILED="${FAILED:-$1}"
}
end() {
    if [ -n "$FAILED" ]; then
        echo "--- the journal's end"
        journalctl --no-pager -n 60 -o short-monotonic | grep -v ' audit'
        echo "guest: failed: $FAILED"
    else
        echo "guest: passed"
    fi
    sleep 1
    echo o >/proc/sysrq-trigger
    wait
}
# now: seconds since the boot
now() { cut -d' ' -f1 /proc/uptime; }
# expect STATUS PART WORDS...: the command ends so, and its output holds that part
expect() {
    wanted=$1 part=$2
    shift 2
    said=$("$@" 2>&1)
    status=$?
    echo "[$(now)] $*: $status"
    case $said in
    *"$part"*) [ "$status" = "$wanted" ] && return 0 ;;
    esac
    echo "$said"
    fail "$*: status $status, wanted $wanted and \"$part\""
}
# refused: the kernel's words about what it refused since they were cleared last (dmesg -C): what was meant to be
refused() { dmesg | grep 'apparmor="DENIED"'; }
# label PID: which profile a process has, and its mode
label() {
    cat "/proc/$1/attr/current" 2>/dev/null
}
# login USER PASSWORD OPERATIONS...
login() {
    user=$1 password=$2
    shift 2
    printf '%s\n' "$password" | timeout 60 pamtester login "$user" "$@"
}
# inside LABEL SCRIPT: in a shell that has put itself under a profile, which the script itself does not execute anything from
inside() {
    sh -c 'printf "changeprofile %s" "$1" >/proc/self/attr/current && eval "$2"' sh "$1" "$2"
}
# is_refused LABEL SCRIPT: tried under that profile, the kernel refuses it and says so
is_refused() {
    before=$(refused | wc -l)
    inside "$1" "$2" && fail "$1 allows: $2"
    # A thread of the kernel's prints its words, a moment later.
    for step in $(seq 50); do
        refused | tail -n +$((before + 1)) | grep -m 1 "profile=\"$1\"" && return
        sleep 0.1
    done
    fail "$1 refuses without a word: $2"
}

# Every refusal is to be read afterwards.
echo 0 >/proc/sys/kernel/printk_ratelimit
systemctl is-system-running --wait
echo "Linux $(uname -r), up $(now) s"
[ "$(cat /sys/module/apparmor/parameters/enabled)" = Y ] || fail "AppArmor is not enabled"
dmesg -C

# Programs that Debian's abstractions confine, loaded long before our packages come: what they are allowed then has to grow.
for name in confined blind; do
    cp /usr/bin/getent "/usr/local/bin/getent-$name"
    {
        echo "abi <abi/3.0>,"
        echo "include <tunables/global>"
        echo "profile getent-$name /usr/local/bin/getent-$name {"
        echo "  include <abstractions/base>"
        [ "$name" = blind ] || echo "  include <abstractions/nameservice>"
        echo "  /etc/nsswitch.conf r,"
        echo "  /usr/local/bin/getent-$name mr,"
        echo "}"
    } >"/etc/apparmor.d/getent-$name"
done
systemctl reload apparmor

echo "# the packages"
expect 0 "" dpkg -i /var/cache/lab-packages/libnss-entra_*.deb /var/cache/lab-packages/libpam-entra_*.deb /var/cache/lab-packages/entrad_*.deb
grep entrad $PROFILES
for name in entrad entrad//worker entrad//helper; do
    grep -qx "$name (enforce)" $PROFILES || fail "the installation did not load $name"
done

echo "# the daemon, as its unit starts it"
printf '%s\n' "$JOINER_PASSWORD" >/run/joiner
expect 0 "" sh -c "entractl join $DOMAIN --user $JOINER --password-stdin --preset=entra-ds </run/joiner"
[ -z "$FAILED" ] || end
expect 0 active systemctl is-active entrad
worker=$(systemctl show --property MainPID --value entrad)
broker=$(pgrep -P "$worker")
echo "worker: $(label "$worker"), broker: $(label "$broker")"
[ "$(label "$worker")" = "entrad//&entrad//worker (enforce)" ] || fail "the worker is not under its profile"
[ "$(label "$broker")" = "entrad (enforce)" ] || fail "the broker is not under its profile"

echo "# lookups"
expect 0 "$USER_NAME" getent passwd "$USER_NAME"
expect 0 "$USER_NAME" id "$USER_NAME"
expect 0 "" entractl cache flush
expect 0 "$USER_NAME" /usr/local/bin/getent-confined passwd "$USER_NAME"
expect 0 "$USER_NAME" /usr/local/bin/getent-confined passwd "$USER_NAME"
expect 0 "linux admins" getent group "linux admins"
expect 2 "" getent passwd nobody-of-that-name
refused && fail "refusals after the lookups"
# Without the abstraction there is nothing to be had: the same program finds nobody.
expect 2 "" /usr/local/bin/getent-blind passwd "$USER_NAME"
refused | grep 'profile="getent-blind"' || fail "the program without the abstraction was refused nothing"
dmesg -C

echo "# logins"
(
    while :; do
        for pid in $(pgrep -x krb5-helper); do label "$pid"; done
        sleep 0.01
    done >/run/helpers 2>/dev/null
) &
watcher=$!
expect 0 "successfully" login "$USER_NAME" "$USER_PASSWORD" authenticate acct_mgmt
expect 1 "" login "$USER_NAME" wrong authenticate
expect 0 "krb5cc" env SSHPASS="$USER_PASSWORD" sshpass -e ssh -oStrictHostKeyChecking=no -oPubkeyAuthentication=no "$USER_NAME@localhost" 'klist && id -un'
expect 0 "" login "$OTHER_NAME" "$OTHER_PASSWORD" authenticate acct_mgmt
# As preset entra-ds has it, passwords are changed elsewhere.
sed -i 's/^preset = .*/preset = "active-directory"/' /etc/entra/entra.toml
expect 0 "" systemctl restart entrad
NEW=Changed-Pass-2
expect 0 "" sh -c "printf '%s\n' '$OTHER_PASSWORD' $NEW $NEW | pamtester login $OTHER_NAME chauthtok"
expect 0 "" login "$OTHER_NAME" "$NEW" authenticate acct_mgmt
kill "$watcher"
echo "helpers: $(sort /run/helpers | uniq -c)"
grep -q . /run/helpers || fail "no helper was seen"
# Between fork and exec it is the broker still.
grep -vqxE 'entrad(//&entrad//helper)? \(enforce\)' /run/helpers && fail "a helper is not under its profile"
grep -qx 'entrad//&entrad//helper (enforce)' /run/helpers || fail "no helper is under its profile"

echo "# keys, checks"
expect 0 "" entractl keytab status
expect 0 "" entractl keytab rotate
expect 0 "" entractl testjoin
expect 0 "" entractl check
echo "$said"
expect 0 "" entractl status

echo "# a password that is too old, on a host with Samba"
expect 0 "" entractl samba configure
sed -i '/^\[domains\.".*"\]$/a keytab_max_age = "1s"' /etc/entra/entra.toml
expect 0 "" systemctl restart entrad
for step in $(seq 60); do
    journalctl --no-pager -u entrad -o cat | grep -q 'has a new password' && break
    sleep 1
done
expect 0 "has a new password" sh -c "journalctl --no-pager -u entrad -o cat -n 4"
sed -i '/^keytab_max_age/d' /etc/entra/entra.toml

echo "# restarts"
expect 0 "" systemctl restart entrad
expect 0 "$USER_NAME" getent passwd "$USER_NAME"
killed=$(systemctl show --property MainPID --value entrad)
kill -9 "$killed"
for step in $(seq 60); do
    systemctl --quiet is-active entrad && [ "$(systemctl show --property MainPID --value entrad)" != "$killed" ] && break
    sleep 1
done
expect 0 active systemctl is-active entrad

echo "# the cable is out"
ip link set eth0 down
expect 0 "successfully" login "$USER_NAME" "$USER_PASSWORD" authenticate acct_mgmt
expect 1 "" login "$USER_NAME" wrong authenticate
expect 0 "$USER_NAME" getent passwd "$USER_NAME"
ip link set eth0 up
ip route add default via 10.0.2.2

refused && fail "the kernel refused something"

echo "# what the profiles forbid"
echo "a home's" >/home/localuser/secret
echo "a ticket" >/tmp/krb5cc_0
# By the shell itself, as root: no other right is in its way.
is_refused entrad 'read line </etc/shadow'
is_refused entrad 'echo key >/etc/ssh/sshd_config'
is_refused entrad '/bin/true'
is_refused entrad//worker 'read line </etc/krb5.keytab'
is_refused entrad//worker 'read line </home/localuser/secret'
is_refused entrad//worker 'read line </tmp/krb5cc_0'
is_refused entrad//worker 'echo x >/etc/entra/entra.toml'
is_refused entrad//worker '/usr/libexec/entra/krb5-helper'
is_refused entrad//helper 'read line </etc/shadow'
is_refused entrad//helper 'read line </var/lib/entra/identity.db'
is_refused entrad//helper '/bin/true'
inside entrad//worker 'read line </etc/passwd' || fail "the worker's profile forbids what it needs"
dmesg -C

echo "# the end"
expect 0 "" sh -c "entractl leave --user $JOINER --password-stdin </run/joiner"
expect 0 "" dpkg --purge entrad libpam-entra libnss-entra
refused && fail "refusals at the end"
end
