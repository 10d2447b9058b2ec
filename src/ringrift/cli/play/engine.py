"""`ringrift play engine`: an agent behind a line protocol, for foreign programs."""

from __future__ import annotations

import sys

import typer

from ringrift.cli.invocation import current
from ringrift.cli.play.parts import AgentText, maker
from ringrift.cli.shared_options import Seed


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("engine")(engine)


def engine(agent: AgentText, seed: Seed = 42) -> None:
    """Answer a line protocol for programs with an agent's moves.

    Goes on until quit or the end of input. Lines: newgame CONFIG [k=v ...] (rule options, seed=N);
    position initial|STATE moves M;M;...; legal; go [sims N|nodes N|ms N]; id; quit. Answers: legal
    M;M;..., bestmove M value V ... nodes N, and id NAME VERSION commit C agent HASH; a bad line
    answers error WHY and changes nothing. With --json each answer is an object, and the last object
    counts the lines.

    Reads standard input and models of the data root; writes nothing else than its answers.

    Examples: ringrift play engine --agent heuristic:mode=light |
    ringrift play engine --agent gumbel:sims=64,eval=heuristic --seed 7
    """
    from ringrift.agents.hosting.line_protocol import LineProtocol
    from ringrift.agents.spec import parse_spec

    run = current()
    text = str(parse_spec(agent))  # a bad spec ends the program before the first line
    partner = LineProtocol(lambda spec: maker(run, spec)(text), seed=seed)
    run.out.note(f"{text} reads lines: newgame, position, legal, go, id, quit")
    lines = errors = 0
    while not partner.closed:
        line = sys.stdin.readline()
        if not line:
            break
        lines += 1
        answer = partner.answer(line)
        if answer is not None:
            errors += answer.startswith("error ")
            run.out.line({"answer": answer}, human=answer)
    run.out.result({"agent": text, "seed": seed, "lines": lines, "errors": errors})
