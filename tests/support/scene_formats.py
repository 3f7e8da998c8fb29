"""One scene in every format that can hold it: each writer fills a folder that has ``images``.

``poses`` are OpenCV camera-to-world, one per photo; the first and the last are inputs. A writer
returns what to open, and the options to open it with.
"""

import json
import math
import shutil
import struct
from functools import partial

import numpy as np
import torch
from photo_scenes import SIZE
from scipy.spatial.transform import Rotation

from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.poses import CONVENTIONS

HEIGHT, WIDTH = SIZE
FLIP = np.diag([1.0, -1, -1, 1])
PIXELS = {"fl_x": 40, "fl_y": 40, "cx": 20, "cy": 16, "w": WIDTH, "h": HEIGHT}
SHARES = {"fl_x": 40 / WIDTH, "fl_y": 40 / HEIGHT, "cx": 0.5, "cy": 0.5}
ANGLE = {"camera_angle_x": 2 * math.atan(WIDTH / 2 / 40)}


def colmap_text(folder, poses):
    model = folder / "sparse/0"
    model.mkdir(parents=True)
    (model / "cameras.txt").write_text(f"# c\n7 SIMPLE_PINHOLE {WIDTH} {HEIGHT} 40 20 16\n")
    lines = ["# images", "# with two lines each"]
    for index in reversed(range(len(poses))):
        x, y, z, w = Rotation.from_matrix(poses[index][:3, :3].T).as_quat()
        t = -poses[index][:3, :3].T @ poses[index][:3, 3]
        lines += [f"{index} {w} {x} {y} {z} {t[0]} {t[1]} {t[2]} 7 {index}.png", "1.5 2 -1"]
    (model / "images.txt").write_text("\n".join(lines))
    return folder


def colmap_binary(folder, poses):
    model = folder / "sparse/0"
    model.mkdir(parents=True)
    camera = struct.pack("<QiiQQ4d", 1, 3, 1, WIDTH, HEIGHT, 40, 40, 20, 16)
    (model / "cameras.bin").write_bytes(camera)
    images = struct.pack("<Q", len(poses))
    for index, pose in enumerate(poses):
        x, y, z, w = Rotation.from_matrix(pose[:3, :3].T).as_quat()
        t = -pose[:3, :3].T @ pose[:3, 3]
        images += struct.pack("<I7dI", index, w, x, y, z, *t, 3) + f"{index}.png\0".encode()
        images += struct.pack("<Q", 2) + struct.pack("<ddqddq", 1, 2, -1, 3, 4, 5)
    (model / "images.bin").write_bytes(images)
    points = struct.pack("<Q", 20)
    for index in range(20):
        row = (index, 0.1 * index, 0.0, 2.3 + 0.1 * index, 1, 2, 3, 0.5, 1)
        points += struct.pack("<Q3d3BdQ", *row) + struct.pack("<ii", 0, 0)
    (model / "points3D.bin").write_bytes(points)
    return folder


def llff(folder, poses):
    """Rows in the order in which LLFF sorts the names: 0, 1, 10, 11, 2, ..."""
    rows = []
    for index in sorted(range(len(poses)), key=str):
        pose = poses[index]
        matrix = np.stack([pose[:3, 1], pose[:3, 0], -pose[:3, 2], pose[:3, 3]], axis=1)
        hwf = np.array([[HEIGHT], [WIDTH], [40.0]])
        rows.append([*np.concatenate([matrix, hwf], axis=1).ravel(), 0.5, 9.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))
    return folder


def re10k(folder, poses):
    lines = ["https://example.org/video"]
    for index, pose in enumerate(poses):
        (folder / "images" / f"{index}.png").rename(folder / "images" / f"{1000 * index}.png")
        numbers = np.linalg.inv(pose)[:3].ravel()
        k = (40 / WIDTH, 40 / HEIGHT, 0.5, 0.5, 0, 0)
        lines.append(" ".join(map(repr, [1000 * index, *k, *map(float, numbers)])))
    (folder / "room.txt").write_text("\n".join(lines))
    return folder / "room.txt"


def photos(folder, poses):
    k = {"fx": 40, "fy": 40, "cx": 20, "cy": 16}
    rows = [
        {"file": f"images/{i}.png", "pose": pose.tolist(), "intrinsics": k, "position": i}
        for i, pose in enumerate(poses)
    ]
    given = {"convention": "opencv_c2w", "inputs": [rows[0], rows[-1]], "targets": rows[1:-1]}
    (folder / "cameras.json").write_text(json.dumps(given))
    return folder


def written(pose, convention):
    """A pose in another convention."""
    matrix = pose @ FLIP if convention.startswith("opengl") else pose
    return (np.linalg.inv(matrix) if convention.endswith("w2c") else matrix).tolist()


def frames(poses, convention="opengl_c2w", ending=".png", rows=4, **more):
    return [
        {
            "file_path": f"images/{i}{ending}",
            "transform_matrix": written(p, convention)[:rows],
            **more,
        }
        for i, p in enumerate(poses)
    ]


def transforms(folder, poses, convention="opengl_c2w"):
    content = {**PIXELS, "frames": frames(poses, convention)}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder, {} if convention == "opengl_c2w" else {"convention": convention}


def cameras(folder, poses, convention="opencv_c2w"):
    place = photos(folder, poses)
    content = json.loads((place / "cameras.json").read_text())
    content["convention"] = convention
    for entry, pose in zip(
        [content["inputs"][0], *content["targets"], content["inputs"][1]], poses, strict=True
    ):
        entry["pose"] = written(pose, convention)
    (place / "cameras.json").write_text(json.dumps(content))
    return place, {}


def per_frame(folder, poses):
    """nerfstudio with intrinsics in every frame."""
    content = {"camera_model": "OPENCV", "frames": frames(poses, **PIXELS)}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder, {}


def moved(folder, poses):
    """nerfstudio with an ``applied_transform``, as ns-process-data writes it."""
    applied = np.array([[0.0, 1, 0, 2], [1, 0, 0, -1], [0, 0, -1, 3], [0, 0, 0, 1]])
    made = frames([applied @ pose for pose in poses])
    content = {**PIXELS, "applied_transform": applied[:3].tolist(), "frames": made}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder, {}


def named_split(folder, poses):
    """nerfstudio with ``train_filenames``; Windows wrote it."""
    made = frames(poses)
    for frame in made:
        frame["file_path"] = frame["file_path"].replace("/", "\\")
    names = [frame["file_path"] for frame in made]
    split = {"train_filenames": [names[0], names[-1]], "test_filenames": names[1:-1]}
    (folder / "transforms.json").write_text(json.dumps({**PIXELS, **split, "frames": made}))
    return folder, {}


def instant_ngp(folder, poses):
    """An angle for a focal length, names without endings, and keys that are of no use here."""
    content = {**ANGLE, "aabb_scale": 16, "frames": frames(poses, ending="", sharpness=9.0)}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder, {}


def blender(folder, poses):
    made = frames(poses, ending="")
    for name, part in (("train", [made[0], made[-1]]), ("test", made[1:-1]), ("val", made[:2])):
        content = {**ANGLE, "frames": part}
        (folder / f"transforms_{name}.json").write_text(json.dumps(content))
    return folder, {}


def dl3dv(folder, poses):
    """One folder down, for images four times as large that were not downloaded."""
    inner = folder / "nerfstudio"
    inner.mkdir()
    (folder / "images").rename(inner / "images_4")
    large = {key: 4 * value for key, value in PIXELS.items()}
    content = {**large, "camera_model": "OPENCV", "k1": 0.0, "frames": frames(poses)}
    (inner / "transforms.json").write_text(json.dumps(content))
    return folder, {}


def seva(folder, poses, rows):
    made = frames(poses, rows=rows, **SHARES, w=WIDTH, h=HEIGHT)
    content = {"orientation_override": "none", "frames": made}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder, {}


def authors(folder, poses):
    """RealEstate10K as the authors of Sphinx store it."""
    content = {"frames": frames(poses, "opencv_w2c", rows=3, **SHARES, w=WIDTH, h=HEIGHT)}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder, {}


def chunk_scene(folder, poses, key):
    files = [(folder / "images" / f"{i}.png").read_bytes() for i in range(len(poses))]
    rows = [
        [40 / WIDTH, 40 / HEIGHT, 0.5, 0.5, 0, 0, *np.linalg.inv(pose)[:3].ravel()]
        for pose in poses
    ]
    return {
        "key": key,
        "url": "https://example.org/video",
        "timestamps": torch.arange(len(poses)),
        "cameras": torch.tensor(np.array(rows)).float(),
        "images": [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files],
    }


def chunk(folder, poses, many=False):
    """A ``.torch`` chunk: one scene, or several with an index."""
    (folder / "test").mkdir()
    scenes = [chunk_scene(folder, poses, "room")]
    if many:
        scenes.insert(0, {**scenes[0], "key": "hall", "cameras": scenes[0]["cameras"].flip(0)})
        index = {"hall": "000000.torch", "room": "000000.torch"}
        (folder / "test/index.json").write_text(json.dumps(index))
    torch.save(scenes, folder / "test/000000.torch")
    return (f"{folder}/test:room" if many else folder / "test/000000.torch"), {}


def chunk_with_views(folder, poses):
    """Inputs and targets by an evaluation index."""
    last = len(poses) - 1
    views = {"room": {"context": [0, last], "target": list(range(1, last))}, "hall": None}
    (folder / "views.json").write_text(json.dumps(views))
    place, _ = chunk(folder, poses, many=True)
    return place, {"split": str(folder / "views.json")}


def plainly(write, folder, poses):
    return write(folder, poses), {}


WRITERS = {
    "colmap-text": partial(plainly, colmap_text),
    "colmap-binary": partial(plainly, colmap_binary),
    "llff": partial(plainly, llff),
    "re10k": partial(plainly, re10k),
    "photos": partial(plainly, photos),
    "per-frame": per_frame,
    "applied-transform": moved,
    "named-split": named_split,
    "instant-ngp": instant_ngp,
    "blender": blender,
    "dl3dv": dl3dv,
    "seva-3x4": partial(seva, rows=3),
    "seva-4x4": partial(seva, rows=4),
    "authors-re10k": authors,
    "chunk": chunk,
    "chunks": partial(chunk, many=True),
    "chunks-with-views": chunk_with_views,
    **{f"transforms-{name}": partial(transforms, convention=name) for name in CONVENTIONS},
    **{f"cameras-{name}": partial(cameras, convention=name) for name in CONVENTIONS},
}


def loaded_from(name, clean, poses, folder):
    """The scene whose photos are in ``clean``, written in a format to ``folder`` and read again."""
    shutil.copytree(clean, folder)
    for file in folder.glob("*.json"):
        file.unlink()
    place, options = WRITERS[name](folder, poses)
    return load_scene(place, **options)
