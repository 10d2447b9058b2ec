"""Symmetries: each maps legal sets and successors exactly, and hex8 has no more than four."""

import random

import numpy as np
import pytest

from ringrift.rules import BOARDS, BoardSpec, Position
from ringrift.rules import moves as mv
from ringrift.rules.geometry import board_tables, geometry
from ringrift.rules.layout import SCRATCH, zeros
from ringrift.training.samples import symmetry
from ringrift.training.samples.images import move_images
from ringrift.training.samples.symmetry import symmetries

COUNTS = {"square8": 8, "square19": 8, "hex8": 4, "hexagonal": 12}


def image_text(position, cell_map):
    """Write the canonical text of the position's image."""
    g = geometry(position.spec.board)
    fields = dict(part.split("=", 1) for part in str(position).split(";"))

    def cell(key):
        return int(cell_map[g.index[key]])

    for name in "SMC":
        moved = [(cell(e.partition(":")[0]), e.partition(":")[2]) for e in fields[name].split()]
        fields[name] = " ".join(f"{g.keys[c]}:{value}" for c, value in sorted(moved))
    if fields["only"] != "-":
        fields["only"] = g.keys[cell(fields["only"])]
    return ";".join(f"{k}={v}" for k, v in fields.items())


def images(position, s, k):
    out = np.zeros(len(position.legal_packed()), np.int64)
    move_images(
        position._states,
        0,
        board_tables(position.spec),
        zeros(1, SCRATCH),
        position.legal_packed(),
        s.cells[k],
        s.axes[k],
        s.reversed[k],
        out,
    )
    return out


def sampled(spec, games, keep, seed):
    """Yield parsed positions of random games: those with rare moves, and one in `keep` others."""
    rng = random.Random(f"{spec.config} {seed}")
    rare = {mv.LINE, mv.OPTION, mv.REGION}
    for _ in range(games):
        position = Position.of(spec)
        while not position.is_over and position.ply < 700:
            legal = position.legal_packed()
            kinds = {int(k) for k in legal & mv.KIND_MASK}
            if mv.RECOVER not in kinds and (kinds & rare or rng.random() < 1 / keep):
                yield Position.parse(str(position), spec=spec)
            position._play_legal(rng.choice(legal.tolist()))


def differences(position, s, k, rng):
    """Count what symmetry `k` does not map exactly: the legal set, and four successors."""
    mirrored = Position.parse(image_text(position, s.cells[k]), spec=position.spec)
    mapped = images(position, s, k)
    if sorted(mapped.tolist()) != sorted(mirrored.legal_packed().tolist()):
        return 1
    legal = position.legal_packed()
    chosen = set(rng.sample(range(len(legal)), min(3, len(legal))))
    chosen |= set(np.flatnonzero(legal & mv.KIND_MASK == mv.REGION).tolist()[:3])
    wrong = 0
    for i in chosen:
        after = image_text(position.after(int(legal[i])), s.cells[k])
        wrong += after != str(mirrored.after(int(mapped[i])))
    return wrong


@pytest.mark.parametrize("board", BOARDS)
def test_identity_first_and_maps_are_permutations(board):
    s = symmetries(board)
    assert len(s) == COUNTS[board]
    cells = geometry(board).keys
    assert s.cells[0].tolist() == list(range(len(cells)))
    assert not s.reversed[0].any()
    for k in range(len(s)):
        assert sorted(s.cells[k].tolist()) == list(range(len(cells)))
        assert sorted(s.axes[k].tolist()) == list(range(s.axes.shape[1]))


def mapped_exactly(spec, most):
    """Compare up to `most` positions with their images; return their number and kinds of moves."""
    large = spec.board in ("square19", "hexagonal")
    s, rng, kinds, count = symmetries(spec.board), random.Random(1), set(), 0
    games = 4 if most <= 150 else 10_000
    for position in sampled(spec, games, 40 if large else 12, seed=2):
        count += 1
        kinds |= {int(k) for k in position.legal_packed() & mv.KIND_MASK}
        some = range(1, len(s)) if not large else rng.sample(range(1, len(s)), 2)
        for k in some:
            assert differences(position, s, k, rng) == 0, (str(position), s.matrices[k])
        if count == most:
            break
    return count, kinds


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("players", [2, 3])
def test_symmetries_map_legal_sets_and_successors_exactly(board, players):
    large = board in ("square19", "hexagonal")
    count, kinds = mapped_exactly(BoardSpec.create(board, players), 40 if large else 150)
    assert count >= 15
    if not large:
        assert kinds >= {mv.REGION, mv.CAPTURES, mv.PLACE}


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("board", BOARDS)
def test_symmetries_map_two_thousand_positions_of_a_board(board):
    counts, kinds = zip(
        *(
            mapped_exactly(BoardSpec.create(board, n), most)
            for n, most in ((2, 700), (3, 700), (4, 600))
        ),
        strict=True,
    )
    assert sum(counts) == 2000
    assert set().union(*kinds) >= {mv.PLACE, mv.MOVE, mv.CAPTURES, mv.CONTINUE, mv.REGION, mv.PAY}


def test_options_of_long_lines_are_mapped():
    rows = " ".join(f"{i},{i}:1" for i in range(1, 7)) + " 3,4:1 3,5:1 3,6:1"
    marks = " ".join(
        sorted(rows.split(), key=lambda e: tuple(map(int, e.split(":")[0].split(","))))
    )
    text = (
        "ph=line_processing;cur=1;only=-;pend=-;act=1;rec=0;st=active;win=0;hand=3,3;elim=0,0;"
        f"terr=0,0;S=0,7:11;M={marks};C="
    )
    position = Position.parse(text, spec=BoardSpec.create("square8", 2))
    kinds = {int(k) for k in position.legal_packed() & mv.KIND_MASK}
    assert kinds == {mv.LINE, mv.OPTION}
    s, rng = symmetries("square8"), random.Random(1)
    assert [differences(position, s, k, rng) for k in range(8)] == [0] * 8


def test_a_fifth_symmetry_of_hex8_is_not_exact(monkeypatch):
    full = symmetries("hexagonal").matrices
    others = [m for m in full if m not in symmetries("hex8").matrices]
    assert len(others) == 8
    monkeypatch.setattr(symmetry, "_matrices", lambda board: ((1, 0, 0, 1), *others))
    s = symmetries.__wrapped__("hex8")
    rng = random.Random(3)
    spec = BoardSpec.create("hex8", 2)
    wrong = np.zeros(len(s), int)
    for position in sampled(spec, 60, 10**9, seed=1):
        if mv.REGION in position.legal_packed() & mv.KIND_MASK:
            for k in range(1, len(s)):
                wrong[k] += differences(position, s, k, rng)
        if (wrong[1:] > 0).all():
            break
    assert (wrong[1:] > 0).all()
