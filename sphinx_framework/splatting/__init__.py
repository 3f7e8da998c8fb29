"""Splatting of Gaussians and points: readable torch references and fast back-ends."""
