#!/bin/sh
# Build wheels of the framework and of this template, install both into an environment that has
# neither the repository nor any other plugin on its path, and run the contract there.
# Usage: check_in_clean_environment.sh PYTHON   (an interpreter with the dependencies installed)
set -eu
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
template=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$template/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/wheels" "$root" "$template"
"$python" -m venv "$work/venv"
# Dependencies are borrowed from PYTHON; a plain path entry does not follow editable installs.
borrowed=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$borrowed" > "$site/borrowed.pth"
"$work/venv/bin/python" -m pip install --quiet --no-deps --no-index "$work"/wheels/*.whl
cd "$work"
export SPHINX_FRAMEWORK_PLUGINS=toy
"$work/venv/bin/sphinx-nvs" plugins
"$work/venv/bin/sphinx-nvs" check toy
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider "$template/test_contract.py"
