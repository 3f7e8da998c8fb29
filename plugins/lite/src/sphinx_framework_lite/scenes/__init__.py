"""Built-in scenes: generated from a seed, with exact depth, cameras and ground truth."""
