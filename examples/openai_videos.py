"""Make a video of a scene with the ``openai`` package against ``sphinx-nvs serve``.

    sphinx-nvs serve --config lite
    pip install openai
    python examples/openai_videos.py path/to/scene out.mp4

``input_reference`` is a zip of a scene folder instead of a picture; the prompt is ignored. What the
API has no field for goes into ``extra_body``: ``seed``, and ``request`` with the fields of a job.
"""

import argparse
import io
import json
import time
import zipfile
from pathlib import Path

from openai import OpenAI


def packed(scene: Path) -> bytes:
    """A scene folder as a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(scene.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(scene))
    return out.getvalue()


def main() -> None:
    """Ask for a video, wait for it, save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--server", default="http://127.0.0.1:8000")
    parser.add_argument("--api-key", default="none", help="a key of the server's, if it has any")
    arguments = parser.parse_args()

    client = OpenAI(base_url=f"{arguments.server}/v1", api_key=arguments.api_key)
    video = client.videos.create(
        prompt="ignored",
        input_reference=("scene.zip", packed(arguments.scene), "application/zip"),
        extra_body={"seed": 3, "request": json.dumps({"targets": "interpolate:24"})},
    )
    while video.status in ("queued", "in_progress"):
        print(f"{video.id}: {video.status}, {video.progress} %")
        time.sleep(1)
        video = client.videos.retrieve(video.id)
    if video.error is not None:
        raise SystemExit(f"{video.error.code}: {video.error.message}")
    client.videos.download_content(video.id).write_to_file(arguments.out)
    print(f"{arguments.out}: {video.size}, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
