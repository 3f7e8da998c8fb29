"""Mistakes that authors of diffusion models make, planted one at a time into the fake."""

from dataclasses import replace

import torch
from planted_mistakes import Change, crashes
from torch.nn import functional as F

from sphinx_framework.types import ClipLayout, Slot


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
    @crashes("is invalid for input")
    def changed(fake, denoise, state, x, step, condition, ops):
        answer = denoise(x, step, condition, ops)
        return answer.reshape(count, -1, *answer.shape[1:]).flatten(0, 1)

    return changed


@crashes("out of bounds")
def step_number(fake, denoise, state, x, step, condition, ops):
    levels = torch.linspace(1, 0.1, 10)
    return denoise(x, step, condition, ops) * levels[step]


@crashes("is invalid for input")
def square_latents(fake, denoise, state, x, step, condition, ops):
    answer = denoise(x, step, condition, ops)
    return answer.flatten(2).reshape(*answer.shape[:2], answer.shape[2], answer.shape[2])


@crashes("NoneType.*'mean'")
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


def counted_layouts(fake, layouts, state, scene):
    state["calls"] = state.get("calls", 0) + 1
    return tuple(replace(layout, notes=(f"call {state['calls']}",)) for layout in layouts(scene))


def decode_calls(fake, decode, state, latents):
    state["calls"] = state.get("calls", 0) + 1
    return (decode(latents) + 0.01 * state["calls"]).clamp(0, 1)


def own_noise(fake, denoise, state, x, step, condition, ops):
    generator = state.setdefault("generator", torch.Generator().manual_seed(0))
    return denoise(x, step, condition, ops) + 0.01 * torch.randn(x.shape, generator=generator)


def drawn_condition(fake, condition, state, *given):
    generator = state.setdefault("generator", torch.Generator().manual_seed(0))
    return condition(*given) + torch.randn(1, generator=generator)


@crashes("NoneType.*'mean'")
def needs_depth(fake, condition, state, scene, coarse, layout, clean, sampler):
    return condition(scene, coarse, layout, clean, sampler) + coarse.depth.mean()
