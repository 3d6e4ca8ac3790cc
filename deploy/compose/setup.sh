#!/bin/sh
# The first step of each compose file: what the others need and nobody has to type. Changes nothing that is there.
set -eu
data=${HEALTHSYNC_DATA:-/data}
secrets=${SECRETS:-/secrets}

# Only containers that mount this volume can read it; each has an account of its own, so the files are readable to all.
umask 022
names="influx-token influx-password grafana-password"
[ "${1:-}" != postgres ] || names="$names postgres-password"
for name in $names; do
    [ -s "$secrets/$name" ] ||
        python3 -c 'import secrets; print(secrets.token_hex(24), end="")' >"$secrets/$name.new"
    [ ! -e "$secrets/$name.new" ] || mv "$secrets/$name.new" "$secrets/$name"
done

# The same for our own account, as private as the service wants it.
umask 077
mkdir -p "$data"
cat "$secrets/influx-token" >"$data/influx.token"
[ "${1:-}" != postgres ] || cat "$secrets/postgres-password" >"$data/postgres.secret"
healthsync sink show influxdb --json >/dev/null 2>&1 ||
    healthsync sink add influxdb http://influxdb:8086 --org healthsync --bucket health \
        --token-file "$data/influx.token" --no-test

if [ "${1:-}" = mosquitto ]; then
    healthsync broker render mosquitto --out "${BROKER:-/mosquitto/healthsync}"
fi
