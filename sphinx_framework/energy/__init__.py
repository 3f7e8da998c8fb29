"""Joules of a request, where this machine can count them: NVML, RAPL, zeus, or an honest no."""
