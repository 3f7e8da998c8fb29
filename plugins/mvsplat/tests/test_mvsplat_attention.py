import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from sphinx_framework_mvsplat.windows import grouped_attention, window_groups


def masked_window_attention(query, key, value, size, split, shifted):
    """The reference's form: roll, cut, add a mask of -100, softmax, paste, roll back.

    query: [v, h w, C]; key, value: [v, s, h w, C], laid out position-major inside a window.
    """
    height, width = size
    wh, ww = height // split, width // split
    shift = (wh // 2, ww // 2) if shifted else (0, 0)
    sources = key.shape[1]

    def cut(maps):
        maps = maps.unflatten(-2, size).roll((-shift[0], -shift[1]), (-3, -2))
        maps = maps.unflatten(-3, (split, wh)).unflatten(-2, (split, ww))
        return maps.transpose(-4, -3).flatten(-3, -2).flatten(-4, -3)  # [..., windows, n, C]

    region = torch.zeros(1, height * width, 1)
    if shifted:
        grid = torch.zeros(height, width)
        rows = [slice(0, height - wh), slice(height - wh, height - shift[0])]
        columns = [slice(0, width - ww), slice(width - ww, width - shift[1])]
        rows.append(slice(height - shift[0], height))
        columns.append(slice(width - shift[1], width))
        for r, row in enumerate(rows):
            for c, column in enumerate(columns):
                grid[row, column] = 3 * r + c
        region = grid.roll((shift[0], shift[1]), (0, 1)).flatten()[None, :, None]
    labels = cut(region)[0, :, :, 0]
    mask = torch.where(labels[:, :, None] == labels[:, None, :], 0.0, -100.0)
    mask = mask.repeat(1, 1, sources)
    q = cut(query)
    k = cut(key).movedim(1, 3).flatten(2, 3)  # [v, windows, n * s, C], source fastest
    v = cut(value).movedim(1, 3).flatten(2, 3)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + mask
    out = scores.softmax(-1) @ v
    out = out.unflatten(1, (split, split)).unflatten(3, (wh, ww)).transpose(2, 3)
    out = out.flatten(3, 4).flatten(1, 2)
    return out.roll((shift[0], shift[1]), (1, 2)).flatten(1, 2)


@settings(max_examples=40, deadline=None)
@drawn(
    cells=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    split=st.integers(2, 3),
    views=st.integers(2, 4),
    shifted=st.booleans(),
    across=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_attending_part_by_part_equals_the_masked_windows_of_the_reference(
    cells, split, views, shifted, across, seed
):
    size = cells[0] * split, cells[1] * split
    count = size[0] * size[1]
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(views, count, 4, generator=generator) for _ in range(3))
    if across:
        others = [[o for o in range(views) if o != i] for i in range(views)]
        sources = [torch.stack([x[o] for o in others]) for x in (k, v)]
    else:
        sources = [x[:, None] for x in (k, v)]
    expected = masked_window_attention(q, *sources, size, split, shifted)
    groups = window_groups(size, views, split, shifted=shifted, across=across)
    merged = [x.flatten(0, 1)[None] for x in (q, k, v)]
    actual = grouped_attention(*merged, groups)[0].unflatten(0, (views, count))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
