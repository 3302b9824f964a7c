# Certificates of the lab's authority (and of one that nobody knows) for the tests of TLS, into /run/tls.
set -eu
authority=/var/lib/samba/private/tls
mkdir -p /run/tls
cd /run/tls
: >index.txt
printf '[ca]\ndefault_ca=c\n[c]\ndatabase=/run/tls/index.txt\nnew_certs_dir=/run/tls\ndefault_md=sha256\nrand_serial=yes\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' >ca.cnf
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
# NAME HOST CA CA-KEY START END
certificate() {
    new_key "$1.key"
    openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
    printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n' "$2" >"$1.ext"
    openssl ca -batch -notext -config ca.cnf -cert "$3" -keyfile "$4" -startdate "$5" -enddate "$6" \
        -extfile "$1.ext" -in "$1.csr" -out "$1.pem" 2>"$1.log" || { cat "$1.log" >&2; exit 1; }
}
new_key stranger-ca.key
openssl req -x509 -new -key stranger-ca.key -days 3650 -subj '/CN=Stranger CA' -out stranger-ca.pem
past=20200101000000Z
over=20210101000000Z
future=20350101000000Z
certificate good dc1.aadds.contoso.com "$authority/ca.pem" "$authority/ca-key.pem" "$past" "$future"
certificate expired dc1.aadds.contoso.com "$authority/ca.pem" "$authority/ca-key.pem" "$past" "$over"
certificate other other.example "$authority/ca.pem" "$authority/ca-key.pem" "$past" "$future"
certificate stranger dc1.aadds.contoso.com stranger-ca.pem stranger-ca.key "$past" "$future"
