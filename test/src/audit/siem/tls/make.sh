#!/usr/bin/env bash
# Makes the certificates of these tests anew: an authority, and a server `localhost`. They prove nothing to anyone but the
# test, and end in a hundred years. Needs openssl; the tests do not.
set -euo pipefail
cd "$(dirname "$0")"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 36500 -subj /CN=authority
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout siem.key -out siem.csr -subj /CN=localhost
openssl x509 -req -in siem.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -out siem.pem \
  -extfile <(echo "subjectAltName=DNS:localhost")
rm -f siem.csr ca.key ca.srl
