"""What torch does not count, settings of the process, memory that is used again, and the truth."""

from dataclasses import replace

import pytest
import torch
from altered import INNER, MADE, Altered
from engines import CPU, FixedSteps, engine_with

from sphinx_framework.errors import JobError
from sphinx_framework.testing.fakes import (
    FakeConfig,
    FakeDiffusion,
    FakeQuality,
    FakeRegression,
    fake_scene,
)
from sphinx_framework.witness.handed import owned, seen

WRITES = {
    "numpy": lambda tensor: tensor.numpy().__imul__(0.5),
    "a numpy view of one number": lambda tensor: tensor[..., -1:].numpy().__iadd__(0.25),
    "numpy, turned around": lambda tensor: tensor.numpy().__setitem__(..., tensor.flip(-1)),
    "data": lambda tensor: tensor.data.mul_(0.5),
    "torch": lambda tensor: tensor.mul_(0.5),
}
HANDED = [
    ("regression", "predict", lambda scene: scene.images, "input photos"),
    ("regression", "predict", lambda scene: scene.inputs.intrinsics, "input intrinsics"),
    ("regression", "predict", lambda scene: scene.targets.world_from_camera, "target poses"),
    ("quality", "score", lambda images, *_: images, "images"),
    ("mask", "mask", lambda coarse, *_: coarse.images, "coarse images"),
    ("steps", "start_steps", lambda report, *_: report.input_score, "scores of photos"),
    ("diffusion", "encode", lambda images: images, "images"),
    ("diffusion", "condition", lambda s, *_: s.targets.intrinsics, "target intrinsics"),
    ("diffusion", "denoise", lambda x, *_: x, "state"),
    ("diffusion", "decode", lambda latents: latents, "latents"),
]


def doing(inner, method, deed):
    """A component that does something else beside its work."""
    found = getattr(inner, method)

    def asked(*given, **named):
        answer = found(*given, **named)
        deed(*given)
        return answer

    setattr(inner, method, asked)
    return inner


def rendered(role, component):
    parts = {"steps": FixedSteps(MADE), role: component}
    return engine_with(parts=parts).render(fake_scene(), mode="fine", quality=0.9)


@pytest.mark.parametrize("how", ["numpy", "data"])
@pytest.mark.parametrize(("role", "method", "what", "words"), HANDED)
def test_writes_that_torch_does_not_count_are_seen_on_a_cpu(role, method, what, words, how):
    writing = doing(INNER[role](), method, lambda *given: WRITES[how](what(*given)))
    with pytest.raises(JobError, match=f"{role} 'fake'.* values written into the {words}"):
        rendered(role, writing)


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.float64])
@pytest.mark.parametrize("side", [7, 7001])  # compared by copies, and by sums
def test_every_way_of_writing_changes_what_is_seen(how, kind, side):
    tensor = torch.rand((3, 5, side), generator=torch.Generator().manual_seed(0)).to(kind)
    before = seen(tensor)
    assert seen(tensor) == before
    WRITES[how](tensor)
    assert seen(tensor) != before


def test_memory_that_begins_between_words_and_other_layouts_can_be_seen():
    base = torch.arange(99.0)
    wide = torch.arange(99001.0)
    for tensor in (
        base[1:],
        base[::2],
        base[:0],
        base[3],
        base.bfloat16()[1:4],
        base > 3,
        wide[1:],
    ):
        assert seen(tensor) == seen(tensor)
    assert len(seen(base)) < len(seen(wide))


SETTINGS = {
    "number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "recording of gradients": lambda: torch.set_grad_enabled(True),
    "deterministic mode": lambda: torch.use_deterministic_algorithms(True),
    "default type": lambda: torch.set_default_dtype(torch.float64),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "cuDNN benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "precision of products": lambda: torch.set_float32_matmul_precision("medium"),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_of_the_process_is_put_back_and_its_changer_named(setting):
    before = torch.get_num_threads(), torch.get_default_dtype()
    changing = doing(INNER["quality"](), "score", lambda *_: SETTINGS[setting]())
    with pytest.raises(JobError, match=f"quality 'fake'.*torch's {setting} set to"):
        rendered("quality", changing)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before
    assert torch.is_grad_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.backends.cudnn.benchmark


class Reusing:
    """A component that answers in the same memory each time, as a captured graph does."""

    def __init__(self, inner, method):
        self._inner, self._method, self._buffers = inner, method, {}

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name != self._method:
            return found

        def answer(*given, **named):
            fresh = found(*given, **named)
            values = getattr(fresh, "images", fresh)
            buffer = self._buffers.setdefault(tuple(values.shape), torch.empty_like(values))
            buffer.copy_(values)
            return replace(fresh, images=buffer) if values is not fresh else buffer

        return answer


@pytest.mark.parametrize(
    ("role", "method"),
    [
        ("regression", "predict"),
        ("quality", "score"),
        ("mask", "mask"),
        ("diffusion", "encode"),
        ("diffusion", "denoise"),
        ("diffusion", "decode"),
    ],
)
def test_answers_in_memory_that_is_used_again_are_served_as_they_were(role, method):
    solver = FakeConfig(solver="dpmpp_2m")  # it keeps the estimate of the step before
    parts = {
        "regression": FakeRegression(solver, CPU),
        "quality": FakeQuality(solver, CPU),
        "diffusion": FakeDiffusion(solver, CPU),
        "steps": FixedSteps((10, 20)),
    }
    scene = fake_scene(targets=2)  # as many targets as photos: scores of one shape
    expected = engine_with(parts=parts).render(scene, mode="fine", quality=0.9)
    inner = parts.get(role) or INNER[role]()
    reused = {**parts, role: Reusing(inner, method)}
    came = engine_with(parts=reused).render(scene, mode="fine", quality=0.9)
    assert torch.equal(came.images, expected.images)
    assert came.report.frames == expected.report.frames


def test_what_is_owned_has_memory_of_its_own_and_no_gradients():
    weight = torch.nn.Parameter(torch.ones(1, 3)).expand(4, 3)
    own = owned(weight)
    assert not own.requires_grad
    own[0] = 2
    assert own.sum() == 15


def test_components_do_not_get_to_see_the_truth():
    scene = replace(fake_scene(), target_images=torch.rand(4, 3, 32, 32))
    seen_truths = []
    inner = doing(INNER["regression"](), "predict", lambda s: seen_truths.append(s.target_images))
    assert rendered("regression", inner)
    engine_with(parts={"regression": inner}).render(scene, mode="fine", quality=0.9)
    assert seen_truths == [None, None]


def test_double_precision_is_refused_where_it_would_slow_all_that_follows():
    for method in ("encode", "decode"):
        wide = Altered(INNER["diffusion"](), method, torch.Tensor.double)
        with pytest.raises(JobError, match=rf"of torch.float64 in stage '{method}'.*float32"):
            rendered("diffusion", wide)


def test_what_a_component_answers_becomes_a_plain_tensor():
    class Own(torch.Tensor):
        pass

    kept = owned(torch.ones(2, 3).as_subclass(Own))
    assert type(kept) is torch.Tensor
