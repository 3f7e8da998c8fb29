import torch
from goldens import golden

from sphinx_framework_mvsplat.adapter import degree_weights, gaussians_of
from sphinx_framework_mvsplat.config import EncoderConfig
from sphinx_framework_mvsplat.harmonics import rotate_harmonics, rotation_matrix


def adapted(given, degree=None):
    options = given.info["config"]
    known = {name: value for name, value in options.items() if name in EncoderConfig.model_fields}
    tensors = given.under("in/")
    return gaussians_of(
        tensors["raw_gaussians"],
        tensors["depths"].flatten(3),
        tensors["opacities"].flatten(3),
        tensors["extrinsics"],
        tensors["intrinsics"],
        tuple(options["image_shape"]),
        EncoderConfig(**known),
        degree,
    )


def test_gaussians_agree_with_the_golden(stated_tolerances):
    given = golden("mvsplat_gaussian_adapter")
    relative, absolute, of_deviation = stated_tolerances(given)[:3]
    output = adapted(given)
    named = {
        "out/means": output.means,
        "out/covariances": output.covariances,
        "out/opacities": output.opacities,
        "mid/scales": output.scales,
        "mid/rotations_xyzw": output.quaternions,
        "mid/ray_directions": output.directions,
    }
    for name, actual in named.items():
        expected = given.tensors[name]
        torch.testing.assert_close(
            actual.reshape(expected.shape), expected, rtol=relative, atol=absolute, msg=name
        )
    expected = given.tensors["out/harmonics"]
    torch.testing.assert_close(
        output.harmonics, expected, rtol=relative, atol=of_deviation * float(expected.std())
    )


def test_degree_weights_agree_with_the_golden():
    given = golden("mvsplat_gaussian_adapter")
    weights = torch.tensor(degree_weights(given.info["config"]["sh_degree"]))
    torch.testing.assert_close(weights, given.tensors["mid/sh_mask"])


def test_a_lower_degree_only_drops_coefficients():
    given = golden("mvsplat_gaussian_adapter")
    whole, cut = adapted(given), adapted(given, degree=1)
    torch.testing.assert_close(cut.harmonics, whole.harmonics[..., :4])
    torch.testing.assert_close(cut.covariances, whole.covariances, rtol=0, atol=0)


def test_rotated_harmonics_agree_with_the_golden(stated_tolerances):
    given = golden("mvsplat_sh_rotation")
    relative, absolute = stated_tolerances(given)[:2]
    rotations, degree = given.tensors["in/rotations"], given.info["config"]["sh_degree"]
    blocks = rotation_matrix(rotations, degree)
    for band in range(1, degree + 1):
        place = slice(band**2, (band + 1) ** 2)
        expected = given.tensors[f"mid/wigner_D{band}"].double()
        torch.testing.assert_close(blocks[:, place, place], expected, rtol=relative, atol=absolute)
    torch.testing.assert_close(
        rotate_harmonics(given.tensors["in/harmonics"], rotations),
        given.tensors["out/harmonics"],
        rtol=relative,
        atol=absolute,
    )
