"""How fast the machine runs now, against the cost table that was measured once.

Plans rest on the table alone, so that pixels never depend on how busy a machine is. Predictions of
seconds need not ignore it: other load and clock speeds shift all times of a machine together, for
minutes, by more than a plan's own error.
"""

WEIGHT = 0.15
# A first request compiles kernels; what it took says little about the next one.
LARGEST_SURPRISE = 2.0


class Pace:
    """Actual over predicted seconds: a geometric moving average over an engine's requests.

    factor: 1 before the first request. Predictions are the table's seconds times it.
    """

    def __init__(self) -> None:
        self.factor = 1.0

    def observe(self, predicted: float | None, actual: float, *, at: float) -> None:
        """Learn from one request's denoising, or from the whole of one that denoised nothing.

        at: the factor that ``predicted`` was scaled by. Requests that ended since it was made have
        moved the present one: what counts is how far that is off.
        """
        if predicted is None or not (predicted > 0 and actual > 0):
            return
        off = actual / (predicted / at * self.factor)
        surprise = min(LARGEST_SURPRISE, max(1 / LARGEST_SURPRISE, off))
        self.factor *= surprise**WEIGHT
