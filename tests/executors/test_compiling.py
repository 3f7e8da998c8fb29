"""A compiled network: no graph break, few compilations whatever the step, and the same values.

``fullgraph`` raises at a break and at PyTorch's limit of compilations. The backends run what was
traced as it is: they prove what is compiled how often, not how fast it is.
"""

import random

import pytest
import torch
from networks import MixedModel
from torch import nn

from sphinx_framework.executors.compiling import compile_networks
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.passes import frames_pass, full_pass, tiles_pass
from sphinx_framework.executors.tiles import TileSet

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
FRAMES, GRID = 6, 8
QUICK = ("frames",)  # tracing takes seconds: the call that reaches furthest
WHOLE = ("conv", "norm", "clip_norm", "frame", "frames", "clip", "frame_conv", "across", "below")
# Compilations at most, by kind of step, whatever its frames or tiles. Of counts: one, the
# first that is met, and others below and from 16 on (a CPU's convolutions change their algorithm).
BUDGET = {"dense": 1, "record": 2, "frames": 4, "tiles": 4}
# Of a network with every call of the executors, tiles have three counts of their own: cells,
# frames that hold some, and the most at one place. Six whether 20 or 60 draws are made.
WHOLE_BUDGET = {**BUDGET, "tiles": 6}


class Net(nn.Module):
    def __init__(self, kinds):
        super().__init__()
        self.mixers = nn.ModuleList(MixedModel(kinds).mixers)

    def forward(self, x, ops):
        scale = ops.constant("scale", lambda: torch.full((1,), 0.9))
        for mixer in self.mixers:
            x = torch.tanh(mixer(scale * x, ops))
        return x


class Model:
    """Eager and compiled twins, and how often the second was compiled."""

    def __init__(self, kinds):
        torch.manual_seed(0)
        self.compilations = 0
        self.network = Net(kinds)
        self.twin = Net(kinds)
        self.twin.load_state_dict(self.network.state_dict())
        assert compile_networks([self.twin], backend=self._backend) == 1
        self.x = torch.randn(FRAMES, 8, 2 * GRID, 2 * GRID)
        self.constants: dict[str, torch.Tensor] = {}
        self.compiled = False
        full_pass(self, self.x, 0, None, constants=self.constants).answer()

    def _backend(self, graph, example):
        self.compilations += 1
        return graph.forward

    def denoise(self, x, step, condition, ops):
        return (self.twin if self.compiled else self.network)(x, ops)

    def both(self, step):
        """The step's answer and its cache, eager and compiled."""
        told = []
        for self.compiled in (False, True):
            cache = LatentCache()
            with torch.no_grad():
                told.append((step(cache).answer(), dict(cache.slots())))
        self.compiled = False
        return told

    def step(self, kind, draw):
        """A step of a kind with drawn frames or tiles, of whatever cache it is given."""
        given = {"constants": self.constants}
        if kind == "dense":
            return lambda cache: full_pass(self, self.x, 1, None, **given)
        if kind == "record":
            tiles = draw.random() < 0.5
            return lambda cache: full_pass(self, self.x, 1, None, cache=cache, tiles=tiles, **given)
        return self._partial(kind, draw, given)

    def _partial(self, kind, draw, given):
        frames = tuple(sorted(draw.sample(range(FRAMES), draw.choice([1, 2, 3, FRAMES]))))
        cells = FRAMES * GRID * GRID
        mask = torch.zeros(cells, dtype=torch.bool)
        mask[draw.sample(range(cells), draw.choice([1, 2, 3, 40, cells]))] = True
        tiles = TileSet.from_mask(mask.view(FRAMES, GRID, GRID))
        moved = self.x + 0.1

        def step(cache):
            compiled, self.compiled = self.compiled, False
            full_pass(self, self.x, 0, None, cache=cache, tiles=True, **given).answer()
            self.compiled = compiled
            if kind == "tiles":
                return tiles_pass(self, moved, 1, None, cache=cache, tiles=tiles, **given)
            chosen = torch.tensor(frames)
            return frames_pass(
                self, moved, 1, None, cache=cache, frames=chosen, listed=frames, **given
            )

        return step


def check(model, kind, turns, budget=BUDGET):
    draw, before = random.Random(0), model.compilations
    for _ in range(turns):
        (eager, kept), (compiled, also_kept) = model.both(model.step(kind, draw))
        assert kept.keys() == also_kept.keys()
        # To rounding: eager steps renew a norm over the clip by other sums on a CPU.
        torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(also_kept, kept, rtol=1e-4, atol=1e-5)
    assert 1 <= model.compilations - before <= budget[kind]


@pytest.fixture(scope="module")
def quick():
    return Model(QUICK)


@pytest.mark.parametrize("kind", BUDGET)
def test_any_step_of_a_kind_is_compiled_a_bounded_number_of_times(quick, kind):
    check(quick, kind, 6)


def test_the_first_step_of_a_request_is_not_traced(quick):
    """It makes the constants, which later steps are given."""
    before = quick.compilations
    constants: dict[str, torch.Tensor] = {}
    quick.both(lambda cache: full_pass(quick, quick.x, 1, None, constants=constants))
    fresh: dict[str, torch.Tensor] = {}
    quick.compiled = True
    full_pass(quick, quick.x, 1, None, constants=fresh).answer()
    quick.compiled = False
    assert fresh.keys() == {"scale"}
    assert quick.compilations - before <= 1


class Plain(nn.Module):
    """Makes no constants."""

    def forward(self, x, ops):
        return 2 * ops.maps(x)


def test_a_network_without_constants_is_compiled_from_its_second_call_on():
    compilations = []

    def backend(graph, example):
        compilations.append(graph)
        return graph.forward

    network = Plain()
    compile_networks([network], backend=backend)
    for _ in range(3):
        network(torch.ones(FRAMES, 8, 4, 4), DenseExecutor(FRAMES))
    assert len(compilations) == 1


def test_a_network_without_an_executor_is_not_compiled():
    assert compile_networks([nn.Linear(2, 2)]) == 0


@pytest.mark.compile
@pytest.mark.parametrize("kind", BUDGET)
def test_every_executor_call_compiles_a_bounded_number_of_times(kind):
    check(Model(WHOLE), kind, 20, WHOLE_BUDGET)
