"""The report as Markdown, and the eight plots: there, named, not empty."""

import io
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib.image
import pytest

from ringrift.data.statistics.cache import SummaryCache
from ringrift.data.statistics.gathering import Inputs
from ringrift.data.statistics.markdown import markdown
from ringrift.data.statistics.plots import PLOTS, draw
from ringrift.data.statistics.report import count_inputs, report

sys.path.insert(0, str(Path(__file__).parent))
from random_games import play, store

sys.path.pop(0)

SCORE = {
    "score": 0.8,
    "games": 100,
    "components": [
        {"name": "verified", "weight": 0.25, "value": 1.0, "n": 100, "left_out": False},
        {"name": "policy_coverage", "weight": 0.2, "value": None, "n": 0, "left_out": True},
        {"name": "diversity", "weight": 0.15, "value": None, "n": 0, "left_out": False},
    ],
}


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    games = [play("square8_2p", seed) for seed in range(6)]
    games += [play("hex8_4p", seed) for seed in range(3)]
    path = store(tmp_path_factory.mktemp("plots") / "games.db", games)
    inputs = Inputs(stores=[path])
    with SummaryCache(None) as cache:
        found = count_inputs(inputs, cache, workers=1)
    return found, report(found, inputs, scores={"square8_2p": SCORE})


def test_markdown_has_every_section_and_only_whole_tables(counted):
    text = markdown(counted[1])
    lines = text.splitlines()
    for number in range(1, 13):
        assert sum(line.startswith(f"### {number}. ") for line in lines) == 3  # all, and each
    tables = [line for line in lines if line.startswith("|")]
    assert tables
    for before, line in pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert before.count(" | ") == line.count(" | "), (before, line)
    assert "None" not in text
    assert "nan" not in text


def test_markdown_of_nothing_says_so():
    inputs = Inputs()
    with SummaryCache(None) as cache:
        tree = report(count_inputs(inputs, cache, workers=1), inputs)
    assert "0 games, 0 completed" in markdown(tree)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLOTS)
def test_each_plot_shows_something_in_its_axes(counted, name):
    found, tree = counted
    image = matplotlib.image.imread(io.BytesIO(draw(name, tree, found, form="png")))
    height, width = image.shape[:2]
    inner = image[height // 6 : height * 3 // 4, width // 4 : width * 4 // 5, :3]
    drawn = inner.max(axis=2) - inner.min(axis=2) > 0.2  # neither paper nor frame nor text
    assert drawn.mean() > 0.001


def test_a_plot_as_svg_names_the_number_of_games(counted):
    found, tree = counted
    text = draw("victory_types", tree, found, form="svg").decode()
    assert "<svg" in text
    assert "square8_2p" in text
    assert "n=6" in text
