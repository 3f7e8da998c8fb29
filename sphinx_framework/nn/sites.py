"""Site names: the qualified module name under which the latent cache keeps a layer's tensors."""

from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def bind_sites(network: Network) -> Network:
    """Give every module with a ``site`` attribute its qualified name; call once after building.

    A module that makes several executor calls appends its own suffixes: ``self.site + ".mix"``.
    """
    for name, module in network.named_modules():
        if hasattr(module, "site"):
            module.site = name
    return network


def list_sites(network: nn.Module) -> dict[str, str]:
    """Site name -> class name, of every bound module."""
    return {
        str(module.site): type(module).__name__
        for module in network.modules()
        if getattr(module, "site", "")
    }
