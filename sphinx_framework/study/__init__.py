"""Measuring what the method does: metrics, and intervals over scenes."""
