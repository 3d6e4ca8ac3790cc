#!/bin/sh
# Before the bridges start: what they log in with, and whose events each of them has. They are all in this pod, so while
# this runs they are stopped. Changes nothing that is as it should be. BRIDGES: how many; VOLUME: where they are; SHARES: they
# have one log on PostgreSQL, and each works for everybody.
set -eu
umask 077
volume=${VOLUME:-/volume}
export HEALTHSYNC_DATA="$volume/data" HEALTHSYNC_EXTERNAL__REGISTRY_FILE="$volume/data/registry.db"

directory() { if [ "$1" = 1 ]; then echo "$volume/data"; else echo "$volume/bridge-$1"; fi; }

[ -e "$HEALTHSYNC_DATA/certs/ca.crt" ] || healthsync cert init-ca
ids=""
for part in $(seq "$BRIDGES"); do ids="$ids${ids:+,}bridge-$part"; done
healthsync broker credentials --bridges "$ids"

for part in $(seq 2 "$BRIDGES"); do
    mkdir -p "$(directory "$part")/credentials"
    cp -p "$volume/data/credentials/healthsync-bridge-bridge-$part" "$volume/data/credentials"/healthsync-canary-* \
        "$(directory "$part")/credentials"
done

# Whichever bridge is elected runs the sinks, so all have the same ones. Where each has a log of its own, nobody has another's.
[ -z "${SHARES:-}" ] || mkdir -p "$volume/data/sinks"
for part in $(seq 2 "$BRIDGES"); do
    sinks=$(directory "$part")/sinks
    [ ! -L "$sinks" ] || rm "$sinks"
    [ -n "${SHARES:-}" ] || continue
    if [ -d "$sinks" ] && ! rmdir "$sinks" 2>/dev/null; then
        echo "$sinks is of a bridge that had a log of its own: move it away (with external.bridges=1 the pod starts)" >&2
        exit 1
    fi
    ln -s "$volume/data/sinks" "$sinks"
done
[ -z "${SHARES:-}" ] || exit 0

# Another number of parts moves users: each bridge takes over what the others have of the users that are its own now.
before=$(cat "$volume/state/bridges" 2>/dev/null || echo 1)
if [ "$before" != "$BRIDGES" ]; then
    for part in $(seq "$BRIDGES"); do
        for other in $(seq "$before"); do
            [ "$other" != "$part" ] && [ -e "$(directory "$other")/events.db" ] || continue
            healthsync bridge join "$(directory "$other")" --shard "$part/$BRIDGES" --data "$(directory "$part")"
        done
    done
    echo "$BRIDGES" >"$volume/state/bridges.new"
    mv "$volume/state/bridges.new" "$volume/state/bridges"
fi
