# Joins this node to the domain as a second domain controller, with a certificate of the lab's authority.
# Arguments: realm, own DNS name, own address, DNS name of the first domain controller.
set -eu
realm=$1 host=$2 address=$3 first=$4
domain=${host#*.}
rm -f /etc/samba/smb.conf
mkdir -p /run/samba
# NTLM is off in the domain: join with a ticket.
KRB5CCNAME=FILE:/run/lab/join.ccache
export KRB5CCNAME
echo 'Admin-Pass-1!' | kinit "Administrator@$realm" >/dev/null
samba-tool domain join "$domain" DC --server="$first" --use-kerberos=required --use-krb5-ccache="$KRB5CCNAME" \
    --dns-backend=SAMBA_INTERNAL --option="interfaces=lo $address/24" --option='bind interfaces only=yes' \
    >/run/lab/join.log 2>&1 || { cat /run/lab/join.log >&2; exit 1; }
rm -f /run/lab/join.ccache
sed -i '/^\[global\]/r /usr/share/lab/smb-global.conf' /etc/samba/smb.conf
grep -q '^[[:space:]]*interfaces' /etc/samba/smb.conf ||
    sed -i "/^\[global\]/a \	interfaces = lo $address/24" /etc/samba/smb.conf
cd /var/lib/samba/private/tls
openssl ecparam -name prime256v1 -genkey -noout -out key.pem
chmod 600 key.pem
openssl req -new -key key.pem -subj "/CN=$host" -out dc.csr
printf 'subjectAltName=DNS:%s,DNS:%s\nextendedKeyUsage=serverAuth\n' "$host" "$domain" >dc.ext
openssl x509 -req -in dc.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 3650 -extfile dc.ext -out cert.pem \
    2>/dev/null
