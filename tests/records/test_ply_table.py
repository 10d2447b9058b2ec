"""Plies as columns: they say what the objects say, and their bytes and names are those of the format."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringrift.core.ids import canonical_msgpack
from ringrift.records.analysis import Analysis, check_analysis
from ringrift.records.analysis_bytes import analysis_from_bytes, analysis_to_bytes, stored_analysis
from ringrift.records.ply_analysis import KINDS, POLICY_TOTAL, PlyAnalysis, quantize
from ringrift.records.ply_table import PlyTable
from ringrift.records.record import VerificationError
from ringrift.records.varints import pack_numbers

from .conftest import make_game

NUMBER = st.integers(0, (1 << 40) - 1)
COUNTS = st.dictionaries(NUMBER, st.integers(0, (1 << 31) - 1), max_size=20)
UNITS = st.integers(-10_000, 10_000).map(lambda n: n / 10_000)


@st.composite
def plies_of(draw, players=2):
    values = st.tuples(*[UNITS] * players)
    return tuple(
        PlyAnalysis(
            ply=ply,
            kind=draw(st.sampled_from(KINDS)),
            sims=draw(NUMBER),
            value=draw(st.one_of(st.just(()), values)),
            root_value=draw(st.one_of(st.just(()), values)),
            policy=draw(COUNTS),
            visits=draw(st.none() | COUNTS),
            prior_kl=draw(st.none() | st.integers(0, 1 << 30).map(lambda n: n / 10_000)),
            nodes=draw(st.none() | NUMBER),
            depth=draw(st.none() | NUMBER),
            ms=draw(st.none() | NUMBER),
        )
        for ply in sorted(draw(st.sets(st.integers(0, 70_000), max_size=20)))
    )


@settings(max_examples=150, deadline=None)
@given(plies_of())
def test_columns_hold_what_the_plies_hold(plies):
    table = PlyTable.of(plies)
    assert tuple(table) == plies
    assert len(table) == len(plies)
    named = [
        (
            p.ply,
            p.kind,
            p.sims,
            p.value,
            p.root_value,
            sorted(p.policy.items()),
            None if p.visits is None else sorted(p.visits.items()),
            p.prior_kl,
        )
        for p in plies
    ]
    assert table.canonical() == canonical_msgpack(named)
    numbers = []
    for p in plies:
        for counts in (p.policy, p.visits):
            if counts is not None:
                moves = sorted(counts)
                numbers += [len(moves), *np.diff([0, *moves]).tolist(), *map(counts.get, moves)]
    assert table.packed_counts() == pack_numbers(numbers)


@settings(max_examples=100, deadline=None)
@given(plies_of(players=3))
def test_bytes_give_back_the_columns(plies):
    analysis = Analysis(game="0" * 64, agent="a", budget={"sims": 3}, plies=plies)
    data = analysis_to_bytes(analysis)
    assert analysis_from_bytes(data) == analysis
    identity, read = stored_analysis(data)
    assert (identity, read.plies) == (analysis.id, analysis.plies)


@pytest.fixture(scope="module")
def searched():
    record = make_game()
    ply = PlyAnalysis(
        ply=0, kind="full", sims=8, value=(0.5, -0.5), root_value=(0.25, -0.25),
        policy={record.moves[0]: POLICY_TOTAL}, prior_kl=0.5, nodes=3, depth=2, ms=1,
    )  # fmt: skip
    return record, ply


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ply": 100_000}, "plies[1].ply"),
        ({"ply": 0}, "plies[1].ply"),
        ({"sims": -1}, "plies[1].sims"),
        ({"sims": 1 << 31}, "plies[1].sims"),
        ({"nodes": -1}, "plies[1].nodes"),
        ({"depth": 1 << 31}, "plies[1].depth"),
        ({"ms": -5}, "plies[1].ms"),
        ({"value": (1.5, -1.5)}, "plies[1].value"),
        ({"root_value": (0.0, -1.0001)}, "plies[1].root_value"),
        ({"value": (), "root_value": ()}, None),
        ({"prior_kl": -0.1}, "plies[1].prior_kl"),
        ({"prior_kl": 1e6}, "plies[1].prior_kl"),
        ({"prior_kl": None, "nodes": None, "depth": None, "ms": None}, None),
        ({"policy": {}}, "plies[1].policy"),
        ({"policy": {5: POLICY_TOTAL - 1}}, "plies[1].policy"),
        ({"policy": {5: POLICY_TOTAL, 6: 0}}, "plies[1].policy"),
        ({"policy": {1 << 40: POLICY_TOTAL}}, "plies[1].policy"),
        ({"policy": {-1: POLICY_TOTAL}}, "plies[1].policy"),
        ({"visits": {5: -1}}, "plies[1].visits"),
        ({"visits": {5: 0}}, None),
    ],
)
def test_what_no_search_has_is_named(searched, change, named):
    record, ply = searched
    second = dataclasses.replace(ply, **{"ply": 2, **change})
    analysis = Analysis(game=record.id, agent="a", plies=(ply, second))
    if named is None:
        check_analysis(analysis, record)
        return
    with pytest.raises(VerificationError) as refused:
        check_analysis(analysis, record)
    assert refused.value.where == f"field {named}"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "deep"}, "plies[1].kind"),
        ({"value": (0.0, 0.0, 0.0)}, "plies[0].value"),
        ({"sims": 1 << 62}, "plies[1].sims"),
        ({"policy": {1 << 70: 1}}, "plies.policy"),
    ],
)
def test_what_no_column_holds_is_named(searched, change, named):
    _, ply = searched
    with pytest.raises(VerificationError) as refused:
        PlyTable.of((ply, dataclasses.replace(ply, **change)))
    assert refused.value.where == f"field {named}"


@pytest.mark.parametrize("number", [-(1 << 63) - 1, 1 << 63, float("nan")])
def test_a_budget_beyond_64_bits_is_refused(searched, number):
    record, ply = searched
    analysis = Analysis(game=record.id, agent="a", budget={"sims": number}, plies=(ply,))
    with pytest.raises(VerificationError, match=r"budget\.sims"):
        check_analysis(analysis, record)


def test_other_numbers_of_seats_are_refused(searched):
    record, ply = searched
    three = dataclasses.replace(ply, value=(0.0, 0.0, 0.0), root_value=())
    with pytest.raises(VerificationError, match="2 values"):
        check_analysis(Analysis(game=record.id, agent="a", plies=(three,)), record)


def test_a_move_that_stands_twice_is_refused(searched):
    record, ply = searched
    table = PlyTable.of((ply,))
    doubled = dataclasses.replace(
        table,
        moves=np.repeat(table.moves, 2),
        counts=np.array([65_000, 535]),
        offsets=np.array([0, 2]),
    )
    with pytest.raises(VerificationError, match="a move twice"):
        check_analysis(Analysis(game=record.id, agent="a", plies=doubled), record)


@pytest.mark.parametrize("cut", [1, 2, 5, 9])
def test_counts_cut_short_are_refused(searched, cut):
    from ringrift.records import analysis_bytes as module

    record, ply = searched
    plies = tuple(
        dataclasses.replace(ply, ply=i, policy=quantize({i: 1.0, i + 9: 2.0})) for i in range(4)
    )
    table = Analysis(game=record.id, agent="a", plies=plies).table
    data = table.packed_counts()
    with pytest.raises(VerificationError, match="truncated"):
        module._read_counts(data[:-cut], table.with_visits)
    with pytest.raises(VerificationError, match="belong to no ply"):
        module._read_counts(data + b"\x01", table.with_visits)
    with pytest.raises(VerificationError, match="40 bits"):
        module._read_counts(b"\xff" * 9 + data, table.with_visits)
