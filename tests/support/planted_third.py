"""Mistakes of an author who has read the guide: batches, positions, tables, what is global."""

import logging
import random
import signal
import threading
from dataclasses import replace

import numpy as np
import torch
from planted_mistakes import Change, crashes
from planted_readers import cameras
from planted_subtle import truth_of, when

from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.testing.fakes import FakeConfig, FakeQuality, FakeSteps
from sphinx_framework.types import StartSteps


def after(change) -> Change:
    """Something is done once the right answer was found."""

    def changed(fake, method, state, *given, **named):
        answer = method(*given, **named)
        change()
        return answer

    return changed


SETTINGS = (
    after(lambda: np.random.seed(0)),
    after(lambda: random.seed(0)),
    after(lambda: torch.set_float32_matmul_precision("medium")),
    after(lambda: torch.set_default_device("cpu:0")),
    after(lambda: np.seterr(divide="raise")),
    after(lambda: logging.getLogger().setLevel(logging.DEBUG)),
    # A handler of its own: a process in the background may ignore the signal already.
    after(lambda: signal.signal(signal.SIGINT, lambda *_: None)),
)


def batch_of(count: int):
    """Rows beyond the first batch repeat its last one."""

    def changed(answer):
        answer = answer.clone()
        if len(answer) > count:
            answer[count:] = answer[count - 1]
        return answer

    return changed


def views_in_batches(fake, predict, state, scene):
    coarse = predict(scene)
    return replace(coarse, images=batch_of(4)(coarse.images))


def views_as_bright_as_the_brightest(fake, predict, state, scene):
    coarse = predict(scene)
    return replace(coarse, images=coarse.images / coarse.images.amax().clamp(min=1e-3))


def two_photos_only(fake, predict, state, scene):
    return predict(replace(scene, images=scene.images[:2], inputs=scene.inputs[[0, 1]]))


# Diffusion models


def condition_of_the_truth(fake, condition, state, scene, coarse, *rest):
    return condition(scene, coarse, *rest) + truth_of(scene, coarse).images.mean()


def partial_passes(where) -> Change:
    """Wrong where only some rows are held, and ``where(rows held, condition, step)``."""

    def changed(fake, denoise, state, x, step, condition, ops):
        answer = denoise(x, step, condition, ops)
        partial = isinstance(ops, FrameSubsetExecutor | BlockSparseExecutor)
        return 1.01 * answer if partial and where(x, condition, step) else answer

    return changed


def by_the_way_of_a_later_step() -> Change:
    """What it works on is kept on itself, from a thread's second prediction on."""
    own = threading.local()

    def changed(fake, denoise, state, x, step, condition, ops):
        own.calls = getattr(own, "calls", 0) + 1
        state["x"] = x
        if threading.current_thread() is not threading.main_thread() and own.calls > 1:
            door = state.setdefault("door", threading.Condition())
            with door:
                state["x"] = x
                state["came"] = state.get("came", 0) + 1
                door.notify_all()
                door.wait_for(lambda: state["came"] % 2 == 0, timeout=10)
        return denoise(state["x"], step, condition, ops)

    return changed


# Samplers


def past_on_self(sampler, advance, x, denoised, move):
    last = getattr(sampler, "last", denoised)
    sampler.last = denoised
    return advance(x, denoised + 0.1 * (denoised - last), move)


def past_in_place(sampler, advance, x, denoised, move):
    landed = advance(x, denoised, move)
    if move.previous is not None:
        move.previous[1].mul_(0.5)
    return landed


def only_squares(sampler, noised, clean, noise, step):
    side = min(clean.shape[-2:])
    return noised(clean, noise, step)[..., :side, :side]


def always_single(sampler, advance, x, denoised, move):
    return advance(x, denoised, move).float()


# The others


@crashes("tuple index out of range")
def of_two_clusters(fake, mask, state, coarse, scene, cluster):
    margin = 0.0 if cluster is None else (0.1, 0.2)[cluster]
    return mask(coarse, scene, cluster) | (coarse.images.mean(1) < margin)


def first_view_whole(answer):
    answer = answer.clone()
    answer[0] = True
    return answer


def nothing_to_do_for_nan(fake, decide, state, report, scene, quality, num_steps):
    chosen = decide(report, scene, quality, num_steps).steps
    kept = [num_steps if r != r else s for r, s in zip(report.ratio.tolist(), chosen, strict=True)]
    return StartSteps(steps=tuple(kept))


def steps_of_the_truth(fake, decide, state, report, scene, *rest):
    chosen = decide(report, scene, *rest).steps
    return StartSteps(steps=chosen if scene.target_images is None else (0,) * len(chosen))


def a_table_with_a_slip(fake, decide, state, report, scene, quality, num_steps):
    """The row of 0.9 stands where that of 0.8 should."""
    slip = {0.8: 0.9, 0.9: 0.8}
    return decide(report, scene, slip.get(quality, quality), num_steps)


def by_name(fake, estimate, state, images, hints=None):
    """Cameras in the order of the files' names."""
    found = estimate(images, hints=hints)
    if hints is None:
        return found
    order = sorted(range(len(images)), key=lambda index: hints.names[index])
    return replace(found, cameras=found.cameras[order])


def middle_swapped(found):
    order = [0, *range(len(found) - 2, 0, -1), len(found) - 1]
    return {"world_from_camera": found.world_from_camera[order]}


def unit_baselines(found):
    poses = found.world_from_camera.clone()
    length = poses[:, :3, 3].norm(dim=1, keepdim=True).clamp(min=1e-9)
    poses[:, :3, 3] = torch.where(length > 1e-6, poses[:, :3, 3] / length, 0.0)
    return {"world_from_camera": poses}


def lying(found):
    height, width = found.image_size
    return {"image_size": (min(height, width), max(height, width))}


upright_lens = when(
    lambda images, *_: images.shape[-2] > images.shape[-1],
    cameras(lambda found: {"intrinsics": 4 * found.intrinsics}),
)


# Scene readers


def lens(change):
    def other(found):
        return replace(found, intrinsics=change(found.intrinsics))

    return lambda scene: replace(scene, inputs=other(scene.inputs), targets=other(scene.targets))


def normalised(lenses):
    return lenses / torch.tensor([188.0, 144.0, 1.0])[:, None]


def axes_of_opengl(scene):
    flip = torch.diag(torch.tensor([1.0, -1, -1, 1]))

    def other(found):
        return replace(found, world_from_camera=found.world_from_camera @ flip)

    return replace(scene, inputs=other(scene.inputs), targets=other(scene.targets))


def photos_in_another_order(scene):
    return replace(scene, images=scene.images.flip(0))


def splits_at_spaces(fake, read, state, path, **options):
    return read(type(path)(str(path).split()[0]), **options)


def takes_every_file(fake, read, state, path, **options):
    known = {".png", ".json"}
    strange = [file for file in path.iterdir() if path.is_dir() and file.suffix not in known]
    scene = read(path, **options)
    return replace(scene, images=scene.images * (0.5 if strange else 1))


def asks_for_its_root(fake, can_read, state, path):
    return path.is_absolute() and can_read(path)


# What fakes do not have


class LosingQuality(FakeQuality):
    """Tells what a frame lost: what its mean moved against its render."""

    def lost(self, images, evidence):
        moved = (images - evidence.renders).abs().mean((1, 2, 3))
        return 10 * moved


class MeasuredSteps(FakeSteps):
    """Names what its rules were measured at."""

    qualities = (0.5, 0.9, 1.0)


def losing(change) -> LosingQuality:
    """An estimator whose ``lost`` is ``change(right answer, images, evidence)``."""

    class Wrong(LosingQuality):
        def lost(self, images, evidence):
            return change(super().lost(images, evidence), images, evidence)

    return Wrong(FakeConfig(), torch.device("cpu"))


def measured(qualities) -> MeasuredSteps:
    """A step policy that names these."""
    fake = MeasuredSteps(FakeConfig(), torch.device("cpu"))
    fake.qualities = qualities
    return fake
