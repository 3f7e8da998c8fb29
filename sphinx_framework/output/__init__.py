"""Results out: frames, sheets, videos, cameras, Gaussians; nothing of the user's is touched."""
