import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from goldens import Golden, golden, golden_names
from torch import Tensor

from sphinx_framework_dust3r.alignment.align import fixed_variables, global_alignment
from sphinx_framework_dust3r.alignment.known_poses import start_from_poses
from sphinx_framework_dust3r.alignment.objective import Objective, build_objective
from sphinx_framework_dust3r.alignment.optimiser import BETAS, learning_rate, optimise
from sphinx_framework_dust3r.alignment.spanning_tree import PNP_ITERATIONS, start_from_tree
from sphinx_framework_dust3r.alignment.state import (
    BASE_SCALE,
    FOCAL_CODE,
    AlignmentState,
    edge_transforms,
)
from sphinx_framework_dust3r.cleaning import TOLERANCE, cleaned_confidence
from sphinx_framework_dust3r.config import AlignmentConfig
from sphinx_framework_dust3r.pairs import PairPredictions
from sphinx_framework_dust3r.reconstruction import KnownCameras, assemble, half_image

ReadPairs = Callable[[Golden], PairPredictions]

pytestmark = pytest.mark.usefixtures("one_thread")

PREFIX = "dust3r_global_alignment_"
# What a golden states of the authors' settings and is no option here. Their ``pw_break`` scales
# adaptors of the pairs, which are fixed to 1.
CONSTANTS = {
    "adam_betas": list(BETAS),
    "base_scale": BASE_SCALE,
    "focal_break": FOCAL_CODE,
    "niter_PnP": PNP_ITERATIONS,
    "init": "mst",
    "conf": "log",
    "dist": "l1",
}
# After the first difference in rounding; see the test of every step.
SAFE_STEPS = 20
MOST_STEPS_OUTSIDE = 0.2
FIELDS = {
    "edges": "pw_poses",
    "poses": "im_poses",
    "focals": "im_focals",
    "depths": "im_depthmaps",
    "principal_points": "im_pp",
}


def names() -> list[str]:
    found = golden_names(f"{PREFIX}*")
    return found or [f"{PREFIX}n2", f"{PREFIX}n3"]


def settings(file: Golden) -> AlignmentConfig:
    stated = file.info["config"]
    assert {k: v for k, v in CONSTANTS.items() if stated.get(k, v) != v} == {}
    return AlignmentConfig(
        iterations=stated["niter"],
        schedule=stated["schedule"],
        learning_rate=stated["lr"],
        last_learning_rate=stated["lr_min"],
        min_confidence=stated.get("min_conf_thr", 3.0),
        optimise_principal_points=stated.get("optimize_pp", False),
        pixel_centre=0.0,
        refine_poses=False,
        upstream_start=True,
    )


def stored_state(file: Golden, prefix: str) -> AlignmentState:
    return AlignmentState(**{ours: file.tensors[prefix + name] for ours, name in FIELDS.items()})


def limits(entry: dict[str, Any]) -> dict[str, float]:
    return {"rtol": entry["rtol"], "atol": entry.get("atol", 0.0)}


def stated_in(text: str, pattern: str, usual: float) -> float:
    """A number that a golden has in a sentence or a name only."""
    found = re.search(pattern, text)
    return float(found[1]) if found else usual


def same_signs(codes: Tensor, like: Tensor) -> Tensor:
    """Quaternions in the leading four columns with the signs of ``like``."""
    flip = (codes[:, :4] * like[:, :4]).sum(-1, keepdim=True).sign()
    return torch.cat((codes[:, :4] * flip, codes[:, 4:]), dim=1)


@pytest.fixture(scope="module", params=names())
def file(request: pytest.FixtureRequest) -> Golden:
    return golden(request.param)


@pytest.fixture(scope="module")
def objective(file: Golden, read_pairs: ReadPairs) -> Objective:
    return build_objective(read_pairs(file), KnownCameras(), pixel_centre=0.0)


@pytest.fixture(scope="module")
def descent(file: Golden, objective: Objective) -> tuple[AlignmentState, Tensor]:
    """The optimisation from the golden's own start: final variables and losses."""
    config = settings(file)
    fixed = fixed_variables(config, KnownCameras())
    state, losses = optimise(objective, stored_state(file, "mid/init_"), config, fixed=fixed)
    return state, torch.tensor(losses)


def test_start_from_the_tree_equals_the_golden(file: Golden, objective: Objective) -> None:
    state, warnings = start_from_tree(objective, settings(file), KnownCameras())
    expected = stored_state(file, "mid/init_")
    tight = limits(file.info["tolerance"]["init"])
    note = file.info["tolerance"]["init"].get("note", "")
    ransac = stated_in(note, r"RANSAC PnP: ([\d.e-]+)", 2e-2)
    loose = {"rtol": ransac, "atol": ransac}
    assert warnings == ()
    torch.testing.assert_close(same_signs(state.edges, expected.edges), expected.edges, **tight)
    torch.testing.assert_close(state.focals, expected.focals, **tight)
    torch.testing.assert_close(state.principal_points, expected.principal_points)
    torch.testing.assert_close(same_signs(state.poses, expected.poses), expected.poses, **loose)
    torch.testing.assert_close(state.depths, expected.depths, **loose)


def test_objective_at_the_start_equals_the_golden(file: Golden, objective: Objective) -> None:
    loss = objective.loss(stored_state(file, "mid/init_"))
    tolerance = limits(file.info["tolerance"]["init_loss"])
    torch.testing.assert_close(loss[None], file.tensors["mid/init_loss"], **tolerance)


def test_gradient_at_the_start_equals_the_golden(file: Golden, objective: Objective) -> None:
    start = stored_state(file, "mid/init_")
    leaves = AlignmentState(*(value.clone().requires_grad_() for value in start))
    objective.loss(leaves).backward()
    compared = 0
    for ours, name in FIELDS.items():
        if (expected := file.tensors.get(f"mid/init_grad_{name}")) is not None:
            tolerance = limits(file.info["tolerance"]["init_grad"])
            torch.testing.assert_close(getattr(leaves, ours).grad, expected, **tolerance)
            compared += 1
    assert compared


def test_first_step_equals_the_golden(file: Golden, objective: Objective) -> None:
    config = settings(file)
    one = config.model_copy(update={"iterations": 1})
    fixed = fixed_variables(one, KnownCameras())
    state, _ = optimise(objective, stored_state(file, "mid/init_"), one, fixed=fixed)
    for ours, name in FIELDS.items():
        if (expected := file.tensors.get(f"mid/iter1_{name}")) is not None:
            tolerance = limits(file.info["tolerance"]["init"])
            torch.testing.assert_close(getattr(state, ours), expected, **tolerance)


def test_learning_rates_equal_the_golden(file: Golden) -> None:
    config = settings(file)
    rates = [learning_rate(iteration, config) for iteration in range(config.iterations)]
    torch.testing.assert_close(torch.tensor(rates), file.tensors["out/lr_curve"])


def test_loss_curve_equals_the_golden_at_both_ends(
    file: Golden, descent: tuple[AlignmentState, Tensor]
) -> None:
    tolerance = file.info["tolerance"]["loss_curve_from_given_init"]
    error = (descent[1] / file.tensors["out/loss_curve"] - 1).abs()
    assert float(error[:10].max()) <= tolerance["first_10_iterations_rtol"]
    assert float(error[-1]) <= tolerance["last_rtol"]


def test_every_step_of_the_loss_curve_follows_the_golden(
    file: Golden, descent: tuple[AlignmentState, Tensor]
) -> None:
    # Where this was written both curves equal the goldens' to the bit. The descent is chaotic, so
    # a processor that rounds otherwise leaves them, but late: of 24 descents of n2 from starts
    # changed by 1e-7, none is middle_rtol (0.15) away within 35 steps; then 1.3 to 8.3 % of their
    # steps are, by 0.38 at most (with ATen's scalar kernels: 35 steps, 0 to 10 %, 0.44).
    tolerance = file.info["tolerance"]["loss_curve_from_given_init"]
    expected = file.tensors["out/loss_curve"]
    outside = (descent[1] / expected - 1).abs() > tolerance["middle_rtol"]
    differing = [*(descent[1] != expected).nonzero()[:, 0].tolist(), len(expected)]
    assert not outside[: differing[0] + SAFE_STEPS].any()
    assert float(outside.float().mean()) <= MOST_STEPS_OUTSIDE


def test_result_from_the_stored_start_equals_the_golden(
    file: Golden, objective: Objective, descent: tuple[AlignmentState, Tensor]
) -> None:
    tolerance = limits(file.info["tolerance"]["final"])
    state = descent[0]
    torch.testing.assert_close(
        objective.loss(state)[None], file.tensors["out/final_loss"], **tolerance
    )
    torch.testing.assert_close(
        objective.focals(state)[:, :1], file.tensors["out/focals"], **tolerance
    )
    torch.testing.assert_close(objective.depths(state), file.tensors["out/depthmaps"], **tolerance)
    torch.testing.assert_close(
        objective.world_points(state), file.tensors["out/pts3d"], **tolerance
    )


def test_alignment_from_its_own_start_equals_the_golden(
    file: Golden, read_pairs: ReadPairs
) -> None:
    result = global_alignment(read_pairs(file), settings(file), KnownCameras())
    tolerance = limits(file.info["tolerance"]["final"])
    torch.testing.assert_close(result.poses, file.tensors["out/im_poses_c2w"], **tolerance)
    torch.testing.assert_close(result.points, file.tensors["out/pts3d"], **tolerance)
    torch.testing.assert_close(result.focals[:, :1], file.tensors["out/focals"], **tolerance)


def test_pair_frames_equal_the_golden(file: Golden) -> None:
    frames = edge_transforms(stored_state(file, "out/final_").edges, pinned=True)
    tolerance = limits(file.info["tolerance"]["init"])
    torch.testing.assert_close(frames, file.tensors["mid/pw_poses_4x4"], **tolerance)


def test_confidences_after_cleaning_equal_the_golden(file: Golden, read_pairs: ReadPairs) -> None:
    depth = file.tensors["out/depthmaps"]
    solved = assemble(
        file.tensors["out/im_poses_c2w"],
        file.tensors["out/focals"].expand(-1, 2),
        half_image(len(depth), (depth.shape[1], depth.shape[2]), depth),
        depth,
        read_pairs(file).image_confidence(),
        0.0,
    )
    raw = {
        name: stated_in(name, r"^masks_min_conf([\d.]+)_raw$", file.info["config"]["min_conf_thr"])
        for name in file.under("out/")
        if name.endswith("_raw")
    }
    assert raw
    for name, threshold in raw.items():
        assert torch.equal(solved.confidence > threshold, file.tensors[f"out/{name}"].bool())
    bound = math.log(file.info["config"]["min_conf_thr"])
    assert torch.equal(solved.confidence > bound, file.tensors["out/masks_viewcrafter"].bool())
    expected = file.tensors["out/im_conf_after_clean"]
    meaning = file.info["description"].get("out/im_conf_after_clean", "")
    tolerance = stated_in(meaning, r"tol=([\d.e-]+)", TOLERANCE)
    different = int((cleaned_confidence(solved, tolerance) != expected).sum())
    # A point that projects onto the border of two pixels may be rounded to the other one.
    assert different <= max(2, expected.numel() / 1000)


@pytest.fixture(scope="module")
def known_file() -> Golden:
    return golden("dust3r_known_poses_n2")


def known_cameras(file: Golden) -> KnownCameras:
    focals = file.tensors["in/known_focals"][:, None].expand(-1, 2)
    return KnownCameras(poses=file.tensors["in/known_poses_c2w"], focals=focals)


@pytest.mark.parametrize("upstream_start", [True, False])
def test_start_from_known_poses_equals_the_golden(
    known_file: Golden, read_pairs: ReadPairs, upstream_start: bool
) -> None:
    known = known_cameras(known_file)
    assert known.poses is not None
    assert known.focals is not None
    if not upstream_start and len(known.focals.unique()) > 1:
        pytest.skip("with unequal focal lengths upstream takes the other camera's for a pair")
    config = settings(known_file).model_copy(update={"upstream_start": upstream_start})
    objective = build_objective(read_pairs(known_file), known, pixel_centre=0.0)
    state, warnings = start_from_poses(objective, known.poses, config, known)
    expected = stored_state(known_file, "mid/init_")
    tolerance = limits(known_file.info["tolerance"]["init"])
    assert warnings == ()
    for name in ("edges", "poses"):
        ours, theirs = getattr(state, name), getattr(expected, name)
        torch.testing.assert_close(same_signs(ours, theirs), theirs, **tolerance)
    torch.testing.assert_close(state.focals, expected.focals, **tolerance)
    torch.testing.assert_close(state.depths, expected.depths, **tolerance)
    frames = edge_transforms(state.edges, pinned=False)
    torch.testing.assert_close(frames, known_file.tensors["mid/pw_poses_4x4_init"], **tolerance)


def test_objective_with_known_poses_equals_the_golden(
    known_file: Golden, read_pairs: ReadPairs
) -> None:
    objective = build_objective(read_pairs(known_file), known_cameras(known_file), 0.0)
    loss = objective.loss(stored_state(known_file, "mid/init_"))
    tolerance = limits(known_file.info["tolerance"]["given_init"])
    torch.testing.assert_close(loss[None], known_file.tensors["mid/init_loss"], **tolerance)


def test_known_poses_give_the_golden_depths_in_their_unit(
    known_file: Golden, read_pairs: ReadPairs
) -> None:
    known = known_cameras(known_file)
    result = global_alignment(read_pairs(known_file), settings(known_file), known)
    tolerance = limits(known_file.info["tolerance"]["final"])
    assert known.poses is not None
    assert torch.equal(result.poses, known.poses)
    torch.testing.assert_close(result.focals[:, :1], known_file.tensors["out/focals"], **tolerance)
    torch.testing.assert_close(result.depth, known_file.tensors["out/depthmaps"], **tolerance)
    torch.testing.assert_close(result.points, known_file.tensors["out/pts3d"], **tolerance)
    losses = known_file.tensors["out/loss_curve"]
    torch.testing.assert_close(torch.tensor(result.losses)[-1], losses[-1], **tolerance)


def test_coinciding_known_cameras_are_reported(known_file: Golden, read_pairs: ReadPairs) -> None:
    known = KnownCameras(
        poses=torch.eye(4).expand_as(known_file.tensors["in/known_poses_c2w"]),
        focals=known_cameras(known_file).focals,
    )
    config = AlignmentConfig(iterations=1)
    result = global_alignment(read_pairs(known_file), config, known)
    assert "unit of length" in result.warnings[0]
    assert torch.isfinite(result.points).all()
