"""SEVA (Stable Virtual Camera), the multi-view latent diffusion model of arXiv 2503.14489."""
