import base64

import numpy as np
import pytest
import torch

from sphinx_framework.serve.job_report import MOST_CELLS, mask_cells


@pytest.mark.parametrize(("height", "width"), [(8, 8), (48, 31), (96, 96), (576, 1024), (1, 100)])
def test_masks_of_an_event_are_small_and_mark_what_is_marked(height, width):
    mask = torch.zeros(2, height, width, dtype=torch.bool)
    mask[1, : (height + 1) // 2] = True
    cells = mask_cells(mask)
    rows, columns = cells["height"], cells["width"]
    assert max(rows, columns) <= MOST_CELLS
    unpacked = []
    for text in cells["cells"]:
        bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))
        unpacked.append(bits[: rows * columns].reshape(rows, columns))
    assert not unpacked[0].any()
    marked = unpacked[1].mean(axis=1)
    assert marked[0] == 1
    assert rows == 1 or marked[-1] == 0
