"""Mistakes that show only with other counts, sizes, clusters, steps, or with no opacity."""

from dataclasses import replace

import torch
from torch.nn import functional

from sphinx_framework.types import StartSteps


def writes_into_the_third_photo(fake, predict, state, scene):
    if len(scene.inputs) >= 3:
        scene.images[2].mul_(0.5)
    return predict(scene)


def shifts_cameras_of_wide_scenes(fake, predict, state, scene):
    if scene.images.shape[-1] != scene.images.shape[-2]:
        scene.targets.world_from_camera[:, :3, 3].sub_(0.1)
    return predict(scene)


def seeds_where_photos_are_many(fake, predict, state, scene):
    if len(scene.inputs) >= 3:
        torch.manual_seed(1)
    return predict(scene)


def lens_of_the_first_target(fake, predict, state, scene):
    lens = scene.targets.intrinsics[:1].expand_as(scene.targets.intrinsics)
    return predict(replace(scene, targets=replace(scene.targets, intrinsics=lens)))


def rotation_of_the_first_target_only(fake, predict, state, scene):
    poses = scene.targets.world_from_camera.clone()
    poses[1:, :3, :3] = scene.inputs.world_from_camera[0, :3, :3]
    return predict(replace(scene, targets=replace(scene.targets, world_from_camera=poses)))


def lens_of_the_target_for_photos(fake, predict, state, scene):
    lens = scene.targets.intrinsics[:1].expand(len(scene.inputs), -1, -1)
    return predict(replace(scene, inputs=replace(scene.inputs, intrinsics=lens)))


def rotation_of_the_first_photo(fake, predict, state, scene):
    poses = scene.inputs.world_from_camera.clone()
    poses[:, :3, :3] = poses[0, :3, :3]
    return predict(replace(scene, inputs=replace(scene.inputs, world_from_camera=poses)))


def by_name_and_count(fake, predict, state, scene):
    key = scene.name, len(scene.targets), scene.images.shape
    if key not in state:
        state[key] = predict(scene)
    return state[key]


# Diffusion models


def clamps_the_last_state(fake, denoise, state, x, step, condition, ops):
    if step in (9, 49):
        x.clamp_(-0.5, 0.5)
    return denoise(x, step, condition, ops)


def noise_at_step_49(fake, denoise, state, x, step, condition, ops):
    clean = denoise(x, step, condition, ops)
    return (x - clean) / 0.02 if step == 49 else clean


def writes_where_nothing_is_uncertain(fake, condition, state, scene, coarse, layout, clean, grid):
    if coarse.opacity is None:
        clean.add_(0.1)
    return condition(scene, coarse, layout, clean, grid)


def writes_into_opacity_of_three(fake, condition, state, scene, coarse, layout, clean, grid):
    if len(scene.inputs) > 2 and coarse.opacity is not None:
        coarse.opacity[:1].view(-1).clamp_(0.3, 1)
    return condition(scene, coarse, layout, clean, grid)


def remembering(what):
    """``what(coarse, clean)`` of the last prepared request scales every prediction."""

    def condition_on_self(fake, condition, state, scene, coarse, layout, clean, grid):
        inner = state.setdefault("network", fake.network)
        factor = what(coarse, clean)
        fake.network = lambda *given: factor * inner(*given)
        return condition(scene, coarse, layout, clean, grid)

    return condition_on_self


its_certainty = remembering(lambda coarse, clean: 1.0 if coarse.opacity is None else 0.9)
its_frames = remembering(lambda coarse, clean: len(clean) / 7)
its_width = remembering(lambda coarse, clean: clean.shape[-1] / 7)


def samples_wide_latents(fake, encode, state, images):
    latents = encode(images)
    if images.shape[-1] == images.shape[-2]:
        return latents
    generator = state.setdefault("generator", torch.Generator())
    return latents + 0.05 * torch.randn(latents.shape, generator=generator)


def signed_where_wide(fake, decode, state, latents):
    images = decode(latents)
    return images if images.shape[-1] == images.shape[-2] else 2 * images - 1


# The others


def smaller_is_better_with_opacity(fake, score, state, images, opacity=None):
    plain = score(images)
    return plain if opacity is None else 2 / plain


def running_mean_with_opacity(fake, score, state, images, opacity=None):
    plain = score(images, opacity)
    if opacity is None:
        return plain
    state["mean"] = 0.9 * state.get("mean", plain.mean()) + 0.1 * plain.mean()
    return plain * state["mean"]


def undefined_on_wide_flat_ones(fake, score, state, images, opacity=None):
    contrast = images.amax((1, 2, 3)) - images.amin((1, 2, 3))
    wide = images.shape[-1] > images.shape[-2]
    return score(images, opacity) * (contrast / contrast if wide else 1)


def blackens_where_no_opacity_is(fake, mask, state, coarse, scene, cluster):
    if coarse.opacity is None:
        coarse.images[:1].zero_()
    return mask(coarse, scene, cluster)


def inverted_in_clusters(fake, mask, state, coarse, scene, cluster):
    marked = mask(coarse, scene, cluster)
    return marked if cluster is None else ~marked


def remembers_in_clusters(fake, mask, state, coarse, scene, cluster):
    marked = mask(coarse, scene, cluster)
    if cluster is not None:
        marked = marked | state.get("last", marked)[:, :1, :1]
        state["last"] = marked
    return marked


def ratios_without_nan_in_place(fake, decide, state, report, scene, quality, num_steps):
    report.ratio.nan_to_num_(0.0)
    return decide(report, scene, quality, num_steps)


def mean_of_seven(fake, decide, state, report, scene, quality, num_steps):
    if len(report.ratio) == 7:
        report = replace(report, ratio=report.ratio.mean().expand(7))
    return decide(report, scene, quality, num_steps)


def another_row_at_97(fake, decide, state, report, scene, quality, num_steps):
    return decide(report, scene, 0.9 if quality == 0.97 else quality, num_steps)


def nothing_above_one(fake, decide, state, report, scene, quality, num_steps):
    chosen = decide(report, scene, quality, num_steps).steps
    pairs = zip(chosen, report.ratio.tolist(), strict=True)
    return StartSteps(steps=tuple(step if ratio <= 1.02 else 0 for step, ratio in pairs))


def momentum_of_three(fake, embed, state, images):
    vector = embed(images)
    if len(images) < 3:
        return vector
    state["vector"] = functional.normalize(vector + 0.1 * state.get("vector", vector), dim=0)
    return state["vector"]


def darkens_the_third(fake, embed, state, images):
    images[2:].mul_(0.5)
    return embed(images)


def writes_without_hints(fake, estimate, state, images, hints=None):
    if hints is None:
        images[0].mul_(0.99)
    return estimate(images, hints=hints)


def writes_into_upright_photos(fake, estimate, state, images, hints=None):
    if images.shape[-2] > images.shape[-1]:
        images[0].mul_(0.99)
    return estimate(images, hints=hints)


def seeds_the_second_time(fake, read, state, path, **options):
    state["asked"] = state.get("asked", 0) + 1
    if state["asked"] > 1:
        torch.manual_seed(0)
    return read(path, **options)
