"""Components that write into what they are handed, embedders, and NaN in one prediction."""

import pytest
import torch
from altered import INNER, MADE, Altered, poisoned
from engines import CPU, FixedSteps, engine_with

from sphinx_framework.engine.embedder_answers import CheckedEmbedder
from sphinx_framework.errors import JobError
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, FakeEmbedder, fake_scene
from sphinx_framework.witness import Witness


def written(what):
    """A method that writes into one of the things it is handed."""

    class Writing:
        def __init__(self, inner, method):
            self._inner, self._method = inner, method

        def __getattr__(self, name):
            found = getattr(self._inner, name)
            if name != self._method:
                return found

            def writing(*given):
                answer = found(*given)
                what(*given).mul_(0.5)
                return answer

            return writing

    return Writing


WRITTEN = [
    ("regression", "predict", lambda scene: scene.images, "input photos"),
    ("regression", "predict", lambda scene: scene.targets.intrinsics, "target intrinsics"),
    ("quality", "score", lambda images, *_: images, "images"),
    ("mask", "mask", lambda coarse, *_: coarse.opacity, "opacity"),
    ("steps", "start_steps", lambda report, *_: report.ratio, "ratios"),
    ("diffusion", "layouts", lambda scene: scene.images, "input photos"),
    ("diffusion", "encode", lambda images: images, "images"),
    ("diffusion", "condition", lambda s, c, layout, clean, *_: clean, "clean latents"),
    ("diffusion", "denoise", lambda x, *_: x, "state"),
    ("diffusion", "decode", lambda latents: latents, "latents"),
]


@pytest.mark.parametrize(("role", "method", "what", "words"), WRITTEN)
def test_a_component_that_writes_into_what_it_is_handed_is_named(role, method, what, words):
    parts = {"steps": FixedSteps(MADE)}
    inner = INNER[role]() if role != "steps" else FixedSteps(MADE)
    parts[role] = written(what)(inner, method)
    with pytest.raises(JobError, match=f"{role} 'fake'.* values written into the {words}"):
        engine_with(parts=parts).render(fake_scene(), mode="fine", quality=0.9)


@pytest.mark.parametrize("side", ["latent_factor", "tile"])
def test_sides_that_are_no_numbers_are_refused_before_anything_runs(side):
    model = FakeDiffusion(FakeConfig(), CPU)
    setattr(model, side, 0)
    with pytest.raises(JobError, match=f"diffusion 'fake'.*{side} 0.*at least 1"):
        engine_with(parts={"diffusion": model}).render(fake_scene())


WRONG_VECTORS = {
    "a list": lambda v: v.tolist(),
    "two axes": lambda v: v[None],
    "NaN": lambda v: v * torch.nan,
    "no unit length": lambda v: 2 * v,
    "whole numbers": torch.Tensor.long,
}


@pytest.mark.parametrize("how", WRONG_VECTORS)
def test_an_embedder_that_answers_wrongly_is_named(how):
    inner = Altered(FakeEmbedder(FakeConfig(), CPU), "embed", WRONG_VECTORS[how])
    embedder = CheckedEmbedder(inner, Witness("embedder", "mine", "their-plugin 1.0"))
    with pytest.raises(JobError, match=r"embedder 'mine' \(their-plugin 1.0\)") as caught:
        embedder.embed(fake_scene().images)
    assert caught.value.hint == "Run: sphinx-nvs check mine --kind embedder."


def test_an_embedding_whose_length_depends_on_the_photos_is_refused():
    class PerPhoto:
        def embed(self, images):
            return torch.nn.functional.normalize(torch.ones(len(images)), dim=0)

    embedder = CheckedEmbedder(PerPhoto(), Witness("embedder", "mine"))
    embedder.embed(torch.zeros(2, 3, 8, 8))
    with pytest.raises(JobError, match=r"3 numbers for 3 photos.*expected: 2"):
        embedder.embed(torch.zeros(3, 3, 8, 8))


def test_nan_in_one_prediction_names_the_step_and_the_target():
    """On a CPU looking costs nothing, so the first step that fails is named."""
    broken_at = 20
    model = FakeDiffusion(FakeConfig(), CPU)
    denoise = model.denoise

    def failing(x, step, condition, ops):
        answer = denoise(x, step, condition, ops)
        return poisoned(answer, row=2) if step == broken_at else answer

    model.denoise = failing
    parts = {"steps": FixedSteps((10, 10, 10, 10)), "diffusion": model}
    with pytest.raises(JobError, match=r"predictions of step 20 .*frame 1") as caught:
        engine_with(parts=parts).render(fake_scene(), mode="coarse", quality=0.9)
    assert (caught.value.stage, caught.value.frame) == ("denoise", 1)
