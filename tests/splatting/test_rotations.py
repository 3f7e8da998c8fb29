import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework.geometry.rotations import (
    matrices_from_quaternions,
    quaternions_from_matrices,
    slerp,
)

components = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(
    lambda q: sum(x * x for x in q) > 1e-2
)


def quaternion(values: list[float]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(values, dtype=torch.float64), dim=0)


@settings(deadline=None)
@given(components)
def test_matrices_are_rotations_and_turn_back_into_their_quaternion(values):
    q = quaternion(values)
    matrix = matrices_from_quaternions(q[None])
    torch.testing.assert_close(matrix[0] @ matrix[0].T, torch.eye(3).double(), rtol=0, atol=1e-12)
    assert float(torch.linalg.det(matrix[0])) > 0
    back = quaternions_from_matrices(matrix)[0]
    assert float(back[0]) >= 0
    torch.testing.assert_close((back @ q).abs(), torch.tensor(1.0).double(), rtol=0, atol=1e-12)


@settings(deadline=None)
@given(components, components, st.floats(0, 1))
def test_slerp_keeps_constant_speed_on_the_shorter_arc(one, other, weight):
    start, end = quaternion(one), quaternion(other)
    made = slerp(start, end, torch.tensor([0, weight, 1], dtype=torch.float64))
    angle = torch.acos((start @ end).abs().clamp(max=1))
    covered = torch.acos((start @ made[1]).abs().clamp(max=1))
    torch.testing.assert_close(covered, weight * angle, rtol=0, atol=1e-6)
    torch.testing.assert_close((made[2] @ end).abs(), torch.tensor(1.0).double())
