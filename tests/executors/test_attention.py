import pytest
import torch

from sphinx_framework.executors.attention import SHORT, attend, attend_frames


def softmax_attention(query, key, value, heads):
    """One head after the other, from the definition."""
    parts = []
    for q, k, v in zip(*(t.double().chunk(heads, -1) for t in (query, key, value)), strict=True):
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        parts.append(weights @ v)
    return torch.cat(parts, -1).float()


def tensors(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attend_is_softmax_attention_per_head(heads):
    query, key, value = tensors((3, 5, 8), (3, 7, 8), (3, 7, 12))

    mixed = attend(query, key, value, heads)

    assert mixed.shape == (3, 5, 12)
    torch.testing.assert_close(mixed, softmax_attention(query, key, value, heads))


@pytest.mark.parametrize("frames", [1, 5, SHORT, SHORT + 1])
def test_attend_frames_attends_along_frames_at_every_cell_on_both_of_its_paths(frames):
    query, key, value = tensors((2, 3, 6, 8), (2, frames, 6, 8), (2, frames, 6, 4))

    mixed = attend_frames(query, key, value, 2)

    by_cell = [t.transpose(1, 2).flatten(0, 1) for t in (query, key, value)]
    expected = softmax_attention(*by_cell, 2).unflatten(0, (2, 6)).transpose(1, 2)
    assert mixed.shape == (2, 3, 6, 4)
    torch.testing.assert_close(mixed, expected)
