"""Steps of few frames, launched one by one and replayed from a CUDA graph."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from full_size.moves import moves
from full_size.subjects import SUBJECTS
from timing import timed
from torch import Tensor

from sphinx_framework.executors.graphs import (
    MOST_FRAMES,
    CudaRecorder,
    Graphed,
    Recorder,
    graph_networks,
)

# Relative, in half precision.
MOST_APART = 2e-2


class Rerun:
    """Runs again what would be replayed: to rehearse where there are no graphs."""

    def capture(self, run: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """The output, and a run that fills it anew."""
        out = run().clone()

        def replay() -> None:
            out.copy_(run())

        return out, replay


def graphs(name: str, device: torch.device, *, tiny: bool) -> Iterator[dict[str, Any]]:
    """Every count of frames that is replayed: both ways, and how far their answers lie apart."""
    made = SUBJECTS[name](device, tiny=tiny)
    recorder: Recorder = CudaRecorder() if device.type == "cuda" else Rerun()
    counts = range(1, MOST_FRAMES + 1)
    names = [f"{n} of {made.subject.num_frames} frames" for n in counts]
    recording, *_ = (m for m in moves(made.subject, (), (), tiles=False) if "recording" in m.name)
    few = [move for move in moves(made.subject, counts, (), tiles=False) if move.name in names]
    with torch.no_grad():
        recording.call()
        eager = [(timed(move.call, device)[0], move.call().float()) for move in few]
        (graphed,) = graph_networks([made.network], recorder)
        for move, (seconds, answer) in zip(few, eager, strict=True):
            recording.call()
            replayed, peak = timed(move.call, device)
            error = (move.call().float() - answer).abs().max() / answer.abs().max()
            yield {
                "model": name,
                "frames": move.name,
                "launched_seconds": seconds,
                "replayed_seconds": replayed,
                "relative_error": float(error),
                "peak_bytes": peak,
                "buffer_bytes": graphed.num_bytes,
                **_refusal(graphed, float(error)),
            }


def _refusal(graphed: Graphed, apart: float) -> dict[str, str]:
    if graphed.refused:
        return {"error": "; ".join(graphed.refused.values())}
    return {} if apart <= MOST_APART else {"error": f"answers lie {apart:.3g} apart"}
