"""``sphinx-nvs serve``: what was asked for, checked; the extra is imported when it runs."""

import argparse
import os
from pathlib import Path

from sphinx_framework.errors import ConfigError

HINT = 'Install the extra: pip install "sphinx-framework[serve]".'


def serve(arguments: argparse.Namespace) -> int:
    """Check what was asked for, and serve until a signal."""
    try:
        from sphinx_framework.serve.keys import make_key
        from sphinx_framework.serve.run import serve as run
        from sphinx_framework.serve.settings import Settings
    except ModuleNotFoundError as error:
        raise ConfigError(f"serving needs {error.name!r}, which is missing.", hint=HINT) from None
    if arguments.make_key is not None:
        key, line = make_key(arguments.make_key)
        print(key)
        print(line)
        return 0
    if arguments.config is None:
        raise ConfigError("--config is required.", hint="For example --config lite.")
    from pydantic import ValidationError

    from sphinx_framework.config import load_config, load_cost
    from sphinx_framework.policy.memory import read_memory

    overrides = list(arguments.overrides)
    if arguments.memory is not None:
        overrides.append(f"engine.memory_gb={read_memory(arguments.memory)}")
    config = load_config(arguments.config, overrides)
    if arguments.cost is not None:
        config = config.model_copy(update={"cost": load_cost(arguments.cost)})
    values = {name: getattr(arguments, name, None) for name in Settings.model_fields}
    given = {name: value for name, value in values.items() if value is not None}
    given["page"], given["metrics"] = not arguments.no_page, not arguments.no_metrics
    given["json_logs"] = arguments.json
    given.setdefault("data", Path(os.environ.get("SPHINX_NVS_DATA") or "sphinx-nvs-data"))
    workers = given.get("workers", 1)
    given.setdefault("threads", max(1, cores() // max(1, workers)))
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        flag = "--" + str(problem["loc"][0]).replace("_", "-")
        raise ConfigError(f"{flag}: {problem['msg']}.") from None
    return run(settings, config, debug=arguments.debug)


def cores() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return os.cpu_count() or 1 if affinity is None else len(affinity(0))
