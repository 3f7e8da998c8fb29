"""Measuring a pipeline on scenes: systems, engines, metrics, records."""
