#!/bin/sh
# Before a bridge starts that is a pod of its own: what it logs in with, and its canaries, anew from the Secret. BRIDGE: its number;
# GIVEN: where the Secret is.
set -eu
umask 077
given=${GIVEN:-/given}/credentials id=bridge-$BRIDGE

if [ ! -e "$given/healthsync-bridge-$id" ]; then
    echo "the Secret of secrets.credentials has nothing for $id: healthsync broker credentials --bridges bridge-1,…,$id makes it" >&2
    exit 1
fi
rm -rf "$HEALTHSYNC_DATA/.credentials"
mkdir "$HEALTHSYNC_DATA/.credentials"
cp "$given/healthsync-bridge-$id" "$given/healthsync-canary-$id"-* "$HEALTHSYNC_DATA/.credentials"
rm -rf "$HEALTHSYNC_DATA/credentials"
mv "$HEALTHSYNC_DATA/.credentials" "$HEALTHSYNC_DATA/credentials"
