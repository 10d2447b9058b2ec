"""`data stats` on a root of its own: inputs, report, plots, exit codes."""

import json
import random
import sys
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.paths import Paths
from ringrift.data.statistics.plots import PLOTS
from ringrift.records import AgentRef, GameMeta, GameStore, build_record, write_jsonl
from ringrift.rules import BoardSpec, Position

sys.path.insert(0, str(Path(__file__).parents[1]))
from json_schema import problems

sys.path.pop(0)

SPECS = ("random", "heuristic:mode=light")


def game(seed, config=("square8", 2), specs=SPECS):
    spec = BoardSpec.create(*config)
    rng, position, moves = random.Random(seed), Position.of(spec), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    agents = [
        AgentRef(spec=specs[i % len(specs)], agent_hash=f"{i:064x}") for i in range(config[1])
    ]
    return build_record(spec, seed, agents, moves, meta=GameMeta(ms=20, started=1.7e9 + seed))


@pytest.fixture
def root(tmp_path):
    """Three games in the store, two files of lines beside it: one game of them is new."""
    paths = Paths(tmp_path / "root")
    paths.root.mkdir()
    paths.create()
    games = [game(1), game(2), game(3, ("hex8", 3))]
    with GameStore.open(paths.games / "games.db", writer=True) as store:
        store.ingest([(record, None) for record in games])
    (paths.selfplay / "sub").mkdir()
    write_jsonl(paths.selfplay / "a.jsonl", [(games[0], [])])
    write_jsonl(paths.selfplay / "sub" / "b.jsonl", [(game(4, specs=("random",)), [])])
    return paths.root


@pytest.fixture
def stats(ringrift, root):
    def call(*options):
        return ringrift("--root", root, "data", "stats", "--workers", "1", *options)

    return call


@pytest.fixture
def json_of(stats):
    def call(*options):
        code, out, err = stats(*options, "--json")
        assert code == 0, err
        found = json.loads(out)
        assert problems(schema_of("data stats"), found) == []
        return found

    return call


def contents(folder):
    """Bytes by name, without logs and what SQLite lays beside a database that is read."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and path.parent.name != "logs"
        and path.suffix not in (".db-shm", ".db-wal")
    }


def test_without_an_input_it_reads_the_store_and_the_lines(json_of, root):
    found = json_of()
    assert found["games"] == 4
    assert found["left_out"]["repeated"] == 1
    assert list(found["configurations"]) == ["square8_2p", "hex8_3p"]
    assert found["configurations"]["square8_2p"]["quality"]["score"]["score"] is None  # too few
    assert (root / "cache" / "game_summaries.db").is_file()


def test_inputs_and_filters_narrow(json_of, root):
    folder = root / "data" / "selfplay"
    assert json_of("--db", root / "data" / "games")["games"] == 3
    assert json_of("--jsonl", folder)["games"] == 1
    assert json_of("--jsonl", folder, "--recursive")["games"] == 2
    assert json_of("--jsonl-dir", folder, "-r", "--players", "2")["games"] == 2
    assert json_of("--data-dir", root / "data")["games"] == 4
    assert json_of("--board", "sq8")["games"] == 3
    assert json_of("--ai-types", "random", "heuristic", "--players", "2")["games"] == 3
    assert json_of("--ai-types", "random")["games"] == 1
    assert json_of("--game-max-age-hours", "1", "--allow-empty")["games"] == 0
    (root / "list.tsv").write_text("1\tdata/selfplay/a.jsonl\n")
    found = json_of("--jsonl-filelist", root / "list.tsv", "--max-age-hours", "1")
    assert (found["games"], found["inputs"]["too_old"]) == (1, [])
    found = json_of("--jsonl", folder, "--max-age-hours", "0", "--allow-empty")
    assert (found["games"], len(found["inputs"]["too_old"])) == (0, 1)


def test_no_completed_game_is_exit_1_unless_allowed(stats, tmp_path):
    code, out, _ = stats("--players", "4")
    assert code == 1
    assert "no completed game" in out
    assert stats("--players", "4", "--allow-empty")[0] == 0
    path = tmp_path / "broken.jsonl"
    path.write_text("no game\n")
    code, out, err = stats("--jsonl", path)
    assert (code, err) == (1, "")
    assert f"{path}:1: malformed" in out


def test_the_report_is_written_in_both_forms(stats, tmp_path):
    code, out, _ = stats("-o", tmp_path / "report.md", "--format", "both")
    assert code == 0
    assert out.split() == [
        "wrote",
        str(tmp_path / "report.md"),
        "wrote",
        str(tmp_path / "report.json"),
    ]
    assert (
        (tmp_path / "report.md").read_text().startswith("# Game statistics\n\n4 games, 4 completed")
    )
    assert json.loads((tmp_path / "report.json").read_text())["schema_version"] == 1
    code, out, _ = stats("--format", "json")
    assert json.loads(out)["games"] == 4
    code, out, _ = stats()
    assert "### 12. Data quality" in out


@pytest.mark.slow
def test_eight_plots_are_written(stats, tmp_path):
    code, _, err = stats("--plots", tmp_path / "plots", "--plot-format", "svg", "--json")
    assert code == 0, err
    made = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert made == sorted(f"{name}.svg" for name in PLOTS)
    assert len(made) == 8


def test_a_dry_run_changes_no_byte(stats, root, tmp_path):
    before = contents(root)
    out = tmp_path / "out.md"
    code, _, err = stats("--dry-run", "-o", out, "--plots", tmp_path / "plots")
    assert code == 0, err
    assert contents(root) == before
    assert not out.exists()
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--workers", "0"), 2, "--workers"),
        (("--jsonl", "none.jsonl"), 2, "no file none.jsonl"),
        (("--db", "none.db"), 2, "no game store"),
        (("--data-dir", "none"), 2, "no folder none"),
        (("-o", "none/report.md"), 2, "--output"),
        (("--board", "sq9"), 2, "sq9"),
        (("--jsonl", "damaged.rrshard"), 1, "malformed"),
        (("--db", "damaged.db"), 6, "damaged.db"),
    ],
)
def test_mistakes_are_named(ringrift, root, tmp_path, monkeypatch, options, code, said):
    monkeypatch.chdir(tmp_path)
    Path("damaged.rrshard").write_bytes(b"RRSHARD1" + b"x" * 100)
    Path("damaged.db").write_bytes(b"SQLite format 3\0" + b"x" * 100)
    found, out, err = ringrift("--root", root, "data", "stats", *options)
    assert found == code
    assert said in out + err
    assert "Traceback" not in out + err
