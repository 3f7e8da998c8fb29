"""Declares the scene formats of the core, as a plugin declares its own (torch-free).

They are discovered, built, listed and chosen like those of any plugin;
``$SPHINX_FRAMEWORK_PLUGINS`` leaves them out only where it says so: ``-formats``.
"""

from sphinx_framework.plugin import ComponentSpec, hookimpl

# In the order in which they are asked; every summary ends in the format's convention of poses.
_FORMATS = {
    "transforms": (
        "TransformsReader",
        "transforms.json of nerfstudio, instant-ngp, DL3DV, SEVA, RE10K; poses: opengl_c2w, or "
        "opencv_w2c where 3x4 with normalised intrinsics, or what --convention names",
    ),
    "blender": (
        "BlenderReader",
        "transforms_train.json with _test or _val (Blender, NeRF-synthetic); poses: opengl_c2w, or "
        "what --convention names",
    ),
    "photos": (
        "PhotosReader",
        "cameras.json beside photos; poses: the convention that the file names",
    ),
    "colmap": ("ColmapReader", "sparse/0 of COLMAP, binary or text; poses: opencv_w2c"),
    "llff": (
        "LlffReader",
        "poses_bounds.npy of LLFF; poses: camera-to-world with axes down, right, backward",
    ),
    "re10k": (
        "Re10kReader",
        "NAME.txt of RealEstate10K and ACID with the frames beside it; poses: opencv_w2c",
    ),
    "chunks": (
        "ChunksReader",
        "RealEstate10K and ACID in .torch chunks, FILE.torch:KEY or FOLDER:KEY; poses: opencv_w2c",
    ),
}


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the specs of the formats."""
    return [
        ComponentSpec(
            kind="scene_reader",
            name=name,
            factory=f"sphinx_framework.scenes.formats:{factory}",
            summary=summary,
        )
        for name, (factory, summary) in _FORMATS.items()
    ]
