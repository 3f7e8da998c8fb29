"""Flags and settings of the server say the same."""

import pytest
from local_server import LocalServer

from sphinx_framework.cli.main import build_parser, main
from sphinx_framework.serve.settings import Settings

OTHERWISE_NAMED = {"page": "no_page", "metrics": "no_metrics", "json_logs": "json"}


def test_every_setting_has_a_flag():
    given = vars(build_parser().parse_args(["serve", "--config", "lite"]))
    missing = [
        name for name in Settings.model_fields if OTHERWISE_NAMED.get(name, name) not in given
    ]
    assert not missing


def test_defaults_are_the_settings_own():
    given = vars(build_parser().parse_args(["serve", "--config", "lite"]))
    stated = {name: given.get(name) for name in Settings.model_fields}
    odd = {name: value for name, value in stated.items() if value not in (None, False)}
    assert not odd, "a default of the command line would hide the one of Settings"


@pytest.mark.parametrize(
    ("memory", "why"),
    [("24 apples", "not an amount of memory"), ("24GB", "cannot be made for the CPU")],
)
def test_the_memory_of_a_worker_is_planned_before_anything_is_loaded(tmp_path, capsys, memory, why):
    asked = ["serve", "--config", "seva-mvsplat", "--device", "cpu", "--port", "0"]
    assert main([*asked, "--data", str(tmp_path / "data"), "--memory", memory]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a?b", "a#b%41 c"])
def test_the_database_lies_in_its_folder_whatever_that_is_called(tmp_path, name):
    local = LocalServer(tmp_path / name)
    local.close()
    assert (tmp_path / name / "data" / "jobs.sqlite3").is_file()
    assert not list(tmp_path.glob("a"))


def test_the_database_of_the_folder_is_known_by_any_of_its_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    for own in (f"sqlite:///{data}/jobs.sqlite3", "sqlite:///data/../data/jobs.sqlite3"):
        assert not Settings(data=data, db=own).database_elsewhere
    for other in ("sqlite://", f"sqlite:///{data}/x.sqlite3", "postgresql://h/jobs.sqlite3"):
        assert Settings(data=data, db=other).database_elsewhere


@pytest.mark.parametrize("value", ["inf", "nan", "1e300"])
@pytest.mark.parametrize("flag", ["max-upload-mb", "max-unpacked-mb", "cache-mb"])
def test_a_limit_that_is_none_is_refused_in_one_line(tmp_path, capsys, flag, value):
    asked = ["serve", "--config", "lite", "--device", "cpu", "--data", str(tmp_path / "data")]
    assert main([*asked, f"--{flag}", value]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if flag in line]
    assert f"--{flag}: " in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("hours", [float("inf"), 1e308])
def test_what_is_kept_for_good_never_expires(tmp_path, hours):
    local = LocalServer(tmp_path, keep_hours=hours)
    job = local.accepted()
    local.finish(job)
    local.sweep()
    (video,) = local.call("GET", "/v1/videos").json()["data"]
    assert (video["id"], video["expires_at"]) == (job, None)
    local.close()


def test_hours_are_a_number(tmp_path):
    with pytest.raises(ValueError, match="keep_hours"):
        Settings(keep_hours=float("nan"))


@pytest.mark.parametrize("host", ["::1", "[::1]", "fd00::5"])
def test_an_address_with_colons_is_known_with_and_without_brackets(host):
    settings = Settings(host=host)
    assert settings.host == host.strip("[]")
    assert f"[{settings.host}]" in settings.host_names
