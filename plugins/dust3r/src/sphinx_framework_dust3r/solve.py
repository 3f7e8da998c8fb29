"""From pairs to a reconstruction: which solver runs, and what it is told about the cameras."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sphinx_framework_dust3r.alignment.align import global_alignment
from sphinx_framework_dust3r.config import AlignmentConfig, DUSt3RConfig
from sphinx_framework_dust3r.images import (
    Preparation,
    network_input,
    preparation,
    prepare_photos,
)
from sphinx_framework_dust3r.network.pair_network import PairNetwork
from sphinx_framework_dust3r.pair_viewer import pair_viewer, single_view
from sphinx_framework_dust3r.pairs import Edge, PairPredictions, pair_graph, predict_pairs
from sphinx_framework_dust3r.reconstruction import KnownCameras, Reconstruction

Predictor = Callable[[Float[Tensor, "N 3 h w"], tuple[Edge, ...]], PairPredictions]


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedPhotos:
    """A reconstruction of photos with the pixels it was made from and how they were prepared."""

    reconstruction: Reconstruction
    pixels: UInt8[Tensor, "N 3 h w"]
    plan: Preparation


def network_predictor(network: PairNetwork, batch: int) -> Predictor:
    """Pointmaps of pairs by the network."""

    def predict(images: Tensor, edges: tuple[Edge, ...]) -> PairPredictions:
        return predict_pairs(network, images, edges, batch=batch)

    return predict


def solve_photos(
    photos: Float[Tensor, "N 3 H W"],
    predict: Predictor,
    config: DUSt3RConfig,
    device: torch.device,
    *,
    poses: Float[Tensor, "N 4 4"] | None = None,
    intrinsics: Float[Tensor, "N 3 3"] | None = None,
) -> SolvedPhotos:
    """Prepare photos, predict their pairs and bring these into one world.

    photos: values in [0, 1], one size. poses, intrinsics: of the photos, in their pixels with
    centres at half-integers; what is given stays fixed.

    Raises:
        SceneError: photos too elongated, or the two-photo solver with another number of them.
        ConfigError: a pair graph that these photos do not allow.
    """
    size = (photos.shape[-2], photos.shape[-1])
    plan = preparation(size, config.image_size, square_ok=config.square_ok)
    pixels = prepare_photos(photos, plan)
    pairs = predict(network_input(pixels).to(device), pair_graph(len(photos), config.pairs))
    known = KnownCameras(poses=None if poses is None else poses.to(device).float())
    if intrinsics is not None:
        matrices = plan.intrinsics_to_network(intrinsics.to(device).float())
        known = replace(
            known,
            focals=torch.stack((matrices[:, 0, 0], matrices[:, 1, 1]), dim=-1),
            principal_points=matrices[:, :2, 2] - 0.5 + config.alignment.pixel_centre,
        )
    return SolvedPhotos(
        reconstruction=solve(pairs, config.alignment, known), pixels=pixels, plan=plan
    )


def solve(
    pairs: PairPredictions, config: AlignmentConfig, known: KnownCameras | None = None
) -> Reconstruction:
    """Reconstruct with the configured solver; one photo, paired with itself, needs none."""
    known = known or KnownCameras()
    if pairs.num_images == 1:
        return single_view(pairs, config, known)
    closed_form = config.solver == "pair"
    if config.solver == "auto":
        closed_form = pairs.num_images == 2 and known.poses is None
    if closed_form:
        return pair_viewer(pairs, config, known)
    return global_alignment(pairs, config, known)
