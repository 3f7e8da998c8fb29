"""Start steps from measured rule tables per scene cluster (Sphinx section 5.1)."""
