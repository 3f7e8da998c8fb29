"""Incremental mapping with one focal length held, and what a bundle adjustment makes of it then."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sphinx_framework_colmap.matching import SEED, Matched, index_of, set_focal
from sphinx_framework_colmap.quiet_colmap import pycolmap

# The mapper's defaults want wide baselines and hundreds of features; two photos of a room have
# neither. Degrees; counts of features.
_START_ANGLE, _POINT_ANGLE = 0.7, 0.25
_START_INLIERS, _POSE_INLIERS = 25, 12
# Pixels: residuals beyond the first count as wrong matches, those beyond the second less and less.
_WRONG, _LOSS = 4.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """Cameras and points of the photos that joined, for one focal length.

    focal: that was held, pixels of the matched photos. refined: what a bundle adjustment moved it
        to, with the poses free. support: how many observations fit, those that fit well more.
    poses: camera-to-world by photo, 4x4 float64, OpenCV axes. depths: of every observed point.
    """

    focal: float
    refined: float
    support: float
    poses: dict[int, Float[np.ndarray, "4 4"]]
    depths: Float[np.ndarray, " D"]


def map_photos(matched: Matched, focal: float, *, refine: bool = True) -> Mapped | None:
    """The largest model of the photos with a focal length held; ``None`` where none begins.

    refine: whether to ask the bundle adjustment where the focal length wants to go.
    """
    set_focal(matched, focal)
    out = matched.folder / "model"
    out.mkdir(exist_ok=True)
    models = pycolmap.incremental_mapping(
        matched.database, matched.photos, out, options=_options(matched.photos)
    )
    if not models:
        return None
    model = max(models.values(), key=lambda m: m.num_reg_images())
    poses = {
        index_of(image.name): _pose(image) for image in model.images.values() if image.has_pose
    }
    support, depths = _observations(model)
    refined = _refined_focal(model) if refine else focal
    return Mapped(focal=focal, refined=refined, support=support, poses=poses, depths=depths)


def _options(photos: Path) -> pycolmap.IncrementalPipelineOptions:
    options = pycolmap.IncrementalPipelineOptions()
    options.image_path = photos
    options.num_threads = 1
    options.random_seed = SEED
    options.min_model_size = 2
    options.multiple_models = False
    options.extract_colors = False
    options.ba_refine_focal_length = False
    options.ba_global_max_refinements = 2
    options.ba_local_max_refinements = 1
    mapper, points = options.mapper, options.triangulation
    mapper.num_threads = 1
    mapper.random_seed = SEED
    mapper.init_min_tri_angle = _START_ANGLE
    mapper.init_max_forward_motion = 1.0
    mapper.init_min_num_inliers = _START_INLIERS
    mapper.abs_pose_min_num_inliers = _POSE_INLIERS
    mapper.abs_pose_refine_focal_length = False
    mapper.filter_min_tri_angle = _POINT_ANGLE
    points.random_seed = SEED
    points.min_angle = _POINT_ANGLE
    # Of few photos most points are seen by two.
    points.ignore_two_view_tracks = False
    return options


def _pose(image: pycolmap.Image) -> Float[np.ndarray, "4 4"]:
    pose = np.eye(4)
    pose[:3] = image.cam_from_world().inverse().matrix()
    return pose


def _observations(
    model: pycolmap.Reconstruction,
) -> tuple[float, Float[np.ndarray, " D"]]:
    """Sum of ``1 - (error / 4 px)^2`` over all observations, and their depths."""
    support, depths = 0.0, []
    for point in model.points3D.values():
        for seen in point.track.elements:
            image = model.images[seen.image_id]
            projected = image.project_point(point.xyz)
            if projected is None:
                continue
            error = projected - image.points2D[seen.point2D_idx].xy
            support += max(0.0, 1 - float(error @ error) / _WRONG**2)
            depths.append((image.cam_from_world() * point.xyz)[2])
    return support, np.array(depths)


def _refined_focal(model: pycolmap.Reconstruction) -> float:
    """Where the focal length goes once it is free; changes the model."""
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_focal_length = True
    options.refine_principal_point = False
    options.refine_extra_params = False
    options.print_summary = False
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = _LOSS
    options.ceres.solver_options.num_threads = 1
    options.ceres.solver_options.max_num_iterations = 50
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in model.reg_image_ids():
        config.add_image(image_id)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(options, config, model).solve()
    return float(next(iter(model.cameras.values())).params[0])
