"""CLIP scene embedder for sphinx-framework."""
