import pytest
import torch
from torch import nn

from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.nn import Conv2d, GroupNorm, SelfAttention, bind_sites, list_sites


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = GroupNorm(1, 4)
        self.conv = Conv2d(4, 4, 3, padding=1)


def network():
    return nn.ModuleDict({"first": Block(), "second": Block(), "plain": nn.Linear(4, 4)})


def test_every_layer_gets_its_qualified_name():
    assert list_sites(bind_sites(network())) == {
        "first.norm": "GroupNorm",
        "first.conv": "Conv2d",
        "second.norm": "GroupNorm",
        "second.conv": "Conv2d",
    }


def test_an_unbound_network_has_no_sites():
    assert list_sites(network()) == {}


def test_binding_returns_the_network_and_may_be_repeated():
    net = network()
    assert bind_sites(bind_sites(net)) is net
    assert len(list_sites(net)) == 4


def test_forgetting_to_bind_is_noticed_at_the_first_recorded_pass():
    layers = [SelfAttention(4, 1, 4, "clip") for _ in range(2)]
    cache = LatentCache()
    cache.begin_record(0)
    ops = RecordExecutor(2, cache)
    tokens = torch.zeros(2, 3, 4)
    layers[0](tokens, ops)
    with pytest.raises(ValueError, match="recorded twice"):
        layers[1](tokens, ops)
