#!/usr/bin/env bash
# Run the functional tests from nothing: on a fresh Debian or Ubuntu this installs the system packages, makes an
# environment for each service and each release of Glance, and runs the tests, which start and stop the services.
#
#   tools/functional.sh [arguments for stestr run]
#   tools/functional.sh --prepare       only make the environments: tox -e functional runs the tests then
#
# XENIMAGE_FUNCTIONAL_DIR   where the environments are made (default: .venv-functional in the checkout)
#
# An environment whose list of packages did not change is kept. xenimage itself is installed anew each time.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export XENIMAGE_FUNCTIONAL_DIR=${XENIMAGE_FUNCTIONAL_DIR:-$PWD/.venv-functional}
dir=$XENIMAGE_FUNCTIONAL_DIR
with_plugin=(glance33 glance30 glance26 tempest)

# shellcheck source=tools/environment.sh
source tools/environment.sh

pip_in() { # ENVIRONMENT WORD...
    local name=$1
    shift
    "$dir/$name/bin/python" -m pip -q --disable-pip-version-check "$@" </dev/null
}

# The tools first, bindep among them: what it misses is what the others are compiled with.
make_tools() {
    [ -x "$dir/tools/bin/python" ] || make_venv "$dir/tools"
    pip_in tools install bindep 'tox>=4.18' wheel
    local missing
    if ! missing=$("$dir/tools/bin/bindep" --brief test functional); then
        mapfile -t packages <<<"$missing"
        install_packages "${packages[@]}"
        "$dir/tools/bin/bindep" --brief test functional || die "still missing, see above"
    fi
}

# Make an environment of the packages in its list, which names all, and in that of the plugin.
make_environment() {
    local list=$dir/$1.txt
    cat "tests/functional/requirements-$1.txt" tests/functional/requirements-plugin.txt >"$list"
    if ! cmp -s "$list" "$dir/$1/made-of.txt"; then
        rm -rf "${dir:?}/$1"
        make_venv "$dir/$1"
        pip_in "$1" install --no-deps --prefer-binary --find-links "$dir/wheels" -r "$list"
        cp "$list" "$dir/$1/made-of.txt"
    fi
}

prepare() {
    local name built
    mkdir -p "$dir/wheels"
    make_tools
    # Compiled once for all of them.
    built=("$dir"/wheels/[uU][wW][sS][gG][iI]-*.whl)
    [ -e "${built[0]}" ] || pip_in tools wheel --no-deps -w "$dir/wheels" "$(grep -i '^uwsgi==' <tests/functional/requirements-keystone.txt)"
    # Two at a time: what takes long is one compiler or one download.
    printf '%s\n' keystone "${with_plugin[@]}" | xargs -n 1 -P 2 "$0" --make
    # What an earlier build left would be built in.
    rm -rf "$dir/xenimage" build/lib
    pip_in tools wheel --no-deps -w "$dir/xenimage" .
    for name in "${with_plugin[@]}"; do
        pip_in "$name" install --no-deps --force-reinstall "$dir"/xenimage/xenimage-*.whl
    done
}

case ${1:-} in
    --make) make_environment "$2" ;;
    --prepare) prepare ;;
    *)
        prepare
        say "tests"
        "$dir/tools/bin/tox" run -q -e functional -- "$@" </dev/null
        ;;
esac
