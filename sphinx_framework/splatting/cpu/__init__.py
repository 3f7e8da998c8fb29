"""The CPU rasterizer: numba kernels over tiles."""
