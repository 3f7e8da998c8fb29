"""What the machine is, and whether results there are the reference's: small, before any timing."""

import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from full_size.subjects import SUBJECTS
from timing import copy_rate, product_rate, timed

from sphinx_framework.testing.oracle import fresh_cache_errors

ROOT = Path(__file__).parents[2]
# Errors of the fresh-cache law, which may come from TF32 alone; of colours, where kernels differ.
LAW, COLOURS = 1e-2, 1e-3
PACKAGES = ("numpy", "triton", "diffusers", "gsplat", "pytest", "nvidia-ml-py")
Rows = Iterator[dict[str, Any]]


def environment(device: torch.device, *, tiny: bool) -> Rows:
    """What is measured on, and what it reaches at best with a large product and a large copy."""
    told: dict[str, Any] = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": str(device),
        **{name: _version(name) for name in PACKAGES},
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        told |= {
            "card": card.name,
            "memory_gb": card.total_memory / 1e9,
            "capability": ".".join(map(str, torch.cuda.get_device_capability(device))),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    yield told
    yield told | {
        "product_tflop_per_second": product_rate(device, 64 if tiny else 8192) / 1e12,
        "copy_gb_per_second": copy_rate(device, 2**10 if tiny else 2**28) / 1e9,
    }


def equivalence(device: torch.device, *, tiny: bool) -> Rows:
    """The fresh-cache law on the device, at a small size in float32."""
    for name in ("lite", "seva", "viewcrafter"):
        subject = SUBJECTS[name](device, tiny=True).subject
        frames, tile = len(subject.x), subject.model.tile
        active = torch.zeros(frames, *(s // tile for s in subject.x.shape[2:]), dtype=torch.bool)
        active[1, 0, 1] = active[2, 1, 0] = True
        with torch.no_grad():
            errors = fresh_cache_errors(
                subject.model, subject.x, subject.step, subject.condition,
                frames=[1, frames - 2], tiles=active,
            )  # fmt: skip
        wrong = {kind: error for kind, error in errors.items() if not error <= LAW}
        yield {"model": name, **errors, **({"error": f"beyond {LAW}: {wrong}"} if wrong else {})}


def gpu_tests(device: torch.device, *, tiny: bool) -> Rows:
    """The tests that need CUDA; a rehearsal only finds them."""
    if find_spec("pytest") is None:
        yield {"error": "pytest is not installed"}
        return
    files = sorted(
        str(file.relative_to(ROOT))
        for folder in (ROOT / "tests", ROOT / "plugins")
        for file in folder.rglob("test_*.py")
        if "mark.gpu" in file.read_text(encoding="utf-8")
    )
    only = ["--collect-only"] if tiny else []
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *only, *files],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = ended.stdout.strip().splitlines()
    outcome = lines[-1] if lines else ended.stderr[-300:]
    failed = {"error": outcome} if ended.returncode else {}
    yield {"exit": ended.returncode, "outcome": outcome, **failed}


def splatting(device: torch.device, *, tiny: bool) -> Rows:
    """gsplat against the reference, and both their seconds; the first call may build kernels."""
    from sphinx_framework.splatting.gaussians import render_gaussians
    from sphinx_framework.types import Cameras, Gaussians

    count, side = (50, 16) if tiny else (20000, 256)
    draw = torch.Generator().manual_seed(0)
    spread = torch.rand(count, 3, generator=draw) * torch.tensor([2.0, 2.0, 2.0])
    made = Gaussians(
        means=spread + torch.tensor([-1.0, -1.0, 2.0]),
        covariances=torch.eye(3).expand(count, 3, 3) * 4e-4,
        harmonics=torch.rand(count, 3, 1, generator=draw),
        opacities=torch.rand(count, generator=draw) * 0.9,
    )
    made = Gaussians(**{name: getattr(made, name).to(device) for name in FIELDS})
    cameras = Cameras(
        world_from_camera=torch.eye(4)[None],
        intrinsics=torch.tensor([[[side, 0.0, side / 2], [0.0, side, side / 2], [0, 0, 1]]]),
        image_size=(side, side),
    ).to(device)

    def render(backend: str) -> Any:
        return render_gaussians(made, cameras, near=0.5, backend=backend)

    reference = render("torch")
    yield {"backend": "torch", "seconds": timed(lambda: render("torch"), device)[0]}
    if find_spec("gsplat") is None:
        told = "error" if device.type == "cuda" else "outcome"  # it renders on CUDA alone
        yield {"backend": "gsplat", told: "gsplat is not installed"}
        return
    error = (render("gsplat").images - reference.images).abs()
    apart = {"error": "other colours"} if not float(error.mean()) <= COLOURS else {}
    yield {
        "backend": "gsplat",
        "seconds": timed(lambda: render("gsplat"), device)[0],
        "mean_error": float(error.mean()),
        "largest_error": float(error.max()),
        **apart,
    }


FIELDS = ("means", "covariances", "harmonics", "opacities")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
