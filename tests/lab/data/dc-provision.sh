# Makes an empty domain shaped like Entra Domain Services in a node where Samba is installed but not running.
set -eu
realm=AADDS.CONTOSO.COM
dns=aadds.contoso.com
sid=S-1-5-21-3623811015-3361044348-30300820

printf '127.0.0.1 localhost\n10.53.0.10 dc1.%s dc1\n' "$dns" >/etc/hosts
rm -f /etc/samba/smb.conf
samba-tool domain provision --server-role=dc --dns-backend=SAMBA_INTERNAL \
    --realm="$realm" --domain=AADDS --domain-sid="$sid" --adminpass='Admin-Pass-1!' \
    --host-name=dc1 --host-ip=10.53.0.10 --option='interfaces=lo 10.53.0.10/24' >/tmp/provision.log 2>&1 ||
    { cat /tmp/provision.log >&2; exit 1; }

# Into [global], right under its head: the section of sysvol comes later in the file.
sed -i '/^\[global\]/r /usr/share/lab/smb-global.conf' /etc/samba/smb.conf
cp /var/lib/samba/private/krb5.conf /etc/krb5.conf

# A small authority and a certificate that clients can verify, in place of the self-signed one of the first start.
tls=/var/lib/samba/private/tls
mkdir -p "$tls"
cd "$tls"
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; chmod 600 "$1"; }
new_key ca-key.pem
openssl req -x509 -new -key ca-key.pem -days 3650 -subj '/CN=Lab CA' -out ca.pem
new_key key.pem
openssl req -new -key key.pem -subj "/CN=dc1.$dns" -out dc.csr
printf 'subjectAltName=DNS:dc1.%s,DNS:%s\nextendedKeyUsage=serverAuth\n' "$dns" "$dns" >dc.ext
openssl x509 -req -in dc.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 3650 -extfile dc.ext -out cert.pem 2>/dev/null
rm dc.csr dc.ext

/usr/bin/python3 /usr/share/lab/fill.py
# Accounts' keys are read by nobody from here on, but a test server that shows the DC's limits needs the DC's own.
samba-tool domain exportkeytab /var/lib/samba/private/dc.keytab --principal="DC1\$@$realm" >/dev/null
