from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.rules import SCHEMA, Rules, load_rules

HEAD = 'schema = "sphinx-framework/rules/1"\nname = "mine"\nnum_steps = 50\n'
PLANS = "[[table]]\nquality = 0.95\nrows = [[0.0, 0.8, 0], [0.8, 1.0, 40]]\nsteps = [3, 1]\n"
ONE = "[[table]]\nquality = 0.95\nrows = [[0.5, 0.8, 10], [0.8, 1.0, 20]]\n"


def written(folder: Path, text: str) -> str:
    path = folder / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_without_clusters_is_enough(tmp_path: Path) -> None:
    rules = load_rules(written(tmp_path, HEAD + ONE)).rules
    assert rules.num_clusters is None
    assert rules.table(0.95, None).rows[-1] == (0.8, 1.0, 20)


def test_samples_and_bounds_go_with_the_rows(tmp_path: Path) -> None:
    text = HEAD + ONE + "samples = [12, 40]\nlower_bound = [0.951, 0.96]\nnotes = 'few'\n"
    table = load_rules(written(tmp_path, text)).rules.tables[0]
    assert table.samples == (12, 40)
    assert table.lower_bound == (0.951, 0.96)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE, "schema"),
        (HEAD.replace("rules/1", "rules/9") + ONE, "schema"),
        (HEAD, "table"),
        (HEAD + ONE + "sample = 3\n", "sample"),
        (HEAD + ONE.replace("0.8, 1.0", "0.85, 1.0"), "gap"),
        (HEAD + ONE.replace("1.0, 20", "1.0, 5"), "falls"),
        (HEAD + ONE.replace("1.0, 20", "1.0, 51"), "exceeds num_steps"),
        (HEAD + ONE.replace("0.5, 0.8", "0.9, 0.8"), "low must be below high"),
        (HEAD + ONE.replace("0.5, 0.8, 10", "-0.5, 0.8, 10"), "negative"),
        (HEAD + ONE.replace("0.95", "1.0", 1), "quality"),
        (HEAD + ONE + "samples = [3]\n", "one entry per row"),
        (HEAD + ONE + ONE, "one table for each cluster"),
        (HEAD + ONE.replace("rows", "cluster = 1\nrows"), "one table for each cluster"),
        (HEAD + ONE + ONE.replace("0.95", "0.98").replace("10]", "15]"), "later than"),
        (HEAD + "[clusters]\nnames = ['a', 'b']\n" + ONE, "one entry per cluster"),
        (HEAD + "[clusters]\ncentres_url = 'https://a/b.npy'\n" + ONE, "centres_sha256"),
        (HEAD + "[clusters]\ncentres_file = 'a'\ncentres_url = 'b'\n" + ONE, "one of"),
        (HEAD + PLANS.replace("[3, 1]", "[1, 3]"), "the better frame would cost more"),
        (HEAD + PLANS.replace("0.0, 0.8", "0.1, 0.8"), "begin at ratio 0"),
        (HEAD + PLANS.replace("[3, 1]", "[3]"), "one entry per row"),
        (HEAD + PLANS.replace("[3, 1]", "[3, -1]"), "must not be negative"),
        (HEAD + ONE + 'solvers = ["euler", ""]\n', "solvers needs steps"),
        (HEAD + PLANS + ONE.replace("0.95", "0.98"), "in all tables, or in none"),
        (HEAD + PLANS + PLANS.replace("0.95", "0.98").replace("[3, 1]", "[2, 1]"), "fewer steps"),
        ("schema =", "not a valid TOML file"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_clear_error(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_rules(written(tmp_path, text))
    assert "rules.toml" in str(caught.value)


@given(name=st.text(), notes=st.text(), rows=st.lists(st.floats(0, 2), min_size=2, unique=True))
@settings(max_examples=30, deadline=None)
def test_what_is_written_reads_back_equal_whatever_the_texts(
    tmp_path_factory: pytest.TempPathFactory, name: str, notes: str, rows: list[float]
) -> None:
    edges = sorted(rows)
    table = {
        "quality": 0.95,
        "rows": [(a, b, i) for i, (a, b) in enumerate(pairwise(edges))],
        "served_samples": 3,
        "served_bound": 0.97,
    }
    given = {"schema": SCHEMA, "name": name, "num_steps": 60, "provenance": {"notes": notes}}
    rules = Rules.model_validate({**given, "table": [table]})
    path = written(tmp_path_factory.mktemp("rules"), rules.to_toml())
    assert load_rules(path).rules == rules


def test_the_documented_example_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    second = example[example.index("[[table]]") :].replace("cluster = 0", "cluster = 1")
    rules = load_rules(written(tmp_path, example + second)).rules
    assert (rules.num_clusters, rules.qualities) == (2, (0.95,))


def test_a_missing_file_suggests_a_near_one(tmp_path: Path) -> None:
    written(tmp_path, HEAD + ONE)
    with pytest.raises(ConfigError, match=r"Did you mean 'rules.toml'"):
        load_rules(str(tmp_path / "rule.toml"))


def test_a_missing_resource_suggests_a_shipped_one() -> None:
    with pytest.raises(ConfigError, match="re10k_seva_mvsplat"):
        load_rules("sphinx_framework_klogic:re10k_mvsplat.toml")


def test_an_unknown_package_is_named() -> None:
    with pytest.raises(ConfigError, match="no_such_package"):
        load_rules("no_such_package:rules.toml")


def test_a_row_is_a_whole_plan(tmp_path: Path) -> None:
    """Starts may fall with the ratio, as long as the better frame takes no more steps."""
    text = HEAD + (
        "[[table]]\nquality = 0.9\nrows = [[0.0, 0.5, 40], [0.5, 0.9, 0], [0.9, 1.0, 50]]\n"
        'steps = [2, 1, 0]\nsolvers = ["dpmpp_2m", "", ""]\n'
    )
    rules = load_rules(written(tmp_path, text)).rules
    plans = [rules.plan(rules.tables[0], ratio).text() for ratio in (0.2, 0.7, 0.95, 1.5)]
    assert plans == ["40x2:dpmpp_2m", "0x1", "50", "50"]
