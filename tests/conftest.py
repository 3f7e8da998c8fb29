import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "support"))

# Reproducible and free of files beside the sources; examples are small, machines may be busy.
settings.register_profile(
    "suite", deadline=None, max_examples=40, derandomize=True, database=None, print_blob=False
)
settings.load_profile("suite")
