"""``warm`` loads, compiles and serves; the processor is asked what it can compute."""

import json
import platform

import pytest
import torch
from pydantic import BaseModel

from sphinx_framework import allocator
from sphinx_framework.engine.slow_precision import slow_precisions

CPU = torch.device("cpu")


def test_everything_that_a_first_request_pays_is_paid_and_told(command):
    ended = command("warm", "--config", command.config, "--device", "cpu", "--json")
    told = json.loads(ended.out)
    assert ended.code == 0
    assert list(told["seconds"]) == ["kernels", "weights", "first request", "second request"]
    assert all(seconds > 0 for seconds in told["seconds"].values())
    assert told["steps"]["full"] >= 1
    assert sum(told["steps"].values()) >= 2


def test_a_missing_scene_is_bad_input(command):
    ended = command("warm", "--config", command.config, "--scene", "nowhere", "--device", "cpu")
    assert ended.code == 2


class Options(BaseModel):
    dtype: str = "float32"
    precision: str = "float32"


@pytest.mark.parametrize(
    ("asked", "able", "warned"),
    [
        (Options(dtype="bfloat16"), {"avx512_bf16": False}, True),
        (Options(precision="bfloat16"), {}, True),
        (Options(dtype="bfloat16"), {"avx512_bf16": True}, False),
        (Options(dtype="bfloat16"), {"amx_bf16": True}, False),
        (Options(dtype="float16"), {"avx512_bf16": True}, True),
        (Options(), {}, False),
    ],
)
def test_a_type_that_the_processor_lacks_is_warned_of(monkeypatch, asked, able, warned):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    told = list(slow_precisions({"diffusion": asked}, CPU))
    assert len(told) == warned
    assert all("diffusion." in line for line in told)
    assert not list(slow_precisions({"diffusion": asked}, torch.device("meta")))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_kept_unless_the_systems_way_is_asked_for(monkeypatch):
    monkeypatch.setenv(allocator.SWITCH, "system")
    assert not allocator.keep_freed_memory()
    monkeypatch.delenv(allocator.SWITCH)
    assert allocator.keep_freed_memory()
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()
