"""What a scene embedder answers, checked where it enters."""

from typing import Any

import torch
from torch import Tensor

from sphinx_framework.witness import Witness
from sphinx_framework.witness.handed import owned

LENGTH_TOLERANCE = 0.01  # of a unit vector in half precision


class CheckedEmbedder:
    """One finite vector of length 1, of equally many numbers whatever the photos."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness
        self._numbers: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def name(self) -> str:
        """Of the component, as configs name it."""
        return self._witness.name

    def embed(self, images: Tensor) -> Tensor:
        """Pass on and check."""
        witness, stage = self._witness, "embedding"
        with witness.asked(stage, photos=images):
            vector = self._inner.embed(images)
        numbers = vector.shape[0] if isinstance(vector, Tensor) and vector.ndim == 1 else "D"
        witness.placed(vector, "an embedding", stage, (numbers,), None, images.device)
        witness.finite(vector, "the embedding", stage, lambda row: None)
        norm = float(torch.linalg.vector_norm(vector.float()))
        if abs(norm - 1) > LENGTH_TOLERANCE:
            raise witness.refusal(stage, f"an embedding of length {norm:.3g}", "length 1")
        if self._numbers is not None and self._numbers != numbers:
            raise witness.refusal(
                stage, f"{numbers} numbers for {len(images)} photos", f"{self._numbers}, as before"
            )
        self._numbers = len(vector)
        return owned(vector)
