#!/usr/bin/env bash
# Install the consumers of bundles and packages whose own code the functional tests run, in an environment of their own:
# Cinder has a hundred dependencies, and pins some. COT reads and writes OVF.
#
#   tools/consumers.sh
#
# XENIMAGE_CONSUMERS   where the environment is made (default: .venv-consumers in the checkout)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${XENIMAGE_CONSUMERS:-$PWD/.venv-consumers}

# shellcheck source=tools/environment.sh
source tools/environment.sh

[ -x "$venv/bin/python" ] || make_venv "$venv"
say "installing Cinder and COT"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -r tools/consumers.txt </dev/null
