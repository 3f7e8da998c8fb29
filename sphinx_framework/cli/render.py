"""``render`` and ``plan``."""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.estimators import choose_estimator, refuse_posed
from sphinx_framework.cli.outputs import open_output
from sphinx_framework.cli.progress import show_progress
from sphinx_framework.cli.render_text import plan_text, summary
from sphinx_framework.cli.sizes import read_size
from sphinx_framework.config import PipelineConfig, load_config, load_cost
from sphinx_framework.energy.choose import check_meter
from sphinx_framework.engine.components import check_licences, choose_device
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.report import schedule_text
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.errors import ConfigError
from sphinx_framework.folders.manifest import RENDERED
from sphinx_framework.output.results import publish_result
from sphinx_framework.output.saving import saving
from sphinx_framework.policy.memory import read_memory
from sphinx_framework.registry import Registry
from sphinx_framework.request import RenderRequest
from sphinx_framework.scenes.load import is_claimed, is_unposed, load_scene, load_unposed
from sphinx_framework.scenes.pose_answers import installed_estimator
from sphinx_framework.scenes.unposed import refuse_split
from sphinx_framework.types import Scene


def render(arguments: argparse.Namespace) -> int:
    """Load, render, write, and print what was decided."""
    if getattr(arguments, "scenes", None):
        from sphinx_framework.cli.render_many import render_many

        return render_many(arguments)
    if arguments.engine != "local":
        raise ConfigError("--engine ray works on --scenes, a scene a task; --scene is one.")
    _, result = rendered(arguments)
    out = Path(arguments.out)
    if arguments.json:
        print_json({"out": str(out), "report": json.loads(result.report.to_json())})
    else:
        summary(Console(), result.report, out)
    return 0


def rendered(arguments: argparse.Namespace) -> tuple[Engine, RenderResult]:
    """Load, render and write."""
    read = [arguments.config, arguments.cost, arguments.targets]
    chosen = saving(arguments.save, arguments.fps)
    with open_output(arguments.out, scenes=[arguments.scene], files=read, holds=RENDERED) as folder:
        engine, scene, load_seconds = _open(arguments)
        events = engine.stream(
            scene, quality=arguments.quality, mode=arguments.mode, seed=arguments.seed
        )
        result = show_progress(events, Console(stderr=True))
        result.report.seconds.load = load_seconds
        result.report.seconds.total += load_seconds
        publish_result(result, folder, chosen)
    return engine, result


def plan(arguments: argparse.Namespace) -> int:
    """Everything up to the start of diffusion."""
    engine, scene, _ = _open(arguments)
    coarse, decisions = engine.plan(scene, quality=arguments.quality, mode=arguments.mode)
    frames = [
        {
            "index": index,
            "score": float(decisions.quality.score[index]),
            "reference": float(decisions.quality.reference[index]),
            "ratio": float(decisions.quality.ratio[index]),
            "start_step": decisions.starts[index],
            "mask_fraction": float(decisions.mask[index].float().mean()),
        }
        for index in range(len(scene.targets))
    ]
    dense = engine.config.num_steps * sum(layout.num_latents for layout in decisions.layouts)
    plan_data: dict[str, Any] = {
        "scene": scene.name,
        "mode": arguments.mode or engine.config.mode,
        "quality_target": arguments.quality or engine.config.quality,
        "num_steps": engine.config.num_steps,
        "cluster": decisions.start_steps.cluster,
        "frames": frames,
        "schedule": schedule_text(decisions.schedules),
        "frame_steps": sum(s.frame_steps for s in decisions.schedules),
        "frame_steps_dense": dense,
        "predicted_denoise_seconds": decisions.predicted_denoise_seconds,
        "predicted_seconds": decisions.predicted_seconds,
        "cost_model": engine.config.cost.measured or "assumed, not measured",
        "licences": list(engine.components.licences),
        "notes": list(decisions.notes),
        "warnings": [*scene.warnings, *coarse.warnings, *decisions.start_steps.warnings],
    }
    if arguments.json:
        print_json(plan_data)
    else:
        plan_text(Console(), plan_data)
    return 0


def _open(arguments: argparse.Namespace) -> tuple[Engine, Scene, float]:
    """Check cheap things first: arguments, config, scene; build models last."""
    config, registry = asked_pipeline(arguments)
    started = perf_counter()
    scene = load_asked(arguments, config, registry)
    load_seconds = perf_counter() - started
    engine = Engine.from_config(
        config,
        device=arguments.device,
        registry=registry,
        licence_policy=arguments.licence_policy,
    )
    if engine.memory_plan is not None:
        print(f"memory: {engine.memory_plan.text()}", file=sys.stderr)
    return engine, scene, load_seconds


def asked_pipeline(arguments: argparse.Namespace) -> tuple[PipelineConfig, Registry]:
    """The pipeline of the arguments, checked as far as can be without a scene or models."""
    RenderRequest.asked(
        quality=arguments.quality,
        mode=arguments.mode,
        seed=getattr(arguments, "seed", 0),
        budget_ms=arguments.budget_ms,
        budget_joules=arguments.budget_joules,
    )
    if arguments.energy is not None:
        check_meter(arguments.energy)
    overrides = list(arguments.overrides)
    for option in ("budget_ms", "budget_joules", "energy"):
        value = getattr(arguments, option)
        if value is not None:
            overrides.append(f"engine.{option}={value}")
    if arguments.size is not None:
        height, width = read_size(arguments.size, "--size")
        overrides.append(f"size=[{height}, {width}]")
    if arguments.memory is not None:
        overrides.append(f"engine.memory_gb={read_memory(arguments.memory)}")
        overrides.extend([] if arguments.mode is None else [f"mode={arguments.mode}"])
    config = load_config(arguments.config, overrides)
    if arguments.cost is not None:
        config = config.model_copy(update={"cost": load_cost(arguments.cost)})
    registry = Registry.from_entry_points()
    check_licences(config, registry, arguments.licence_policy)
    choose_device(arguments.device)
    config.validate_options(registry, config.name)
    return config, registry


def load_asked(arguments: argparse.Namespace, config: PipelineConfig, registry: Registry) -> Scene:
    """Load the scene; photos without cameras get them from the pipeline's pose estimator."""
    wanted = getattr(arguments, "poses", None)
    if is_unposed(arguments.scene) and not _has_a_reader(arguments, registry, wanted):
        if not getattr(arguments, "scenes", None):  # of many, some may have cameras
            refuse_split(arguments.scene, arguments.split)
        role = config.pipeline.get("poses")
        name = role.use if wanted is None and role is not None else None
        name = name or choose_estimator(wanted, registry)
        given = role.options if role is not None and role.use == name else {}
        options = registry.options("poses", name, given, f"{config.name}, [poses]")
        estimator = installed_estimator(name, options, choose_device(arguments.device), registry)
        return load_unposed(
            arguments.scene,
            estimator,
            size=config.size,
            fit=config.fit,
            targets=arguments.targets,
            near=arguments.near,
            far=arguments.far,
            convention=arguments.convention,
        )
    if wanted is not None and not getattr(arguments, "scenes", None):
        refuse_posed(arguments.scene, wanted)
    return load_scene(
        arguments.scene,
        registry=registry,
        size=config.size,
        fit=config.fit,
        targets=arguments.targets,
        split=arguments.split,
        reader=arguments.reader,
        near=arguments.near,
        far=arguments.far,
        convention=arguments.convention,
    )


def _has_a_reader(arguments: argparse.Namespace, registry: Registry, estimator: str | None) -> bool:
    """Whether what looks like a folder of photos has cameras after all, for a reader."""
    if arguments.reader is not None:
        return True
    return estimator is None and is_claimed(arguments.scene, registry)
