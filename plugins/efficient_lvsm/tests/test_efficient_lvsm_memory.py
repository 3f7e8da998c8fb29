"""What is kept between requests, within its bound."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework_efficient_lvsm.memory import SceneMemory, digest
from sphinx_framework_efficient_lvsm.network import EncodedViews

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
    memory.clear()
    assert (len(memory), memory.nbytes) == (0, 0)
    memory.picture(b"a", make)
    assert len(made) == 2


def test_what_exceeds_the_bound_alone_pushes_nothing_out() -> None:
    memory = SceneMemory(KILOBYTE)
    memory.picture(b"a", lambda: picture(1))
    memory.picture(b"b", lambda: torch.zeros(KILOBYTE))
    assert b"a" in memory
    assert b"b" not in memory


def encoded(value: int) -> EncodedViews:
    """One photo of KILOBYTE: two layers, keys and values, five tokens of one head."""
    return EncodedViews(torch.full((2, 2, 1, 5, 1, KILOBYTE // 80), float(value)))


@settings(deadline=None)
@given(
    asked=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), max_size=12),
    limit=st.integers(0, 9 * KILOBYTE),
)
def test_photos_of_any_requests_are_those_asked_for_within_the_bound(asked, limit) -> None:
    memory = SceneMemory(limit)
    for photos in asked:
        keys = [bytes([photo]) for photo in photos]
        held = {key for key in keys if key in memory}
        made = []

        def make(place: int, photos=photos, made=made) -> EncodedViews:
            made.append(bytes([photos[place]]))
            return encoded(photos[place])

        found = memory.views(keys, make)
        assert sorted(made) == sorted(set(keys) - held), "each photo is encoded once, if at all"
        for layer in range(2):
            for part in found.of_layer(layer):
                expected = torch.tensor(photos).repeat_interleave(5).float()
                assert torch.equal(part.flatten(1), expected[:, None].expand(-1, KILOBYTE // 80))
        blocks = memory._blocks()
        assert memory.nbytes == sum(stored(block.views) for block in blocks) <= limit
        for block in blocks:
            others = [set(b.keys) for b in blocks if b is not block]
            assert not any(set(block.keys) <= other for other in others), "nothing is kept twice"


def stored(views: EncodedViews) -> int:
    """Bytes that are really held, with whatever lies around what is read."""
    return views.layers.untyped_storage().nbytes()


def test_photos_that_follow_each_other_in_a_block_are_read_without_a_copy() -> None:
    memory = SceneMemory(10 * KILOBYTE)
    whole = memory.views([b"a", b"b", b"c"], encoded)
    some = memory.views([b"b", b"c"], encoded)
    assert some.layers.data_ptr() == whole.layers[:, :, 1:].data_ptr()
    for part in (*whole.of_layer(1), *some.of_layer(1)):
        assert part.is_contiguous()
        assert whole.layers.data_ptr() <= part.data_ptr() < whole.layers.data_ptr() + whole.nbytes


def test_a_photo_more_takes_the_place_of_the_block_without_it() -> None:
    memory = SceneMemory(10 * KILOBYTE)
    memory.views([b"a", b"b"], encoded)
    before = memory.nbytes
    memory.views([b"a", b"b", b"c"], encoded)
    assert memory.nbytes == before * 3 // 2
    assert len(memory) == 3


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
