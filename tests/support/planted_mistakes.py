"""Mistakes that plugin authors make, planted one at a time into the fakes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from sphinx_framework.types import (
    Cameras,
    CoarseViews,
    Gaussians,
    StartSteps,
)

Change = Callable[..., Any]


def crashes(says: str) -> Callable[[Change], Change]:
    """Marks a mistake that ends in an exception of its own, whose type and text ``says`` matches.

    Every other one must be told by a check: an exception would be a bug of the plant.
    """

    def marked(change: Change) -> Change:
        change.crash = says
        return change

    return marked


# Regression models


def views(change: Callable[[CoarseViews], dict[str, Any]]) -> Change:
    def changed(fake, predict, state, scene):
        coarse = predict(scene)
        return replace(coarse, **change(coarse))

    return changed


def writing(what: Callable[..., torch.Tensor]) -> Change:
    def changed(fake, method, state, *given):
        answer = method(*given)
        written = what(*given)
        if written is not None:
            written.mul_(0.5)
        return answer

    return changed


def counting(fake, predict, state, scene):
    state["runs"] = state.get("runs", 0) + 1
    coarse = predict(scene)
    return replace(coarse, images=coarse.images / state["runs"])


def by_index(coarse: CoarseViews) -> dict[str, Any]:
    fade = torch.linspace(1, 0.5, len(coarse.images))[:, None, None, None]
    return {"images": coarse.images * fade}


def features_of_the_first_scene(fake, predict, state, scene):
    images = state.setdefault("images", scene.images)
    return predict(replace(scene, images=images[: len(scene.images)]))


def features_by_size(fake, predict, state, scene):
    images = state.setdefault(tuple(scene.images.shape), scene.images)
    return predict(replace(scene, images=images))


def inverse_poses(cameras: Cameras) -> Cameras:
    return replace(cameras, world_from_camera=cameras.camera_from_world)


def poses_the_wrong_way(fake, predict, state, scene):
    return predict(
        replace(scene, inputs=inverse_poses(scene.inputs), targets=inverse_poses(scene.targets))
    )


def without_rotation(cameras: Cameras) -> Cameras:
    poses = cameras.world_from_camera.clone()
    poses[:, :3, :3] = torch.eye(3)
    return replace(cameras, world_from_camera=poses)


def rotation_ignored(fake, predict, state, scene):
    return predict(
        replace(
            scene, inputs=without_rotation(scene.inputs), targets=without_rotation(scene.targets)
        )
    )


def fixed_number_of_targets(fake, predict, state, scene):
    coarse = predict(scene)
    return replace(coarse, images=coarse.images[:3])


def square_views(fake, predict, state, scene):
    coarse = predict(scene)
    side = min(coarse.images.shape[-2:])
    return replace(coarse, images=coarse.images[..., :side, :side])


def certain_where_nothing_is_seen(fake, predict, state, scene):
    forward = scene.inputs.world_from_camera[:1, :3, 2]
    towards = (scene.targets.world_from_camera[:, :3, 2] * forward).sum(1)
    coarse = predict(scene)
    return replace(coarse, opacity=coarse.opacity * (0.5 - 0.5 * towards)[:, None, None])


def splats(means: torch.Tensor, opacity: float) -> Gaussians:
    count = len(means)
    return Gaussians(
        means=means,
        covariances=0.01 * torch.eye(3).repeat(count, 1, 1),
        harmonics=torch.zeros(count, 3, 1),
        opacities=torch.full((count,), opacity),
    )


def splats_of_the_camera(fake, predict, state, scene):
    return replace(predict(scene), gaussians=splats(torch.tensor([[0.0, 0, 3], [1, 0, 4]]), 0.5))


def transparent_splats(fake, predict, state, scene):
    ahead = scene.inputs.world_from_camera[:, :3, 3] + scene.inputs.world_from_camera[:, :3, 2]
    return replace(predict(scene), gaussians=splats(ahead, 7.0))


def lens_of_the_inputs(fake, predict, state, scene):
    lens = scene.inputs.intrinsics[:1].expand(len(scene.targets), 3, 3)
    return predict(replace(scene, targets=replace(scene.targets, intrinsics=lens)))


def lens_in_the_middle(fake, predict, state, scene):
    lens = scene.targets.intrinsics.clone()
    lens[:, 0, 2], lens[:, 1, 2] = (side / 2 for side in reversed(scene.images.shape[-2:]))
    return predict(replace(scene, targets=replace(scene.targets, intrinsics=lens)))


def other_default_type(fake, predict, state, scene):
    torch.set_default_dtype(torch.float64)
    return predict(scene)


def other_threads(fake, predict, state, scene):
    torch.set_num_threads(torch.get_num_threads() + 1)
    return predict(scene)


def reseeding(fake, method, state, *given):
    torch.manual_seed(0)
    return method(*given)


# The others


def running_mean(fake, method, state, images, *rest):
    state["mean"] = 0.5 * state.get("mean", images.mean()) + 0.5 * images.mean()
    answer = method(images, *rest) * (1 + state["mean"])
    return F.normalize(answer + state["mean"], dim=0) if len(answer) != len(images) else answer


def square_mask(fake, mask, state, coarse, *rest):
    marked = mask(coarse, *rest)
    side = min(marked.shape[-2:])
    return marked[:, :side, :side]


def mask_of_the_last_views(fake, mask, state, coarse, *rest):
    marked = mask(coarse, *rest)
    last = state.get("last", marked)
    state["last"] = marked
    return marked | last if marked.shape == last.shape else marked


def literal_fifty(fake, decide, state, report, scene, quality, num_steps):
    return decide(report, scene, quality, 50)


def best_ratio_so_far(fake, decide, state, report, scene, quality, num_steps):
    best = float(report.ratio.nan_to_num(0, posinf=0).max())
    state["best"] = max(state.get("best", 0.0), best)
    return decide(replace(report, ratio=report.ratio / state["best"]), scene, quality, num_steps)


def list_of_steps(fake, decide, state, *given):
    return StartSteps(steps=list(decide(*given).steps))


def named_cluster(fake, decide, state, *given):
    return StartSteps(steps=decide(*given).steps, cluster="indoor")


def vector_of_the_size(fake, embed, state, images):
    return F.normalize(torch.ones(images.shape[-1]) * images.mean(), dim=0)


def nothing_of_black(fake, embed, state, images):
    return embed(images) * images.amax()


def start_steps(change: Callable[..., list[Any]]) -> Change:
    def changed(fake, decide, state, report, scene, quality, num_steps):
        return StartSteps(steps=tuple(change(report.ratio.tolist(), quality, num_steps)))

    return changed


def score_calls(fake, score, state, *given):
    state["runs"] = state.get("runs", 0) + 1
    return score(*given) + state["runs"]


def evidence_of_the_batch(fake, score, state, images, opacity=None, *, evidence=None):
    """Every image is judged by the renders of all."""
    known = 1.0 if evidence is None else evidence.renders.mean()
    return score(images, opacity) * known


def dearer_as_a_render(fake, score, state, images, opacity=None, *, evidence=None):
    """A render pays for what it does not see; the same picture as a result does not."""
    return score(images) * (1 if opacity is None else opacity.mean((1, 2)) + 0.5)


@crashes("NoneType.*'mean'")
def only_with_warps(fake, score, state, images, opacity=None, *, evidence=None):
    """Takes it for granted that a regression stage knows depth."""
    return score(images, opacity) if evidence is None else evidence.warps.mean((0, 2, 3, 4))


def undefined_on_flat(fake, score, state, images, *rest):
    return score(images, *rest) * images.std((1, 2, 3)) / images.std((1, 2, 3))


def inverted_mask(fake, mask, state, coarse, *rest):
    return coarse.opacity >= 0.5 if coarse.opacity is not None else mask(coarse, *rest)


@crashes("NoneType.*float")
def mask_of_opacity_only(fake, mask, state, coarse, *rest):
    return coarse.opacity < 0.5


def vector_per_input(fake, embed, state, images):
    return F.normalize(images.mean((2, 3)).flatten(), dim=0)


def undefined_on_black(fake, embed, state, images):
    return images.mean((0, 2, 3)) / images.mean((0, 2, 3)).norm()
