"""The house has at most seven floors of imports: measured, not only declared."""

from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

CORE = "sphinx_framework"
FLOORS = 7


@pytest.fixture(scope="module")
def imports():
    """Which rooms (packages and modules at the top of the core) each room imports, in functions
    too; what only type checkers read does not count."""
    graph = grimp.build_graph(CORE, exclude_type_checking_imports=True, cache_dir=None)
    rooms = {}
    for module in graph.modules - {CORE}:
        names = {CORE, *graph.find_modules_directly_imported_by(module)} - {CORE}
        rooms.setdefault(room_of(module), set()).update(map(room_of, names))
    return {room: names - {room} for room, names in rooms.items()}


def room_of(module):
    return module.split(".")[1]


def floors(imports):
    """Room -> length of its longest chain of imports; raises ``CycleError`` for a circle."""
    floor = {}
    for room in TopologicalSorter(imports).static_order():
        floor[room] = 1 + max((floor[other] for other in imports.get(room, ())), default=0)
    return floor


def test_no_chain_of_rooms_that_import_each_other_is_longer_than_seven(imports):
    assert max(floors(imports).values()) <= FLOORS


def test_every_room_of_the_core_is_measured(imports):
    core = Path(__file__).parents[1] / CORE
    packages = {path.parent.name for path in core.glob("*/__init__.py")}
    modules = {path.stem for path in core.glob("*.py")} - {"__init__"}
    assert set(imports) == packages | modules


def test_the_measure_sees_a_chain():
    assert floors({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": 3, "b": 2, "c": 1}
