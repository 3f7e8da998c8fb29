"""Results out: frames, sheets, videos, cameras, Gaussians."""
