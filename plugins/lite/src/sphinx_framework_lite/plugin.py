"""What this plugin offers (imports no torch)."""

from sphinx_framework.plugin import Capabilities, ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """The embedded regression, diffusion, quality, embedder and scenes."""
    package = "sphinx_framework_lite"
    return [
        ComponentSpec(
            kind="regression",
            name="lite",
            factory=f"{package}.regression:LiteRegression",
            config=f"{package}.config:RegressionConfig",
            weights_licence="Apache-2.0",
            summary="Learned cost-volume depth and two-source splats; embedded weights.",
        ),
        ComponentSpec(
            kind="diffusion",
            name="lite",
            factory=f"{package}.model:LiteDiffusion",
            config=f"{package}.config:DiffusionConfig",
            capabilities=Capabilities(frame_subset=True, block_sparse=True),
            weights_licence="Apache-2.0",
            summary="Small multi-view latent U-Net; embedded weights.",
        ),
        ComponentSpec(
            kind="quality",
            name="lite",
            factory=f"{package}.quality:LiteQuality",
            config=f"{package}.config:QualityConfig",
            weights_licence="Apache-2.0",
            summary="Learned no-reference score from image statistics and opacity.",
        ),
        ComponentSpec(
            kind="embedder",
            name="lite",
            factory=f"{package}.embedder:LiteEmbedder",
            config=f"{package}.config:EmbedderConfig",
            summary="Colour and gradient histograms of the inputs.",
        ),
        ComponentSpec(
            kind="scene_reader",
            name="procedural",
            factory=f"{package}.scenes.reader:ProceduralReader",
            config=f"{package}.config:ProceduralConfig",
            summary="Built-in scenes with ground truth: procedural:demo, procedural:report/12.",
        ),
    ]
