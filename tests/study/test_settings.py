"""What a record of a study depends on: whatever changes a picture is noticed."""

import pytest

from sphinx_framework.errors import ConfigError
from sphinx_framework.scenes.fingerprint import fingerprint
from sphinx_framework.study.evaluate.named_files import named_files
from sphinx_framework.study.evaluate.settings import (
    engine_settings,
    refuse_other_settings,
    with_files,
)
from sphinx_framework.testing.pipeline import fake_engine


def test_frames_that_are_composed_or_guarded_otherwise_are_other_settings():
    usual = engine_settings(fake_engine())
    detailed = fake_engine()
    config = detailed.config
    detailed.config = config.model_copy(
        update={"composite": config.composite.model_copy(update={"carry_detail": True})}
    )
    with pytest.raises(ConfigError, match=r"composite\.carry_detail: False then, True now"):
        refuse_other_settings(usual, engine_settings(detailed), "study")
    strict = fake_engine()
    strict.config = config.model_copy(
        update={"evidence": config.evidence.model_copy(update={"least": 1.0})}
    )
    with pytest.raises(ConfigError, match=r"evidence\.least"):
        refuse_other_settings(usual, engine_settings(strict), "study")


def test_a_file_that_an_option_names_counts_by_its_content(tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text("first")
    options = {"steps": {"options": {"rules": str(rules), "names": ["a", "b:c"]}}}
    before = named_files(options)
    assert list(before) == [str(rules)]
    rules.write_text("second")
    assert named_files(options)[str(rules)] != before[str(rules)]
    assert list(named_files({"r": "sphinx_framework.configs:lite.toml"})) != []


def test_a_scene_whose_photos_changed_is_another_scene(tmp_path):
    photo = tmp_path / "scene" / "a.png"
    photo.parent.mkdir()
    photo.write_bytes(b"1")
    before = with_files({}, fingerprint(str(photo.parent)))
    assert before == with_files({}, fingerprint(str(photo.parent)))
    photo.write_bytes(b"22")
    with pytest.raises(ConfigError, match="scene_files"):
        refuse_other_settings(before, with_files({}, fingerprint(str(photo.parent))), "record")
    assert fingerprint("procedural:report/7") == ""
    assert fingerprint(f"{photo}:key") == fingerprint(str(photo)) != ""


def test_code_that_changed_without_a_new_version_is_noticed(tmp_path, monkeypatch):
    from sphinx_framework.study.evaluate.component_code import code_digest

    package = tmp_path / "my_models"
    package.mkdir()
    (package / "__init__.py").write_text("from my_models.net import Net")
    (package / "net.py").write_text("class Net:\n    gain = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_models  # type: ignore[import-not-found]

    before = code_digest([my_models.Net()])
    assert code_digest([my_models.Net(), object()]) == before
    (package / "net.py").write_text("class Net:\n    gain = 2\n")
    assert code_digest([my_models.Net()]) != before
