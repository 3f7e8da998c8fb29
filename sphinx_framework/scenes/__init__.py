"""Scenes in: readers of photos and cameras, and paths of targets."""
