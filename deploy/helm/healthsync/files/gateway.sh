#!/bin/sh
# Before a gateway starts that is a pod of its own: keys, certificates, and what it logs in and signs with, anew from the Secrets.
# GATEWAY: its number; GIVEN: where the Secrets are.
set -eu
umask 077
given=${GIVEN:-/given} own=healthsync-gateway-$GATEWAY

for name in healthsync-gateway "$own"; do
    [ ! -e "$given/credentials/$name" ] || continue
    echo "the Secret of secrets.credentials has no $name: healthsync broker credentials --gateways 1,…,$GATEWAY makes it" >&2
    exit 1
done
for kind in keys certs credentials; do
    rm -rf "${HEALTHSYNC_DATA:?}/$kind"
    mkdir "$HEALTHSYNC_DATA/$kind"
done
cp "$given/keys"/* "$HEALTHSYNC_DATA/keys"
cp "$given/certs"/* "$HEALTHSYNC_DATA/certs"
cp "$given/credentials/healthsync-gateway" "$given/credentials/$own" "$HEALTHSYNC_DATA/credentials"
