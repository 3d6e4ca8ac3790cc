#!/bin/sh
# Before the first bridge starts, where the others are pods of their own. BRIDGES: the ids of all of them, GATEWAYS: of gateways. /given has what was
# prepared elsewhere, a directory for each Secret; GIVEN: where that is.
set -eu
umask 077
given=${GIVEN:-/given}

# It is taken where there is nothing of its kind yet, whole or not at all; from then on this volume has the newest.
for kind in keys certs; do
    [ -d "$given/$kind" ] && [ ! -e "$HEALTHSYNC_DATA/$kind" ] || continue
    rm -rf "$HEALTHSYNC_DATA/.$kind"
    mkdir "$HEALTHSYNC_DATA/.$kind"
    cp "$given/$kind"/* "$HEALTHSYNC_DATA/.$kind"
    mv "$HEALTHSYNC_DATA/.$kind" "$HEALTHSYNC_DATA/$kind"
done

# What bridges and gateways log in with is what the Secret says, for the others have nothing else; whoever provisions tells the broker of it.
own=$HEALTHSYNC_DATA/credentials
mkdir -p "$own"
for file in "$given"/credentials/healthsync-bridge-* "$given"/credentials/healthsync-canary-* \
    "$given"/credentials/healthsync-gateway*; do
    name=${file##*/}
    [ -e "$file" ] && ! cmp -s "$file" "$own/$name" || continue
    : >"$own/.untold.$name"
    cp "$file" "$own/.taken"
    mv "$own/.taken" "$own/$name"
done

[ -e "$HEALTHSYNC_DATA/certs/ca.crt" ] || healthsync cert init-ca
healthsync broker credentials --bridges "$BRIDGES" ${GATEWAYS:+--gateways "$GATEWAYS"}
