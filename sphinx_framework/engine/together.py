"""Answering the calls of several requests together, where their model can."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from sphinx_framework.engine.denoising_answers import CheckedDiffusion
from sphinx_framework.executors.kernels import fast_kernels
from sphinx_framework.executors.passes import Call
from sphinx_framework.executors.stacked import StackedExecutor
from sphinx_framework.executors.stopwatch import Stopwatch
from sphinx_framework.protocols import BatchingModel


def answered_together(calls: Sequence[Call]) -> tuple[list[Tensor], list[tuple[int, int]]]:
    """Predictions of calls in their order; and of every run of the network, requests and rows.

    Calls of one model with rows of one size share a run, where the model is a
    :class:`BatchingModel`; a run's seconds are split among its calls by their rows.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, call in enumerate(calls):
        model = call.model.inner if isinstance(call.model, CheckedDiffusion) else call.model
        groups[id(model), call.x.shape[1:], call.x.dtype, call.x.device].append(number)
    answers: dict[int, Tensor] = {}
    counts = []
    for numbers in groups.values():
        group = [calls[number] for number in numbers]
        first = group[0].model
        alone = len(group) == 1 or any(call.guided for call in group)
        if not alone and isinstance(first, CheckedDiffusion) and first.batching is not None:
            found = _run(first, first.batching, group)
            counts.append((len(group), sum(len(call.x) for call in group)))
        else:
            found = [call.answer() for call in group]
            counts += [(1, len(call.x)) for call in group]
        answers.update(zip(numbers, found, strict=True))
    return [answers[number] for number in range(len(calls))], counts


@torch.no_grad()
def _run(checked: CheckedDiffusion, model: BatchingModel, calls: Sequence[Call]) -> list[Tensor]:
    executors = [call.executor for call in calls]
    rows = [call.x for call in calls]
    stacked = StackedExecutor(executors, [len(x) for x in rows])
    watch, total = Stopwatch(rows[0].device), sum(len(x) for x in rows)
    steps, conditions = [call.step for call in calls], [call.condition for call in calls]
    with checked.asked_together(rows), watch.running(), fast_kernels(rows[0].device):
        answers = model.denoise_many(rows, steps, conditions, executors, stacked)
    found = checked.predictions(answers, rows, steps)
    for call in calls:
        call.watch = watch.part(len(call.x) / total)
    return found
