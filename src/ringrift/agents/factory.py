"""Make the agent that a spec names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ringrift.agents.heuristic import HeuristicAgent
from ringrift.agents.kinds import KINDS, SEARCHES_BY_DEPTH, missing
from ringrift.agents.ladder import LadderAgent, Overrides, level_of, playable
from ringrift.agents.mixing import MixAgent
from ringrift.agents.protocol import Agent, Evaluator, Model
from ringrift.agents.spec import MIX, AgentSpec, ResolvedSpec, parse_spec, resolve, resolve_mix
from ringrift.agents.swapping import SWAP_MARGIN, SwapAware, without_swap
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
    models: Models | None
    explore: bool
    swap_margin: float
    levels: Overrides | None
    keep_trees: bool


def identify(
    text: str | AgentSpec,
    spec: BoardSpec,
    *,
    model_id: str | None = None,
    model_ids: Mapping[str, str] | None = None,
    explore: bool = False,
    swap_margin: float = SWAP_MARGIN,
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
    return _identity(parsed, spec, ids, explore, swap_margin, levels)


def profile_of(parsed: AgentSpec, spec: BoardSpec) -> Profile | None:
    """Return the heuristic weights that an agent plays with, None for one that uses none."""
    if parsed.kind == "heuristic":
        file = parsed.get("weights")
        return profile_for(spec, str(parsed.get("persona")), None if file is None else str(file))
    # Alpha-beta orders its moves by the heuristic, whatever evaluates its leaves.
    if parsed.kind in SEARCHES_BY_DEPTH or parsed.evaluator in ("heuristic", "rollout"):
        return profile_for(spec)
    return None


def make_agent(
    text: str | AgentSpec,
    spec: BoardSpec,
    models: Models | None = None,
    *,
    explore: bool = False,
    swap_margin: float = SWAP_MARGIN,
    levels: Overrides | None = None,
    keep_trees: bool = True,
) -> Agent:
    """Make the agent that `text` names for games of `spec`.

    `models` loads what stands after `@`. `explore` is the default of a search's own noise: on in
    self-play, off in matches. `swap_margin` is how much better seat 1 must stand for a swap where
    the game has the pie rule; `levels` are the overrides of the difficulty ladder. Without
    `keep_trees` no search goes on with the tree of the one before, so that a decision follows from
    its position and seed alone. Raises `UsageError` for a bad spec and whatever `models` raises.
    """
    maker = _Maker(
        board=spec,
        models=models,
        explore=explore,
        swap_margin=swap_margin,
        levels=levels,
        keep_trees=keep_trees,
    )
    return _make(maker, _parsed(text, explore=explore))


def _parsed(text: str | AgentSpec, *, explore: bool) -> AgentSpec:
    """Read a spec and write out what the caller's purpose decides."""
    parsed = parse_spec(text) if isinstance(text, str) else text
    if parsed.kind == MIX:
        parts = tuple((_parsed(part, explore=explore), weight) for part, weight in parsed.parts)
        return AgentSpec(MIX, parts=parts)
    _refuse_missing(parsed)
    if parsed.kind == "gumbel" and parsed.get("scale") is None:
        return parsed.with_value("scale", 1.0 if explore else 0.0)
    if parsed.kind == "mcts":
        if parsed.get("noise") is None:
            parsed = parsed.with_value("noise", 0.25 if explore else 0.0)
        if explore and parsed.get("tau") is None and parsed.get("temp") is None:
            parsed = parsed.with_value("temp", "default")
    return parsed


def _refuse_missing(parsed: AgentSpec) -> None:
    lacking = missing(parsed.kind, parsed.evaluator)
    if lacking is not None:
        raise UsageError(f"agent spec {parsed}: {lacking}")


def _identity(
    parsed: AgentSpec,
    spec: BoardSpec,
    ids: Mapping[str, str],
    explore: bool,
    swap_margin: float,
    levels: Overrides | None,
) -> ResolvedSpec:
    if parsed.kind == MIX:
        return resolve_mix(
            [
                (_identity(part, spec, ids, explore, swap_margin, levels), weight)
                for part, weight in parsed.parts
            ]
        )
    # The margin changes decisions only where there is an offer to answer.
    settings: list[int | float | str] = []
    if spec.swap_rule and swap_margin != SWAP_MARGIN:
        settings.append(swap_margin)
    if parsed.kind == "ladder":
        level = level_of(spec.config, int(parsed.number("level")), levels)
        inner = _identity(
            _parsed(level.agent, explore=explore), spec, ids, explore, swap_margin, levels
        )
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
    return _identity(parsed, maker.board, ids, maker.explore, maker.swap_margin, maker.levels)


def _level(maker: _Maker, parsed: AgentSpec) -> Agent:
    level = playable(maker.board.config, int(parsed.number("level")), maker.models, maker.levels)
    inner = _plain(maker, _parsed(level.agent, explore=maker.explore))
    ids = {}
    if level.model is not None and inner.spec.model_id is not None:
        ids[level.model] = inner.spec.model_id
    named = _identity(parsed, maker.board, ids, maker.explore, maker.swap_margin, maker.levels)
    scorer = None
    if level.agent.kind in SEARCHES_BY_DEPTH:  # their decisions score the best move alone
        scorer = _heuristic(maker, parse_spec("heuristic"))
    return LadderAgent(named, level, inner, scorer=scorer)


def _plain(maker: _Maker, parsed: AgentSpec) -> Agent:
    """Make an agent of one kind for the game without the pie rule."""
    _refuse_missing(parsed)
    if parsed.kind == "random":
        from ringrift.agents.random_agent import RandomAgent

        return RandomAgent(_named(maker, parsed, None))
    if parsed.kind == "heuristic":
        return _heuristic(maker, parsed)
    model = _model(maker, parsed)
    named = _named(maker, parsed, model)
    if parsed.kind in SEARCHES_BY_DEPTH:
        return _alpha_beta(maker, parsed, named, model)
    evaluator = _evaluator(maker, parsed, model)
    if parsed.kind == "mcts" and not maker.keep_trees:
        parsed = parsed.with_value("reuse", "off")
    return _SEARCHES[parsed.kind](parsed, named, without_swap(maker.board), evaluator)


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
        from ringrift.agents.rollout import RolloutEvaluator

        return RolloutEvaluator(
            without_swap(maker.board), profile, choices=int(parsed.number("rollout"))
        )
    from ringrift.agents.evaluators import HeuristicEvaluator

    return HeuristicEvaluator(without_swap(maker.board), profile)


# --- searches


def _whole(parsed: AgentSpec, key: str, board: BoardSpec) -> int:
    return int(parsed.number(key, board=board.board))


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
        nodes=None if parsed.get("nodes") is None else _whole(parsed, "nodes", board),
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


def _mcts(parsed: AgentSpec, named: ResolvedSpec, board: BoardSpec, evaluator: Evaluator) -> Agent:
    from ringrift.agents.mcts import MctsAgent, MctsOptions

    options = MctsOptions(
        sims=_whole(parsed, "sims", board),
        ms=_limit(parsed, "ms"),
        c=parsed.number("c"),
        fpu=parsed.number("fpu"),
        noise=parsed.number("noise"),
        alpha="fixed" if parsed.get("alpha") == "fixed" else "auto",
        temperature=_temperature(parsed),
        reuse=parsed.get("reuse") == "on",
    )
    return MctsAgent(named, board, evaluator, options)


def _gumbel(
    parsed: AgentSpec, named: ResolvedSpec, board: BoardSpec, evaluator: Evaluator
) -> Agent:
    from ringrift.agents.gumbel import GumbelAgent, GumbelOptions

    options = GumbelOptions(
        sims=_whole(parsed, "sims", board),
        m=_whole(parsed, "m", board),
        scale=parsed.number("scale"),
        c_visit=parsed.number("c_visit"),
        c_scale=parsed.number("c_scale"),
        temperature=_temperature(parsed),
    )
    return GumbelAgent(named, board, evaluator, options)


def _temperature(parsed: AgentSpec) -> Temperature | None:
    """Return what draws the moves of a tree search; None where the best is played."""
    from ringrift.agents.search.drawing import constant, scheduled
    from ringrift.agents.temperature import create_scheduler

    preset = parsed.get("temp")
    if preset is not None:
        return scheduled(create_scheduler(str(preset)))
    if "tau" in KINDS[parsed.kind].keys and parsed.get("tau") is not None:
        return constant(parsed.number("tau"))
    return None


def _policy(
    parsed: AgentSpec, named: ResolvedSpec, board: BoardSpec, evaluator: Evaluator
) -> Agent:
    from ringrift.agents.policy_agent import PolicyAgent
    from ringrift.agents.temperature import create_scheduler

    preset = parsed.get("temp")
    schedule = None if preset is None else create_scheduler(str(preset))
    return PolicyAgent(named, board, evaluator, tau=parsed.number("tau"), schedule=schedule)


def _descent(
    parsed: AgentSpec, named: ResolvedSpec, board: BoardSpec, evaluator: Evaluator
) -> Agent:
    from ringrift.agents.descent import DescentAgent, DescentOptions

    options = DescentOptions(
        sims=_whole(parsed, "sims", board),
        ms=_limit(parsed, "ms"),
        max_depth=_whole(parsed, "max_depth", board),
        width=_whole(parsed, "width", board),
    )
    return DescentAgent(named, board, evaluator, options)


_SEARCHES: dict[str, Callable[[AgentSpec, ResolvedSpec, BoardSpec, Evaluator], Agent]] = {
    "mcts": _mcts,
    "gumbel": _gumbel,
    "policy": _policy,
    "descent": _descent,
}
