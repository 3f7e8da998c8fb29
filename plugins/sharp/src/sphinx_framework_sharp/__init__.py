"""SHARP as a regression model: one photo to metric 3-D Gaussians to target views."""
