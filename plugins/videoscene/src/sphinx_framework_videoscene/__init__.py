"""VideoScene: one-step video diffusion between two photos (arXiv 2504.01956)."""
