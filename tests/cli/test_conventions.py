"""What holds for every command, found by walking the tree: nobody has to remember to test it."""

import contextlib
import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from ringrift import cli
from ringrift.cli.exit_codes import EXIT_CODES
from ringrift.cli.invocation import begin
from ringrift.cli.main import GROUPS, PROGRAM, build
from ringrift.cli.output import MAX_WIDTH
from ringrift.cli.reference.pages import all_pages
from ringrift.cli.reference.schemas import published, schema_of

sys.path.insert(0, str(Path(__file__).parent))
from json_schema import problems

sys.path.pop(0)

PAGES = {" ".join(page.words): page for page in all_pages()}
COMMANDS = {name: page for name, page in PAGES.items() if not page.children}

# One command line of each command that ends within seconds in the root that `root` makes, and the
# codes it may end with. {game} is a stored game, {refused} one in quarantine, {trace} a small file of
# recorded games, {model} one of random weights, {archived} one in the archive; {job} is in the queue
# of the hub, {failed} a job that was given up.
RUNS = {
    "agents explain": ('--position \'{{"config": "square8_2p", "moves": []}}\'', {0}),
    "agents import-weights": ("weights.json", {0}),
    "agents ladder": ("", {0}),
    "agents list": ("", {0}),
    "agents parse": ("mcts_100", {0}),
    "agents scales": ("--config-key square8_2p --dry-run", {0}),
    "bench engine": ("--playouts-only --boards square8 --seconds 0.1 --output bench.json", {0}),
    "bench gpu-cpu": ("--dry-run", {0}),
    "bench policy": ("--dry-run", {0}),
    "bench memory": ("--dry-run", {0}),
    "bench train": ("--dry-run", {0}),
    "bench compare": ("bench.json bench.json", {0}),  # which `bench engine` has written
    "cluster hub backup": ("--dry-run", {0}),
    "cluster hub status": ("", {0}),
    "cluster jobs cancel": ("{job} --dry-run", {0}),
    "cluster jobs dead": ("", {0}),
    "cluster jobs list": ("", {0}),
    "cluster jobs retry": ("{failed} --dry-run", {0}),
    "cluster jobs show": ("{failed}", {0}),
    "cluster jobs submit": ("job.json", {0}),
    "cluster jobs watch": ("--duration 0", {0}),
    "config env": ("--all", {0}),
    "config migrate": ("good.yaml", {0}),
    "config init": ("--force", {0}),
    "config show": ("--origin", {0}),
    "config validate": ("", {0}),
    "data auto-export": ("--dry-run", {0}),
    "data export": ("--db trainable.db --dry-run", {0}),
    "data export-distributed": ("split --db trainable.db --output-dir chunks", {0}),
    "data export-shards": ("--output travelling", {0}),
    "data filter": ("--stats", {0, 1}),  # 1: all games are matches
    "data holdout": ("--stats", {0}),
    "data import-shards": ("travelling --db travelled.db", {0}),
    "data ingest": ("--input-dir data/selfplay --output-db aggregated.db", {0}),
    "data pool": ("--output pool.db", {0}),
    "data quality": ("", {0, 1}),
    "data quarantine drop": ("--older-than-days 0 --dry-run", {0}),
    "data quarantine list": ("", {0}),
    "data quarantine retry": ("", {0}),
    "data quarantine show": ("{refused}", {0}),
    "data stats": ("--workers 1 --output games.md", {0}),
    "data verify-sources": ("", {0}),
    "doctor": ("--quick", {0, 1}),
    "engine parity": ("{trace} --limit-games-per-db 1 --workers 1 --engines compiled", {0}),
    "engine perft": ("--depth 1", {0}),
    "engine replay": ("{trace} --ply 3", {0}),
    "engine show": ("", {0}),
    "eval gate": ("--estimate-games", {0}),
    "eval leaderboard": ("--min-games 0 --matrix", {0}),
    "eval match": ("--agent random --agent random --games 4 -j 1", {0}),
    "eval openings build": ("--dry-run", {0}),
    "eval openings check": ("--config-key square8_2p", {0}),
    "eval openings show": ("--limit 2", {0}),
    "eval reconcile": ("--check-drift --peer .", {0}),
    "eval stats": ("--counts 3,14,41,29,6", {0}),
    "eval aggregate": ("", {0}),
    "eval trend": ("--hours 2", {0}),
    "eval gauntlet": ("", {0}),
    "eval shadow": ("--config-key hex8_2p --dry-run", {0}),
    "eval two-stage": ("--aggregate", {0}),
    "eval auto": ("--dry-run", {0}),
    "eval diverse": ("--board-types square8 --player-counts 2 --dry-run", {0}),
    "eval tournament": ("--baselines-only --dry-run", {0}),
    "games export": ("--output games.jsonl", {0}),
    "games import": ("{trace} --limit 2 --db imported.db", {0, 1}),  # 1 the second time
    "games diff": ("data/games/games.db data/games/games.db", {0}),
    "games list": ("--limit 2", {0}),
    "games merge": ("merged.jsonl data/games/games.db --dry-run", {0}),
    "games show": ("{game} --ply 0", {0}),
    "games split-shards": ("--output shards", {0}),
    "games verify": ("", {0}),
    "loop events": ("--since 1h", {0}),
    "loop halt": ("--dry-run", {0}),
    "loop iterate": ("--iterations 2 --dry-run", {0}),
    "loop plan": ("--profile quick", {0}),
    "loop report": ("", {0}),
    "loop resume": ("--dry-run", {0}),
    "loop run": ("--dry-run", {0}),
    "loop start": ("--dry-run", {0}),
    "loop status": ("", {3}),
    "loop stop": ("", {3}),
    "loop watch": ("--check-once --dry-run", {0}),
    "models alias": ("strong {model}", {0}),
    "models average": ("{model} candidate", {0}),  # the one that `models import` made
    "models diff": ("{model} {model}", {0}),
    "models export": ("{model} --format torch --output weights.pt", {0}),
    "models import": ("weights.pt --kind nnue", {0}),  # which `models export` has written
    "models init": ("--kind nnue --hidden-dim 32", {0}),
    "models lineage": ("{model}", {0}),
    "models list": ("", {0}),
    "models pin": ("{model}", {0}),
    "models promote": ("--update-all", {0}),
    "models prune": ("--dry-run", {0}),
    "models rebuild": ("", {0}),
    "models restore": ("{archived} --dry-run", {0}),
    "models rollback": ("--config-key hex8_2p --reason why --dry-run", {0}),
    "models show": ("{model}", {0}),
    "models sync": ("", {0}),
    "models unpin": ("{model}", {0}),
    "models validate": ("", {0}),
    "node alerts ack": ("spool_age", {0}),
    "node alerts list": ("--firing", {0}),
    "node alerts mute": ("spool_age --for 1m", {0}),
    "node alerts test": ("--dry-run", {0}),
    "node limits": ("", {0, 1, 75}),
    "node optimizer": ("", {0}),
    "node roles": ("", {0}),
    "node safeguards": ("", {0}),
    "node status": ("", {0, 1}),
    "play analyze": ("--game {game} --ply 0 --agent heuristic:mode=light", {0}),
    "play engine": ("--agent random", {0}),
    "play move": ("--position state.txt --agent heuristic:mode=light", {0}),
    "play terminal": ("--seats random,random --save played-{game}.json --dry-run", {0}),
    "play watch": ("--agents random,heuristic:mode=light --delay-ms 0", {0}),
    "scripts docs": ("reference", {0}),
    "scripts man": ("pages", {0}),
    "scripts schema": ("config show", {0}),
    "selfplay canonical": ("--dry-run", {0}),
    "selfplay gpu": ("--dry-run", {0}),
    "selfplay hybrid": ("--p2-engine-mode random-only --dry-run", {0}),
    "selfplay reanalyze": ("--dry-run", {0}),
    "selfplay run": ("--engine-mode random-only --dry-run", {0}),
    "selfplay soak": ("--profile ai-healthcheck --dry-run", {0}),
    "train calibrate": ("--model {model} --dry-run", {0}),
    "train curriculum": ("--list-stages", {0}),
    "train nn": ("--demo --model-size micro --dry-run", {0}),
    "train nnue": ("--db trainable.db --hidden-dim 32 --dry-run", {0}),
    "train nnue-policy": ("--db trainable.db --hidden-dim 32 --dry-run", {0}),
    "train optimized": ("--list-configs", {0}),
    "train pipeline": ("--dry-run", {0}),
    "train preflight": ("", {0, 1}),  # 1: all games are matches
    "tune hp": ("--db trainable.db --dry-run", {0}),
}
# Examples that are run as they stand; the others are parsed: they take long, or name games and
# models that only a root of one's own has.
RUN_EXAMPLES = {
    "ringrift cluster hub backup --output hub.tar --dry-run",
    "ringrift cluster hub status",
    "ringrift cluster jobs dead",
    "ringrift cluster jobs list",
    "ringrift data auto-export --dry-run",
    "ringrift agents ladder --config-key hex8_3p",
    "ringrift agents ladder --config-key square19_2p --json",
    "ringrift agents list",
    "ringrift agents list --json",
    'ringrift agents parse "heuristic:eps=0.1,descent:sims=50" --config-key hex8_3p --json',
    "ringrift agents parse mcts_100",
    "ringrift agents scales --config-key square8_2p --dry-run",
    "ringrift play analyze --position state.txt --sims 256 --json",
    "ringrift play engine --agent gumbel:sims=64,eval=heuristic --seed 7",
    "ringrift play engine --agent heuristic:mode=light",
    "ringrift play move --position state.txt --agent gumbel:sims=64,eval=heuristic",
    "ringrift play terminal --seats heuristic:mode=light,random --dry-run",
    "ringrift play watch --agents heuristic:mode=light,random --delay-ms 0 --seed 7 --json",
    "ringrift config env",
    "ringrift config env --all --json",
    "ringrift config init",
    "ringrift config migrate config/unified_loop.yaml",
    "ringrift config show --config-key hex8_3p --origin --json",
    "ringrift config show --origin",
    "ringrift config show --section training --origin",
    "ringrift config validate",
    "ringrift config validate config/unified_loop.yaml --json",
    "ringrift data export-shards --output shards",
    "ringrift data holdout --reserve --percent 10 --json",
    "ringrift data holdout --stats",
    "ringrift data import-shards shards",
    "ringrift data ingest --input-dir data/selfplay",
    "ringrift data pool --output data/games/canonical.db",
    "ringrift data quarantine list",
    "ringrift data quarantine list --reason illegal_move --limit 10 --json",
    "ringrift data quarantine retry --dry-run",
    "ringrift data stats",
    "ringrift data stats --json",
    "ringrift data verify-sources",
    "ringrift data verify-sources --db data/games/games.db --json",
    "ringrift engine perft --board square8 --option swap_rule=false --depth 3 --json",
    "ringrift engine show --config-key hex8_3p",
    'ringrift engine show --moves "P 3,3 2;M 3,3 3,6" --format svg --output position.svg',
    "ringrift eval auto --dry-run",
    "ringrift eval tournament --baselines-only",
    "ringrift eval aggregate --report --top 3",
    "ringrift eval trend --hours 168",
    "ringrift eval trend --config-key square8_2p --json",
    "ringrift eval leaderboard",
    "ringrift eval leaderboard --config-key square8_2p --min-games 0 --matrix --json",
    "ringrift eval match --agent mcts:sims=200 --agent mcts:sims=100 --test sprt --dry-run",
    "ringrift eval openings build --config-key all --output books --dry-run --json",
    "ringrift eval openings check --config-key square8_2p",
    "ringrift eval openings show --config-key hex8_3p --part reserved",
    "ringrift eval openings show --limit 1 --json",
    "ringrift eval gauntlet",
    "ringrift games export --output games.jsonl",
    "ringrift games export --output replays.db --to gamereplaydb --purpose match --json",
    "ringrift games list --purpose match --limit 10",
    "ringrift games list --quarantined --json",
    "ringrift games merge all.jsonl data/games/games.db games.jsonl",
    "ringrift games split-shards --output shards",
    "ringrift games split-shards --output shards --max-mb 8 --config-key square8_2p --json",
    "ringrift games verify",
    "ringrift games verify games.jsonl --json",
    "ringrift loop halt --config-key hex8_2p --dry-run",
    "ringrift loop iterate --iterations 2 --dry-run",
    "ringrift loop plan --profile quick --json",
    "ringrift loop resume --dry-run",
    "ringrift models alias",
    "ringrift models list",
    "ringrift models prune --dry-run",
    "ringrift models rebuild",
    "ringrift models rebuild --dry-run --json",
    "ringrift models validate",
    "ringrift models validate --cleanup --dry-run --json",
    "ringrift node alerts ack elo_drop --dry-run",
    "ringrift node alerts list",
    "ringrift node alerts list --firing --json",
    "ringrift node alerts mute spool_age --for 0",
    "ringrift node alerts mute spool_age --for 2h",
    "ringrift node alerts test --dry-run",
    "ringrift node optimizer --last 5",
    "ringrift node optimizer --status --json",
    "ringrift node roles --check-role orchestrator",
    "ringrift node roles --status",
    "ringrift node safeguards --emergency --reason maintenance --dry-run",
    "ringrift node safeguards --status",
    "ringrift scripts docs",
    "ringrift scripts docs --check --json",
    "ringrift scripts man share/man",
    "ringrift scripts man share/man --dry-run --json",
    "ringrift scripts schema",
    "ringrift scripts schema config show",
    "ringrift selfplay reanalyze --max-games 100 --mcts-sims 200 --dry-run",
    "ringrift selfplay gpu --num-games 64 --batch-size 16 --temperature-mix weighted --dry-run",
    "ringrift selfplay hybrid --p2-engine-mode random-only --num-games 10 --dry-run",
    "ringrift selfplay run --board hex8 --players 3 --agent gumbel:eval=heuristic,sims=16 --dry-run",
    "ringrift selfplay soak --profile ai-healthcheck --dry-run",
    "ringrift train curriculum --board square8 --auto-progress --strict --dry-run",
    "ringrift train curriculum --generations 2 --games-per-gen 20 --dry-run",
    "ringrift train curriculum --list-stages",
    "ringrift train curriculum --show-weights --max-weight 3 --json",
    "ringrift train nn --demo --dry-run --json",
    "ringrift train optimized --list-configs",
    "ringrift train pipeline --no-use-nnue --skip-elo --dry-run --json",
}
# Commands that report an invalid settings file as part of their answer, with their code.
BAD_SETTINGS = {"doctor": 1}
LEAST_GAMES = 3


def batch(cases, *, heavy=True):
    """Run the cases of `warm.py`, in order."""
    script = str(Path(__file__).with_name("warm.py"))
    done = subprocess.run(
        [sys.executable, script, *(["heavy"] if heavy else [])],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_each(words_of, *, folder, heavy=True, names=None, **case):
    """Run one line per command and return the answers by command; `folder` may differ for each."""
    place = folder if callable(folder) else lambda _: folder
    names = list(COMMANDS) if names is None else names
    cases = [{**case, "args": words_of(name), "folder": place(name)} for name in names]
    return dict(zip(names, batch(cases, heavy=heavy), strict=True))


def make_games(path):
    import random

    from ringrift.records import AgentRef, GameMeta, GameStore, build_record
    from ringrift.rules import BoardSpec, Position

    spec = BoardSpec.create("square8", 2)
    games = []
    for seed in range(LEAST_GAMES):
        rng, position, moves = random.Random(seed), Position.of(spec), []
        while not position.is_over:
            moves.append(int(rng.choice(position.legal_packed().tolist())))
            position.play(moves[-1])
        agents = [AgentRef(spec=f"random:a={n}", agent_hash=f"{n:064x}") for n in (1, 2)]
        meta = GameMeta(purpose="match", run="r1", index=seed, started=1.7e9 + seed)
        games.append(build_record(spec, seed, agents, moves, meta=meta))
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, None) for game in games])
        store.ingest([(b"no game", None)])
        (refused,) = store.quarantine.entries()
    return games[0].id, refused.id


def make_trainable(path):
    """A store of three games to learn from."""
    from ringrift.records import AgentRef, GameStore, build_record
    from ringrift.rules import BoardSpec

    spec = BoardSpec.create("square8", 2)
    agents = [AgentRef(spec="random", agent_hash="0" * 64)] * 2
    games = [build_record(spec, seed, agents, random_moves(spec, seed)) for seed in range(3)]
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, None) for game in games])


def random_moves(spec, seed):
    """The moves of a random game."""
    import random

    from ringrift.rules import Position

    rng, position, moves = random.Random(seed), Position.of(spec), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    return moves


def make_champions(models):
    """Two champions of hex8_2p one after the other; returns the id of a third model, archived."""
    from ringrift.models.archive import archive
    from ringrift.models.decisions import append, read_chain
    from ringrift.models.promotion import follow_decisions
    from ringrift.nets.nnue.file import init_nnue
    from ringrift.rules import BoardSpec

    spec, objects = BoardSpec.create("hex8", 2), models / "objects"
    made = [init_nnue(spec, folder=objects, seed=seed, hidden=32) for seed in range(3)]
    chain = read_chain(models / "decisions", "hex8_2p")
    for path in made[:2]:
        chain = append(
            models / "decisions", chain, kind="promoted", candidate=path.stem, reason="a test"
        )
    follow_decisions(models)
    archive(models, made[2].stem)
    made[2].unlink()
    return made[2].stem[:12]


def foreign_weights():
    """A profile of the WEIGHT_* keys that have a counterpart here."""
    from ringrift.agents.weight_files import FOREIGN, FOREIGN_PREFIX

    names = {key for sums in FOREIGN.values() for product in sums for key in product}
    return {f"{FOREIGN_PREFIX}{name}": 1.0 for name in names}


JOB = {
    "kind": "verify",
    "config": "hex8_2p",
    "spec": {"config": "hex8_2p", "model": "none", "champion": "nobody"},
}


@contextlib.contextmanager
def running_hub(paths):
    """A hub with a job that waits and one that was given up; yields their ids."""
    from ringrift.cluster.attempts import Attempts, FailedAttempt
    from ringrift.cluster.bus import Bus
    from ringrift.cluster.hub import Hub
    from ringrift.cluster.jobs import Job, JobQueue
    from ringrift.cluster.keys import node_key
    from ringrift.cluster.streams import Subjects, ensure

    key = node_key(paths.cluster / "node.nk")
    with (
        Hub(paths.cluster / "hub", users=(key.public,)) as hub,
        Bus(hub.state.url, key, node="one") as bus,
    ):
        bus.run(ensure(bus.js, Subjects(), games_bytes=64 << 20))
        attempts = Attempts(bus.js, Subjects())
        waits, fails = (
            Job(kind="bench", config=config, spec={}, timeout_s=1, rules_hash="r", max_attempts=1)
            for config in ("hex8_2p", "hex8_3p")
        )
        bus.run(JobQueue(bus.js, Subjects()).file_all([waits, fails]))
        failed = FailedAttempt(
            job_id=fails.id,
            kind=fails.kind,
            config=fails.config,
            node="one",
            attempt=1,
            at=1.7e9,
            error={"type": "DataError", "message": "a test", "tail": ""},
        )
        bus.run(attempts.tell(failed))
        assert len(bus.run(attempts.settle("one"))) == 1
        yield waits.id[:12], fails.id[:12]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A data root with a few games and a hub: (folder, what stands for the names in RUNS)."""
    from ringrift.core.paths import Paths
    from ringrift.nets.nnue.file import init_nnue
    from ringrift.records.traces import packaged_traces
    from ringrift.rules import BoardSpec, Position

    folder = tmp_path_factory.mktemp("root")
    Paths(folder).create()
    game, refused = make_games(folder / "data" / "games" / "games.db")
    make_trainable(folder / "trainable.db")
    (folder / "weights.json").write_text(json.dumps(foreign_weights()))
    (folder / "good.yaml").write_text("training:\n  batch_size: 128\n")
    (folder / "state.txt").write_text(str(Position.start("square8")))
    objects = folder / "models" / "objects"
    model = init_nnue(BoardSpec.create("square8", 2), folder=objects, seed=1, hidden=32).stem
    trace = next(path for path in packaged_traces() if "special_square8_4p" in path.name)
    names = {
        "game": game[:12],
        "refused": refused[:12],
        "trace": str(trace),
        "model": model[:12],
        "archived": make_champions(folder / "models"),
    }
    (folder / "job.json").write_text(json.dumps(JOB))
    with running_hub(Paths(folder)) as (names["job"], names["failed"]):
        yield folder, names


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Variables that keep what is kept per host, and the log level, away from this machine."""
    return {"XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("host"))}


def words_of(name, names):
    return [*name.split(), *shlex.split(RUNS[name][0].format(**names))]


# --- help


@pytest.fixture(scope="module")
def helps(tmp_path_factory):
    """The help of each command as a terminal of 200 columns with colour would get it."""
    env = {"COLUMNS": "200", "FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm"}
    folder = str(tmp_path_factory.mktemp("help"))
    lines = [[*name.split(), "--help"] for name in PAGES]
    cases = [{"args": line, "folder": folder, "env": env} for line in lines]
    answers = batch(cases, heavy=False)
    return dict(zip(PAGES, answers, strict=True))


@pytest.mark.timed
@pytest.mark.parametrize("name", PAGES)
def test_help_is_quick_narrow_and_without_escape_codes(helps, name):
    answer = helps[name]
    assert (answer["code"], answer["err"]) == (0, "")
    assert answer["out"].split()[:2] == ["Usage:", PROGRAM]
    assert max(len(line) for line in answer["out"].splitlines()) <= MAX_WIDTH
    assert "\x1b" not in answer["out"]
    assert answer["seconds"] < 5
    assert PAGES[name].summary in " ".join(answer["out"].split())


NO_VERBS = {"Reads", "Writes", "This", "The", "A", "An", "It", "Command", "Prints", "Shows"}


@pytest.mark.parametrize("name", PAGES)
def test_the_first_line_is_an_imperative_of_at_most_72_characters(name):
    summary = PAGES[name].summary
    assert len(summary) <= 72
    assert summary.endswith(".")
    assert summary[0].isupper()
    first = summary.split()[0].rstrip(",:")
    assert first not in NO_VERBS
    assert not first.endswith("ing"), "an imperative, as in Show, not Showing"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_is_read_and_written_and_every_option_has_a_meaning(name):
    page = COMMANDS[name]
    text = " ".join([page.summary, *page.paragraphs])
    assert re.search(r"(?i)\b(reads?|writes?|removes|changes|keeps) ", text), text
    for option in page.options:
        assert option.help, option.names


def test_names_are_lower_case_words_with_dashes():
    for page in PAGES.values():
        for word in [*page.words, *(n for o in page.options if not o.is_argument for n in o.names)]:
            bare = word.lstrip("-")
            assert bare == bare.lower(), word
            assert "_" not in bare, word


# --- examples

EXAMPLES = [(name, line) for name, page in PAGES.items() for line in page.examples]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_of_its_own(name):
    lines = COMMANDS[name].examples
    assert len(lines) >= 2
    assert all(shlex.split(line)[0] == PROGRAM for line in lines)
    assert any(line.startswith(COMMANDS[name].name) for line in lines)


def parse(words):
    """Parse a command line down to its command, running nothing; raises on any mistake."""
    begin(words)
    context = build().make_context(PROGRAM, list(words))
    while isinstance(context.command, TyperGroup):
        name, command, rest = context.command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        context = command.make_context(name, rest, parent=context)
    return context


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_each_example_is_a_command_line_of_ours(name, line, tmp_path, monkeypatch):
    del name
    monkeypatch.chdir(tmp_path)
    parse(shlex.split(line)[1:])


def test_the_parser_of_examples_sees_mistakes():
    for words in (
        ["config", "shw"],
        ["config", "show", "--nope"],
        ["engine", "perft", "--depth", "x"],
    ):
        with pytest.raises(typer.TyperException):
            parse(words)


def test_the_table_of_examples_names_only_examples():
    assert {line for _, line in EXAMPLES} >= RUN_EXAMPLES


@pytest.mark.slow
def test_examples_run(root, host):
    folder, _ = root
    lines = sorted(RUN_EXAMPLES)
    answers = batch(
        [{"args": shlex.split(line)[1:], "folder": str(folder), "env": host} for line in lines]
    )
    for line, answer in zip(lines, answers, strict=True):
        assert answer["code"] == 0, (line, answer)
    assert (folder / "position.svg").read_text().startswith("<svg")
    assert (folder / "docs" / "reference" / "settings.md").is_file()


# --- mistakes


def misspelt(page):
    """An option of the command with its last letter twice, which no command has."""
    long = [name for o in page.options for name in o.names if name.startswith("--")]
    option = next(name for name in long if name != "--help" or len(long) == 1)
    return option, f"{option}{option[-1]}"


@pytest.fixture(scope="module")
def unknown(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("unknown"))
    return run_each(
        lambda name: [*name.split(), misspelt(COMMANDS[name])[1]], folder=folder, heavy=False
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_exit_2_with_the_nearest(unknown, name):
    answer = unknown[name]
    assert (answer["code"], answer["out"]) == (2, "")
    (line,) = answer["err"].splitlines()
    option, wrong = misspelt(COMMANDS[name])
    assert line.startswith(f"error: no such option {wrong}; try ")
    assert option in line.partition("; try ")[2].split(", ")
    assert len(line.partition("; try ")[2].split(", ")) <= 3


@pytest.fixture(scope="module")
def refused(root, host):
    folder, names = root
    (folder / "bad.yaml").write_text("training:\n  batch_sze: 3\n")
    return run_each(
        lambda name: [*words_of(name, names), "--config", "bad.yaml"],
        folder=str(folder),
        env=host,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_bad_settings_file_is_exit_78_naming_file_line_and_key(refused, name):
    answer = refused[name]
    assert answer["code"] == BAD_SETTINGS.get(name, 78), answer
    assert "bad.yaml:2" in answer["out"] + answer["err"]
    assert "batch_size" in answer["out"] + answer["err"]


# --- results


def test_every_command_is_in_the_tables():
    assert RUNS.keys() == COMMANDS.keys()


@pytest.fixture(scope="module")
def results(root, host):
    folder, names = root
    return run_each(
        lambda name: [*words_of(name, names), "--json"],
        folder=str(folder),
        env={**host, "FORCE_COLOR": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_one_object_as_published(results, name):
    answer = results[name]
    assert answer["code"] in RUNS[name][1], answer
    assert answer["code"] in EXIT_CODES
    (line,) = answer["out"].splitlines()
    found = json.loads(line)
    assert found["command"] == name
    assert found["ok"] is (answer["code"] == 0)
    assert problems(schema_of(name), found) == []


LATE_GROUPS = ("engine", "eval", "games", "node", "play", "selfplay", "models")
HALVES = {
    late: [name for name in COMMANDS if (name.split()[0] in LATE_GROUPS) is late]
    for late in (False, True)
}
"""One function writes for all commands: some are looked at each time, by acceptance the others."""

by_halves = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.acceptance if late else ())
        for late, half in HALVES.items()
        for name in half
    ],
)


def half_at_a_time(run):
    """Return what answers for a command, running its half when the first of it is asked for."""
    found = {}

    def answer(name):
        if name not in found:
            found.update(run(next(half for half in HALVES.values() if name in half)))
        return found[name]

    return answer


@pytest.fixture(scope="module")
def text(root, host):
    folder, names = root
    env = {**host, "FORCE_COLOR": "1", "NO_COLOR": "1"}
    return half_at_a_time(
        lambda half: run_each(
            lambda name: words_of(name, names),
            folder=str(folder),
            names=half,
            env=env,
            stdin="closed",
        )
    )


@pytest.mark.slow
@by_halves
def test_without_a_terminal_text_has_no_escape_codes_and_nothing_hangs(text, name):
    answer = text(name)
    assert answer["code"] in RUNS[name][1], answer
    assert answer["out"] or answer["err"]
    assert "\x1b" not in answer["out"] + answer["err"]
    assert "Traceback" not in answer["err"]


@pytest.fixture(scope="module")
def unheard(root, host):
    folder, names = root
    return half_at_a_time(
        lambda half: run_each(
            lambda name: words_of(name, names),
            folder=str(folder),
            names=half,
            env=host,
            stdout="broken",
        )
    )


@pytest.mark.slow
@by_halves
def test_a_closed_pipe_ends_quietly_with_0(unheard, name):
    answer = unheard(name)
    assert answer["code"] == 0, answer
    assert "Error" not in answer["err"]
    assert "error:" not in answer["err"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, host):
    """Each command with no words at all, in an empty folder, nobody to ask, 30 seconds."""
    long = {
        "agents scales": ["--dry-run"],
        "bench engine": ["--playouts-only", "--boards", "hex8", "--seconds", "0.1"],
        "bench gpu-cpu": ["--no-wait", "--iterations", "1"],
        "bench memory": ["--no-wait", "--games", "2", "--repeat", "1"],
        "bench train": ["--dry-run"],
        "doctor": ["--quick"],
        "engine parity": ["nothing"],
        "eval openings build": ["--dry-run"],
        "eval openings check": ["--config-key", "square8_2p"],
        "loop run": ["--no-wait"],
    }
    return run_each(
        lambda name: [*name.split(), *long.get(name, [])],
        folder=lambda name: str(tmp_path_factory.mktemp("alone")),
        env=host,
        stdin="closed",
        limit_s=30,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_with_nothing_at_all_a_command_ends_with_a_code_of_the_table(alone, name):
    answer = alone[name]
    assert answer["code"] in EXIT_CODES.keys() - {70, 130, 143}, answer
    assert "Traceback" not in answer["err"]


@pytest.mark.slow
def test_a_stream_is_one_object_a_line_as_published_and_ends_with_0(spawn, root, host):
    process = spawn("--root", str(root[0]), "node", "limits", "--watch", "--json", env=host)
    first = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    rest, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    schema = schema_of("node limits")["x-line"]
    for line in [first, *rest.splitlines()]:
        assert problems(schema, json.loads(line)) == []


# --- no pager


def test_no_command_starts_a_pager():
    for path in Path(cli.__file__).parent.rglob("*.py"):
        assert not re.search(r"(?i)pager", path.read_text(encoding="utf-8")), path


# --- the table of exit codes

RAISED = [
    "negative",
    "usage",
    "not-running",
    "refused",
    "data",
    "busy",
    "settings",
    "defect",
    "interrupted",
    "terminated",
]


def test_each_code_of_the_table_is_produced_and_no_other(ringrift):
    codes = {ringrift("probe", "fail", name)[0] for name in RAISED}
    codes |= {ringrift("probe", "exit", code)[0] for code in (0, 5)}
    assert codes == EXIT_CODES.keys()


@pytest.mark.parametrize("name", RAISED)
def test_errors_are_objects_as_published(ringrift, name):
    _, out, _ = ringrift("probe", "fail", name, "--json")
    assert problems(schema_of("error"), json.loads(out)) == []


def test_several_problems_are_as_published(ringrift, tmp_path):
    (tmp_path / "bad.yaml").write_text("training:\n  batch_sze: 3\n  max_reuse: x\n")
    _, out, _ = ringrift("engine", "perft", "--config", "bad.yaml", "--json")
    found = json.loads(out)
    assert len(found["error"]["problems"]) == 2
    assert problems(schema_of("error"), found) == []


# --- schemas


def test_every_command_and_nothing_else_has_a_schema():
    assert set(published()) == {*COMMANDS, "error", "version"}


@pytest.mark.parametrize("name", published())
def test_schemas_use_only_what_the_check_understands(name):
    schema = schema_of(name)
    assert schema["title"] == name
    assert schema["description"].endswith(".")
    assert schema["required"] == [
        word for word in schema["properties"] if word in schema["required"]
    ]
    assert not [text for text in problems(schema, {}) if "understood" in text]


def test_the_version_is_as_published(ringrift):
    found = json.loads(ringrift("--version", "--json")[1])
    assert problems(schema_of("version"), found) == []


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"a": 1}, []),
        ({}, ["$: no 'a'"]),
        ({"a": True}, ["$.a: True is no integer"]),
        ({"a": -1}, ["$.a: -1 is below 0"]),
        ({"a": 1, "b": 2}, ["$: field 'b' is not published"]),
        ({"a": 1, "c": ["x", 1]}, ["$.c[1]: 1 is no string"]),
    ],
)
def test_the_check_finds_what_is_wrong(value, wanted):
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": 0},
            "c": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["a"],
    }
    assert problems(schema, value) == wanted


# --- weight

LIGHT = """
import sys
from ringrift.cli.main import run
for words in {lines!r}:
    assert run(words) == 0
    heavy = sorted({{"torch", "numba", "scipy", "matplotlib", "prometheus_client"}} & set(sys.modules))
    assert not heavy, (words, heavy)
"""


def test_help_of_every_command_loads_nothing_heavy(tmp_path):
    lines = [[*name.split(), "--help"] for name in PAGES]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT.format(lines=lines)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_group_of_the_table_exists_and_says_the_same_of_itself():
    groups = PAGES[""].children
    assert tuple(GROUPS) == groups
    assert [PAGES[name].summary for name in groups] == list(GROUPS.values())
