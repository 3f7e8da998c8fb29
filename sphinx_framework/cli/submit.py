"""``submit``."""

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.outputs import open_output
from sphinx_framework.errors import ConfigError
from sphinx_framework.folders.folder import OutputFolder
from sphinx_framework.folders.manifest import RENDERED

if TYPE_CHECKING:
    from sphinx_framework.client import Client, Job

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
    if arguments.job is not None:
        _refuse_wishes(arguments)
    with Client(url, os.environ.get("SPHINX_NVS_API_KEY") or None) as client:
        if arguments.out is None:
            return _served(arguments, client, None)
        # Checked before anything is sent, and held until the result is there: what a server has
        # computed must not fail for a folder that could have been refused at once.
        scenes = [] if arguments.scene is None else [arguments.scene]
        read = [arguments.targets]
        with open_output(arguments.out, scenes=scenes, files=read, holds=RENDERED) as folder:
            return _served(arguments, client, folder)


def _refuse_wishes(arguments: argparse.Namespace) -> None:
    """A job that was sent has its wishes: others would be taken for those of the result."""
    given = [name for name in (*FIELDS, "idempotency_key") if getattr(arguments, name) is not None]
    given += ["degrade"] if arguments.degrade else []
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(
            f"{options} cannot be given with --job: that job was sent with its own.",
            hint="Send a new job with --scene.",
        )


def _served(arguments: argparse.Namespace, client: "Client", folder: OutputFolder | None) -> int:
    console = Console(stderr=True)
    if arguments.job is not None:
        job = client.job(arguments.job)
    else:
        fields = {name: getattr(arguments, name) for name in FIELDS}
        fields["degrade"] = arguments.degrade or None
        job = client.submit(arguments.scene, idempotency_key=arguments.idempotency_key, **fields)
    for warning in job.warnings:
        _say(console, f"warning: {warning}")
    console.print(f"job {job.id} {job.status}", highlight=False)
    back = job.return_command(arguments.out)
    if arguments.no_wait:
        _say(console, f"come back with: {back}")
        return _tell(arguments, job, None, 0)
    try:
        for event in job.events():
            _show(console, event.name, event.data)
    except KeyboardInterrupt:
        return _left(console, job, back)
    if job.status != "succeeded":
        told = job.view.get("error") or {"detail": "the job was canceled."}
        _say(console, f"error: {told['detail']}")
        return _tell(arguments, job, None, 1)
    if folder is None:
        _say(console, f"the server keeps the result; fetch it with: {back} --out DIR")
        return _tell(arguments, job, None, 0)
    try:
        job.download(folder)
    except KeyboardInterrupt:
        _say(console, f"the server keeps the result; fetch it with: {back}")
        raise
    return _tell(arguments, job, Path(arguments.out), 0)


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


def _say(console: Console, text: str) -> None:
    """One line as it is: commands in it can be copied."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _left(console: Console, job: "Job", back: str) -> int:
    """Ctrl-C: the job goes on; a second one cancels it."""
    _say(console, f"the job goes on; come back with: {back}\npress Ctrl-C again to cancel it.")
    try:
        time.sleep(SECOND_THOUGHTS)
    except KeyboardInterrupt:
        job.cancel()
        console.print("canceled.")
    return 1


def _tell(arguments: argparse.Namespace, job: "Job", out: Path | None, code: int) -> int:
    if arguments.json:
        print_json({"job": job.view, "out": None if out is None else str(out)})
    elif arguments.no_wait:
        print(job.id)
    elif out is not None:
        print(f"look at {out / 'contact_sheet.png'}, {out / 'frames'}, {out / 'video.mp4'}")
    return code
