"""Feed-forward Gaussian models of the ffgs package as regression stages."""
