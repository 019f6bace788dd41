# shellcheck shell=bash
# For the scripts beside it: what a fresh Debian or Ubuntu needs before Python code can be installed.

say() { printf '==> %s\n' "$*"; }

die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }

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

# Make a virtual environment in directory $1.
make_venv() {
    local python
    python=$(find_python) || { install_packages python3 python3-venv; python=$(find_python); } ||
        die "no Python 3.11 or newer"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    say "Python environment in $1, from $("$python" --version)"
    "$python" -m venv "$1"
}
