"""Scenes in, pictures out: readers of photos and cameras, target paths, and file writers."""
