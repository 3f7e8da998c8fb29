"""Fitting k rules: measured samples, scene clusters, the cheapest start that keeps the quality."""
