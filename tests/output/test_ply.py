from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from render_samples import as_float32, make_gaussians

from sphinx_framework.errors import SceneError
from sphinx_framework.splatting.ply import read_ply, write_ply


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.integers(0, 1000), st.sampled_from([1, 4, 9, 16]), st.booleans())
def test_gaussians_survive_the_round_trip(tmp_path_factory, count, seed, coefficients, with_axes):
    made = make_gaussians(count, seed, coefficients)
    scene = as_float32(made)
    if with_axes:
        scene = replace(scene, scales=made.scales.float(), rotations=made.rotations.float())
    path = tmp_path_factory.mktemp("ply") / "scene.ply"
    write_ply(path, scene)
    read = read_ply(path)
    assert torch.equal(read.means, scene.means)
    assert torch.equal(read.harmonics, scene.harmonics)
    torch.testing.assert_close(read.opacities, scene.opacities, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(read.covariances, scene.covariances, rtol=1e-4, atol=1e-5)


def test_the_layout_is_the_one_viewers_expect(tmp_path):
    scene = as_float32(make_gaussians(2, seed=0, coefficients=4))
    write_ply(tmp_path / "scene.ply", scene)
    head, _, body = (tmp_path / "scene.ply").read_bytes().partition(b"end_header\n")
    names = [line.split()[-1] for line in head.decode().splitlines() if line.startswith("prop")]
    assert names == (
        ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
        + [f"f_rest_{i}" for i in range(9)]
        + ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    )
    values = torch.frombuffer(bytearray(body), dtype=torch.float32).reshape(2, -1)
    assert torch.equal(values[:, 9:12], scene.harmonics[:, 0, 1:])
    assert torch.equal(values[:, 12:15], scene.harmonics[:, 1, 1:])
    torch.testing.assert_close(torch.sigmoid(values[:, 18]), scene.opacities)


def test_extreme_opacities_and_flat_gaussians_stay_finite(tmp_path):
    scene = replace(
        as_float32(make_gaussians(2, seed=0)),
        opacities=torch.tensor([0.0, 1.0]),
        covariances=torch.zeros(2, 3, 3),
    )
    write_ply(tmp_path / "scene.ply", scene)
    read = read_ply(tmp_path / "scene.ply")
    torch.testing.assert_close(read.opacities, scene.opacities, rtol=0, atol=1e-6)
    torch.testing.assert_close(read.covariances, scene.covariances, rtol=0, atol=1e-12)


def test_further_elements_types_and_orders_are_read(tmp_path):
    names = ["opacity", *"zyx", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    names += [f"f_dc_{i}" for i in range(3)]
    header = ["ply", "format binary_big_endian 1.0", "comment made by hand"]
    header += ["element note 2", "property uchar size", "element vertex 1"]
    header += [f"property double {name}" for name in names]
    header += ["element face 1", "property list uchar int vertex_indices", "end_header\n"]
    values = torch.arange(len(names), dtype=torch.float64)
    body = b"\x01\x02" + values.numpy().astype(">f8").tobytes() + b"\x00"
    (tmp_path / "scene.ply").write_bytes("\n".join(header).encode() + body)
    read = read_ply(tmp_path / "scene.ply")
    assert read.means.tolist() == [[3, 2, 1]]
    assert read.harmonics.shape == (1, 3, 1)


def ply(*lines: str, body: bytes = b"") -> bytes:
    return "\n".join(["ply", *lines, "end_header\n"]).encode() + body


BINARY = "format binary_little_endian 1.0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no ply file"),
        (b"PNG", "is no ply file"),
        (b"ply\n" + b"comment\n" * 3, "has no end"),
        (ply("format ascii 1.0"), "only binary"),
        (ply("element vertex 1"), "only binary"),
        (ply(BINARY), "holds no 'vertex' element"),
        (ply(BINARY, "element vertex many"), "'element vertex many' is not understood"),
        (ply(BINARY, "element vertex 1", "property list uchar int x"), "is not understood"),
        (ply(BINARY, "element vertex 1", "property text x"), "is not understood"),
        (ply(BINARY, "element vertex 1", "property float x", "property float x"), "twice"),
        (ply(BINARY, "element vertex 2", "property float x", body=b"1234"), "cut short"),
        (
            ply(BINARY, "element vertex 1", "property float x", body=b"1234"),
            "the property 'scale_0' is missing.*not point clouds",
        ),
    ],
)
def test_files_of_something_else_are_one_clear_error(tmp_path, content, message):
    (tmp_path / "scene.ply").write_bytes(content)
    with pytest.raises(SceneError, match=message):
        read_ply(tmp_path / "scene.ply")


def test_files_with_nan_or_missing_are_one_clear_error(tmp_path):
    scene = as_float32(make_gaussians(2, seed=0))
    write_ply(tmp_path / "scene.ply", replace(scene, means=scene.means * float("nan")))
    with pytest.raises(SceneError, match="'x' holds NaN"):
        read_ply(tmp_path / "scene.ply")
    with pytest.raises(SceneError, match=r"absent\.ply: cannot be read"):
        read_ply(tmp_path / "absent.ply")
