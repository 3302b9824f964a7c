# Makes the second domain controller known to the first one, as would happen by and by: its records in DNS, its names in
# Kerberos, that it is to be copied from. Run on the first one. Arguments: the DNS names of both.
set -eu
first=$1 second=$2
domain=${first#*.}
cat >/run/lab/names.ldif <<END
dn: CN=DC2,OU=Domain Controllers,DC=aadds,DC=contoso,DC=com
changetype: modify
add: servicePrincipalName
servicePrincipalName: ldap/$second
servicePrincipalName: ldap/$second/$domain
END
ldbmodify -H /var/lib/samba/private/sam.ldb /run/lab/names.ldif >/run/lab/names.log 2>&1 ||
    grep -q 'already exists' /run/lab/names.log || { cat /run/lab/names.log >&2; exit 1; }
add() {
    samba-tool dns add "$first" "$1" "$2" SRV "$second $3 0 100" -P >"/run/lab/record$4.log" 2>&1 ||
        grep -qi 'already.exists' "/run/lab/record$4.log" || { cat "/run/lab/record$4.log" >&2; return 1; }
}
add "_msdcs.$domain" _ldap._tcp.dc 389 1 &
one=$!
add "_msdcs.$domain" _ldap._tcp.Default-First-Site-Name._sites.dc 389 2 &
two=$!
add "$domain" _kerberos._tcp 88 3 &
three=$!
samba-tool drs kcc "$first" -P >/run/lab/kcc.log 2>&1 || { cat /run/lab/kcc.log >&2; exit 1; }
wait $one && wait $two && wait $three
