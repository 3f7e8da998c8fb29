"""Arguments of ``serve`` and ``submit`` (torch-free)."""

import argparse
from collections.abc import Callable

Add = Callable[[str, str, str], argparse.ArgumentParser]

NUMBERS: tuple[tuple[str, type, str], ...] = (
    ("workers", int, "worker processes (1)"),
    ("threads", int, "torch threads of a worker (cores // workers)"),
    ("batch", int, "most jobs in one call of the network (1)"),
    ("max-upload-mb", float, "largest request body (64)"),
    ("max-unpacked-mb", float, "all files of an archive together (256)"),
    ("max-entries", int, "members of an archive (2000)"),
    ("max-photos", int, "input views of a job (64)"),
    ("max-pixels", int, "pixels of a photo (40000000)"),
    ("max-targets", int, "targets of a job (200)"),
    ("max-queue", int, "jobs that may wait (100)"),
    ("max-wait-seconds", float, "longest predicted wait (120)"),
    ("max-streams", int, "open event streams (256)"),
    ("job-timeout-seconds", float, "running time of one attempt (600)"),
    ("worker-memory-mb", float, "resident memory of a worker (no limit)"),
    ("max-attempts", int, "worker deaths of a job until it fails (3)"),
    ("keep-hours", float, "finished jobs are kept so long (24)"),
    ("max-data-gb", float, "largest data directory (10)"),
    ("cache-mb", float, "scenes that a worker keeps at hand (512)"),
    ("heartbeat-seconds", float, "between pings of an event stream (15)"),
    ("header-seconds", float, "longest time for a request's headers (10)"),
    ("body-seconds", float, "longest time for a request's body (60)"),
    ("stop-seconds", float, "running jobs may end so long after SIGTERM (30)"),
)


def add_serve_commands(add: Add) -> None:
    """Declare the commands; ``add(name, function, summary)`` makes one."""
    _serve(
        add(
            "serve",
            "sphinx_framework.serve.command:serve",
            "HTTP jobs: durable, progressive, with a page",
        )
    )
    _submit(add("submit", "submit:submit", "send a job to a server and fetch its result"))


def _serve(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="NAME|TOML", help="required, except with --make-key")
    command.add_argument("--set", action="append", default=[], metavar="A.B=V", dest="overrides")
    command.add_argument("--device", metavar="D")
    command.add_argument("--memory", metavar="24GB", help="memory of a worker's device to fit in")
    command.add_argument("--cost", metavar="TOML", help="cost table written by measure")
    command.add_argument("--licence-policy", metavar="any|permissive")
    command.add_argument("--host", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    command.add_argument("--port", type=int, metavar="N", help="0 takes a free one (8000)")
    command.add_argument("--data", metavar="DIR", help="everything durable (./sphinx-nvs-data)")
    command.add_argument("--db", metavar="URL", help="SQLAlchemy URL (SQLite in the data folder)")
    for name, kind, text in NUMBERS:
        command.add_argument(f"--{name}", type=kind, metavar="N", help=text)
    command.add_argument(
        "--engine", metavar="local|ray", help="where workers run; ray: RAY_ADDRESS, or its own"
    )
    command.add_argument("--api-keys", metavar="FILE", help="names and SHA-256 sums of keys")
    command.add_argument("--make-key", metavar="NAME", help="print a new key and its line; exit")
    command.add_argument("--cors", action="append", metavar="ORIGIN", help="pages that may call")
    command.add_argument("--allowed-host", action="append", metavar="NAME", help="further names")
    command.add_argument("--insecure", action="store_true", help="open host without keys")
    command.add_argument("--no-page", action="store_true", help="without the web page")
    command.add_argument("--no-metrics", action="store_true", help="without /metrics")


def _submit(command: argparse.ArgumentParser) -> None:
    command.add_argument("--server", metavar="URL", help="default: SPHINX_NVS_URL")
    command.add_argument("--scene", metavar="PATH", help="scene folder, or procedural:NAME")
    command.add_argument("--quality", type=float, metavar="Q")
    command.add_argument("--mode", metavar="M")
    command.add_argument("--seed", type=int, metavar="N")
    command.add_argument("--targets", metavar="SPEC", help="as in render, or a .json file")
    command.add_argument("--split", metavar="N")
    command.add_argument("--convention", metavar="C")
    command.add_argument("--budget-ms", type=float, metavar="MS")
    command.add_argument("--deadline-ms", type=int, metavar="MS")
    command.add_argument("--degrade", action="store_true", help="rather less quality than waiting")
    command.add_argument("--out", metavar="DIR", help="folder to write, as render does")
    command.add_argument("--no-wait", action="store_true", help="print the job's id and leave")
    command.add_argument("--job", metavar="ID", help="pick an earlier job up again")
    command.add_argument("--idempotency-key", metavar="K", help="default: a random one")
