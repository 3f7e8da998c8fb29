"""The whole inference arithmetic and the schedules against the goldens, and the manifests."""

import re
from collections.abc import Iterator

import pytest
import torch
from goldens import Golden, defined_arithmetic, golden, golden_names
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework.executors.passes import full_pass
from sphinx_framework.protocols import SolverStep
from sphinx_framework_videoscene.autoencoder import VideoAutoencoder
from sphinx_framework_videoscene.config import (
    AutoencoderConfig,
    TransformerConfig,
    VideoSceneConfig,
)
from sphinx_framework_videoscene.model import Condition, VideoScene
from sphinx_framework_videoscene.sampler import (
    LeapSampler,
    boundary,
    signal_shares,
    trailing_timesteps,
)
from sphinx_framework_videoscene.transformer import VideoTransformer

CPU = torch.device("cpu")
ONE_STEP = golden_names("videoscene_onestep*") or ["videoscene_onestep"]
SCHEDULES = golden_names("videoscene_schedulers*") or ["videoscene_schedulers"]


@pytest.fixture(autouse=True)
def _arithmetic() -> Iterator[None]:
    with defined_arithmetic():
        yield


@pytest.fixture(params=ONE_STEP)
def given(request: pytest.FixtureRequest) -> Golden:
    return golden(request.param)


@pytest.fixture(params=SCHEDULES)
def schedules(request: pytest.FixtureRequest) -> Golden:
    return golden(request.param)


def agrees(given: Golden, actual: Tensor, key: str) -> None:
    stated, expected = given.info["tolerance"], given.tensors[key]
    assert actual.shape == expected.shape, key
    torch.testing.assert_close(
        actual.to(expected.dtype), expected, rtol=stated["rtol"], atol=stated["atol"]
    )


def model_of(given: Golden) -> VideoScene:
    """The component with the golden's networks and text."""
    sizes = given.info["config"]
    parts = {
        "transformer": (TransformerConfig, sizes["transformer"]),
        "autoencoder": (AutoencoderConfig, sizes["vae"]),
    }
    built = {
        name: kind(**{k: v for k, v in found.items() if k in kind.model_fields})
        for name, (kind, found) in parts.items()
    }
    config = VideoSceneConfig(weights="random", dtype="float32", tiling=False, **built)
    model = VideoScene(config, CPU)
    networks = model._networks
    networks.transformer.network.load_state_dict(given.under("param/transformer."), strict=True)
    networks.autoencoder.network.load_state_dict(given.under("param/vae."), strict=True)
    networks.text = given.tensors["in/prompt_embeds"]
    return model


def frames_of(latents: Tensor) -> Tensor:
    """``[1 C f h w] -> [f C h w]``, and pictures alike."""
    return latents[0].transpose(0, 1)


def sampled(autoencoder: VideoAutoencoder, images: Tensor, draw: Tensor) -> Tensor:
    mean, deviation = autoencoder.posterior(images)
    return autoencoder.scale * (mean + deviation * frames_of(draw))


class Case:
    """A golden's request, with the upstream draws in the places of ours."""

    def __init__(self, given: Golden) -> None:
        self.given, tensors = given, given.tensors
        self.model = model_of(given)
        autoencoder = self.model._networks.autoencoder
        self.step = 1000 - given.info["config"]["noise_timestep"]
        self.sampler = LeapSampler(tuple(range(999, -1, -1)))
        frames = tensors["in/rendered_frames_u8"].float() / 255
        self.clean = sampled(autoencoder, frames, tensors["in/eps_vae_video"])
        latents = torch.zeros_like(self.clean)
        for place, (image, name) in zip(
            (0, -1), zip(tensors["in/images"], ("first", "last"), strict=True), strict=True
        ):
            resized = F.interpolate(image.permute(2, 0, 1)[None], frames.shape[-2:])
            sigma = tensors["in/log_sigma_aug"].exp()
            noise = frames_of(tensors[f"in/eps_{name}"])
            # Noise is in units of [-1, 1], as in autoencoder.noisy.
            noised = resized + sigma / 2 * noise
            if name == "first":
                agrees(given, 2 * noised - 1, "mid/vae_in_first_frames")
            latents[place] = sampled(autoencoder, noised, tensors[f"in/eps_vae_{name}"])[0]
        self.condition = Condition(latents=latents, sampler=self.sampler)
        self.x = self.sampler.noised(self.clean, tensors["in/noise"][0], self.step)
        self.denoised = full_pass(self.model, self.x, self.step, self.condition).answer()


@pytest.fixture
def case(given: Golden) -> Case:
    if "mid/vae_in_first" in given.tensors:
        given.tensors["mid/vae_in_first_frames"] = frames_of(given.tensors["mid/vae_in_first"])
    return Case(given)


def test_latents_of_renders_and_photos(case: Case) -> None:
    agrees(case.given, case.clean[None], "mid/video_latents")
    tensors = case.given.tensors
    frames = tensors["in/rendered_frames_u8"].float() / 255
    parts = case.model._networks.autoencoder.posterior(frames)
    for part, key in zip(parts, ("mid/vae_mean_video", "mid/vae_std_video"), strict=True):
        agrees(case.given, part.transpose(0, 1)[None], key)
    joined = torch.cat([case.x, case.condition.latents], dim=1)
    agrees(case.given, case.x[None], "mid/noisy_latents")
    agrees(case.given, joined[None], "mid/transformer_hidden_in")


def test_rotary_angles(case: Case) -> None:
    cosine, sine = case.model._networks.transformer._rotary(CPU)
    agrees(case.given, cosine.flatten(0, 1), "mid/rope_cos")
    agrees(case.given, sine.flatten(0, 1), "mid/rope_sin")


def test_one_step_and_the_decoded_video(case: Case) -> None:
    assert case.sampler.timesteps[case.step] == int(case.given.tensors["mid/timestep"])
    agrees(case.given, case.denoised[None], "out/x0_latents")
    video = case.model._networks.autoencoder.decode(case.denoised)
    agrees(case.given, video.transpose(0, 1)[None], "out/video")


def test_a_walk_of_one_step_ends_in_the_prediction(case: Case) -> None:
    move = SolverStep(
        step=case.step, next_step=1000, previous=None, draw=lambda: torch.zeros_like(case.x)
    )
    came = case.sampler.advance(case.x, case.denoised, move)
    torch.testing.assert_close(came, case.denoised)


def test_noise_schedule_and_timesteps(schedules: Golden) -> None:
    agrees(schedules, torch.tensor(signal_shares()), "out/cogvideox_alphas_cumprod")
    for key in schedules.under("out/cogvideox_timesteps_"):
        expected = schedules.tensors[f"out/cogvideox_timesteps_{key}"].tolist()
        assert list(trailing_timesteps(int(key))) == expected


def test_noising_and_velocity(schedules: Golden) -> None:
    tensors = schedules.tensors
    sampler = LeapSampler(tuple(range(999, -1, -1)))
    steps = [999 - int(t) for t in tensors["in/t"]]
    noised = torch.stack(
        [
            sampler.noised(clean, noise, step)
            for clean, noise, step in zip(tensors["in/x0"], tensors["in/noise"], steps, strict=True)
        ]
    )
    agrees(schedules, noised, "out/add_noise")
    clean = [
        sampler.clean(x, v, step) for x, v, step in zip(noised, tensors["in/v"], steps, strict=True)
    ]
    agrees(schedules, torch.stack(clean), "out/x0_from_v")


def test_consistency_sampler(schedules: Golden) -> None:
    tensors = schedules.tensors
    skip, out = zip(*(boundary(int(t)) for t in tensors["in/scaling_t"]), strict=True)
    agrees(schedules, torch.tensor(skip), "out/c_skip")
    agrees(schedules, torch.tensor(out), "out/c_out")
    walks = {m[1] for m in (re.fullmatch(r"out/lcm(\d+)_prev_0", key) for key in tensors) if m}
    assert walks
    for count in walks:
        timesteps = tuple(tensors[f"out/lcm_timesteps_{count}"].tolist())
        sampler = LeapSampler(timesteps, "lcm")
        x = tensors["in/noise"]
        for step in range(len(timesteps)):
            v = tensors["in/v"] * (0.5 + 0.25 * step)
            draw = tensors.get(f"in/lcm{count}_noise_{step}", torch.zeros_like(x))
            move = SolverStep(step=step, next_step=step + 1, previous=None, draw=lambda d=draw: d)
            clean = sampler.clean(x, v, step)
            skipped, taken = boundary(timesteps[step])
            agrees(schedules, taken * clean + skipped * x, f"out/lcm{count}_denoised_{step}")
            x = sampler.advance(x, clean, move)
            agrees(schedules, x, f"out/lcm{count}_prev_{step}")


def test_official_keys_and_shapes() -> None:
    with torch.device("meta"):
        networks = {
            "videoscene_full_manifest": VideoTransformer(TransformerConfig()).network,
            "videoscene_vae_full_manifest": VideoAutoencoder(
                AutoencoderConfig(), tiling=True
            ).network,
        }
    for name, network in networks.items():
        manifest = golden(name).info
        expected = {key: list(shape) for key, (shape, _) in manifest["state_dict"].items()}
        assert {key: list(t.shape) for key, t in network.state_dict().items()} == expected
        count = sum(p.numel() for p in network.parameters())
        assert count == manifest["total_parameters"]
