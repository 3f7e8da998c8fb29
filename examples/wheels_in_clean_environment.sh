#!/bin/sh
# Build wheels of the core and of every plugin, install them into an environment that has neither the
# repository nor an editable install on its path, and run the demo there, outside of the repository.
# Usage: wheels_in_clean_environment.sh PYTHON   (an interpreter with the dependencies installed)
set -eu
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# From copies: a build leaves nothing in the repository, and reads only what a checkout has.
git -C "$root" archive HEAD | (mkdir "$work/source" && tar -x -C "$work/source")
places=$(cd "$work/source" && ls -d "$PWD"/plugins/*/)
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/wheels" \
	"$work/source" $places
rm -rf "$work/source"
"$python" -m venv "$work/venv"
# Dependencies are borrowed from PYTHON; a plain path entry does not follow editable installs.
borrowed=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$borrowed" > "$site/borrowed.pth"
"$work/venv/bin/python" -m pip install --quiet --no-deps --no-index "$work"/wheels/*.whl
cd "$work"
unset PYTHONPATH SPHINX_FRAMEWORK_PLUGINS || true
"$work/venv/bin/python" - "$work" <<'END'
import json, pathlib, subprocess, sys
import sphinx_framework

work = sys.argv[1]
assert sphinx_framework.__file__.startswith(work), sphinx_framework.__file__
wheels = {path.name.split("-")[0].replace("_", "-") for path in pathlib.Path(work, "wheels").iterdir()}
told = subprocess.run(
    [f"{work}/venv/bin/sphinx-nvs", "plugins", "--json"], capture_output=True, check=True
).stdout
plugins = json.loads(told)["plugins"]
missing = wheels - {"sphinx-framework"} - {plugin["distribution"] for plugin in plugins}
broken = [plugin for plugin in plugins if plugin["status"] != "ok"]
assert not missing, f"not found in the clean environment: {sorted(missing)}"
assert not broken, broken
print(f"{len(wheels)} wheels, {len(plugins)} plugins, none broken")
END
"$work/venv/bin/sphinx-nvs" demo --out "$work/demo"
test -s "$work/demo/report.json"
