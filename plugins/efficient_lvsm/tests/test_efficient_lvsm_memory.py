"""What is kept between requests, within its bound."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework_efficient_lvsm.memory import SceneMemory, digest

KILOBYTE = 1000


def picture(value: float) -> torch.Tensor:
    return torch.full((KILOBYTE // 4,), float(value))


@given(
    keys=st.lists(st.integers(0, 9), max_size=40),
    limit=st.integers(0, 6 * KILOBYTE),
)
def test_the_bound_holds_and_the_longest_unused_leave_first(keys, limit) -> None:
    memory = SceneMemory(limit)
    room, expected = limit // KILOBYTE, []
    for key in keys:
        name = bytes([key])
        found = memory.picture(name, lambda key=key: picture(key))
        assert torch.equal(found, picture(key))
        expected = [k for k in expected if k != key] + [key]
        expected = expected[len(expected) - room :] if len(expected) > room else expected
        assert [bytes([k]) in memory for k in range(10)] == [k in expected for k in range(10)]
        assert memory.nbytes == len(memory) * KILOBYTE <= limit


def test_what_is_here_is_not_made_again() -> None:
    memory, made = SceneMemory(10 * KILOBYTE), []

    def make() -> torch.Tensor:
        made.append(1)
        return picture(1)

    for _ in range(3):
        memory.picture(b"a", make)
    assert len(made) == 1
    memory.remove(b"a")
    memory.remove(b"never there")
    assert memory.nbytes == 0
    memory.picture(b"a", make)
    assert len(made) == 2
    memory.clear()
    assert (len(memory), memory.nbytes) == (0, 0)


def test_what_exceeds_the_bound_alone_pushes_nothing_out() -> None:
    memory = SceneMemory(KILOBYTE)
    memory.picture(b"a", lambda: picture(1))
    memory.picture(b"b", lambda: torch.zeros(KILOBYTE))
    assert b"a" in memory
    assert b"b" not in memory


def test_keys_differ_in_kind_shape_and_bits() -> None:
    zeros = torch.zeros(4)
    parts = [
        (zeros,),
        (zeros.double(),),
        (zeros.reshape(2, 2),),
        (torch.tensor([0.0, 0, 0, -0.0]),),
        (zeros, zeros),
        (b"ab", b"c"),
        (b"a", b"bc"),
        ((32, 48),),
        ((48, 32),),
        (1.0,),
        ("1.0",),
    ]
    assert len({digest(*part) for part in parts}) == len(parts)
    assert digest(torch.zeros(4, 4).T) == digest(torch.zeros(4, 4))
