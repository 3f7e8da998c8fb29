"""Replayed steps: captured once for a shape, equal to eager ones, and nobody else's memory."""

import pytest
import torch
from networks import MixedModel
from recorded_graph import StandIn
from torch import nn

from sphinx_framework.errors import ConfigError
from sphinx_framework.executors.graphs import MOST_FRAMES, CudaRecorder, graph_networks
from sphinx_framework.executors.latent_cache import LastBranch, LatentCache
from sphinx_framework.executors.passes import frames_pass, full_pass
from sphinx_framework.protocols import Sight
from sphinx_framework.testing.pipeline import fake_engine

WHOLE = ("conv", "norm", "clip_norm", "frame", "frames", "clip", "frame_conv", "across")
FRAMES = 6


class Net(nn.Module):
    def __init__(self, kinds=WHOLE):
        super().__init__()
        self.mixers = nn.ModuleList(MixedModel(kinds).mixers)

    def forward(self, x, level, ops):
        scale = ops.constant("scale", lambda: torch.full((1,), 0.9, device=x.device))
        for mixer in self.mixers:
            x = torch.tanh(mixer(scale * x + level, ops))
        return x


class Model:
    """A network and its replayed twin."""

    def __init__(self, network=Net, device="cpu", recorder=None):
        torch.manual_seed(0)
        self.network, self.twin = network(), network()
        self.twin.load_state_dict(self.network.state_dict())
        for own in (self.network, self.twin):
            own.to(device).requires_grad_(False)
        self.device, self.recorder = device, recorder or StandIn()
        (self.graphed,) = graph_networks([self.twin], self.recorder)

    def denoise(self, x, step, condition, ops):
        level = torch.full((1,), 0.1 * step, device=x.device)
        return (self.twin if condition == "twin" else self.network)(x, level, ops)


class Request:
    """A clip: the same moves by the plain network and by its twin."""

    def __init__(self, model, seed, frames=FRAMES):
        self.model = model
        generator = torch.Generator().manual_seed(seed)
        states = [torch.randn(frames, 8, 8, 8, generator=generator) for _ in range(9)]
        self.states = [state.to(model.device) for state in states]
        self.caches = {"plain": LatentCache(), "twin": LatentCache()}
        self.constants = {"plain": {}, "twin": {}}

    def full(self, step):
        self._both(step, lambda which, asked: full_pass(
            *asked, cache=self.caches[which], constants=self.constants[which]))  # fmt: skip

    def some(self, step, frames, cache=lambda cache: cache):
        self._both(step, lambda which, asked: frames_pass(
            *asked, cache=cache(self.caches[which]), listed=frames,
            frames=torch.tensor(frames).to(self.model.device),
            constants=self.constants[which]))  # fmt: skip

    def _both(self, step, call):
        with torch.no_grad():
            plain, twin = (
                call(which, (self.model, self.states[step], step, which)).answer()
                for which in ("plain", "twin")
            )
        torch.testing.assert_close(twin, plain, rtol=1e-5, atol=1e-5)
        for slot, value in self.caches["plain"].slots().items():
            torch.testing.assert_close(self.caches["twin"].slots()[slot], value, rtol=1e-4,
                                       atol=1e-4)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return Model()


def counts(model):
    return model.recorder.captures, model.recorder.replays


def test_a_shape_is_captured_once_and_replayed_for_any_frames_steps_and_recordings():
    model = Model()
    request = Request(model, 0)
    request.full(0)
    for step, frames in ((1, [2]), (2, [0]), (3, [5])):
        request.some(step, frames)
    request.full(4)
    request.some(5, [3])
    assert counts(model) == (1, 4)
    request.some(6, [1, 3])
    assert counts(model) == (2, 5)


def test_steps_of_more_frames_run_as_they_are_and_leave_the_buffers_right(model):
    request = Request(model, 1)
    before = counts(model)
    request.full(0)
    request.some(1, list(range(MOST_FRAMES + 1)))
    assert counts(model) == before
    request.some(2, [4])
    request.some(3, [0, 1, 2, 3])
    request.some(4, [4])
    assert counts(model)[1] == before[1] + 2


def test_requests_that_take_turns_keep_their_own_caches_and_constants(model):
    first, second = Request(model, 2), Request(model, 3)
    for request in (first, second):
        request.full(0)
    for step in (1, 2):
        for request in (first, second):
            request.some(step, [step])
    kept = first.caches["twin"].slots()
    assert not any(value is second.caches["twin"].slots()[slot] for slot, value in kept.items())


def test_what_a_replay_answers_is_not_changed_by_the_next(model):
    request = Request(model, 4)
    request.full(0)
    asked = {"cache": request.caches["twin"], "frames": torch.tensor([1]), "listed": [1],
             "constants": request.constants["twin"]}  # fmt: skip
    with torch.no_grad():
        first = frames_pass(model, request.states[1], 1, "twin", **asked).answer()
        kept = first.clone()
        frames_pass(model, request.states[2], 2, "twin", **asked).answer()
    assert torch.equal(first, kept)


def test_a_clip_of_another_length_gets_buffers_of_its_own_and_the_old_ones_go():
    model = Model()
    for frames in (FRAMES, FRAMES + 2, FRAMES):
        request = Request(model, 5, frames)
        request.full(0)
        request.some(1, [1])
    assert counts(model) == (3, 3)
    assert len(model.graphed.graphs) == 1


def test_the_buffers_are_as_large_as_the_cache_and_the_constants():
    model = Model()
    request = Request(model, 6)
    request.full(0)
    request.some(1, [1])
    cache = request.caches["twin"]
    assert model.graphed.cache.num_bytes == cache.num_bytes
    assert model.graphed.num_bytes - cache.num_bytes < 1e5


class ReadsNumbers(Net):
    def forward(self, x, level, ops):
        if float(level) < 10:  # waits for the device
            x = x + 1
        return super().forward(x, level, ops)


class Causal(Net):
    def forward(self, x, level, ops):
        tokens = x.flatten(2).transpose(1, 2)
        sight = Sight(causal=True)
        mixed = ops.attention("own", tokens, tokens, tokens, 1, "clip", sight)
        return super().forward(mixed.transpose(1, 2).unflatten(2, x.shape[2:]), level, ops)


class LateConstant(Net):
    def forward(self, x, level, ops):
        if len(x) < FRAMES:
            x = x * ops.constant("late", lambda: torch.full((1,), 0.5))
        return super().forward(x, level, ops)


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (ReadsNumbers, "not permitted when stream is capturing"),
        (Causal, "reads the numbers of its frames on the host"),
        (LateConstant, "makes constants of a request in a partial step"),
    ],
)
def test_what_cannot_be_captured_runs_as_it_is_and_the_reason_is_named(network, why):
    model = Model(network)
    request = Request(model, 7)
    request.full(0)
    for step in (1, 2):
        request.some(step, [step])
    # A constant that a step has made is there for the next one.
    assert counts(model)[1] == (network is LateConstant)
    (reason,) = model.graphed.refused.values()
    assert why in reason


def test_one_guidance_branch_of_a_cache_of_two_runs_as_it_is(model):
    request = Request(model, 8)
    request.full(0)
    before = counts(model)
    request.some(1, [1], lambda cache: LastBranch(cache, FRAMES))
    assert counts(model) == before


def test_without_cuda_the_option_is_refused_in_a_sentence():
    with pytest.raises(ConfigError, match="cpu has none"):
        fake_engine(engine={"graphs": True})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_a_gpu_replays_equal_launches():
    model = Model(device="cuda", recorder=CudaRecorder())
    request = Request(model, 9)
    request.full(0)
    for step, frames in ((1, [2]), (2, [0]), (3, [1, 4])):
        request.some(step, frames)
    request.full(4)
    request.some(5, [5])
    assert not model.graphed.refused
    assert len(model.graphed.graphs) == 2
