"""Ratings from hour to hour, as points, as CSV and as a picture."""

import csv
import io
import re
from itertools import pairwise

import numpy as np

from ringrift.evaluation.plots import elo_over_time, intervals, llr_path, share_by_seat
from ringrift.evaluation.ratings.fit import FitRules
from ringrift.evaluation.ratings.games import read_games
from ringrift.evaluation.ratings.pictures import save
from ringrift.evaluation.trends import CSV_COLUMNS, SERIES, csv_of, trend

from .rating_stores import Pool, agent_hash

NOW = 3600.0 * 472_223  # a full hour
OLD, NEW = "gumbel@old", "gumbel@new"


def games_of(tmp_path, hours=6):
    """Every hour ten blocks: both models beat random, the new one the old one from hour 3 on."""
    pool, rng = Pool(), np.random.default_rng(1)
    for hour in range(hours):
        pairs = [("random", OLD, 0.8)] if hour < 3 else [("random", NEW, 0.9), (OLD, NEW, 0.7)]
        for first, second, share in pairs:
            for block in range(10):
                for turn, seats in enumerate(((first, second), (second, first))):
                    won = seats[turn ^ 1] if rng.random() < share else seats[turn]
                    ranks = [1 if name == won else 2 for name in seats]
                    at = NOW - 3600.0 * (hours - hour) + 60 + block
                    pool.add(seats, ranks, run=f"{hour}{first}", index=2 * block + turn, at=at)
    return read_games(pool.write(tmp_path / "games.db"), pool.config)


def found(tmp_path, **window):
    champions = [(0.0, agent_hash(OLD)), (NOW - 3600.0, agent_hash(NEW))]
    span = {"since": NOW - 24 * 3600.0, "until": NOW, **window}
    return trend(games_of(tmp_path), FitRules(), {}, champions, **span)


def test_points_are_refitted_each_hour_for_best_and_champion(tmp_path):
    points = found(tmp_path).points
    champion = [point for point in points if point.series == "champion"]
    best = [point for point in points if point.series == "best"]
    assert [round((point.at - NOW) / 3600) for point in champion] == [-5, -4, -3, -2, -1, 0]
    assert [point.agent for point in champion[:4]] == [OLD] * 4
    assert champion[-1].agent == NEW
    assert best[-1].agent == NEW
    assert best[0].games >= 30  # below that nobody is called the best
    for series in (best, champion):
        assert series[0].change is None
        for before, after in pairwise(series):
            assert after.change == round(after.elo - before.elo, 1)
    for point in points:
        low, high = point.ends
        assert low < point.elo < high


def test_a_quiet_hour_has_no_point_and_an_empty_window_none(tmp_path):
    later = found(tmp_path, since=NOW + 1.0, until=NOW + 5 * 3600.0)
    assert len({point.at for point in later.points}) == 1  # nothing was played since
    assert found(tmp_path, since=0.0, until=3600.0 * 24).points == ()


def test_the_csv_has_a_row_for_each_point_and_the_same_numbers(tmp_path):
    one = found(tmp_path)
    rows = list(csv.DictReader(io.StringIO(csv_of([one]).decode())))
    assert tuple(rows[0]) == CSV_COLUMNS
    tree = one.as_tree()["points"]
    assert len(rows) == len(tree) == len(one.points)
    for row, point in zip(rows, tree, strict=True):
        assert row == {
            name: "" if point[name] is None else str(point[name]) for name in CSV_COLUMNS
        }


def test_the_slope_of_a_rising_champion_is_positive(tmp_path):
    slopes = {slope.series: slope for slope in found(tmp_path).slopes}
    low, high = slopes["champion"].ci95
    assert low < slopes["champion"].elo_per_day < high
    assert slopes["champion"].points == 6
    assert found(tmp_path, since=NOW - 3600.0).slopes[0].ci95 is None  # two points


def test_the_picture_has_an_error_bar_for_each_point(tmp_path):
    one = found(tmp_path)
    figure = elo_over_time(one, [NOW - 3600.0])
    png, svg, data = save(tmp_path, "trend", figure, one.as_tree(), "both")
    text = svg.read_text()
    for series in SERIES:
        (bars,) = re.findall(rf'<g id="{series}-error-bars">.*?</g>', text, re.DOTALL)
        assert bars.count("<path ") == sum(point.series == series for point in one.points)
    assert png.stat().st_size > 5_000
    assert data.name == "trend.json"


def test_other_pictures_are_drawn_from_little_and_from_nothing(tmp_path):
    agents = [
        {"spec": "heuristic", "seat_games": 20, "by_seat": [0.7, 0.6]},
        {"spec": "random", "seat_games": 20, "by_seat": [None, 0.3]},
    ]
    rows = [
        {"name": "random", "score": 0.9, "ci95": [0.8, 0.95], "games": 50},
        {"name": "mcts_100", "score": None, "ci95": None, "games": 0},
    ]
    figures = [
        llr_path("a test", [0.0, 0.4, 1.9], (-2.94, 2.94)),
        llr_path("nothing", [], (-2.94, 2.94)),
        share_by_seat("a match", agents),
        share_by_seat("nothing", []),
        intervals("stage 2", rows, mark=0.7),
        intervals("nothing", []),
    ]
    for number, figure in enumerate(figures):
        (path, _) = save(tmp_path, f"p{number}", figure, {}, "png")
        assert path.read_bytes()[:4] == b"\x89PNG"


def test_more_than_a_week_is_fitted_by_the_day(tmp_path):
    days = found(tmp_path, since=NOW - 30 * 24 * 3600.0)
    assert 1 <= len({point.at for point in days.points}) <= 2
