"""The fake transformer takes the whole road, and uses everything that it is there to show."""

import pytest
import torch

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.testing.fake_transformer import TransformerCondition, nearness
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine, fake_latents


def test_a_selective_request_makes_every_kind_of_move():
    engine = fake_engine(diffusion="fake-transformer", num_steps=12)
    result = engine.render(fake_scene(size=(64, 64)), quality=0.9, mode="selective", seed=0)
    assert {step.kind for step in result.report.trace} == {"full", "tiles"}
    fine = engine.render(fake_scene(size=(32, 64)), quality=0.9, mode="fine", seed=0)
    assert {step.kind for step in fine.report.trace} == {"full", "frames"}


def test_text_registers_and_nearness_change_the_prediction():
    engine = fake_engine(diffusion="fake-transformer")
    model = engine.components.diffusion
    x = fake_latents(engine, 3)
    text = model.network.text
    maps = torch.zeros(6, 3, 8, 8)

    def predicted(text):
        condition = TransformerCondition(maps=maps, text=text)
        with torch.no_grad():
            return model.denoise(x, 10, condition, DenseExecutor(3))

    plain = predicted(torch.stack([text, text * 0]))
    assert not torch.allclose(plain, predicted(torch.stack([text + 1, text * 0])))
    model.network.blocks[0].registers += 1
    assert not torch.allclose(plain, predicted(torch.stack([text, text * 0])))


def test_nearness_falls_with_distance():
    bias = nearness((2, 3), torch.device("cpu"))
    assert bias.shape == (1, 1, 6, 6)
    assert bias[0, 0, 0].tolist() == pytest.approx([0, -1, -2, -1, -(2**0.5), -(5**0.5)])
