"""Closed-form geometry on pointmaps: pixel grids, focal lengths, similarities, PnP."""
