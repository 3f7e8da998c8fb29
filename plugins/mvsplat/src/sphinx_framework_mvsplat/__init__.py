"""MVSplat as a regression model: posed photos to 3-D Gaussians to target views."""
