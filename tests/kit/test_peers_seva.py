"""A step of SEVA by plain torch and by others' shortcuts: the same answer where nothing changed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "peers"))

import pytest
import torch
from full_size.subjects import seva
from seva_shapes import Plain, measured, plain_step, second_of, table
from seva_shortcuts import deep_kept, first_block_kept

from sphinx_framework.executors.passes import full_pass

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made():
    return seva(CPU, tiny=True)


@pytest.fixture(scope="module")
def expected(made):
    subject = made.subject
    return full_pass(subject.model, subject.x, subject.step, subject.condition).answer()


def test_plain_torch_computes_what_the_engine_computes(made, expected) -> None:
    torch.testing.assert_close(plain_step(made), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kept", [deep_kept, first_block_kept])
def test_what_is_kept_of_the_same_step_gives_the_same_answer(made, expected, kept) -> None:
    forward = made.network.forward
    with second_of(made, kept) as step:
        torch.testing.assert_close(step(), expected, rtol=1e-4, atol=1e-4)
    assert made.network.forward == forward


def test_a_short_step_leaves_the_kept_blocks_out(made) -> None:
    ran = []
    hook = made.network.middle_block.register_forward_hook(lambda *told: ran.append(told))
    with second_of(made, deep_kept) as step:
        step()
    hook.remove()
    assert len(ran) == 1


def test_rows_count_one_size_and_time_the_other(made) -> None:
    rows = measured(seva(torch.device("meta"), tiny=True), made, rounds=1)
    by_name = {row.name: row for row in rows}
    plain, short = by_name["plain torch"], by_name["ours: 3 of 5 frames"]
    assert short.flops < 0.7 * plain.flops
    assert all(row.seconds > 0 for row in rows)
    assert table(rows).count("\n") >= len(rows)


def test_attention_by_hand_reaches_where_it_says() -> None:
    query, key, value = torch.randn(3, 4, 6, 8)  # two branches of two frames, six cells
    plain = Plain(2)
    whole = {reach: plain.attention("", query, key, value, 2, reach) for reach in REACHES}
    value = value.clone()
    value[1, 4] += 1  # frame 1 of the first branch, cell 4
    for reach, touched in REACHES.items():
        now = plain.attention("", query, key, value, 2, reach)
        moved = (now - whole[reach]).abs().amax(2) > 1e-6
        assert set(map(tuple, moved.nonzero().tolist())) == touched


REACHES = {
    "frame": {(1, cell) for cell in range(6)},
    "frames": {(0, 4), (1, 4)},
    "clip": {(frame, cell) for frame in range(2) for cell in range(6)},
}
