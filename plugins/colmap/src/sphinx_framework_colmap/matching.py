"""Features of photos and which of them are the same: a database that the mapper reads."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from sphinx_framework.errors import SceneError
from sphinx_framework_colmap.config import ColmapConfig
from sphinx_framework_colmap.quiet_colmap import pycolmap

SEED = 0
# Finds the faint corners of soft photos; COLMAP's own is 0.0067.
_PEAK = 0.003
_SMALLEST = 32  # pixels of the shorter side
_RATIO = 0.85
DATABASE, PHOTOS = "photos.db", "photos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """A folder with photos and the database of their features and matches.

    size: (height, width) of the photos there. scale: their pixels over those of the originals.
    """

    folder: Path
    size: tuple[int, int]
    scale: float

    @property
    def database(self) -> Path:
        """The database file."""
        return self.folder / DATABASE

    @property
    def photos(self) -> Path:
        """The folder of the photos."""
        return self.folder / PHOTOS


def name_of(index: int) -> str:
    """File name of a photo in the folder."""
    return f"{index:04d}.png"


def index_of(name: str) -> int:
    """The photo that a file name stands for."""
    return int(Path(name).stem)


def match_photos(
    photos: UInt8[np.ndarray, "N H W 3"], folder: Path, config: ColmapConfig, *, upright: bool
) -> Matched:
    """Write the photos, find their features and match every pair; one thread, fixed seeds.

    upright: take all photos to be held the same way up, which tells more features apart.
    """
    height, width = photos.shape[1:3]
    scale = min(1.0, config.max_side / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    if min(size) < _SMALLEST:  # the detector crashes below 16
        shrunk = "" if scale == 1 else f" ({size[1]}x{size[0]} when the longer side is scaled down)"
        raise SceneError(
            f"photos of {width}x{height} pixels{shrunk} are too small to find cameras for.",
            hint=f"The shorter side must have {_SMALLEST} pixels; crop long strips.",
        )
    matched = Matched(folder=folder, size=size, scale=size[1] / width)
    matched.photos.mkdir(parents=True)
    for index, photo in enumerate(photos):
        small = photo if scale == 1 else cv2.resize(photo, size[::-1], interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(matched.photos / name_of(index)), small[..., ::-1])
    _extract(matched, config, upright)
    _match(matched)
    return matched


def read_photos(matched: Matched) -> UInt8[np.ndarray, "N H W 3"]:
    """The photos as they were matched."""
    read = [cv2.imread(str(file)) for file in sorted(matched.photos.iterdir())]
    return np.stack([photo[..., ::-1] for photo in read if photo is not None])


def _extract(matched: Matched, config: ColmapConfig, upright: bool) -> None:
    reading = pycolmap.ImageReaderOptions()
    reading.camera_model = "SIMPLE_PINHOLE"
    options = pycolmap.FeatureExtractionOptions()
    options.num_threads = 1
    options.use_gpu = False
    options.sift.max_num_features = config.max_features
    options.sift.peak_threshold = _PEAK
    options.sift.upright = upright
    options.sift.domain_size_pooling = True
    pycolmap.extract_features(
        matched.database,
        matched.photos,
        camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=reading,
        extraction_options=options,
        device=pycolmap.Device.cpu,
    )


def _match(matched: Matched) -> None:
    options = pycolmap.FeatureMatchingOptions()
    options.num_threads = 1
    options.use_gpu = False
    options.guided_matching = True
    options.sift.max_ratio = _RATIO
    checking = pycolmap.TwoViewGeometryOptions()
    checking.ransac.random_seed = SEED
    pycolmap.match_exhaustive(
        matched.database,
        matching_options=options,
        verification_options=checking,
        device=pycolmap.Device.cpu,
    )


def set_focal(matched: Matched, focal: float) -> None:
    """Let the one camera of the database have this focal length, in pixels of its photos."""
    with pycolmap.Database.open(matched.database) as database:
        camera = database.read_all_cameras()[0]
        camera.params = [focal, *camera.params[1:]]
        camera.has_prior_focal_length = True
        database.update_camera(camera)


def pair_matches(
    matched: Matched, first: int, second: int
) -> tuple[Float[np.ndarray, "M 2"], Float[np.ndarray, "M 2"]]:
    """Positions of the same features in two photos, before any geometry was asked for."""
    with pycolmap.Database.open(matched.database) as database:
        ids = {index_of(image.name): image.image_id for image in database.read_all_images()}
        if first not in ids or second not in ids:
            return np.zeros((0, 2)), np.zeros((0, 2))
        pairs = np.asarray(database.read_matches(ids[first], ids[second])).reshape(-1, 2)
        one, other = (np.asarray(database.read_keypoints(ids[i])) for i in (first, second))
    return one[pairs[:, 0], :2].astype(float), other[pairs[:, 1], :2].astype(float)
