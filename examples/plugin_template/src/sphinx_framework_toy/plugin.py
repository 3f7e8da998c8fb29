from sphinx_framework.plugin import Capabilities, ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    able = Capabilities(frame_subset=True, block_sparse=True)
    model = "sphinx_framework_toy.model:Toy"
    return [ComponentSpec(kind="diffusion", name="toy", factory=model, capabilities=able)]
