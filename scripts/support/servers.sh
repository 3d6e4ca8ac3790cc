# Sourced by scripts/test: the real servers that tests talk to, from Debian's packages or Homebrew.

# Debian installs servers in /usr/sbin, which is not on every PATH.
export PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
# Its programs lie beside the PATH, in a folder for each version.
for folder in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@15/bin; do PATH="$PATH:$folder"; done
# Command (or file), Debian's package and Homebrew's name of each.
servers="mosquitto:mosquitto:mosquitto mosquitto_pub:mosquitto-clients:mosquitto rabbitmq-server:rabbitmq-server:rabbitmq
    victoria-metrics:victoria-metrics:victoriametrics influxd:influxdb:influxdb@1
    mvn:maven:maven java:default-jdk-headless:openjdk /usr/include/MQTTClient.h:libpaho-mqtt-dev:libpaho-mqtt
    systemd-analyze:systemd: chromium:chromium: initdb:postgresql:postgresql@15
    haproxy:haproxy:haproxy"

in_ci() { # the same words as tests/conftest.py
    case $(printf '%s' "${CI:-}" | tr '[:upper:]' '[:lower:]') in '' | 0 | false) return 1 ;; esac
}

missing() { # field: 2 = Debian's packages, 3 = Homebrew's names, of the servers that are not here
    local server
    for server in $servers; do
        [ -f "${server%%:*}" ] || command -v "${server%%:*}" >/dev/null 2>&1 || cut -d: -f"$1" <<<"$server"
    done | sort -u
}

install_debian() {
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null || return 0
        as_root=(sudo -n)
    fi
    local install=(${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq)
    "${install[@]}" "$@" >/dev/null 2>&1 && return
    ${as_root[@]+"${as_root[@]}"} apt-get update -qq >/dev/null 2>&1 || true
    "${install[@]}" "$@" >/dev/null 2>&1 || true
}

fetch_jars() { # HiveMQ CE, Moquette and Artemis, from Maven Central into Maven's own store
    command -v mvn >/dev/null 2>&1 && command -v java >/dev/null 2>&1 || return 0
    local name fetch
    for name in hivemq moquette artemis; do
        fetch=(mvn -q -B -f tests/support/java/pom.xml -P "$name" dependency:build-classpath -Dmdep.outputFile=/dev/null)
        "${fetch[@]}" -o >/dev/null 2>&1 && continue
        say "fetching the broker $name for the tests (once, some minutes; into Maven's own store)"
        "${fetch[@]}" >/dev/null 2>&1 || true
    done
}

install_servers() {
    install_packages
    fetch_jars
}

install_packages() {
    [ -n "$(missing 2)" ] || return 0
    if command -v apt-get >/dev/null 2>&1; then
        say "installing Debian packages for the tests:" $(missing 2)
        install_debian $(missing 2)
    elif command -v brew >/dev/null 2>&1; then
        say "installing with Homebrew for the tests:" $(missing 3)
        HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet $(missing 3) >/dev/null 2>&1 || true
    fi
}

say_missing_servers() {
    [ -n "$(missing 2)" ] || return 0
    say "skipped, because these are not installed:" $(missing 2)
    say "to have their tests run: scripts/test --install-servers (needs root or sudo)"
}
