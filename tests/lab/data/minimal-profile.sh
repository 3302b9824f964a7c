# A profile of local users alone, as a distribution's default, and services that ask the stacks of authselect as RHEL's do.
set -e
profile=/usr/share/authselect/default/minimal
mkdir -p "$profile"
cat >"$profile/nsswitch.conf" <<'END'
passwd: files systemd
group: files systemd
shadow: files
hosts: files dns
END
cat >"$profile/system-auth" <<'END'
auth        required      pam_faillock.so preauth silent      {include if "with-faillock"}
auth        sufficient    pam_unix.so
auth        required      pam_deny.so
account     required      pam_unix.so
password    sufficient    pam_unix.so shadow
password    required      pam_deny.so
session     required      pam_unix.so
END
cp "$profile/system-auth" "$profile/password-auth"
echo "session     optional      pam_umask.so silent" >"$profile/postlogin"
for service in sshd:password-auth passwd:system-auth; do
    cat >"/etc/pam.d/${service%:*}" <<END
auth       substack     ${service#*:}
auth       include      postlogin
account    required     pam_nologin.so
account    include      ${service#*:}
password   include      ${service#*:}
session    include      ${service#*:}
session    include      postlogin
END
done
# Debian's programs look in other folders.
echo /usr/lib64 >/etc/ld.so.conf.d/lab.conf
ldconfig
authselect select minimal with-faillock
