"""Public test support: tiny fakes, the fresh-cache oracle, a contract suite per role."""
