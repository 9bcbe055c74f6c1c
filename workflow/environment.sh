# `sh workflow/environment.sh make VENV PYTHON`: make the folder VENV a Python environment with the packages of requirements.lock.
# `sh workflow/environment.sh check VENV PYTHON`: is there such a PYTHON, and is the environment in VENV one of it?
# PYTHON may be empty: then the one that is in VENV already, else the newest suitable one on the PATH or among pyenv's, else one
# that uv fetches. A folder `wheels` (of a bundle, docs/machines.md) takes the place of the network.
# Any POSIX shell runs this, with no tool that only one system has.
set -eu
task=$1
venv=$2
wanted=$3
compiler=${CXX:-g++}
names="python3.13 python3.12 python3.11 python3.14 python3 python" # 3.14 after those on which the tests were run
offline=""

refuse() {
    echo "respike needs $1" >&2
    exit 1
}

# Where the program $1 really is, when it runs (a shim may not), is Python 3.11 to 3.14 and can make environments; else nothing.
suitable() {
    "$1" -c 'import ensurepip, sys, venv
if (3, 11) <= sys.version_info[:2] <= (3, 14): print(sys.executable)' 2>/dev/null || true
}

# The first suitable one of the names, wherever it is.
newest() {
    folders=$PATH
    for folder in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/*/bin; do folders=$folders:$folder; done
    for name in $1; do
        IFS=:
        for folder in $folders; do
            if [ -x "$folder/$name" ] && found=$(suitable "$folder/$name") && [ -n "$found" ]; then
                echo "$found"
                return
            fi
        done
        unset IFS
    done
}

version() {
    "$1" --version 2>&1 | { read -r line || line=none; echo "$line"; }
}

# The installation that Python $1 (or the environment it is in) comes from, and its version.
origin() {
    "$1" -c 'import platform, sys; print(f"Python {platform.python_version()} of {sys.base_prefix}")' 2>/dev/null || true
}

python=""
if [ -n "$wanted" ]; then
    case $wanted in
    */*) python=$(suitable "$wanted") ;;
    *) python=$(newest "$wanted") ;;
    esac
    [ -n "$python" ] || refuse "Python 3.11 to 3.14 with the modules venv and ensurepip; PYTHON=$wanted is not one ($(version "$wanted"))"
fi
held=$(origin "$venv/bin/python")
if [ -n "$held" ] && [ -n "$wanted" ] && [ "$held" != "$(origin "$python")" ]; then
    refuse "another folder for PYTHON=$wanted: $venv holds $held; add VENV=$venv-${wanted##*/}, or run make clean first"
fi
[ "$task" = make ] || exit 0

# Not whether the compiler is there but whether it works: on a Mac a program of that name may only ask to install one.
echo 'int main() { return 0; }' | $compiler -x c++ -fsyntax-only - 2>/dev/null ||
    refuse "a C++ compiler ($compiler is not there or does not work): install g++ (on a Mac: xcode-select --install) or run make CXX=/path/to/compiler"

if [ -d wheels ]; then
    offline="--no-index --find-links wheels"
    read -r names <wheels/python.txt
fi
if [ -z "$held" ] || [ -z "$(suitable "$venv/bin/python")" ]; then
    [ -n "$python" ] || python=$(newest "$names")
    if [ -n "$python" ]; then
        "$python" -m venv "$venv"
    elif command -v uv >/dev/null; then
        uv venv --quiet --seed --python '>=3.11,<3.14' "$venv"
    else
        refuse "Python 3.11 to 3.13 (found: $(version python3)): install one, or uv, which then fetches one, or run make PYTHON=/path/to/python3.13"
    fi
fi
echo "installing the packages of requirements.lock into $venv"
export PIP_USER=0 # a preference that environments refuse
pip="$venv/bin/python -m pip --disable-pip-version-check install --quiet"
$pip $offline -r requirements.lock
$pip --no-deps --no-build-isolation --editable .
