"""A third party's components for sphinx-framework."""
