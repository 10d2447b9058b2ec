"""Make the agent that a spec names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ringrift.agents.heuristic import HeuristicAgent
from ringrift.agents.kinds import KINDS, SEARCHES_BY_DEPTH
from ringrift.agents.ladder import LadderAgent, Overrides, level_of, playable
from ringrift.agents.mixing import MixAgent
from ringrift.agents.protocol import Agent, Evaluator, Model
from ringrift.agents.spec import MIX, AgentSpec, ResolvedSpec, parse_spec, resolve, resolve_mix
from ringrift.agents.swapping import SWAP_MARGIN, SwapAware, without_swap
from ringrift.agents.temperature import TemperatureScheduler, create_scheduler
from ringrift.agents.weights import Profile, profile_for
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec

if TYPE_CHECKING:
    from ringrift.agents.search.drawing import Temperature

Models = Callable[[str], Model]
"""Finds a loaded model by what a spec says after `@`; raises what is wrong with it."""

EVAL_OF_FILE = {"cnn": ("net",), "nnue": ("nnue",), "nnue-policy": ("nnue", "nnue-policy")}
"""Evaluators that a model file of a kind (models.md 1) can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """What all agents of one call share; `board` is played without the pie rule inside."""

    board: BoardSpec
    explore: bool
    swap_margin: float
    move_scale: float
    levels: Overrides | None
    models: Models | None = None
    keep_trees: bool = True


def identify(
    text: str | AgentSpec,
    spec: BoardSpec,
    *,
    model_id: str | None = None,
    model_ids: Mapping[str, str] | None = None,
    explore: bool = False,
    swap_margin: float = SWAP_MARGIN,
    move_scale: float = 1.0,
    levels: Overrides | None = None,
) -> ResolvedSpec:
    """Return who an agent is in games of `spec`, without making it.

    `model_id` is the content id of its model; None where the spec names none or names it so.
    `model_ids` gives ids by what stands after `@`, for a mix or a level of the ladder. The other
    arguments are those of `make_agent`.
    """
    parsed = _parsed(text, explore=explore)
    ids = dict(model_ids or {})
    if model_id is not None and parsed.model is not None:
        ids[parsed.model] = model_id
    maker = _Maker(
        board=spec,
        explore=explore,
        swap_margin=swap_margin,
        move_scale=move_scale,
        levels=levels,
    )
    return _identity(maker, parsed, ids)


def profile_of(parsed: AgentSpec, spec: BoardSpec) -> Profile | None:
    """Return the heuristic weights that an agent plays with, None for one that uses none."""
    if parsed.kind == "heuristic":
        file = parsed.get("weights")
        return profile_for(spec, str(parsed.get("persona")), None if file is None else str(file))
    # Alpha-beta orders its moves by the heuristic, whatever evaluates its leaves.
    by_heuristic = parsed.kind in ("blend", *SEARCHES_BY_DEPTH)
    if by_heuristic or parsed.evaluator in ("heuristic", "rollout"):
        return profile_for(spec)
    return None


def make_agent(
    text: str | AgentSpec,
    spec: BoardSpec,
    models: Models | None = None,
    *,
    explore: bool = False,
    swap_margin: float = SWAP_MARGIN,
    move_scale: float = 1.0,
    levels: Overrides | None = None,
    keep_trees: bool = True,
) -> Agent:
    """Make the agent that `text` names for games of `spec`.

    `models` loads what stands after `@`. `explore` is the default of a search's own noise: on in
    self-play, off in matches. `swap_margin` is how much better seat 1 must stand for a swap where
    the game has the pie rule; `move_scale` stretches schedules of temperature, as
    `temperature.board_move_scale` says; `levels` are the overrides of the difficulty ladder.
    Without `keep_trees` no search goes on with the tree of the one before, so that a decision
    follows from its position and seed alone. Raises `UsageError` for a bad spec and whatever
    `models` raises.
    """
    maker = _Maker(
        board=spec,
        explore=explore,
        swap_margin=swap_margin,
        move_scale=move_scale,
        levels=levels,
        models=models,
        keep_trees=keep_trees,
    )
    return _make(maker, _parsed(text, explore=explore))


def _parsed(text: str | AgentSpec, *, explore: bool) -> AgentSpec:
    """Read a spec and write out what the caller's purpose decides."""
    parsed = parse_spec(text) if isinstance(text, str) else text
    if parsed.kind == MIX:
        parts = tuple((_parsed(part, explore=explore), weight) for part, weight in parsed.parts)
        return AgentSpec(MIX, parts=parts)
    if parsed.kind == "gumbel" and parsed.get("scale") is None:
        return parsed.with_value("scale", 1.0 if explore else 0.0)
    if parsed.kind == "mcts":
        if parsed.get("noise") is None:
            parsed = parsed.with_value("noise", 0.25 if explore else 0.0)
        if explore and parsed.get("tau") is None and parsed.get("temp") is None:
            parsed = parsed.with_value("temp", "default")
    return parsed


def _identity(maker: _Maker, parsed: AgentSpec, ids: Mapping[str, str]) -> ResolvedSpec:
    if parsed.kind == MIX:
        return resolve_mix([(_identity(maker, part, ids), weight) for part, weight in parsed.parts])
    spec = maker.board
    # What changes no decision is left out: a margin without an offer, a scale without a schedule.
    settings: list[int | float | str] = []
    if spec.swap_rule and maker.swap_margin != SWAP_MARGIN:
        settings.append(maker.swap_margin)
    if "temp" in dict(parsed.args) and maker.move_scale != 1:
        settings.append(f"move_scale={maker.move_scale}")
    if parsed.kind == "ladder":
        level = level_of(spec.config, int(parsed.number("level")), maker.levels)
        inner = _identity(maker, _parsed(level.agent, explore=maker.explore), ids)
        settings += [inner.agent_hash, level.randomness, level.think_ms]
        found = resolve(parsed, board=spec.board, settings=settings)
        return ResolvedSpec(text=found.text, agent_hash=found.agent_hash, model_id=inner.model_id)
    profile = profile_of(parsed, spec)
    named = parsed.model
    return resolve(
        parsed,
        board=spec.board,
        model_id=None if named is None else ids.get(named, named),
        weights="" if profile is None else profile.hash,
        settings=settings,
    )


def _make(maker: _Maker, parsed: AgentSpec) -> Agent:
    """Make an agent for the whole game: what plays without the pie rule, and the answer to it."""
    if parsed.kind == MIX:
        agents = [_make(maker, part) for part, _ in parsed.parts]
        weights = [weight for _, weight in parsed.parts]
        named = resolve_mix([(a.spec, w) for a, w in zip(agents, weights, strict=True)])
        return MixAgent(named, agents, weights)
    agent = _level(maker, parsed) if parsed.kind == "ladder" else _plain(maker, parsed)
    if not maker.board.swap_rule:
        return agent
    return _answering(maker, agent)


def _answering(maker: _Maker, agent: Agent) -> Agent:
    inner = agent.inner if isinstance(agent, LadderAgent) else agent
    scorer = inner if isinstance(inner, HeuristicAgent) else None
    return SwapAware(agent.spec, maker.board, agent, margin=maker.swap_margin, scorer=scorer)


def _named(maker: _Maker, parsed: AgentSpec, model: Model | None) -> ResolvedSpec:
    ids = {} if model is None or parsed.model is None else {parsed.model: model.id}
    return _identity(maker, parsed, ids)


def _level(maker: _Maker, parsed: AgentSpec) -> Agent:
    level = playable(maker.board.config, int(parsed.number("level")), maker.models, maker.levels)
    inner = _plain(maker, _parsed(level.agent, explore=maker.explore))
    ids = {}
    if level.model is not None and inner.spec.model_id is not None:
        ids[level.model] = inner.spec.model_id
    named = _identity(maker, parsed, ids)
    scorer = None
    if level.agent.kind in SEARCHES_BY_DEPTH:  # their decisions score the best move alone
        scorer = _heuristic(maker, parse_spec("heuristic"))
    return LadderAgent(named, level, inner, scorer=scorer)


def _plain(maker: _Maker, parsed: AgentSpec) -> Agent:
    """Make an agent of one kind for the game without the pie rule."""
    if parsed.kind == "random":
        from ringrift.agents.random_agent import RandomAgent

        return RandomAgent(_named(maker, parsed, None))
    if parsed.kind == "heuristic":
        return _heuristic(maker, parsed)
    model = _model(maker, parsed)
    named = _named(maker, parsed, model)
    if parsed.kind in SEARCHES_BY_DEPTH:
        return _alpha_beta(maker, parsed, named, model)
    if parsed.kind == "blend":
        return _blend(maker, parsed, named, model)
    evaluator = _evaluator(maker, parsed, model)
    if parsed.kind == "mcts" and not maker.keep_trees:
        parsed = parsed.with_value("reuse", "off")
    return _SEARCHES[parsed.kind](maker, parsed, named, evaluator)


def _heuristic(maker: _Maker, parsed: AgentSpec) -> HeuristicAgent:
    profile = profile_of(parsed, maker.board)
    assert profile is not None
    return HeuristicAgent(
        _named(maker, parsed, None),
        profile.effective(full=parsed.get("mode") == "full"),
        profile.gain,
        tau=parsed.number("tau"),
        eps=parsed.number("eps"),
        noise=parsed.number("noise"),
    )


def _blend(maker: _Maker, parsed: AgentSpec, named: ResolvedSpec, model: Model | None) -> Agent:
    from ringrift.agents.blended import BlendedAgent
    from ringrift.nets.nnue.evaluator import NnueEvaluator, NnueModel

    profile = profile_of(parsed, maker.board)
    assert profile is not None
    if not isinstance(model, NnueModel):
        raise UsageError(f"agent spec {parsed}: the model is no NNUE")
    nnue = NnueEvaluator(model.net, model.spec, wide=model.wide, prior="value")
    weights = profile.effective(full=True)
    return BlendedAgent(named, weights, profile.gain, nnue, share=parsed.number("share"))


# --- evaluators


def _model(maker: _Maker, parsed: AgentSpec) -> Model | None:
    """Load the model of a spec, which must be of a kind that the agent can use."""
    if parsed.model is None:
        return None
    if maker.models is None:
        raise UsageError(f"agent spec {parsed}: no models can be loaded here")
    model = maker.models(parsed.model)
    file_kind = str(getattr(model, "card", {}).get("kind", "cnn"))
    can_be = EVAL_OF_FILE.get(file_kind, ())
    wanted = parsed.evaluator
    usable = KINDS[parsed.kind].keys["eval"].choices if wanted is None else (wanted,)
    if not set(can_be) & set(usable):
        raise UsageError(
            f"agent spec {parsed}: the model is of kind {file_kind}; expected eval="
            + " or ".join(name for name in usable if name not in ("heuristic", "rollout"))
        )
    return model


def _evaluator(maker: _Maker, parsed: AgentSpec, model: Model | None) -> Evaluator:
    if model is not None:
        return model.evaluator()
    profile = profile_of(parsed, maker.board)
    if parsed.evaluator == "rollout":
        from ringrift.agents.rollout import CHOICES, RolloutEvaluator

        own = "rollout" in KINDS[parsed.kind].keys
        return RolloutEvaluator(
            without_swap(maker.board), profile, int(parsed.number("rollout")) if own else CHOICES
        )
    from ringrift.agents.evaluators import HeuristicEvaluator

    return HeuristicEvaluator(without_swap(maker.board), profile)


# --- searches


def _whole(parsed: AgentSpec, key: str, board: BoardSpec) -> int:
    return int(parsed.number(key, board=board.board))


def _count(parsed: AgentSpec, key: str) -> int | None:
    return None if parsed.get(key) is None else int(parsed.number(key))


def _limit(parsed: AgentSpec, key: str) -> float | None:
    return None if parsed.get(key) is None else parsed.number(key)


def _alpha_beta(
    maker: _Maker, parsed: AgentSpec, named: ResolvedSpec, model: Model | None
) -> Agent:
    from ringrift.agents.alphabeta.agent import AlphaBetaAgent, AlphaBetaOptions, Multi
    from ringrift.agents.alphabeta.leaf import heuristic_leaf, nnue_leaf

    board = without_swap(maker.board)
    profile = profile_of(parsed, board)
    assert profile is not None
    multi = parsed.get("multi") if parsed.kind == "alphabeta" else parsed.kind
    options = AlphaBetaOptions(
        depth=_whole(parsed, "depth", board),
        nodes=_count(parsed, "nodes"),
        ms=_limit(parsed, "ms"),
        tt_mb=_whole(parsed, "tt_mb", board),
        width=_whole(parsed, "width", board),
        q=_whole(parsed, "q", board),
        multi=cast(Multi, multi),
    )
    leaf = heuristic_leaf(profile)
    if model is not None:
        from ringrift.nets.nnue.evaluator import NnueModel

        if not isinstance(model, NnueModel):
            raise UsageError(f"agent spec {parsed}: the model is no NNUE")
        leaf = nnue_leaf(model.net, model.work(), profile)
    return AlphaBetaAgent(named, board, leaf, options)


def _mcts(maker: _Maker, parsed: AgentSpec, named: ResolvedSpec, evaluator: Evaluator) -> Agent:
    from ringrift.agents.mcts import MctsAgent, MctsOptions

    options = MctsOptions(
        sims=_count(parsed, "sims"),
        ms=_limit(parsed, "ms"),
        c=parsed.number("c"),
        fpu=parsed.number("fpu"),
        noise=parsed.number("noise"),
        alpha="fixed" if parsed.get("alpha") == "fixed" else "auto",
        temperature=_temperature(maker, parsed),
        reuse=parsed.get("reuse") == "on",
    )
    return MctsAgent(named, without_swap(maker.board), evaluator, options)


def _gumbel(maker: _Maker, parsed: AgentSpec, named: ResolvedSpec, evaluator: Evaluator) -> Agent:
    from ringrift.agents.gumbel import GumbelAgent, GumbelOptions

    board = without_swap(maker.board)
    options = GumbelOptions(
        sims=_whole(parsed, "sims", board),
        m=_whole(parsed, "m", board),
        scale=parsed.number("scale"),
        c_visit=parsed.number("c_visit"),
        c_scale=parsed.number("c_scale"),
        temperature=_temperature(maker, parsed),
    )
    return GumbelAgent(named, board, evaluator, options)


def _schedule(maker: _Maker, parsed: AgentSpec) -> TemperatureScheduler | None:
    preset = parsed.get("temp")
    if preset is None:
        return None
    return create_scheduler(str(preset), move_scale=maker.move_scale)


def _temperature(maker: _Maker, parsed: AgentSpec) -> Temperature | None:
    """Return what draws the moves of a tree search; None where the best is played."""
    from ringrift.agents.search.drawing import constant, scheduled

    schedule = _schedule(maker, parsed)
    if schedule is not None:
        return scheduled(schedule)
    if "tau" in KINDS[parsed.kind].keys and parsed.get("tau") is not None:
        return constant(parsed.number("tau"))
    return None


def _policy(maker: _Maker, parsed: AgentSpec, named: ResolvedSpec, evaluator: Evaluator) -> Agent:
    from ringrift.agents.policy_agent import PolicyAgent

    return PolicyAgent(
        named,
        without_swap(maker.board),
        evaluator,
        tau=parsed.number("tau"),
        schedule=_schedule(maker, parsed),
    )


def _descent(maker: _Maker, parsed: AgentSpec, named: ResolvedSpec, evaluator: Evaluator) -> Agent:
    from ringrift.agents.descent import DescentAgent, DescentOptions

    board = without_swap(maker.board)
    options = DescentOptions(
        sims=_count(parsed, "sims"),
        ms=_limit(parsed, "ms"),
        max_depth=_whole(parsed, "max_depth", board),
        width=_whole(parsed, "width", board),
    )
    return DescentAgent(named, board, evaluator, options)


_SEARCHES: dict[str, Callable[[_Maker, AgentSpec, ResolvedSpec, Evaluator], Agent]] = {
    "mcts": _mcts,
    "gumbel": _gumbel,
    "policy": _policy,
    "descent": _descent,
}
