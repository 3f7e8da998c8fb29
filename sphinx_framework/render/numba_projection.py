"""Numba kernel: Gaussians to screen-space splats of one view.

The projection is computed in float64, because the determinant of a needle's covariance cancels in
float32; the results that the blending needs are well conditioned and stored as float32.
"""

import math

import numpy as np
from numba import njit

from sphinx_framework.render.gaussians import ALPHA_MIN

SPLAT_WIDTH = 12
"""Floats of a splat: mean x and y relative to its box's corner, slope, half_inverse_yy,
half_conic_xx, limit, opacity, red, green, blue, depth, (spare)."""
BOX_WIDTH = 4
"""Whole pixels of a splat's box: left, right, top, bottom, ends excluded."""
HIDDEN = np.uint32(0xFFFFFFFF)
"""Depth key of what is not drawn."""


@njit(nogil=True, cache=True, error_model="numpy")
def project_splats(  # type: ignore[no-untyped-def] # noqa: ANN201, PLR0913, PLR0915
    means,  # noqa: ANN001 - compiled code: types are numba's
    covariances,  # noqa: ANN001
    harmonics,  # noqa: ANN001
    opacities,  # noqa: ANN001
    rotation,  # noqa: ANN001
    translation,  # noqa: ANN001
    pinhole,  # noqa: ANN001
    size,  # noqa: ANN001
    options,  # noqa: ANN001
    share,  # noqa: ANN001
    out,  # noqa: ANN001
):
    pass
