#!/bin/sh
# Wraps and unwraps encryption keys for CURFEW_KMS_COMMAND by an RSA key, whose path is in KMS_KEY. A key management service has a
# command of its own in its place; with OpenSSL's PKCS #11 provider KMS_KEY may be a key that never leaves its token.
# The key comes on standard input, the answer goes to standard output.
set -eu
oaep="-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256"
case "$1" in
wrap) exec openssl pkeyutl -encrypt -inkey "$KMS_KEY" $oaep ;;
unwrap) exec openssl pkeyutl -decrypt -inkey "$KMS_KEY" $oaep ;;
*) echo "say wrap or unwrap" >&2; exit 2 ;;
esac
