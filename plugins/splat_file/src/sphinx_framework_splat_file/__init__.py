"""A Gaussian scene from a file as regression stage."""
