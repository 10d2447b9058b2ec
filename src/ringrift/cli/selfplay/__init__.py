"""`ringrift selfplay`: one generator with presets (`selfplay.md` 1-5)."""

from __future__ import annotations

import typer

from ringrift.cli.option_sets import command_of
from ringrift.cli.selfplay import command_lines, presets, reanalyze
from ringrift.cli.selfplay.options import Options

app = typer.Typer(add_completion=False, help="Play agents against themselves and keep the games.")


def run(given: Options) -> None:
    """Play games of any engine mode and keep them.

    Reads models of the data root; writes a run folder (data/selfplay/CONFIGURATION/RUN) and verified
    games into the game store. Game i follows from the seed, the configuration and i alone. Killed at
    any instant it loses no finished game: the same line with --resume goes on. With --hosts the
    nodes of a running loop play the same games as jobs, and the same line goes on; what is checked
    here by a second play is then stored already.

    Exit code 1 when a game failed a check or a limit of --hosts was over, 3 when --hosts finds no
    job bus, 5 when some could not be played, 75 when the machine is short, 130 and 143 after a
    signal, with all finished games kept.

    Examples: ringrift selfplay run --num-games 20 --engine-mode heuristic-only |
    ringrift selfplay run --board hex8 --players 3 --agent gumbel:eval=heuristic,sims=16 --dry-run
    """
    from ringrift.cli.selfplay.execute import perform

    perform(presets.RUN, given)


def soak(given: Options) -> None:
    """Play mixed games singly with the invariants checked at every ply.

    Reads models of the data root; writes a run folder with games.jsonl, one reproducer per anomaly
    and verified games into the game store. The drawn seed is printed and recorded.

    Exit code 1 when --fail-on-anomaly found one, 75 when the machine is short.

    Examples: ringrift selfplay soak --num-games 20 --fail-on-anomaly |
    ringrift selfplay soak --profile ai-healthcheck --dry-run

    was: run_self_play_soak.py
    """
    from ringrift.cli.selfplay.execute import perform

    perform(presets.SOAK, given)


def hybrid(given: Options) -> None:
    """Play with CPU rules and batched evaluation, a mode for each seat.

    Reads models of the data root; writes a run folder and verified games into the game store. Seats
    rotate with the game unless --fixed-seats.

    Exit code 1 when --parity-mode strict found a difference, 2 for a mode whose model is not there.

    Examples: ringrift selfplay hybrid --board-type hex8 --engine-mode gumbel-mcts |
    ringrift selfplay hybrid --p2-engine-mode random-only --num-games 10 --dry-run

    was: run_hybrid_selfplay.py
    """
    from ringrift.cli.selfplay.execute import perform

    perform(presets.HYBRID, given)


def gpu(given: Options) -> None:
    """Play large batches, with a sample of the games played again singly.

    Reads models of the data root; writes a run folder (data/selfplay/gpu) and verified games into
    the game store. Without a GPU it plays on the CPU and says so.

    Exit code 1 when more sampled games differ than --shadow-threshold, 2 for --device cuda without
    CUDA.

    Examples: ringrift selfplay gpu --board-type square8 --num-games 1000 |
    ringrift selfplay gpu --num-games 64 --batch-size 16 --temperature-mix weighted --dry-run

    was: run_gpu_selfplay.py
    """
    from ringrift.cli.selfplay.execute import perform

    perform(presets.GPU, given)


def canonical(given: Options) -> None:
    """Play games and check them and the rules in every way there is.

    Reads models of the data root; writes a run folder and verified games into the game store. Then
    every stored game of the configuration is replayed on both engines, the packaged recorded games
    of the board too, the history of each turn must be complete, hand-made positions must play as
    written, and no active player may be without a move.

    Exit code 1 when a check failed or a limit cut it, 3 when --hosts finds no job bus.

    Examples: ringrift selfplay canonical --board-type square8 --num-games 50 |
    ringrift selfplay canonical --board-type hex8 --num-players 3 --summary summary.json

    was: generate_canonical_selfplay.py
    """
    from ringrift.cli.selfplay.canonical import perform

    perform(presets.CANONICAL, given)


for function, names, preset in (
    (run, command_lines.RUN, presets.RUN),
    (soak, command_lines.SOAK, presets.SOAK),
    (hybrid, command_lines.HYBRID, presets.HYBRID),
    (gpu, command_lines.GPU, presets.GPU),
    (canonical, command_lines.CANONICAL, presets.CANONICAL),
):
    app.command(function.__name__, cls=command_lines.PoolCommand)(
        command_of(function, Options, names, defaults=preset.options, shown=preset.shown)
    )

reanalyze.register(app)
