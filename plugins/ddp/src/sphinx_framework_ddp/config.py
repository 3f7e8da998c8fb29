"""Options of ``ddp``."""

from pydantic import BaseModel, ConfigDict, Field


class LearnedStepsConfig(BaseModel):
    """Where the trained policy is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str = Field(description="file written by: sphinx-nvs calibrate --policy ddp --out FILE")
