"""Mechanism: how a pass over all frames, some frames or some tiles is computed."""
