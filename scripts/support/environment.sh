# Sourced by the scripts beside this directory: the project's virtual environment, made from a lock file.
# Needs bash and Python 3.11 or newer, and nothing else. Works on Debian and macOS.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv="$root/.venv"

say() { printf '%s\n' "$*" >&2; }

die() { # message, fix
    say "error: $1"
    say "fix: $2"
    exit 1
}

find_python() { # prints the first interpreter that is new enough
    local candidate seen=""
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
        seen="$seen $candidate ($("$candidate" -V 2>&1 | head -n 1))"
    done
    die "Python 3.11 or newer was not found; found:${seen:- none}" \
        "install it (Debian 12: apt install python3 python3-venv; macOS: brew install python@3.13) or name it: PYTHON=/path/to/python3 $0"
}

make_environment() { # lock file: installs it and the project into .venv; does nothing when that was done before
    local lock="$root/$1" done_dir="$venv/installed" python
    local stamp="$done_dir/$1"
    if [ -x "$venv/bin/python" ] && [ "$(cat "$done_dir/at" 2>/dev/null)" = "$root" ] &&
        cmp -s "$lock" "$stamp" && cmp -s "$root/pyproject.toml" "$stamp.pyproject"; then
        return
    fi
    if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        python=$(find_python)
        if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            die "$python has no working venv module" \
                "Debian and Ubuntu keep it in a package of its own: apt install python3-venv"
        fi
        say "making the virtual environment with $("$python" -V)"
        "$python" -m venv --clear "$venv" || die "python -m venv failed" "read the lines above; then remove $venv and run this again"
    fi
    say "installing $1 (once; later runs skip this)"
    rm -rf "$stamp" "$stamp.pyproject"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" ||
        die "the packages of $1 could not be installed" "check the network, then run this again; what was installed stays"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e "$root" ||
        die "the project itself could not be installed" "read the lines above"
    mkdir -p "$done_dir"
    printf '%s' "$root" >"$done_dir/at"
    cp "$lock" "$stamp"
    cp "$root/pyproject.toml" "$stamp.pyproject"
}
