"""A line protocol by which foreign programs ask an agent for moves (`agents.md` 10).

    newgame <config> [k=v ...]                  rule options, and seed=N
    position <initial|state> moves <m;m;...>    `moves` may be left out
    legal                                       -> legal <m;m;...>
    go [sims N|nodes N|ms N]                    -> bestmove <text> value <v1 ...> nodes <n>
    id                                          -> id ringrift <version> commit <c> agent <hash>
    quit

`newgame`, `position` and `quit` answer nothing. A bad line answers `error <why>` and changes
nothing. `value none` stands where the agent has no opinion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringrift.agents.hosting.positions import (
    OPTIONS,
    move_texts,
    play_texts,
    read_spec,
    read_state,
)
from ringrift.agents.hosting.searching import decide
from ringrift.agents.protocol import Agent, Budget
from ringrift.agents.streams import MAX_SEED
from ringrift.core.errors import RingriftError, UsageError
from ringrift.core.versions import commit, installed
from ringrift.rules import BoardSpec, Position

AgentOf = Callable[[BoardSpec], Agent]
"""Makes the agent for games of a specification."""

_INITIAL = "initial"
_LIMITS = {"sims": "sims", "nodes": "nodes", "ms": "time_ms"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Game:
    """What the lines so far agreed on; `texts` were played from `base` to reach `position`."""

    spec: BoardSpec
    agent: Agent
    seed: int
    base: str
    texts: tuple[str, ...]
    position: Position


class LineProtocol:
    """Answer the lines of one partner, one at a time."""

    def __init__(self, agent_of: AgentOf, *, seed: int = 42) -> None:
        self._agent_of = agent_of
        self._seed = seed
        self._game: _Game | None = None
        self._commands: dict[str, Callable[[str], str | None]] = {
            "newgame": self._newgame,
            "position": self._position,
            "legal": self._legal,
            "go": self._go,
            "id": self._id,
            "quit": self._quit,
        }
        self.closed = False

    def answer(self, line: str) -> str | None:
        """Return the answer to a line, None where it has none; `closed` is set by `quit`."""
        word, _, rest = line.strip().partition(" ")
        if not word:
            return None
        try:
            command = self._commands.get(word)
            if command is None:
                raise UsageError(
                    f"unknown command {word!r:.40}", hint=", ".join(sorted(self._commands))
                )
            return command(rest.strip())
        except RingriftError as error:
            return "error " + " ".join(str(error).split())

    @property
    def _open(self) -> _Game:
        if self._game is None:
            raise UsageError("no game has begun", hint="newgame square8_2p")
        return self._game

    def _newgame(self, rest: str) -> None:
        config, *pairs = rest.split() or [""]
        seed = self._seed
        options: dict[str, bool | int] = {}
        for pair in pairs:
            name, _, value = pair.partition("=")
            if name == "seed":
                seed = _whole("seed", value, MAX_SEED)
            elif name == "swap_rule" and value in ("true", "false"):
                options[name] = value == "true"
            elif name in OPTIONS and name != "swap_rule":
                options[name] = _whole(name, value, MAX_SEED)
            else:
                raise UsageError(
                    f"found {pair!r:.60}; expected name=value", hint=", ".join((*OPTIONS, "seed"))
                )
        spec = read_spec(config, options, where="newgame")
        known = self._game
        agent = known.agent if known is not None and known.spec == spec else self._agent_of(spec)
        self._game = _Game(
            spec=spec,
            agent=agent,
            seed=seed,
            base=_INITIAL,
            texts=(),
            position=Position.of(spec),
        )

    def _position(self, rest: str) -> None:
        game = self._open
        base, word, moves = f"{rest} ".partition(" moves ")
        base = base.strip()
        if not base:
            raise UsageError("no position", hint="position initial moves P 0,0 1;...")
        texts = tuple(move_texts(moves if word else None, where="position"))
        known = game.base == base and texts[: len(game.texts)] == game.texts
        if known:  # a partner repeats the whole game each ply: only what is new is played
            position, new = game.position.copy(), texts[len(game.texts) :]
        elif base == _INITIAL:
            position, new = Position.of(game.spec), texts
        else:
            position, new = read_state(base, game.spec, where="position"), texts
        play_texts(position, list(new), where="position")
        self._game = _Game(
            spec=game.spec,
            agent=game.agent,
            seed=game.seed,
            base=base,
            texts=texts,
            position=position,
        )

    def _legal(self, rest: str) -> str:
        if rest:
            raise UsageError(f"found {rest!r:.40}; expected nothing after legal")
        return f"legal {';'.join(move.text for move in self._open.position.legal_moves())}".strip()

    def _go(self, rest: str) -> str:
        game = self._open
        if game.position.is_over:
            raise UsageError(f"the game is over: winner {game.position.winner}")
        decision = decide(game.agent, game.position, game.seed, _budget(rest))
        text = game.position.move_text(decision.move)
        value = "none"
        if decision.value is not None:
            value = " ".join(f"{v:.4f}" for v in decision.value)
        return f"bestmove {text} value {value} nodes {decision.nodes}"

    def _id(self, rest: str) -> str:
        if rest:
            raise UsageError(f"found {rest!r:.40}; expected nothing after id")
        agent = "none" if self._game is None else self._game.agent.spec.agent_hash
        version = installed("ringrift") or "unknown"
        return f"id ringrift {version} commit {commit() or 'unknown'} agent {agent}"

    def _quit(self, rest: str) -> None:
        if rest:
            raise UsageError(f"found {rest!r:.40}; expected nothing after quit")
        self.closed = True


def _budget(text: str) -> Budget:
    match text.split():
        case []:
            return Budget()
        case [name, number] if name in _LIMITS:
            limit = _whole(name, number, 1_000_000_000)
            return Budget(**{_LIMITS[name]: limit})  # type: ignore[arg-type] # one of the limits
    raise UsageError(f"found {text!r:.60}; expected nothing, sims N, nodes N or ms N")


def _whole(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > most:
        raise UsageError(f"{name} is {text!r:.40}; expected a whole number up to {most}")
    return int(text)
