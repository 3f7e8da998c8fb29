"""Stock diffusers pipelines as diffusion stages."""
