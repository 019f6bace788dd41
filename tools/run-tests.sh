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

# shellcheck source=tools/environment.sh
source tools/environment.sh

[ -x "$venv/bin/python" ] || make_venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check bindep -r test-requirements.txt -e . </dev/null
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r test-requirements-nodeps.txt </dev/null

# bindep prints what is missing, one a line, and fails if there is anything.
if ! missing=$("$venv/bin/bindep" --brief test); then
    mapfile -t packages <<<"$missing"
    install_packages "${packages[@]}"
    "$venv/bin/bindep" --brief test || die "still missing, see above"
fi

say "tests"
PATH=$venv/bin:$PATH exec "$venv/bin/stestr" run --exclude-regex '^tests[.]functional' "$@" </dev/null
