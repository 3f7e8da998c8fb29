"""Whether the rules of a pipeline were measured with its own components."""

from collections.abc import Mapping

from sphinx_framework.policy.rules import Rules

# Role -> field of [provenance] that names the component the rules were measured with.
_MEASURED_WITH = {"regression": "regression", "diffusion": "diffusion", "quality": "scorer"}
_NOBODY = "none"


def foreign_rules(rules: object, uses: Mapping[str, str]) -> tuple[str, ...]:
    """A warning where rules were measured with other components: their ratios mean other things.

    rules: of a step policy that has some. uses: the component of every role. A field's first word
    is the component's name; "none: ..." and an empty field say nothing.
    """
    if not isinstance(rules, Rules):
        return ()
    others = []
    for role, name in _MEASURED_WITH.items():
        said = str(getattr(rules.provenance, name)).strip()
        word = said.split()[0].rstrip(":,") if said else _NOBODY
        if role in uses and word not in (_NOBODY, uses[role]) and word.lower() != uses[role]:
            others.append(f"{role} {word!r}, not {uses[role]!r}")
    if not others:
        return ()
    return (
        f"the rules {rules.name!r} were measured with {' and '.join(others)}: calibrate them for "
        "this pipeline",
    )
