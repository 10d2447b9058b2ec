"""Generations of one configuration as `train curriculum` runs them (`training.md` 9)."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.heavy import ready_for
from ringrift.cli.output import Column
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.cli.train.curriculum import CurriculumOptions
    from ringrift.core.settings import Settings
    from ringrift.training.curriculum.generation_config import CurriculumConfig
    from ringrift.training.curriculum.generations import GenerationResult

OF_STAGES = {
    "strict": "--strict", "data_path": "--data-path", "db": "--db", "jsonl": "--jsonl",
    "window": "--window", "val_split": "--val-split", "max_games": "--max-games",
    "max_samples": "--max-samples", "warm_start": "--warm-start", "model_id": "--model-id",
}  # fmt: skip
OF_GENERATIONS = {
    "generations": "--generations", "games_per_gen": "--games-per-gen",
    "eval_games": "--eval-games", "base_model": "--base-model",
    "use_model_pool": "--use-model-pool",
}  # fmt: skip
SAID = {
    "players": "who plays", "selfplay": "self-play", "pool": "gate", "export": "export",
    "train": "training", "strength": "former champions", "test": "test",
}  # fmt: skip


def refuse(given: CurriculumOptions, names: dict[str, str], why: str, hint: str) -> None:
    """Raise `UsageError` for the first option that was given and is not of this form."""
    for name, switch in names.items():
        if getattr(given, name) not in (None, False):
            raise UsageError(why, where=switch, hint=hint)


def config_from(given: CurriculumOptions, settings: Settings) -> CurriculumConfig:
    """Return what the options ask for; raises `UsageError` for those of stages."""
    from ringrift.cli.train.training import config_of
    from ringrift.training.curriculum.generation_config import CurriculumConfig

    refuse(given, OF_STAGES, "generations make and choose their own games", "--stage 1 to 5")
    if given.resume is False:
        raise UsageError(
            "generations are never begun anew in their folder",
            where="--fresh",
            hint="another --output-dir",
        )
    board, players = config_of(given).rsplit("_", 1)
    chosen: dict[str, Any] = {
        "generations": given.generations,
        "games_per_generation": given.games_per_gen,
        "eval_games": given.eval_games,
        "base_model": given.base_model,
        "batch_size": given.batch_size,
        "model_size": given.model_size,
        "hidden_dim": given.hidden_dim,
        "output_dir": given.output_dir,
    }
    return CurriculumConfig(
        board_type=board,
        num_players=int(players[:-1]),
        adaptive_eval=given.eval_games is None,
        use_model_pool=given.use_model_pool,
        seed=given.seed,
        kind=given.kind,
        device=given.device,
        simulations=settings.selfplay.mcts_simulations,
        **{name: value for name, value in chosen.items() if value is not None},
    )


def run_generations(invocation: Invocation, given: CurriculumOptions) -> None:
    """Run the generations, or with --dry-run say what they would do."""
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.core.spawn_limits import SpawnLimits
    from ringrift.training.curriculum.children import Commands, CurriculumInterrupted
    from ringrift.training.curriculum.generations import CurriculumTrainer
    from ringrift.training.curriculum.steps import STEPS

    settings = invocation.settings().values
    config = config_from(given, settings)
    if given.dry_run:
        show_plan(invocation, config)
        return
    paths = invocation.paths(create=False)
    ready_for(
        invocation,
        disk_gb=0.5,
        wait=not given.no_wait,
        config=config.config_key,
        limits=settings.limits,
    )
    with ExitStack() as stack:
        stop = stack.enter_context(cooperative_stop())
        bar = stack.enter_context(invocation.out.progress()).task(config.config_key, unit="steps")
        own = invocation.options.config
        trainer = CurriculumTrainer(
            config,
            commands=Commands(
                root=paths.root,
                options=() if own is None else ("--config", str(own.absolute())),
                variables={"RINGRIFT_LIMITS__WAIT_SECONDS": "0"} if given.no_wait else {},
                limits=SpawnLimits.from_settings(settings.safeguards),
                stop=lambda: stop.requested,
            ),
            on_step=lambda generation, step: bar.update(
                generation * len(STEPS) + STEPS.index(step),
                total=config.generations * len(STEPS),
                name=f"generation {generation + 1} of {config.generations}, {SAID[step]}",
            ),
            on_result=lambda one: invocation.out.note(line(one)),
        )
        try:
            results = trainer.run()
        except CurriculumInterrupted:
            again = shlex.join(["ringrift", *invocation.arguments])
            invocation.out.note(f"stopped; what was finished is kept. To go on: {again}")
            raise typer.Exit(stop.exit_code or CurriculumInterrupted.exit_code) from None
        bar.finish()
    last = results[-1]
    champion = last.model_id if last.promoted else last.champion
    promoted = sum(one.promoted for one in results)
    invocation.out.result(
        {
            "dry_run": False,
            "config": config.config_key,
            "stages": [],
            "weights": [],
            "generations": [one.as_dict() for one in results],
            "plan": [],
            "model_id": champion,
        },
        human=f"{len(results)} generations, {promoted} promoted; champion {champion}",
    )


def line(one: GenerationResult) -> str:
    """Return one line on a generation."""
    return (
        f"generation {one.generation + 1}: {one.games} games, {one.samples} samples, "
        f"model {one.model_id[:12]} {one.outcome.replace('_', ' ')}: {one.reason}"
    )


def show_plan(invocation: Invocation, config: CurriculumConfig) -> None:
    """Print what each generation would play and learn from."""
    least, most = config.test_games
    rows = [
        (
            k + 1,
            config.games_per_generation,
            ", ".join(f"{g + 1}: {weight:.2f}" for g, weight in config.weights(k).items()),
            least if least == most else f"{least}-{most}",
        )
        for k in range(config.generations)
    ]
    columns = [
        Column("generation", number=True),
        Column("games", number=True),
        Column("weights of generations"),
        Column("test games", number=True),
    ]
    invocation.out.result(
        {
            "dry_run": True,
            "config": config.config_key,
            "stages": [],
            "weights": [],
            "generations": [],
            "plan": [
                {
                    "generation": k,
                    "games": config.games_per_generation,
                    "weights": {str(g): weight for g, weight in config.weights(k).items()},
                    "least_test_games": least,
                    "most_test_games": most,
                }
                for k in range(config.generations)
            ],
            "model_id": None,
        },
        human=invocation.out.table(columns, rows, title=config.config_key),
    )
