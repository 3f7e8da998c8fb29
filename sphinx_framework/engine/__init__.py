"""The road of a request, and the one loop that denoises."""
