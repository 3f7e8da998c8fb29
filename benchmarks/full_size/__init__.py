"""The diffusion networks of the shipped pipelines at the sizes they are served at."""
