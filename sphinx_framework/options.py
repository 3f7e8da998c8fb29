"""The base of every options table, and the one sentence that a wrong value gets (torch-free)."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

# Of images, in pixels. Photos may be larger; no model here renders a quarter of it, and beyond, a
# request's views do not fit into the memory of today's machines.
MAX_SIDE = 8192
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


def is_boolean(value: object) -> bool:
    """Python's or numpy's, that one by its name (numpy 1's is ``bool_``): it is not loaded here."""
    return type(value).__name__ in ("bool", "bool_")


def _no_other_kind(
    code: Literal["int_type", "float_type"], wanted: str
) -> Callable[[object], object]:
    """A check before a number's own: pydantic would take ``True`` for 1 and ``"50"`` for 50."""

    def check(value: object) -> object:
        if is_boolean(value):
            raise PydanticCustomError(code, f"Input should be {wanted}, not true or false")
        if isinstance(value, str | bytes):
            raise PydanticCustomError(code, f"Input should be {wanted}, not a text")
        return value

    return check


def _true_or_false(value: object) -> object:
    """A check before a boolean's own: pydantic would take ``"yes"`` and ``1`` for true."""
    if not is_boolean(value):
        raise PydanticCustomError("bool_type", "Input should be true or false")
    return value


_CHECKS: dict[str, Callable[[object], object]] = {
    "int": _no_other_kind("int_type", "a valid integer"),
    "float": _no_other_kind("float_type", "a valid number"),
    "bool": _true_or_false,
}
# What pydantic's schema holds besides schemas.
_NO_SCHEMAS = ("serialization", "metadata", "default", "config", "function", "expected")


def _strictly(node: Any) -> Any:
    """A core schema with the checks before every number and boolean, however deep.

    Not pydantic's own strictness: it also refuses a list for a tuple, which is all that TOML has,
    and numbers of numpy.
    """
    if isinstance(node, list | tuple):
        return type(node)(_strictly(part) for part in node)
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if kind == "function-before" and node["function"].get("function") in _CHECKS.values():
        return node
    if isinstance(kind, str) and kind in _CHECKS:
        return core_schema.no_info_before_validator_function(
            _CHECKS[kind], cast(CoreSchema, dict(node))
        )
    if kind == "union":  # a label keeps the place in a message what it was, "int"
        node["choices"] = [
            (one, one["type"]) if isinstance(one, dict) and one.get("type") in _CHECKS else one
            for one in node["choices"]
        ]
    for key in node.keys() - set(_NO_SCHEMAS):
        node[key] = _strictly(node[key])
    return node


class Options(BaseModel):
    """Immutable, unknown keys refused: what configs, rule files and components' options are.

    ``true`` is no number, a text of digits neither, and only ``true`` and ``false`` are booleans.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's own, with a check of kind before every number and boolean."""
        schema = handler(source)
        _strictly(handler.resolve_ref_schema(schema))
        return schema


class CheckpointOptions(Options):
    """A checkpoint and its places, under the same names in every component.

    A component says in a ``weights`` of its own which names it knows and which is the default.
    """

    weights: str = Field(
        default="random", description="a known name, the path of a checkpoint, or 'random'"
    )
    weights_repo: str | None = Field(
        default=None,
        description="Hugging Face repository that has the file, instead of the usual place",
    )
    weights_file: str | None = Field(
        default=None,
        description="name of the file in its repository or folder; none: the usual one",
    )
    weights_revision: str | None = Field(
        default=None,
        description="commit, branch or tag of the repository; none: the pinned commit of ours",
    )
    weights_folder: str | None = Field(
        default=None, description="folder that has the official file, instead of the usual place"
    )
    weights_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-fA-F]{8,64}$",
        description="SHA-256 of the file, or its first digits; checked when given",
    )


def known_keys(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The keys of the table in which the last part of a problem's place lies."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        kinds = () if field is None else (field.annotation, *get_args(field.annotation))
        tables = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if tables:
            model = tables[0]
    return list(model.model_fields)


def first_problem(error: ValidationError) -> str:
    """``table.0.rows: must rise``: where the first thing that is wrong lies, and what it is."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    detail = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {detail}" if key else detail
