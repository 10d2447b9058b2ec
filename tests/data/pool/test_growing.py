"""Files that grow, are cut or are written anew between two runs: each game once, no line lost."""

import gzip

import pytest

from ringrift.records import Journal

from .files import lines_of, make_game, pool, refused, stored

GAMES = [make_game(seed=seed) for seed in range(12)]
SEARCHED = b"".join(lines_of(*GAMES[:4], searched=True))


@pytest.fixture
def output(tmp_path):
    return tmp_path / "pool.db"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.jsonl"


def considered(report):
    return report["totals"]["games_considered"], report["totals"]["skipped_existing"]


def test_a_half_written_last_line_waits_and_is_taken_when_it_is_whole(path, output):
    first, second = lines_of(*GAMES[:2])
    path.write_bytes(first + second[:200])
    report = pool(output, path, leave_torn=True)
    assert considered(report) == (1, 0)
    assert report["totals"]["unfinished_lines"] == 1
    assert refused(output) == []
    assert considered(pool(output, path, leave_torn=True)) == (0, 1)
    with path.open("ab") as file:
        file.write(second[200:] + lines_of(GAMES[2])[0])
    assert considered(pool(output, path, leave_torn=True)) == (2, 1)
    assert set(stored(output)) == {game.id for game in GAMES[:3]}


def test_a_cut_last_line_of_a_file_that_nobody_writes_is_quarantined(path, output):
    first, second = lines_of(*GAMES[:2])
    path.write_bytes(first + second[:200])
    with path.open("ab"):  # somebody has it open
        assert pool(output, path)["totals"]["unfinished_lines"] == 1
    path.write_bytes(first + second[:300])
    assert pool(output, path)["totals"]["quarantined"] == {"truncated": 1}
    assert pool(output, path)["totals"]["quarantined"] == {}
    path.write_bytes(first + second)
    assert considered(pool(output, path)) == (1, 1)
    assert len(stored(output)) == 2


@pytest.mark.parametrize("cut", range(0, len(SEARCHED), len(SEARCHED) // 11))
def test_wherever_the_writer_was_the_next_run_goes_on(tmp_path, path, output, cut):
    path.write_bytes(SEARCHED[:cut])
    first = pool(output, path, leave_torn=True)
    path.write_bytes(SEARCHED)
    second = pool(output, path, leave_torn=True)
    assert set(stored(output)) == {game.id for game in GAMES[:4]}
    assert first["totals"]["analyses"] + second["totals"]["analyses"] == 4
    assert refused(output) == []
    sums = [report["totals"]["games_considered"] for report in (first, second)]
    assert sum(sums) in (4, 5)  # a game whose analysis came later is looked at twice
    assert second["totals"]["duplicates"] == 0


def test_a_last_line_without_an_end_that_is_whole_is_taken(path, output):
    path.write_bytes(b"".join(lines_of(*GAMES[:2])).rstrip(b"\n"))
    assert considered(pool(output, path, leave_torn=True)) == (2, 0)
    with path.open("ab") as file:
        file.write(b"\n" + lines_of(GAMES[3])[0])
    assert considered(pool(output, path, leave_torn=True)) == (1, 2)


def test_a_file_that_was_written_anew_is_read_from_its_start(path, output):
    path.write_bytes(b"".join(lines_of(*GAMES[:3])))
    pool(output, path)
    path.write_bytes(b"".join(lines_of(*GAMES[3:8])))
    assert considered(pool(output, path)) == (5, 0)
    assert len(stored(output)) == 8


def test_a_packed_file_that_grew_is_gone_on_from(tmp_path, output):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(lines_of(*GAMES[:3]))))
    pool(output, path)
    with path.open("ab") as file:
        file.write(gzip.compress(b"".join(lines_of(*GAMES[3:5]))))
    assert considered(pool(output, path)) == (2, 3)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])  # and now it is cut
    report = pool(output, path)
    assert report["totals"]["quarantined"] == {"truncated": 1}
    assert len(stored(output)) == 5


def test_a_line_without_end_is_one_refusal_and_the_next_ones_go_on(path, output, monkeypatch):
    monkeypatch.setattr("ringrift.data.pool.lines.MOST_LINE_BYTES", 20_000)
    path.write_bytes(b"x" * 60_000 + b"\n" + lines_of(GAMES[0])[0] + b"\n\n")
    report = pool(output, path)
    assert considered(report) == (1, 0)
    assert report["inputs"][0]["examples"][0]["detail"].startswith("found a line of more than")


def test_an_analysis_without_its_game_is_refused(path, output):
    lines = lines_of(GAMES[0], searched=True)
    path.write_bytes(lines[1] + lines[0])
    report = pool(output, path)
    assert considered(report) == (1, 0)
    assert report["totals"]["quarantined"] == {"malformed": 1}


def test_a_cut_analysis_does_not_take_its_game_with_it_a_wrong_one_does(path, output):
    game, analysis = lines_of(GAMES[0], searched=True)
    path.write_bytes(game + analysis[:100] + b"\n" + lines_of(GAMES[1])[0])
    pool(output, path)
    assert set(stored(output)) == {GAMES[0].id, GAMES[1].id}
    assert [row[0] for row in refused(output)] == ["truncated"]
    game, analysis = lines_of(GAMES[2], searched=True)
    wrong = analysis.replace(b'"policy":{"', b'"policy":{"SW":0,"', 1)
    path.write_bytes(game + wrong)
    pool(output, path)
    assert GAMES[2].id not in stored(output)


def test_a_journal_that_is_being_written_is_read_up_to_its_tail(tmp_path, output):
    path = tmp_path / "a.journal"
    with Journal(path) as journal:
        for game in GAMES[:3]:
            journal.append(game)
        with path.open("ab") as file:
            file.write(b"RRG1 half")
        report = pool(output, path)
        assert considered(report) == (3, 0)
        assert report["totals"]["unfinished_lines"] == 1
    with Journal(path) as journal:  # cuts its tail
        for game in GAMES[3:5]:
            journal.append(game)
    assert considered(pool(output, path)) == (2, 3)
    with path.open("ab") as file:
        file.write(b"RRG1 half")
    assert pool(output, path)["totals"]["quarantined"] == {"truncated": 1}
