"""The ``sphinx-nvs`` command."""
