"""``check``: the contract suite of a component's role, on what is installed."""

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.plugins import find_named
from sphinx_framework.config import parse_override
from sphinx_framework.engine.components import choose_device
from sphinx_framework.errors import ConfigError, SphinxError, raised
from sphinx_framework.plugin import NO_PARTS, ComponentSpec, Parts
from sphinx_framework.registry import Registry
from sphinx_framework.testing.contracts import CONTRACTS, Contract, DiffusionContract, NotApplicable
from sphinx_framework.testing.contracts.building import watched_making


def check(arguments: argparse.Namespace) -> int:
    """Run the contract of every component of that name; exit 1 when one fails."""
    registry = Registry.from_entry_points()
    specs = find_named(registry, arguments.name, arguments.kind)
    values = dict(parse_override(text) for text in arguments.overrides)
    device = choose_device(arguments.device)
    parts = _parts(registry, arguments.embedder, device)
    results = []
    for spec in specs:
        if spec.kind not in CONTRACTS:
            raise ConfigError(f"{spec.name!r}: there is no contract suite of kind {spec.kind!r}.")
        options = registry.options(spec.kind, spec.name, values, "--set")
        with watched_making() as changed:
            component = registry.build(spec.kind, spec.name, options, device, parts)
        results += run_contract(spec, component, device, arguments.sample, changed)
    failed = [r for r in results if r["outcome"] == "failed"]
    if arguments.json:
        print_json({"ok": not failed, "results": results})
    else:
        _print(Console(), results, arguments.debug)
    return 1 if failed else 0


def _parts(registry: Registry, embedder: str | None, device: torch.device) -> Parts:
    """What a pipeline hands to its components: an embedder, if one is named."""
    if embedder is None:
        return NO_PARTS
    options = registry.options("embedder", embedder, {}, "--embedder")
    return Parts(embedder=registry.build("embedder", embedder, options, device))


def run_contract(
    spec: ComponentSpec,
    component: Any,
    device: torch.device,
    sample: str | None = None,
    changed: Sequence[str] = (),
) -> list[dict[str, str]]:
    """Run every method of the role's contract on a built component.

    device: where it was built. sample: of a scene reader, the path of a scene that it reads.
    changed: what its building changed for everybody.
    """
    base = CONTRACTS[spec.kind]
    body: dict[str, Any] = {"make": lambda _: component, "device": device, "changed": changed}
    if sample is not None:
        body["sample"] = sample
    if issubclass(base, DiffusionContract):
        body["capabilities"] = spec.capabilities
        side = _side(component)
        smallest = max(1, 64 // side)
        body["size"] = (side * smallest, side * smallest)
    suite: Contract = type("Installed", (base,), body)()
    results = []
    for name in sorted(n for n in dir(suite) if n.startswith("test_")):
        entry = {"kind": spec.kind, "name": spec.name, "check": name.removeprefix("test_")}
        try:
            getattr(suite, name)()
            results.append({**entry, "outcome": "passed", "why": ""})
        except NotApplicable as reason:
            results.append({**entry, "outcome": "not applicable", "why": str(reason)})
        except SphinxError as error:
            results.append({**entry, "outcome": "failed", "why": str(error)})
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a component may even call sys.exit
            results.append({**entry, "outcome": "failed", "why": raised(error)})
    return results


def _side(component: Any) -> int:
    """Pixels along a tile's side; 1 where they cannot be told, which the suite then finds."""
    sides = [getattr(component, name, None) for name in ("latent_factor", "tile")]
    return math.prod(s if isinstance(s, int) and s > 0 else 1 for s in sides)


def _print(console: Console, results: list[dict[str, str]], debug: bool) -> None:
    marks = {"passed": "ok", "failed": "FAILED", "not applicable": "n/a"}
    for result in results:
        sentence = result["check"].replace("_", " ")
        console.print(
            f"{marks[result['outcome']]:>6}  {result['kind']} {escape(result['name'])}: {sentence}"
        )
        if result["why"]:
            console.print(f"        {escape(result['why'])}")
    counts = Counter(result["outcome"] for result in results)
    held, failed, beside = (counts[name] for name in ("passed", "failed", "not applicable"))
    rest = f", {beside} not applicable" if beside else ""
    console.print(f"{held} of {held + failed} hold{rest}")
