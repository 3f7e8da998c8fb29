"""Declares the components, a command and an observer; imports nothing heavy."""

from typing import Any

from sphinx_framework.plugin import Capabilities, CommandSpec, ComponentSpec, hookimpl

ABLE = Capabilities(frame_subset=True, block_sparse=True)
LIMITED = Capabilities(frame_subset=True, block_sparse=True, max_frames=6)
told: list[str] = []


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """All components of this plugin."""

    def spec(kind: Any, factory: str, name: str = "acceptance", **more: Any) -> ComponentSpec:
        return ComponentSpec(
            kind=kind,
            name=name,
            factory=f"acceptance_plugin.{factory}",
            licence="MIT",
            summary="a component of the acceptance plugin",
            **more,
        )

    config = {"config": "acceptance_plugin.options:ViewOptions"}
    seeded = {"config": "acceptance_plugin.options:SeedOptions"}
    return [
        spec("regression", "regression:FarPlane", **config),
        spec("diffusion", "unet:UNetRefiner", "acceptance-unet", capabilities=ABLE, **seeded),
        spec("diffusion", "dit:PatchRefiner", "acceptance-dit", capabilities=ABLE, **seeded),
        spec(
            "diffusion", "causal:CausalRefiner", "acceptance-causal", capabilities=LIMITED, **seeded
        ),
        spec("quality", "judges:Contrast"),
        spec("mask", "judges:Uncertain"),
        spec("steps", "judges:Linear"),
        spec("embedder", "judges:Palette"),
        spec("poses", "poses:TwoViews"),
        spec("scene_reader", "reader:ViewsReader"),
    ]


@hookimpl
def sphinx_framework_commands() -> list[CommandSpec]:
    """``sphinx-nvs acceptance-hello``."""
    return [
        CommandSpec(
            name="acceptance-hello",
            run="acceptance_plugin.command:hello",
            arguments="acceptance_plugin.command:arguments",
            summary="greet from a plugin",
        )
    ]


@hookimpl
def sphinx_framework_observe(event: Any) -> None:
    """Remember what happened."""
    told.append(type(event).__name__)
