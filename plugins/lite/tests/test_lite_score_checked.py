"""The score held to what is promised of it, by the scripts that measure it, on a few scenes.

Scenes that nothing was trained on; systems are frames, finished and as painted, of walks from
several starts, cold and hot, and of worn weights (``training/score_scenes.py``). Many scenes:
docs/lite.md, "The score".
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from goldens import capture_folder

TRAINING = Path(__file__).parents[1] / "training"
RANKS = "Spearman within a frame"
PAINTED = f"{RANKS}, as painted"


def run(script: str, *arguments: object) -> None:
    command = [sys.executable, str(TRAINING / script), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    room = capture_folder("re10k_room")
    out = tmp_path_factory.mktemp("score")
    generated, photos = out / "generated", out / "photos"
    run("score_scenes.py", "--out", generated, "--split", "report", "--first", 560, "--count", 3)
    run("score_scenes.py", "--out", photos, "--captures", f"{room}:4-10")
    found = out / "found.json"
    run("check_score.py", "--only-with", "--json", found, "--stored", generated, photos)
    told: dict[str, dict[str, float]] = json.loads(found.read_text())
    painted = "--frames", "painted", "--targets"
    run("check_score.py", "--only-with", "--json", found, "--stored", generated, photos, *painted)
    for name, values in json.loads(found.read_text()).items():
        told[name][PAINTED] = values[RANKS]
    return told


# The aims are .8 and .7. Finished frames lie too close together for the first (docs/lite.md says
# so first), and for both on a few of them.
@pytest.mark.parametrize(("frames", "aims"), [(PAINTED, (0.8, 0.7)), (RANKS, (0.6, 0.6))])
def test_within_a_frame_systems_are_ranked_as_the_truth_ranks_them(checked, frames, aims):
    for scenes, least in zip(("generated", "photos"), aims, strict=True):
        assert checked[scenes][frames] >= least, (scenes, frames)


@pytest.mark.parametrize("scenes", ["generated", "photos"])
def test_every_ladder_is_in_order_and_nothing_is_gained_by_sharpening(checked, scenes):
    shares = {name: share for name, share in checked[scenes].items() if "order" in name}
    assert len(shares) == 7  # blur, noise, blocks, JPEG, casts, speckle, second exposures
    shares |= {name: share for name, share in checked[scenes].items() if "unsharp" in name}
    assert len(shares) == 13
    assert min(shares.values()) >= 0.95, shares


@pytest.mark.parametrize("scenes", ["generated", "photos"])
def test_what_is_no_picture_scores_below_a_tenth_of_the_truth(checked, scenes):
    shares = {name: share for name, share in checked[scenes].items() if "tenth" in name}
    assert shares == dict.fromkeys(shares, 1.0)
    assert len(shares) == 4
