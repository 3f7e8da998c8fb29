"""Bad input: one clear error on stderr, exit code 2, no traceback, nothing on stdout."""

import json

import pytest
from photo_scenes import transforms


def refused(ended, *told):
    """One error of one or two lines that says all of ``told``."""
    assert ended.code == 2, ended
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert ended.err.count("error:") == 1
    assert len(ended.err.strip().splitlines()) <= 2
    for part in told:
        assert part in ended.told, ended.err


def edit_transforms(command, change):
    content = transforms()
    change(content)
    (command.scene / "transforms.json").write_text(json.dumps(content))


def test_a_missing_scene(command):
    command.scene = command.folder / "nowhere"
    refused(command.render(), "nowhere", "no such scene folder")


def test_a_folder_that_is_no_scene(command):
    command.scene = command.folder / "empty"
    command.scene.mkdir()
    refused(command.render(), "no scene")


def test_a_missing_photo(command):
    (command.scene / "images/0.png").unlink()
    refused(command.render(), "images/0.png")


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n cut short"])
def test_an_unreadable_photo(command, content):
    (command.scene / "images/0.png").write_bytes(content)
    refused(command.render(), "images/0.png")


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '"text"', "null", "{}", '{"frames": 3}'])
def test_json_that_is_no_scene(command, content):
    (command.scene / "transforms.json").write_text(content)
    refused(command.render(), "transforms.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["frames"][1].update(transform_matrix="here"),
        lambda c: c["frames"][1].update(transform_matrix=[[1, 2], [3, 4]]),
        lambda c: c["frames"][1].update(transform_matrix=[["a"] * 4] * 4),
        lambda c: c["frames"][1].update(file_path=7),
        lambda c: c["frames"][1].pop("transform_matrix"),
        lambda c: c.update(frames=[]),
        lambda c: c.update(fl_x="long"),
        lambda c: c.update(fl_x=-40.0),
        lambda c: c.update(w="wide"),
    ],
)
def test_json_of_the_wrong_types(command, change):
    edit_transforms(command, change)
    refused(command.render(), "transforms.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_pose_that_is_no_number(command, value):
    edit_transforms(command, lambda c: c["frames"][1]["transform_matrix"][0].__setitem__(3, value))
    refused(command.render())


@pytest.mark.parametrize(
    "rows",
    [
        [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]],
        [[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
    ],
)
def test_a_pose_that_is_not_rigid(command, rows):
    edit_transforms(command, lambda c: c["frames"][1].update(transform_matrix=rows))
    refused(command.render(), "rigid")


@pytest.mark.parametrize("quality", ["0", "-1", "1.5", "nan", "inf"])
def test_an_impossible_quality(command, quality):
    refused(command.render("--quality", quality), "quality must lie in (0, 1]")


def test_an_unknown_mode(command):
    refused(command.render("--mode", "finest"), "finest", "Modes: coarse, fine")


@pytest.mark.parametrize("targets", ["interpolate:0", "orbit:0", "spiral:-3", "indices:"])
def test_no_targets_at_all(command, targets):
    refused(command.render("--targets", targets))


@pytest.mark.parametrize("targets", ["interpolate:10000", "orbit:10000"])
def test_ten_thousand_targets(command, targets):
    refused(command.render("--targets", targets), "10000", "1000")


@pytest.mark.parametrize("targets", ["spirall:4", "interpolate:four", "indices:99", "none.json"])
def test_targets_that_do_not_exist(command, targets):
    refused(command.render("--targets", targets))


def test_a_split_that_does_not_exist(command):
    refused(command.render("--split", 7), "7")


def test_an_unknown_component(command):
    refused(
        command.render("--set", "mask.use=fakee"),
        "no mask component is named 'fakee'",
        "Did you mean 'fake'?",
    )


def test_an_unknown_option_of_a_component(command):
    refused(
        command.render("--set", "mask.sed=1"),
        "unknown option 'sed' for 'fake'",
        "Did you mean 'seed'?",
    )


def test_an_unknown_key_of_the_pipeline(command):
    refused(command.render("--set", "plan.strid=2"), "'plan.strid'", "Did you mean 'stride'?")


def test_a_malformed_override(command):
    refused(command.render("--set", "plan"), "--set plan", "KEY.PATH=VALUE")


def test_a_missing_config(command):
    command.config = command.folder / "nothing.toml"
    refused(command.render(), "nothing.toml", "no such config file")


def test_a_config_that_is_no_toml(command):
    command.config.write_text("[pipeline")
    refused(command.render(), "pipeline.toml", "not a valid TOML file")


def test_a_device_that_is_not_there(command):
    refused(command.render("--device", "cuda:99"), "cuda:99", "--device cpu")


def test_an_unknown_licence_policy(command):
    refused(command.render("--licence-policy", "mine"), "'mine'")


def test_a_cost_file_that_is_none(command):
    refused(command.render("--cost", command.config), "[cost]")


def test_an_output_folder_that_cannot_be_made(command):
    (command.folder / "file").write_text("")
    refused(command.render(out=command.folder / "file/out"), "cannot write there")


def test_not_enough_memory_for_the_cache_budget(command):
    ended = command.render("--mode", "fine", "--set", "engine.cache_budget_mb=0.0001")
    assert "regression: 3 views ready" in ended.err  # it is known once the plan is made
    assert ended.code == 2
    assert "error: the latent cache of this request needs" in ended.told
    assert "engine.cache_budget_mb" in ended.told
    assert not (command.out / "report.json").exists()


def test_a_plugin_that_raises_on_import(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,bad")
    command.plugins.install("bad", "raise OSError('no driver')")
    refused(command.render("--set", "mask.use=bad"), "'bad'", "broken: OSError: no driver")
    assert command.render().code == 0


def test_two_plugins_with_one_name(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,same")
    command.plugins.offer("same", ("mask", "one"), distribution="sphinx-framework-a")
    command.plugins.offer(
        "same", ("mask", "two"), ("mask", "one"), distribution="sphinx-framework-b"
    )
    assert command("describe", "two").code == 0
    told = command("plugins").told
    assert "mask 'one' is offered by sphinx-framework-a already" in told
    assert "that of same (sphinx-framework-b 1.2) is not used" in told


def test_two_components_with_one_name(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,zweite")
    command.plugins.offer("zweite", ("mask", "fake"), ("mask", "other"))
    assert command.render().code == 0
    told = command("plugins").told
    assert "mask 'fake' is offered by sphinx-framework-fakes already" in told
    assert "mask fake zweite 1.2 duplicate" in told
    assert "mask other zweite 1.2 any" in told


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["rendr"],
        ["render"],
        ["render", "--config", "x"],
        ["render", "--config", "x", "--scene", "y", "--out", "z", "--seed", "lucky"],
        ["render", "--config", "x", "--scene", "y", "--out", "z", "--colour", "red"],
    ],
)
def test_wrong_arguments(command, arguments):
    ended = command(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "--help" in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_in_a_process_of_its_own(command):
    ended = command.apart(
        "render", "--config", command.config, "--scene", "nowhere", "--out", command.out
    )
    refused(ended, "nowhere", "no such scene folder")


def test_json_keeps_stdout_empty_on_errors(command):
    refused(command.render("--json", "--quality", "7"))


def test_debug_shows_the_traceback(command):
    ended = command.render("--debug", "--quality", "7")
    assert ended.code == 2
    assert "Traceback" in ended.err
    assert "ConfigError" in ended.err
