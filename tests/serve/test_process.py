"""Where worker processes run."""

import pytest

from sphinx_framework.serve.process import VISIBLE, own_gpu


@pytest.mark.parametrize(
    ("given", "count", "seen"),
    [
        ({}, 0, [None, None, None]),
        ({}, 1, [None, None, None]),
        ({}, 2, ["0", "1", "0"]),
        ({VISIBLE: "5, 7"}, 2, ["5", "7", "5"]),
        ({VISIBLE: "GPU-a,GPU-b,GPU-c"}, 3, ["GPU-a", "GPU-b", "GPU-c"]),
        ({VISIBLE: "3"}, 1, [None, None, None]),
        ({VISIBLE: ""}, 0, [None, None, None]),
    ],
)
def test_workers_take_turns_on_the_gpus_that_the_server_may_use(given, count, seen):
    assert [own_gpu(index, given, count).get(VISIBLE) for index in range(3)] == seen
