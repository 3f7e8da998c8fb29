"""``submit``."""

import argparse
import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from sphinx_framework.cli.answer import print_json
from sphinx_framework.errors import ConfigError

SECOND_THOUGHTS = 3.0
HINT = 'Install the extra: pip install "sphinx-framework[client]".'
FIELDS = (
    "quality",
    "mode",
    "seed",
    "targets",
    "split",
    "convention",
    "budget_ms",
    "deadline_ms",
)


def submit(arguments: argparse.Namespace) -> int:
    """Send a job, follow it, fetch its result; 0 only when it succeeded."""
    try:
        from sphinx_framework.client import Client
    except ModuleNotFoundError as error:
        raise ConfigError(f"submit needs {error.name!r}, which is missing.", hint=HINT) from None
    url = arguments.server or os.environ.get("SPHINX_NVS_URL")
    if not url:
        raise ConfigError("no server is named.", hint="Use --server URL, or set SPHINX_NVS_URL.")
    if (arguments.scene is None) == (arguments.job is None):
        raise ConfigError("give a --scene to send, or the --job of an earlier one.")
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None:
        _check_folder(out)
    client = Client(url, os.environ.get("SPHINX_NVS_API_KEY") or None)
    console = Console(stderr=True)
    if arguments.job is not None:
        job = client.job(arguments.job)
    else:
        fields = {name: getattr(arguments, name) for name in FIELDS}
        fields["degrade"] = arguments.degrade or None
        job = client.submit(arguments.scene, idempotency_key=arguments.idempotency_key, **fields)
    console.print(f"job {job.id} {job.status}", highlight=False)
    if arguments.no_wait:
        return _tell(arguments, job, None, 0)
    try:
        for event in job.events():
            _show(console, event.name, event.data)
    except KeyboardInterrupt:
        return _left(console, job, url)
    if job.status != "succeeded":
        told = job.view["error"] or {"detail": "the job was canceled."}
        console.print(f"error: {told['detail']}", highlight=False, markup=False)
        return _tell(arguments, job, None, 1)
    if out is not None:
        job.download(out)
    return _tell(arguments, job, out, 0)


def _show(console: Console, name: str, data: dict[str, Any]) -> None:
    """Progress in the words of ``render``."""
    if name == "plan":
        console.print(f"plan: {data['plan']['frame_steps']} frame steps", highlight=False)
    elif name == "status" and data["status"] == "queued" and data["reason"]:
        console.print(f"queued again: {data['reason']}", highlight=False)
    elif name == "progress" and data["stage"] == "denoise":
        done, total = data["step"], data["total"]
        if done == total or done % 10 == 0:
            console.print(f"denoise: step {done} of {total}", highlight=False)
    elif name == "preview" and data["index"] == 0:
        console.print("regression: views arrive", highlight=False)


def _left(console: Console, job: Any, url: str) -> int:
    """Ctrl-C: the job goes on; a second one cancels it."""
    console.print(
        f"the job goes on; come back with: sphinx-nvs submit --server {url} --job {job.id}\n"
        "press Ctrl-C again to cancel it.",
        highlight=False,
    )
    try:
        time.sleep(SECOND_THOUGHTS)
    except KeyboardInterrupt:
        job.cancel()
        console.print("canceled.")
    return 1


def _tell(arguments: argparse.Namespace, job: Any, out: Path | None, code: int) -> int:
    if arguments.json:
        print_json({"job": job.view, "out": None if out is None else str(out)})
    elif arguments.no_wait:
        print(job.id)
    elif out is not None:
        print(f"look at {out / 'contact_sheet.png'}, {out / 'frames'}, {out / 'video.mp4'}")
    return code


def _check_folder(out: Path) -> None:
    """Make the folder now, so that a bad path fails before anything is sent."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"--out {out}: cannot write there: {error.strerror}.", hint="Choose another folder."
        ) from None
