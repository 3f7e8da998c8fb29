"""Networks are found wherever a component holds them, and move when it is asked."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sphinx_framework.config import load_config
from sphinx_framework.engine.compiled import compile_diffusion
from sphinx_framework.engine.fitting import fitted
from sphinx_framework.engine.residence import Guest, Residence, networks_of
from sphinx_framework.errors import ConfigError
from sphinx_framework.registry import Registry


@dataclass
class Record:
    network: nn.Module


def around(network):
    return lambda x: network(x)


@pytest.mark.parametrize(
    "hold",
    [
        lambda n: SimpleNamespace(network=n),
        lambda n: SimpleNamespace(wrapper=SimpleNamespace(network=n)),
        lambda n: SimpleNamespace(networks={"unet": n}),
        lambda n: SimpleNamespace(networks=[n, n]),
        lambda n: SimpleNamespace(record=Record(n)),
        lambda n: SimpleNamespace(predict_pairs=around(n)),
    ],
)
def test_a_network_is_found_once_wherever_it_is_held(hold):
    network = nn.Linear(2, 2)
    assert list(networks_of(hold(network))) == [network]


def test_a_component_without_networks_has_none():
    assert list(networks_of(SimpleNamespace(device="cpu", steps=3, name="x"))) == []


class Asked:
    """Says where its network was when it was called; the meta device stands for a device."""

    def __init__(self):
        self.network = nn.Linear(2, 2, device="meta")

    def predict(self):
        return self.network.weight.device.type


def test_only_the_component_at_work_is_moved():
    residence, moved = Residence(torch.device("meta")), []
    residence._move = lambda component, device: moved.append((component, device.type))
    first, second = Asked(), Asked()
    one, other = Guest(first, residence), Guest(second, residence)
    one.predict(), one.predict(), other.predict(), one.predict()
    assert moved == [
        (first, "meta"), (first, "cpu"), (second, "meta"), (second, "cpu"), (first, "meta"),
    ]  # fmt: skip
    assert one.network is first.network


def test_a_plan_is_refused_without_numbers_and_on_the_cpu():
    registry, meta = Registry.from_entry_points(), torch.device("meta")
    lite = load_config("lite", ["engine.memory_gb=24"])
    with pytest.raises(ConfigError, match=r"has no \[memory\] table"):
        fitted(lite, registry, meta, "lite")
    pair = load_config("seva-mvsplat", ["engine.memory_gb=24"])
    with pytest.raises(ConfigError, match="cannot be made for the CPU"):
        fitted(pair, registry, torch.device("cpu"), "seva-mvsplat")


def test_a_plan_sets_the_keys_of_the_pair():
    registry, meta = Registry.from_entry_points(), torch.device("meta")
    asked = load_config("viewcrafter-dust3r", ["engine.memory_gb=16"])
    made, plan = fitted(asked, registry, meta, "pair")
    assert plan is not None
    assert (made.engine.offload, made.engine.cache_on) == (True, "host")
    small = load_config("viewcrafter-dust3r", ["engine.memory_gb=8"])
    with pytest.raises(ConfigError, match=r"8 GB are not enough: 25 frames of 576x1024"):
        fitted(small, registry, meta, "pair")
    untouched = load_config("viewcrafter-dust3r")
    assert fitted(untouched, registry, meta, "pair") == (untouched, None)


def test_what_cannot_be_compiled_is_refused():
    lite = load_config("lite", ["engine.compile=eager"])
    parts = SimpleNamespace(diffusion=SimpleNamespace(network=nn.Linear(2, 2)))
    with pytest.raises(ConfigError, match="none of its networks takes an executor"):
        compile_diffusion(parts, lite)
    on_host = load_config("lite", ["engine.compile=eager", "engine.cache_on=host"])
    with pytest.raises(ConfigError, match="needs the latent cache on the device"):
        compile_diffusion(parts, on_host)
