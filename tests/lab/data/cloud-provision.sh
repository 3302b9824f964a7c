# What stands in for Entra ID and Azure Files in a node where MIT's KDC, kdcproxy and smbd are installed: the realm's keys,
# the proxy's certificates, the share with the key of its account.
set -eu
realm=KERBEROS.MICROSOFTONLINE.COM
domain=AADDS.CONTOSO.COM
login=login.microsoftonline.com
account=acct.file.core.windows.net
secret=$(cat /usr/share/lab/cloud-trust.secret)

# The realm. Without a PAC of its own, as this KDC has no SIDs to put into one.
cat >/etc/krb5.conf <<END
[libdefaults]
	default_realm = $realm
	dns_lookup_kdc = false
	rdns = false
	dns_canonicalize_hostname = false
[realms]
	$realm = {
		kdc = 127.0.0.1:88
	}
END
mkdir -p /etc/krb5kdc
cat >/etc/krb5kdc/kdc.conf <<END
[kdcdefaults]
	kdc_listen = 127.0.0.1:88
	kdc_tcp_listen = 127.0.0.1:88
[realms]
	$realm = {
		supported_enctypes = aes256-cts:normal aes128-cts:normal
		disable_pac = true
	}
END
kdb5_util create -s -r "$realm" -P "$(openssl rand -hex 16)" >/dev/null
# The trust's secret; its salt is the name as a principal, as Windows and Samba make it (MS-KILE 3.1.1.2).
kadmin.local addprinc -pw "$secret" "krbtgt/$realm@$domain" >/dev/null
kadmin.local addprinc -randkey "cifs/$account" >/dev/null
kadmin.local ktadd -k /etc/samba/share.keytab "cifs/$account" >/dev/null

printf '[%s]\nkerberos = kerberos+tcp://127.0.0.1:88\n' "$realm" >/etc/kdcproxy.conf

# The share: the domain's user of a ticket is the local one of the same name.
useradd --no-create-home --shell /usr/sbin/nologin alice
printf 'alice = %s\\alice\n' "$domain" >/etc/samba/users.map
mkdir -p /srv/share
echo 'from the share' >/srv/share/readme.txt
chown -R alice /srv/share
cat >/etc/samba/smb.conf <<END
[global]
	server role = standalone server
	realm = $realm
	kerberos method = dedicated keytab
	dedicated keytab file = /etc/samba/share.keytab
	username map = /etc/samba/users.map
	interfaces = lo 10.53.0.50/24
	bind interfaces only = yes
	disable netbios = yes
	smb ports = 445
	server min protocol = SMB3
	load printers = no
	printcap name = /dev/null
	disable spoolss = yes
[share]
	path = /srv/share
	read only = no
END

# Certificates of the proxy: a good one, and one for each fault.
mkdir -p /etc/lab-tls
cd /etc/lab-tls
: >index.txt
printf '[ca]\ndefault_ca=c\n[c]\ndatabase=/etc/lab-tls/index.txt\nnew_certs_dir=/etc/lab-tls\ndefault_md=sha256\nrand_serial=yes\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' >ca.cnf
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
# NAME HOST CA START END: key and chain in one file, as the proxy reads it
certificate() {
    new_key "$1.key"
    openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
    printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n' "$2" >"$1.ext"
    openssl ca -batch -notext -config ca.cnf -cert "$3.crt" -keyfile "$3.key" -startdate "$4" -enddate "$5" \
        -extfile "$1.ext" -in "$1.csr" -out "$1.crt" 2>"$1.log" || { cat "$1.log" >&2; exit 1; }
    cat "$1.key" "$1.crt" >"$1.pem"
}
for name in ca stranger-ca; do
    new_key "$name.key"
    openssl req -x509 -new -key "$name.key" -days 3650 -subj "/CN=Lab cloud $name" -out "$name.crt"
done
certificate good "$login" ca 20200101000000Z 20350101000000Z
certificate expired "$login" ca 20200101000000Z 20210101000000Z
certificate other other.example ca 20200101000000Z 20350101000000Z
certificate stranger "$login" stranger-ca 20200101000000Z 20350101000000Z
