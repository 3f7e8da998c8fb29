"""DUSt3R: a pair network, the geometry around it, a pose estimator and a regression model."""
