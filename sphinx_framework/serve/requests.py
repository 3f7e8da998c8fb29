"""The request object of a job: its fields, their types and their limits."""

import json
import re
import unicodedata
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sphinx_framework.policy.schedule import Mode
from sphinx_framework.scenes.target_keys import names_target_file
from sphinx_framework.serve.problems import Problem

LARGEST_REQUEST = 1 << 20
GENERATED = re.compile(r"procedural:[a-z0-9][a-z0-9_-]{0,40}(/[0-9]{1,9})?", re.ASCII)
UPLOADED = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def _plain(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("holds control characters")
    return text


def _not_a_file(text: str) -> str:
    if names_target_file(text) or "/" in text or "\\" in text:
        raise ValueError("names a file; send the cameras as target_cameras")
    return text


Text = Annotated[str, AfterValidator(_plain), Field(max_length=1000)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e12, le=1e12)]
Whole = Annotated[int, Field(strict=True, ge=1, le=100_000)]
Matrix = Annotated[list[list[Number]], Field(min_length=3, max_length=4)]


class Strict(BaseModel):
    """Unknown fields are a mistake, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Pinhole(Strict):
    """Intrinsics in pixels, or normalised by the image size."""

    fx: Number
    fy: Number
    cx: Number
    cy: Number


class TargetCamera(Strict):
    """One viewpoint, as in ``cameras.json``."""

    pose: Matrix
    intrinsics: Pinhole | Matrix | None = None
    width: Whole | None = None
    height: Whole | None = None


class TargetCameras(Strict):
    """Viewpoints of the client's own."""

    convention: Literal["opencv_c2w", "opengl_c2w", "opencv_w2c"]
    targets: Annotated[list[TargetCamera], Field(min_length=1, max_length=1000)]


class JobRequest(Strict):
    """What a client may ask for; never a path, a config, a plugin or a device."""

    scene: Text | None = Field(
        default=None, description="generated scene, or the id of an earlier one", max_length=200
    )
    targets: Annotated[Text, AfterValidator(_not_a_file)] | None = Field(
        default=None, description="split, interpolate:N, orbit:N[:DEG], spiral:N or indices:I,J"
    )
    target_cameras: TargetCameras | None = None
    convention: Literal["auto", "opengl_c2w", "opencv_w2c"] = "auto"
    split: Annotated[str, Field(pattern=r"^[0-9]{1,6}$")] | None = None
    mode: Mode | None = None
    quality: Annotated[Number, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    budget_ms: Annotated[Number, Field(gt=0)] | None = None
    deadline_ms: Annotated[int, Field(gt=0, le=10**12)] | None = None
    degrade: bool = False


def parse_json(data: bytes) -> Any:
    """JSON as the standard has it; raises :class:`Problem` 400."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        text = data.decode("utf-8")
        return json.loads(text, parse_constant=refuse, object_pairs_hook=_each_once)
    except UnicodeDecodeError:
        raise Problem("malformed-request", "The JSON is not UTF-8.") from None
    except RecursionError:
        raise Problem("malformed-request", "The JSON is nested too deeply.") from None
    except ValueError as error:
        raise Problem("malformed-request", f"The JSON cannot be read: {error}.") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's fields: of two with one name, readers of JSON take either."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{twice[:100]!r} is given twice")
    return found


def parse_request(data: bytes) -> JobRequest:
    """A checked request; raises :class:`Problem` with pointers to what is wrong."""
    values = parse_json(data)
    if not isinstance(values, dict):
        raise Problem("request-invalid", "The request must be a JSON object.")
    try:
        # By way of JSON, so that whole numbers are numbers and nothing else is converted.
        request = JobRequest.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise _invalid(error) from None
    except ValueError:  # lone surrogates
        raise Problem("request-invalid", "The request holds text that is not Unicode.") from None
    if request.targets is not None and request.target_cameras is not None:
        raise Problem(
            "request-invalid",
            "Give targets or target_cameras, not both.",
            errors=[{"pointer": "/target_cameras", "detail": "targets are given too"}],
        )
    return request


def check_scene_name(name: str | None) -> str:
    """A scene by name: a generated one or an earlier one's id, and never a path."""
    if name is None:
        pointer = {"pointer": "/scene", "detail": "is required"}
        raise Problem("request-invalid", "The request names no scene.", errors=[pointer])
    if GENERATED.fullmatch(name) or UPLOADED.fullmatch(name):
        return name
    raise Problem(
        "request-invalid",
        f"{name[:100]!r} is neither a generated scene nor the id of an earlier one.",
        hint="For example procedural:demo, or scene.id of a job; upload other scenes.",
        errors=[{"pointer": "/scene", "detail": "is not the name of a scene"}],
    )


def _invalid(error: ValidationError) -> Problem:
    found = []
    for problem in error.errors(include_url=False)[:20]:
        place = [part for part in problem["loc"] if part not in ("Pinhole", _MATRIX)]
        pointer = "".join(f"/{_escape(str(part))}" for part in place)
        text = str(problem["msg"]).removeprefix("Value error, ")
        found.append({"pointer": pointer[:200], "detail": text[:300]})
    first = found[0]
    name = first["pointer"].lstrip("/") or "the request"
    return Problem("request-invalid", f"{name}: {first['detail']}.", errors=found)


_MATRIX = "list[list[constrained-float]]"


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
