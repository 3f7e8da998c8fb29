"""What must stay true of the source tree as a whole."""

import ast
import importlib
import pkgutil
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

import sphinx_framework

ROOT = Path(__file__).parents[1]
CORE = ROOT / "sphinx_framework"
SOURCES = sorted([*CORE.rglob("*.py"), *ROOT.glob("plugins/*/src/**/*.py")])
TORCH_FREE = (
    "errors",
    "plugin",
    "registry",
    "registry.discovery",
    "logs",
    "cli.main",
    "cli.program",
    "cli.plugins",
)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(sphinx_framework.__path__, "sphinx_framework.")
    if not module.name.startswith(("sphinx_framework.study", "sphinx_framework.serve"))
)


def name_of(path):
    return str(path.relative_to(ROOT))


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(tree):
    """Modules imported when the file is loaded (not those inside of functions)."""
    found = set()
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += [
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)
            ]
    return found


def test_no_source_file_is_longer_than_350_lines():
    assert not [name_of(p) for p in SOURCES if len(p.read_text("utf-8").splitlines()) > 350]


def test_every_source_file_says_what_it_is_for():
    assert not [name_of(path) for path in SOURCES if not ast.get_docstring(tree_of(path))]


def test_no_source_file_cites_a_section_of_what_is_not_here():
    """Papers may be cited ("paper section 5.1"); what we work from is not in the repository."""
    cited = re.compile(r"(?i)\bspec(ification)?,? (sections? )?\d|(?<!paper )\(sections? \d")
    assert not [name_of(p) for p in SOURCES if cited.search(p.read_text("utf-8"))]


def test_no_test_file_is_longer_than_300_lines():
    tests = (ROOT / "tests").rglob("*.py")
    assert not [name_of(p) for p in tests if len(p.read_text("utf-8").splitlines()) > 300]


@pytest.mark.parametrize("name", TORCH_FREE)
def test_light_modules_import_nothing_heavy(name):
    module = CORE / name.replace(".", "/")
    path = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    heavy = {"torch", "numpy", "numba", "PIL", "av"}
    assert not {module.split(".")[0] for module in imports_of(tree_of(path))} & heavy


@pytest.mark.parametrize("path", sorted(ROOT.glob("plugins/*/src/*/plugin.py")), ids=name_of)
def test_what_declares_a_plugin_imports_nothing_but_the_specs(path):
    assert {module.split(".")[0] for module in imports_of(tree_of(path))} <= {"sphinx_framework"}


def test_every_plugin_is_held_to_the_import_contracts():
    packages = {path.parent.name for path in ROOT.glob("plugins/*/src/*/plugin.py")}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    linter = settings["tool"]["importlinter"]
    held = [
        set(contract.get(key, packages)) | {"sphinx_framework"}
        for contract in linter["contracts"]
        for key in ("source_modules", "modules")
        if contract["name"].split()[0] in ("plugins", "no")
    ]
    for found in (set(linter["root_packages"]), *held):
        assert found == packages | {"sphinx_framework"}


def names_in(path):
    """Modules that a file imports, anywhere, or names in a text (``package.module:Class``)."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {f"*.{name.lstrip('.')}" for name in re.findall(r"([\w.]+):\w", node.value)}
            found.add(node.value)
    return found


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[parts.index("src") + 1 :] if "src" in parts else parts)


def test_no_source_file_is_dead():
    """Each is imported, or named by a spec or a command, outside of tests and benchmarks."""
    users = [*SOURCES, *ROOT.glob("plugins/*/training/*.py")]
    named = {path: names_in(path) for path in users}
    dead = []
    for path in SOURCES:
        if path.name in ("__init__.py", "__main__.py", "plugin.py") or "testing" in path.parts:
            continue
        module = module_of(path)
        ends = {f"*.{module}"} | {
            f"*.{module.split('.', i)[-1]}" for i in range(1, module.count(".") + 1)
        }
        if not any(names & {module, *ends} for user, names in named.items() if user != path):
            dead.append(name_of(path))
    assert not dead


@pytest.mark.parametrize("name", MODULES)
def test_every_module_of_the_core_can_be_imported(name):
    importlib.import_module(name)


@pytest.mark.parametrize("name", sphinx_framework.__all__)
def test_public_names_resolve_and_are_listed(name):
    assert getattr(sphinx_framework, name) is not None
    assert name in dir(sphinx_framework)


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Enjine'"):
        _ = sphinx_framework.Enjine


def test_the_promised_python_names_are_public():
    assert {"Engine", "Scene", "Cameras", "load_scene", "PipelineConfig"} <= set(
        sphinx_framework.__all__
    )


def test_the_package_is_typed():
    assert (CORE / "py.typed").exists()


def calls_of(path):
    """Dotted names of the functions that a file calls."""
    calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    return {ast.unparse(function) for function in calls}


def test_libraries_do_not_print():
    commands = {path for path in SOURCES if "cli" in path.parts or path.name == "command.py"}
    assert not [name_of(p) for p in SOURCES if p not in commands and "print" in calls_of(p)]


def test_nothing_seeds_the_global_random_state():
    seeding = {"torch.manual_seed", "np.random.seed", "numpy.random.seed", "random.seed"}
    guard = "torch.random.fork_rng"  # which gives the global state back
    assert not [
        name_of(path)
        for path in SOURCES
        if calls_of(path) & seeding and guard not in calls_of(path)
    ]
