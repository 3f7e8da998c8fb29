"""Cameras of unposed photos by structure from motion."""
