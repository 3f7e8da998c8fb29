import json

import pytest
import torch
from goldens import golden, golden_names
from safetensors.torch import save_file

from sphinx_framework_mvsplat.config import EncoderConfig, MVSplatConfig
from sphinx_framework_mvsplat.encoder import Encoder
from sphinx_framework_mvsplat.weights import load_weights

EXPECTED = {"mvsplat_encoder_tiny", "mvsplat_encoder_tiny_3view"}
FOUND = set(golden_names("mvsplat_encoder_*"))
ENCODERS = sorted(EXPECTED | FOUND)


def test_parameters_equal_the_official_manifest():
    manifest = golden("mvsplat_full_manifest").info
    with torch.device("meta"):
        state = Encoder(EncoderConfig()).state_dict()
    kinds = {key: [list(value.shape), str(value.dtype)[6:]] for key, value in state.items()}
    assert kinds == manifest["keys"]
    assert sum(value.numel() for value in state.values()) == manifest["total_parameters"]


@pytest.fixture(params=ENCODERS)
def case(request, encoder_config_of, views_of, stated_tolerances, tmp_path):
    """A golden, the output of its encoder, and the activations on the way by their golden name."""
    given = golden(request.param)
    config = encoder_config_of(given)
    with torch.device("meta"):
        encoder = Encoder(config).eval()
    save_file(given.under("param/"), tmp_path / "encoder.safetensors")
    load_weights(encoder, MVSplatConfig(weights=str(tmp_path / "encoder.safetensors")))
    views = views_of(given)
    by_scene = views.images.shape[:2]
    seen = {}

    def view_major(maps):
        return maps.unflatten(0, by_scene).transpose(0, 1).flatten(0, 1)

    def keep(module, name, pick=view_major):
        module.register_forward_hook(
            lambda _module, _inputs, output: seen.update({name: pick(output)})
        )

    predictor = encoder.depth_predictor
    keep(encoder.backbone.backbone, "mid/cnn_features_bv", lambda output: output)
    for index, layer in enumerate(encoder.backbone.transformer.layers):
        keep(
            layer,
            f"mid/transformer_layer{index}_out",
            lambda state: view_major(state.unflatten(1, (by_scene[1], -1)).flatten(0, 1)),
        )
    keep(encoder.backbone.transformer, "mid/trans_features", lambda output: output)
    predictor.regressor_residual.register_forward_pre_hook(
        lambda _module, inputs: seen.update({"mid/cost_volume_in": view_major(inputs[0])})
    )
    keep(predictor.corr_refine_net[3], "mid/corr_unet_out")
    keep(predictor.depth_head_lowres, "mid/depth_logits")
    keep(predictor.refine_unet, "mid/refine_out")
    keep(predictor.to_disparity, "mid/to_disparity_out")
    with torch.no_grad():
        prediction = encoder.predict_depth(views)
        output = encoder(views)
    seen |= {
        "mid/fullres_disparity": view_major(prediction.coarse_inverse_depth.flatten(0, 1)),
        "mid/pdf_max_up": view_major(prediction.confidence.flatten(0, 1)),
        "mid/depths": prediction.depths,
        "mid/densities": prediction.densities,
        "mid/raw_gaussians": prediction.raw_gaussians,
        "mid/scales": output.scales,
        "mid/rotations_xyzw": output.quaternions,
        "out/means": output.means,
        "out/covariances": output.covariances,
        "out/harmonics": output.harmonics,
        "out/opacities": output.opacities,
    }
    return given, seen, stated_tolerances(given)[:2]


def test_every_stage_of_the_encoder_agrees_with_the_golden(case):
    given, seen, (relative, of_deviation) = case
    recorded = [name for name in given.tensors if name.startswith(("mid/", "out/"))]
    assert recorded
    assert set(recorded) <= set(seen), json.dumps(sorted(set(recorded) - set(seen)))
    for name in recorded:
        expected = given.tensors[name]
        actual = seen[name].reshape(expected.shape)
        bound = relative * expected.abs() + of_deviation * expected.std()
        excess = ((actual - expected).abs() - bound).max()
        assert excess <= 0, f"{name}: beyond its tolerance by {float(excess):.3g}"
