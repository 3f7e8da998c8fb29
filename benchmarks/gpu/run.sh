#!/usr/bin/env bash
# The day a GPU is there: every stage by value, each within its own time, each leaving JSON.
#
#   benchmarks/gpu/run.sh [--out DIR] [--device cuda] [--tiny] [--limit SECONDS] [--only STAGE ...]
#
# A stage whose JSON says "complete" is not run again: start it once more after a cut and it goes on.
# Needs torch and triton with CUDA, the packages of wheels.txt beside this file, and this repository
# with its plugins on PYTHONPATH (set below). Nothing is downloaded; weights are random and made on
# the device. The limits add up to 525 seconds; --limit gives every stage another one.
# --device cpu --tiny rehearses all of it.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=out/gpu
device=cuda
limit_of_all=
tiny=()
only=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift 2 ;;
    --device) device=$2; shift 2 ;;
    --limit) limit_of_all=$2; shift 2 ;;
    --tiny) tiny=(--tiny); shift ;;
    --only) shift; while [ $# -gt 0 ] && [[ $1 != --* ]]; do only+=("$1"); shift; done ;;
    *) echo "unknown argument: $1" >&2; exit 2 ;;
  esac
done
python=${PYTHON:-python}
export PYTHONPATH=$here:$root/benchmarks:$root:${PYTHONPATH:-}
for plugin in "$root"/plugins/*/src; do PYTHONPATH=$PYTHONPATH:$plugin; done
stages=(environment:10 equivalence:25 steps-seva:45 steps-viewcrafter:60 graphs-seva:25 compiled-seva:90
  graphs-viewcrafter:25 compiled-viewcrafter:75 gpu-tests:35 requests-seva:50 requests-viewcrafter:60 splatting:25)
for asked in "${only[@]}"; do
  [[ " ${stages[*]} " == *" $asked:"* ]] || { echo "no stage $asked in: ${stages[*]%%:*}" >&2; exit 2; }
done
failed=0
mkdir -p "$out"
# gsplat's kernels take minutes to build, on some of the cores: meanwhile the stages run that need none of it.
if [[ $device == cuda* ]]; then
  MAX_JOBS=8 nice -n 19 "$python" -c 'from gsplat.cuda._backend import _C' > "$out/gsplat_build.log" 2>&1 &
  building=$!
  trap 'kill $building 2> /dev/null' EXIT
fi
for entry in "${stages[@]}"; do
  stage=${entry%%:*} limit=${limit_of_all:-${entry##*:}}
  if [ ${#only[@]} -gt 0 ] && [[ " ${only[*]} " != *" $stage "* ]]; then continue; fi
  echo "== $stage (at most $limit s)"
  timeout --kill-after=5 "$limit" "$python" "$here/stage.py" "$stage" \
    --out "$out" --device "$device" "${tiny[@]}"
  code=$?
  if [ $code -ne 0 ]; then
    echo "$stage ended with $code; what it had is in $out/$stage.json" >&2
    failed=1
  fi
done
"$python" "$here/tables.py" --out "$out"
exit $failed
