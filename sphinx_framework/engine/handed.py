"""What components are handed, by the words of a message, and what they do not get to see."""

from dataclasses import replace

from torch import Tensor

from sphinx_framework.types import CoarseViews, Scene, ScoreEvidence
from sphinx_framework.witness.handed import owned


def scene_tensors(scene: Scene) -> dict[str, Tensor]:
    """The tensors of a scene by the words of a message."""
    return {
        "input_photos": scene.images,
        "input_poses": scene.inputs.world_from_camera,
        "input_intrinsics": scene.inputs.intrinsics,
        "target_poses": scene.targets.world_from_camera,
        "target_intrinsics": scene.targets.intrinsics,
    }


def coarse_tensors(coarse: CoarseViews) -> dict[str, Tensor | None]:
    """The tensors of coarse views by the words of a message."""
    return {
        "coarse_images": coarse.images,
        "opacity": coarse.opacity,
        "depth": coarse.depth,
    }


def evidence_tensors(evidence: ScoreEvidence | None) -> dict[str, Tensor | None]:
    """The tensors of evidence by the words of a message."""
    if evidence is None:
        return {}
    return {
        "photos": evidence.inputs,
        "renders": evidence.renders,
        "opacity_of_renders": evidence.opacity,
        "warps": evidence.warps,
        "inside": evidence.inside,
    }


def unknowing(scene: Scene) -> Scene:
    """The scene without its truth, which is for evaluation: what looks at it proves nothing."""
    return scene if scene.target_images is None else replace(scene, target_images=None)


def owned_views(coarse: CoarseViews) -> CoarseViews:
    """Views in memory of their own."""
    return replace(
        coarse,
        images=owned(coarse.images),
        opacity=None if coarse.opacity is None else owned(coarse.opacity),
        depth=None if coarse.depth is None else owned(coarse.depth),
        input_depth=None if coarse.input_depth is None else owned(coarse.input_depth),
        input_confidence=(
            None if coarse.input_confidence is None else owned(coarse.input_confidence)
        ),
    )
