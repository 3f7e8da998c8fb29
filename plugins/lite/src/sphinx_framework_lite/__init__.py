"""Small embedded models: a complete pipeline that ships with the framework."""
