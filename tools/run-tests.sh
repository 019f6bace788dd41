#!/usr/bin/env bash
# Run all tests but the functional ones, from nothing: on a fresh Debian or Ubuntu this installs the system packages
# and the Python environment that they need, and runs them.
#
#   tools/run-tests.sh [arguments for stestr run]
#
# XENIMAGE_VENV   where the environment is made (default: .venv-test in the checkout)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${XENIMAGE_VENV:-$PWD/.venv-test}

say() { printf '==> %s\n' "$*"; }

die() { printf 'run-tests: %s\n' "$*" >&2; exit 2; }

# Install Debian packages without a question, as root or through sudo.
install_packages() {
    command -v apt-get >/dev/null || die "these packages are missing, and there is no apt-get: $*"
    local -a as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "these packages are missing, and there is neither root nor sudo: $*"
        as_root=(sudo)
    fi
    say "installing $*"
    "${as_root[@]}" apt-get -q update </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "$@" </dev/null
}

# The newest Python that the project is tested with; a newer one rather than none.
find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3 python3.14; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

make_venv() {
    local python
    python=$(find_python) || { install_packages python3 python3-venv; python=$(find_python); } ||
        die "no Python 3.11 or newer"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    say "Python environment in $venv, from $("$python" --version)"
    "$python" -m venv "$venv"
}

[ -x "$venv/bin/python" ] || make_venv
"$venv/bin/python" -m pip install -q --disable-pip-version-check bindep -r test-requirements.txt -e . </dev/null

# bindep prints what is missing, one a line, and fails if there is anything.
if ! missing=$("$venv/bin/bindep" --brief test); then
    mapfile -t packages <<<"$missing"
    install_packages "${packages[@]}"
    "$venv/bin/bindep" --brief test || die "still missing, see above"
fi

say "tests"
PATH=$venv/bin:$PATH exec "$venv/bin/stestr" run --exclude-regex '^tests[.]functional' "$@" </dev/null
