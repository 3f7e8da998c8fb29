"""Mistakes that plugin authors make, planted one at a time into the fakes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from sphinx_framework.types import Cameras, ClipLayout, CoarseViews, Slot, StartSteps

Change = Callable[..., Any]


# Regression models


def views(change: Callable[[CoarseViews], dict[str, Any]]) -> Change:
    def changed(fake, predict, state, scene):
        coarse = predict(scene)
        return replace(coarse, **change(coarse))

    return changed


def writing(what: Callable[..., torch.Tensor]) -> Change:
    def changed(fake, method, state, *given):
        answer = method(*given)
        what(*given).mul_(0.5)
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


def reseeding(fake, method, state, *given):
    torch.manual_seed(0)
    return method(*given)


# Diffusion models


def looks_at_all_frames(fake, denoise, state, x, step, condition, ops):
    return denoise(x, step, condition, ops) + x.mean(0, keepdim=True)


def looks_at_neighbours(fake, denoise, state, x, step, condition, ops):
    kernel = torch.full((8, 1, 3, 3), 1 / 9)
    return denoise(x, step, condition, ops) + F.conv2d(x, kernel, padding=1, groups=8)


def counts_its_own_rows(fake, denoise, state, x, step, condition, ops):
    return denoise(x, step, condition, ops) + torch.arange(float(len(x))).view(-1, 1, 1, 1)


def remembers_other_requests(fake, denoise, state, x, step, condition, ops):
    if len(x) == len(condition):
        state["context"] = x.mean()
    return denoise(x, step, condition, ops) + state.get("context", 0.0)


def condition_on_self(fake, condition, state, *given):
    fake.kept = condition(*given)
    denoise = type(fake).denoise
    fake.denoise = lambda x, step, _, ops: denoise(fake, x, step, fake.kept + x.sum() * 0, ops)
    fake.kept = fake.kept * float(given[3].mean())
    return fake.kept


def sampler_on_self(fake, sampler, state, num_steps):
    fake.steps = num_steps
    denoise = type(fake).denoise
    fake.denoise = lambda x, step, c, ops: denoise(fake, x, step * 50 // fake.steps, c, ops)
    return sampler(num_steps)


def constant_of_the_step(fake, denoise, state, x, step, condition, ops):
    level = ops.constant("level", lambda: torch.tensor(float(step)))
    return denoise(x, step, condition, ops) + 0.05 * level


def writes_into_the_condition(fake, condition, state, scene, coarse, layout, clean, sampler):
    clean.mul_(0.5)
    return condition(scene, coarse, layout, clean, sampler)


def predicts_noise(fake, denoise, state, x, step, condition, ops):
    sigma = type(fake).sampler(fake, 10).sigmas[step]
    return (x - denoise(x, step, condition, ops)) / sigma


def nan_at(where: int) -> Change:
    def changed(fake, denoise, state, x, step, condition, ops):
        return denoise(x, step, condition, ops) * (float("nan") if step == where else 1.0)

    return changed


def frame_count(count: int) -> Change:
    def changed(fake, denoise, state, x, step, condition, ops):
        answer = denoise(x, step, condition, ops)
        return answer.reshape(count, -1, *answer.shape[1:]).flatten(0, 1)

    return changed


def step_number(fake, denoise, state, x, step, condition, ops):
    levels = torch.linspace(1, 0.1, 10)
    return denoise(x, step, condition, ops) * levels[step]


def square_latents(fake, denoise, state, x, step, condition, ops):
    answer = denoise(x, step, condition, ops)
    return answer.flatten(2).reshape(*answer.shape[:2], answer.shape[2], answer.shape[2])


def needs_opacity(fake, condition, state, scene, coarse, layout, clean, sampler):
    return condition(scene, coarse, layout, clean, sampler) + coarse.opacity.mean()


def poses_in_the_world(fake, condition, state, scene, coarse, layout, clean, sampler):
    given = condition(scene, coarse, layout, clean, sampler)
    return given + scene.inputs.camera_from_world[0, :3, 3].sum() * 3


def of_a_missing_target(fake, layouts, state, scene):
    (layout,) = layouts(scene)
    return (ClipLayout(slots=layout.slots[:-2]),)


def first_three_targets(fake, layouts, state, scene):
    slots = [Slot(kind="input", index=0)]
    slots += [Slot(kind="target", index=i) for i in range(3)]
    return (ClipLayout(slots=tuple(slots)),)


def an_input_too_many(fake, layouts, state, scene):
    (layout,) = layouts(scene)
    return (ClipLayout(slots=(*layout.slots, Slot(kind="input", index=9))),)


def samples_its_latents(fake, encode, state, images):
    state["calls"] = state.get("calls", 0) + 1
    generator = torch.Generator().manual_seed(state["calls"])
    latents = encode(images)
    return latents + 0.1 * torch.randn(latents.shape, generator=generator)


def normalised_over_the_batch(fake, encode, state, images):
    latents = encode(images)
    return latents - latents.mean()


# The others


def start_steps(change: Callable[..., list[Any]]) -> Change:
    def changed(fake, decide, state, report, scene, quality, num_steps):
        return StartSteps(steps=tuple(change(report.ratio.tolist(), quality, num_steps)))

    return changed


def score_calls(fake, score, state, *given):
    state["runs"] = state.get("runs", 0) + 1
    return score(*given) + state["runs"]


def undefined_on_flat(fake, score, state, images, *rest):
    return score(images, *rest) * images.std((1, 2, 3)) / images.std((1, 2, 3))


def inverted_mask(fake, mask, state, coarse, *rest):
    return coarse.opacity >= 0.5 if coarse.opacity is not None else mask(coarse, *rest)


def mask_of_opacity_only(fake, mask, state, coarse, *rest):
    return coarse.opacity < 0.5


def vector_per_input(fake, embed, state, images):
    return F.normalize(images.mean((2, 3)).flatten(), dim=0)


def undefined_on_black(fake, embed, state, images):
    return images.mean((0, 2, 3)) / images.mean((0, 2, 3)).norm()
