#!/usr/bin/env bash
# Makes the certificates of these tests anew: an authority, a server `localhost`, and a client `sluice`. They prove nothing to anyone but the
# test, and end in a hundred years. Needs openssl; the tests do not.
set -euo pipefail
cd "$(dirname "$0")"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 36500 -subj /CN=authority
for each in siem=localhost sluice=sluice; do
  file=${each%%=*} name=${each#*=}
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$file.key" -out "$file.csr" -subj "/CN=$name"
  openssl x509 -req -in "$file.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -out "$file.pem" \
    -extfile <(echo "subjectAltName=DNS:$name")
  rm "$file.csr"
done
rm -f ca.key ca.srl
