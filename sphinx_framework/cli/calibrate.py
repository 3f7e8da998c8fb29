"""``calibrate``: fit the rules of a pipeline to scenes (paper sections 5.1 and 5.4, and beyond)."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.calibrate_answer import as_json, show
from sphinx_framework.cli.calibrate_policy import train_policy
from sphinx_framework.cli.cluster_study import MeasureInto, measured_on_cluster
from sphinx_framework.cli.outputs import open_output
from sphinx_framework.cli.scenes import scene_sources
from sphinx_framework.cli.study_progress import study_progress
from sphinx_framework.cli.study_run import command_line
from sphinx_framework.config import PipelineConfig, load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.solvers import known_solvers
from sphinx_framework.errors import ConfigError
from sphinx_framework.folders.folder import OutputFolder
from sphinx_framework.folders.manifest import SAMPLES
from sphinx_framework.folders.single import open_file, write_file
from sphinx_framework.policy.rules import MEANING
from sphinx_framework.registry import Registry
from sphinx_framework.study.calibrate.calibration import calibrated, rules_of
from sphinx_framework.study.calibrate.fit import Fit
from sphinx_framework.study.calibrate.held_out import HeldOut, held_out
from sphinx_framework.study.calibrate.policies import observed, require_own_walks
from sphinx_framework.study.calibrate.samples import (
    SceneSample,
    SceneSource,
    collect,
    samples_digest,
)
from sphinx_framework.study.calibrate.sampling import Sampling, usual_spacing
from sphinx_framework.study.objective import objective_of, settings_for
from sphinx_framework.study.requests import CalibrateRequest


def calibrate(arguments: argparse.Namespace) -> int:
    """Measure (or go on measuring), cluster, fit, and write the rule file."""
    config = load_config(arguments.config, arguments.overrides)
    request = CalibrateRequest.asked(vars(arguments), config.num_steps)
    qualities, sampling = request.qualities, _sampling(request, config.num_steps)
    sampling.check(config.num_steps)
    registry = Registry.from_entry_points()
    fit = _fit(request, config, registry)
    if qualities[0] >= 1 and fit.objective == "paper":
        raise ConfigError("--qualities: under objective paper 1 is full diffusion, needs no rule.")
    train = None if arguments.policy is None else registry.trainer(arguments.policy)
    if train is not None:
        require_own_walks(sampling)
    out = open_file(arguments.out, "--out", scenes=arguments.scenes, parents=True)
    place, option = arguments.samples, "--samples"
    if not place:
        place, option = str(out.with_suffix(".samples")), "the samples beside --out,"
    read = [arguments.index, arguments.config]
    with open_output(
        place, scenes=arguments.scenes, files=read, option=option, holds=SAMPLES
    ) as folder:
        samples, engine, scenes, sampling = _measured(arguments, config, registry, sampling, folder)
    if train is not None:
        seen = list(observed(engine, scenes, samples))
        return train_policy(arguments, train, seen, qualities, fit, out)
    clusters, least = arguments.clusters, arguments.min_scenes
    calibration = calibrated(samples, qualities, clusters=clusters, min_scenes=least, fit=fit)
    unseen = held_out(samples, qualities, clusters=clusters, min_scenes=least, fit=fit)
    rules = rules_of(
        config,
        calibration,
        fit,
        name=out.stem,
        dataset=f"{len(samples)} scenes: {', '.join(arguments.scenes)}",
        command=command_line(),
        notes=_notes(sampling, fit, samples, unseen),
    )
    write_file(out, rules.to_toml())
    out = Path(arguments.out)
    if arguments.json:
        print_json(as_json(out, samples, calibration, unseen, fit.objective))
    else:
        use = settings_for(str(out), config, registry)
        show(Console(), samples, calibration, unseen, out, fit.objective, use)
    return 0


def _measured(
    arguments: argparse.Namespace,
    config: PipelineConfig,
    registry: Registry,
    sampling: Sampling,
    folder: OutputFolder,
) -> tuple[list[SceneSample], Engine, list[SceneSource], Sampling]:
    scenes = scene_sources(arguments.scenes, arguments.index, config, registry)
    if arguments.clusters is not None and arguments.clusters * arguments.min_scenes > len(scenes):
        raise ConfigError(
            f"{len(scenes)} scenes cannot make {arguments.clusters} clusters of "
            f"{arguments.min_scenes} or more.",
            hint="Give more scenes, fewer --clusters, or smaller --min-scenes.",
        )
    engine = Engine.from_config(config, device=arguments.device, registry=registry)
    if arguments.solvers == "all":
        sampling = replace(sampling, solvers=_other_solvers(engine))
    renders = sampling.renders(config.num_steps)
    with study_progress(len(scenes) * renders) as progress:

        def resumed(count: int) -> None:
            if count and arguments.engine == "local":
                progress.skip(
                    count * renders, f"{folder.path}: goes on after {count} recorded scenes"
                )

        if arguments.engine == "ray":
            measured_on_cluster(
                partial(_measuring, arguments, config, sampling),
                [name for name, _ in scenes],
                folder.path,
                folder.write_path,
                config,
                arguments.device,
                lambda name: progress.advance(renders),
            )
        samples = list(
            collect(
                engine,
                scenes,
                folder.path,
                sampling,
                rendered=progress.advance,
                resumed=resumed,
                write=folder.write_path,
            )
        )
    return samples, engine, list(scenes), sampling


def _other_solvers(engine: Engine) -> tuple[str, ...]:
    """What plans may name beside the pipeline's own."""
    known = known_solvers(engine.components, engine.config.num_steps)
    own = getattr(engine.components.diffusion.sampler(engine.config.num_steps), "solver", None)
    return tuple(solver for solver in known if solver != own)


def _measuring(
    arguments: argparse.Namespace, config: PipelineConfig, sampling: Sampling
) -> MeasureInto:
    """In a task's process: what measures one scene into a folder."""
    registry = Registry.from_entry_points()
    engine = Engine.from_config(config, device=arguments.device, registry=registry)
    scenes = dict(scene_sources(arguments.scenes, arguments.index, config, registry))
    return lambda name, folder: list(collect(engine, [(name, scenes[name])], folder, sampling))


def _sampling(request: CalibrateRequest, num_steps: int) -> Sampling:
    return Sampling(
        spacing=request.spacing or usual_spacing(num_steps),
        starts=request.starts or (),
        steps=request.steps,
        few_steps=request.few_steps,
        mode=request.method,
        seed=request.seed,
        repeats=request.repeats,
    )


def _fit(request: CalibrateRequest, config: PipelineConfig, registry: Registry) -> Fit:
    usual = "paper" if request.policy is not None else objective_of(config, registry)
    return Fit(
        bins=request.bins,
        min_samples=request.min_samples,
        confidence=request.confidence,
        scenes_met=request.scenes_met,
        objective=request.objective or usual,
    )


def _notes(
    sampling: Sampling, fit: Fit, samples: list[SceneSample], unseen: Sequence[HeldOut]
) -> str:
    targets = sum(len(sample.targets) for sample in samples)
    held = sum(target.held for sample in samples for target in sample.targets)
    return (
        f"{targets} targets, of which {held} are served as rendered by any plan; "
        f"{len(samples[0].targets[0].scores)} plans tried in mode {sampling.mode}, mean of "
        f"{sampling.repeats} renders; {MEANING[fit.objective]}; a row keeps its quality in the "
        f"mean (lower bound at {fit.confidence:g}) and in {fit.scenes_met:.0%} of its scenes; "
        f"samples {samples_digest(samples)}{''.join(f'; {part.text()}' for part in unseen)}"
    )
