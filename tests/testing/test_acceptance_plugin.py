"""A third party's distribution, written from the documentation alone, does all that ours do."""

import ast
import json
import shutil
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from commands import Ended
from PIL import Image
from planted_readers import ACCEPTANCE, write_sample

from sphinx_framework.cli.main import main
from sphinx_framework.plugin import ENTRY_POINT_GROUP, KINDS
from sphinx_framework.testing.scenes import room_scene

STABLE = {
    "plugin", "options", "types", "errors", "protocols", "nn", "samplers", "geometry", "weights",
    "splatting", "testing", "policy.rules", "policy.rule_lookup", "policy.plausibility",
    "scenes.images",
}  # fmt: skip
COMPONENTS = [
    ("regression", "acceptance"),
    ("diffusion", "acceptance-unet"),
    ("diffusion", "acceptance-dit"),
    ("diffusion", "acceptance-causal"),
    ("quality", "acceptance"),
    ("mask", "acceptance"),
    ("steps", "acceptance"),
    ("embedder", "acceptance"),
    ("poses", "acceptance"),
    ("scene_reader", "acceptance"),
]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line with the acceptance plugin alone, found by metadata on the path."""
    info = tmp_path / "site" / "acceptance_plugin-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acceptance-plugin\nVersion: 0.1.0\n"
    )
    (info / "entry_points.txt").write_text(
        f"[{ENTRY_POINT_GROUP}]\nacceptance = acceptance_plugin.plugin\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(ACCEPTANCE / "src")
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "acceptance")

    def command(*arguments: object) -> Ended:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return Ended(code, told.out, told.err)

    yield command
    for name in [name for name in sys.modules if name.split(".")[0] == "acceptance_plugin"]:
        del sys.modules[name]


def test_its_declarations_are_what_its_project_file_says():
    text = (ACCEPTANCE / "pyproject.toml").read_text()
    assert (
        '[project.entry-points.sphinx_framework]\nacceptance = "acceptance_plugin.plugin"' in text
    )
    assert {kind for kind, _ in COMPONENTS} == set(KINDS)
    assert EntryPoint("acceptance", "acceptance_plugin.plugin", ENTRY_POINT_GROUP).module


@pytest.mark.parametrize("file", sorted((ACCEPTANCE / "src").rglob("*.py")), ids=lambda f: f.stem)
def test_it_imports_the_stable_set_alone(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sphinx_framework."):
            room = (node.module or "").removeprefix("sphinx_framework.")
            assert room in STABLE or room.split(".")[0] in STABLE, node.module


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_component_passes_its_contract(run, tmp_path, kind, name):
    given = ("--sample", write_sample(tmp_path / "sample")) if kind == "scene_reader" else ()
    ended = run("check", name, "--kind", kind, "--json", "--device", "cpu", *given)
    told = json.loads(ended.out)
    assert ended.code == 0, [r for r in told["results"] if r["outcome"] == "failed"]
    beside = {r["check"] for r in told["results"] if r["outcome"] == "not applicable"}
    offers = {
        "no_clip_is_longer_than_the_claim": name == "acceptance-causal",
        "several_requests_in_one_call_equal_each_alone": False,
        "one_branch_and_the_difference_are_as_good_as_both": False,
        "finished_frames_are_pictures_each_for_itself": False,
    }
    not_offered = {
        "diffusion": {check for check, made in offers.items() if not made},
        "quality": {"tells_what_each_frame_lost"},
        "steps": {"measured_qualities_ascend"},
        "scene_reader": {"a_capture_has_the_cameras_of_its_scene"},
    }
    assert beside == not_offered.get(kind, set())


@pytest.mark.parametrize("model", ["acceptance-unet", "acceptance-dit", "acceptance-causal"])
def test_a_pipeline_of_it_renders_in_every_mode_of_the_method(run, tmp_path, model):
    sample = write_sample(tmp_path / "sample")
    config = shutil.copy(ACCEPTANCE / "pipeline.toml", tmp_path / "pipeline.toml")
    for mode in ("selective", "fine", "coarse"):
        out = tmp_path / mode
        ended = run(
            "render", "--config", config, "--scene", sample, "--out", out, "--device", "cpu",
            "--mode", mode, "--set", f"pipeline.diffusion.use={model}", "--json",
        )  # fmt: skip
        assert ended.code == 0, ended.err
        report = json.loads((out / "report.json").read_text())
        assert len(report["frames"]) == 2
        assert {entry["distribution"] for entry in report["licences"]} == {
            "acceptance-plugin 0.1.0"
        }
        assert len(list((out / "frames").glob("*.png"))) == 2


def test_photos_without_cameras_get_them_from_its_estimator(run, tmp_path):
    scene = room_scene(4, (160, 208))
    assert scene.target_images is not None
    photos = torch.cat([scene.images[:1], scene.target_images, scene.images[1:]])
    (tmp_path / "photos").mkdir()
    for index, photo in enumerate(photos):
        pixels = (photo * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{index}.png")
    ended = run(
        "plan", "--config", ACCEPTANCE / "pipeline.toml", "--scene", tmp_path / "photos",
        "--device", "cpu", "--targets", "interpolate:2",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "the lengths of the camera's moves are guessed" in ended.told


def test_its_command_runs_and_its_observer_hears(run, tmp_path):
    assert run("acceptance-hello", "--name", "all").out == "hello all\n"
    sample = write_sample(tmp_path / "sample")
    config = ACCEPTANCE / "pipeline.toml"
    given = ("--config", config, "--scene", sample, "--out", tmp_path / "out", "--device", "cpu")
    assert run("render", *given).code == 0
    told = sys.modules["acceptance_plugin.plugin"].told
    assert {"CoarseReady", "Planned", "StepDone", "FrameFinal", "Finished"} <= set(told)


def test_a_table_that_it_does_not_know_is_refused_with_its_own_options(run):
    ended = run(
        "plan", "--config", ACCEPTANCE / "pipeline.toml", "--scene", "x",
        "--set", "regression.softnes=0.2",
    )  # fmt: skip
    assert ended.code == 2
    assert "unknown option 'softnes' for 'acceptance'. Did you mean 'softness'?" in ended.told


def test_the_folder_holds_nothing_that_is_not_the_distribution():
    here = {p.name for p in Path(ACCEPTANCE).iterdir()} - {"__pycache__"}
    assert here == {"README.md", "pyproject.toml", "pipeline.toml", "src"}
