"""Equal seeds give equal bytes, also from one version of the code to the next."""

import re
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from engines import FixedMask, FixedSteps, TwoClipDiffusion, engine_with

from sphinx_framework.testing.fakes import FakeConfig, fake_scene

CASES = ("coarse", "fine", "selective", "diffusion")
# Of float32 images, with one thread: kernels of other instruction sets round differently, and
# those for processors of another make.
DIGESTS: dict[tuple[str, str], dict[str, str]] = {
    ("AVX512", "AMD EPYC"): {
        "coarse": "a748ce53cdf59bcd",
        "fine": "5b5661a52bb4f819",
        "selective": "6e1a5a526c64d7c1",
        "diffusion": "1066b200f3eab0c2",
    }
}
# What any processor must reproduce: mean and deviation of the images.
MOMENTS: dict[str, tuple[float, float]] = {
    "coarse": (0.5056286, 0.2300938),
    "fine": (0.5093554, 0.2154512),
    "selective": (0.4862094, 0.181866),
    "diffusion": (0.515297, 0.2598969),
}


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def processor():
    """What Linux calls this machine's, or nothing."""
    told = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", told.read_text(), re.M) if told.exists() else None
    return found[1].strip() if found else ""


def rendered(mode):
    parts = {
        "steps": FixedSteps((4, 10, 20, 16)),
        "mask": FixedMask((3, 9, 3, 9), (20, 28, 2, 30), (1, 2, 1, 2), (15, 16, 15, 16)),
        "diffusion": TwoClipDiffusion(FakeConfig(solver="dpmpp_2m"), torch.device("cpu")),
    }
    engine = engine_with(parts=parts, num_steps=20)
    return engine.render(fake_scene(seed=3), mode=mode, seed=5).images


@pytest.mark.parametrize("mode", CASES)
def test_a_render_has_the_bytes_that_are_written_down(mode, one_thread):
    images = rendered(mode)
    mean, deviation = MOMENTS[mode]
    assert float(images.mean()) == pytest.approx(mean, abs=1e-5)
    assert float(images.std()) == pytest.approx(deviation, abs=1e-5)
    known = DIGESTS.get((torch.backends.cpu.get_cpu_capability(), processor()))
    if known is not None:
        assert sha256(images.numpy().tobytes()).hexdigest()[:16] == known[mode]
