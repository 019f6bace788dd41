#!/usr/bin/env bash
# Install xenimage into .venv, and let it make, build and check a sample: on a fresh Debian or Ubuntu, from nothing.
#
#   tools/quickstart.sh [directory for the sample, by default xenimage-quickstart]
set -euo pipefail

where=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$PWD/.venv

# shellcheck source=tools/environment.sh
source tools/environment.sh

[ -x "$venv/bin/python" ] || make_venv "$venv"
say "installing xenimage"
"$venv/bin/python" -m pip install -q --disable-pip-version-check . </dev/null
cd "$where"
"$venv/bin/xenimage" quickstart "$@"
say "xenimage is $venv/bin/xenimage; for more: $venv/bin/xenimage help"
