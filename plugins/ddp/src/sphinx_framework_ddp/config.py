"""Options of ``ddp``."""

from pydantic import Field

from sphinx_framework.options import Options


class LearnedStepsConfig(Options):
    """Where the trained policy is."""

    policy: str = Field(description="file written by: sphinx-nvs calibrate --policy ddp --out FILE")
