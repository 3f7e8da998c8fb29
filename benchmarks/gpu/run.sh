#!/usr/bin/env bash
# The day a GPU is there: every stage by value, each within its own time, each leaving JSON.
#
#   benchmarks/gpu/run.sh [--out DIR] [--device cuda] [--tiny] [--only STAGE ...]
#
# A stage whose JSON says "complete" is not run again: start it once more after a cut and it goes on.
# Needs torch, triton (for compiled stages), numpy, jaxtyping, pydantic, this repository and its
# plugins seva and viewcrafter; nothing is downloaded, weights are random and made on the device.
# The limits below add up to 540 seconds. --device cpu --tiny rehearses all of it (CI does).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=out/gpu
device=cuda
tiny=()
only=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift 2 ;;
    --device) device=$2; shift 2 ;;
    --tiny) tiny=(--tiny); shift ;;
    --only) shift; while [ $# -gt 0 ] && [[ $1 != --* ]]; do only+=("$1"); shift; done ;;
    *) echo "unknown argument: $1" >&2; exit 2 ;;
  esac
done
python=${PYTHON:-python}
stages=(environment:20 equivalence:40 steps-seva:60 steps-viewcrafter:80 walks-seva:80
  compiled-seva:110 walks-viewcrafter:60 compiled-viewcrafter:90)
failed=0
mkdir -p "$out"
for entry in "${stages[@]}"; do
  stage=${entry%%:*} limit=${entry##*:}
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
