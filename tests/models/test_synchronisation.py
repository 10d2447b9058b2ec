"""Models between nodes: folders and servers, damaged bytes, interrupted files, rival decisions."""

import json
import os
import shutil
import signal
import time

import msgspec
import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.core.ids import canonical_json
from ringrift.data.distributed.authorization import Authorization
from ringrift.models.aliases import read_aliases
from ringrift.models.archive import archive
from ringrift.models.decisions import append, read_chain
from ringrift.models.promotion import follow_decisions
from ringrift.models.registry import model_ids, model_path
from ringrift.models.synchronisation.chains import SUPERSEDED, merge, parse_decision
from ringrift.models.synchronisation.exchange import Exchange
from ringrift.models.synchronisation.listing import parsed, place_of
from ringrift.models.synchronisation.nodes import open_node
from ringrift.models.synchronisation.serving import serve_models
from ringrift.nets.nnue.file import init_nnue
from ringrift.rules import BoardSpec

from .made import CONFIG, crown, make_model, named

MB = 1 << 20
TOKEN = "a token of enough letters"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Four models in one folder."""
    models = tmp_path_factory.mktemp("models")
    return models, [make_model(models, seed) for seed in range(4)]


@pytest.fixture
def place(originals, tmp_path):
    """Make the models folder of a node from some of the models."""
    source, ids = originals

    def make(name, *chosen, champion=None):
        folder = tmp_path / name
        (folder / "objects").mkdir(parents=True)
        for model_id in chosen:
            for path in (source / "objects" / model_id[:2]).glob(f"{model_id}.*"):
                target = folder / "objects" / model_id[:2] / path.name
                target.parent.mkdir(exist_ok=True)
                shutil.copy2(path, target)
        if champion is not None:
            crown(folder, champion)
            follow_decisions(folder)
        return folder

    return make, ids


def exchange(here, *there, token=None, **more):
    authorization = Authorization(token=token)
    nodes = [open_node(str(node), authorization) for node in there]
    made = Exchange(models=here, nodes=nodes, authorization=authorization, **more)
    made.discover()
    return made


def both_ways(here, *there, **more):
    collected = exchange(here, *there, **more)
    collected.collect()
    distributed = exchange(here, *there, **more)
    distributed.distribute(everything=True)
    return collected, distributed


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for part in ("objects", "decisions")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def flip(path, *, keep_time):
    state = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    if keep_time:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("transport", ["folder", "http"])
def test_two_nodes_with_disjoint_models_end_equal_and_a_second_run_sends_nothing(place, transport):
    make, ids = place
    here, there = make("here", *ids[:2], champion=ids[0]), make("there", *ids[2:])
    with serve_models(there, port=0) as server:
        other = server.url if transport == "http" else there
        both_ways(here, other)
        assert contents(here) == contents(there)
        assert len(model_ids(here / "objects")) == 4
        assert named(here) == named(there) == (ids[0],) * 3
        first, second = both_ways(here, other)
        for made in (first, second):
            state = made.states[str(other)]
            assert (state.bytes, state.received, state.sent, state.missing) == (0, [], [], [])


def test_discovering_tells_what_each_has_and_changes_nothing(place, tmp_path):
    make, ids = place
    here, there = make("here", *ids[:2], champion=ids[0]), make("there", *ids[1:3], champion=ids[1])
    before = contents(here), contents(there)
    found = exchange(here, there, tmp_path / "nowhere", "http://127.0.0.1:9").states
    state = found[str(there)]
    assert (state.reachable, state.models, state.champions) == (True, 2, {CONFIG: ids[1]})
    assert (state.stale, state.missing) == ([CONFIG], [ids[0]])
    assert [found[n].reachable for n in (str(tmp_path / "nowhere"), "http://127.0.0.1:9")] == [
        False,
        False,
    ]
    assert (contents(here), contents(there)) == before


def test_a_dry_run_names_what_it_would_fetch_and_fetches_nothing(place):
    make, ids = place
    here, there = make("here", ids[0]), make("there", *ids[1:3], champion=ids[1])
    made = exchange(here, there, dry_run=True)
    made.collect()
    made.distribute(everything=True)
    state = made.states[str(there)]
    assert (sorted(state.received), state.sent) == (sorted(ids[1:3]), [ids[0]])
    assert model_ids(here / "objects") == [ids[0]]
    assert len(model_ids(there / "objects")) == 2


@pytest.mark.parametrize("transport", ["folder", "http"])
def test_a_flipped_byte_on_a_node_s_disk_is_found_and_another_source_taken(place, transport):
    make, ids = place
    here, bad, good = make("here"), make("bad", ids[0]), make("good", ids[0])
    flip(model_path(bad / "objects", ids[0]), keep_time=False)
    with serve_models(bad, port=0) as one, serve_models(good, port=0) as two:
        places = (one.url, two.url) if transport == "http" else (bad, good)
        made = exchange(here, *places)
        made.collect()
    assert contents(here) == contents(good)
    assert made.states[str(places[0])].received == []
    again = exchange(here, bad)
    again.collect()
    assert "damaged there" in again.states[str(bad)].bad[0]
    assert contents(here) == contents(good)


def test_a_flipped_byte_on_the_wire_is_found_and_another_source_taken(place):
    make, ids = place
    here, bad, good = make("here"), make("bad", ids[0]), make("good", ids[0])
    with serve_models(bad, port=0) as one, serve_models(good, port=0) as two:
        made = exchange(here, one.url, two.url)
        # the same time and size: the server believes that it still has the bytes it listed
        flip(model_path(bad / "objects", ids[0]), keep_time=True)
        made.collect()
        assert contents(here) == contents(good)
        assert "wrong bytes" in made.states[one.url].bad[0]
        assert made.states[two.url].received == [ids[0]]


def test_a_damaged_model_here_is_replaced(place):
    make, ids = place
    here, there = make("here", ids[0], champion=ids[0]), make("there", ids[0])
    flip(model_path(here / "objects", ids[0]), keep_time=False)
    made = exchange(here, there)
    made.collect()
    assert made.states[str(there)].received == [ids[0]]
    assert contents(here)[f"objects/{ids[0][:2]}/{ids[0]}.safetensors"] == (
        model_path(there / "objects", ids[0]).read_bytes()
    )


def test_a_model_that_is_sent_damaged_is_refused(place):
    make, ids = place
    here, there = make("here", ids[0]), make("there")
    with serve_models(there, port=0) as server:
        made = exchange(here, server.url)
        flip(model_path(here / "objects", ids[0]), keep_time=False)
        made.distribute(everything=True)
        assert "damaged here" in made.states["this node"].bad[0]
        assert model_ids(there / "objects") == []


def test_an_archived_model_stays_away_unless_it_is_needed(place):
    make, ids = place
    here, there = make("here", *ids[:2]), make("there", *ids[:2])
    archive(here, ids[0])
    model_path(here / "objects", ids[0]).unlink()
    exchange(here, there).collect()
    assert model_ids(here / "objects") == [ids[1]]
    exchange(here, there, needed=frozenset({ids[0]})).collect()
    assert model_ids(here / "objects") == sorted(ids[:2])


def test_distributing_sends_champions_and_needed_models_only(place):
    make, ids = place
    here, there = make("here", *ids[:3], champion=ids[0]), make("there")
    made = exchange(here, there, needed=frozenset({ids[1]}))
    made.distribute(everything=False)
    assert model_ids(there / "objects") == sorted(ids[:2])
    assert named(there) == (ids[0],) * 3


def test_a_token_is_needed_where_the_server_has_one(place):
    make, ids = place
    here, there = make("here"), make("there", ids[0])
    with serve_models(there, port=0, authorization=Authorization(token=TOKEN)) as server:
        assert (
            not exchange(here, server.url, token="another token, as long")
            .states[server.url]
            .reachable
        )
        made = exchange(here, server.url, token=TOKEN)
        made.collect()
    assert model_ids(here / "objects") == [ids[0]]


@pytest.mark.timed
def test_the_champion_reaches_a_connected_idle_node_within_ten_seconds(place):
    make, ids = place
    here, there = make("here", *ids[:2], champion=ids[0]), make("there", ids[0], champion=ids[0])
    shutil.rmtree(there / "decisions")
    shutil.copytree(here / "decisions", there / "decisions")
    with serve_models(there, port=0) as server:
        crown(here, ids[1])
        follow_decisions(here)
        began_s = time.monotonic()
        exchange(here, server.url).distribute(everything=False)
        assert time.monotonic() - began_s < 10
    assert named(there) == (ids[1],) * 3


@pytest.mark.slow
def test_a_kill_at_half_of_20_mb_resumes(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    path = init_nnue(BoardSpec.create("square8", 2), folder=there / "objects", seed=1, hidden=992)
    size = path.stat().st_size
    assert size > 20 * MB
    with serve_models(there, port=0) as server:
        pid = os.fork()
        if pid == 0:
            came = [0]

            def count(some):
                came[0] += some
                if came[0] >= size // 2:
                    os.kill(os.getpid(), signal.SIGKILL)

            exchange(here, server.url, on_bytes=count).collect()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        assert model_ids(here / "objects") == []
        counts = []
        exchange(here, server.url, on_bytes=counts.append).collect()
    assert contents(here) == contents(there)
    assert counts[0] >= size // 2 - 4 * MB  # what was kept
    assert sum(counts) == size


@pytest.mark.slow
def test_sending_over_http_goes_on_where_it_was_cut(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    (there / "objects").mkdir(parents=True)
    path = init_nnue(BoardSpec.create("square8", 2), folder=here / "objects", seed=1, hidden=256)
    with serve_models(there, port=0) as server:
        sent = []

        def cut(some):
            sent.append(some)
            if len(sent) == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            exchange(here, server.url, on_bytes=cut).distribute(everything=True)
        assert model_ids(there / "objects") == []
        rest = []
        exchange(here, server.url, on_bytes=rest.append).distribute(everything=True)
        assert contents(here) == contents(there)
    beside = path.with_suffix(".json").stat().st_size
    assert sum(sent) + sum(rest) in {path.stat().st_size + beside, path.stat().st_size + 2 * beside}


# --- decisions


def decisions_of(folder):
    return [
        (parse_decision(path.read_bytes(), CONFIG, path.name), path.read_bytes())
        for path in sorted((folder / "decisions" / CONFIG).glob("*.json"))
    ]


def decide(folder, candidate, term):
    chain = read_chain(folder / "decisions", CONFIG)
    return append(
        folder / "decisions", chain, kind="promoted", candidate=candidate, reason="r", term=term
    )


def split(tmp_path, ours, theirs):
    """Two folders with one decision in common, and then one each of the given terms."""
    here, there = tmp_path / "here", tmp_path / "there"
    decide(here, "a" * 64, 0)
    shutil.copytree(here, there)
    decide(here, "b" * 64, ours)
    decide(there, "c" * 64, theirs)
    return here, there


def test_a_longer_chain_is_taken_over(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    decide(here, "a" * 64, 0)
    shutil.copytree(here, there)
    decide(there, "b" * 64, 1)
    decide(there, "c" * 64, 2)
    found = merge(here / "decisions", CONFIG, decisions_of(there))
    assert (len(found.added), found.superseded, found.refused) == (2, (), None)
    assert read_chain(here / "decisions", CONFIG) == read_chain(there / "decisions", CONFIG)
    assert merge(here / "decisions", CONFIG, decisions_of(there)).added == ()
    assert merge(there / "decisions", CONFIG, decisions_of(here)).added == ()


def test_a_decision_of_an_older_term_is_refused(tmp_path):
    here, there = split(tmp_path, ours=3, theirs=2)
    before = contents(here)
    found = merge(here / "decisions", CONFIG, decisions_of(there))
    assert "older term" in found.refused
    assert contents(here) == before


def test_the_higher_term_wins_and_the_other_is_kept_as_superseded(tmp_path):
    here, there = split(tmp_path, ours=2, theirs=3)
    gone = read_chain(here / "decisions", CONFIG).decisions[-1]
    found = merge(here / "decisions", CONFIG, decisions_of(there))
    assert (len(found.added), found.superseded) == (1, (gone.name,))
    assert read_chain(here / "decisions", CONFIG).champion == "c" * 64
    kept = here / "decisions" / CONFIG / SUPERSEDED / gone.name
    assert json.loads(kept.read_bytes())["candidate"] == "b" * 64


def test_of_equal_terms_both_nodes_choose_the_same(tmp_path):
    here, there = split(tmp_path, ours=2, theirs=2)
    mine, theirs = decisions_of(here), decisions_of(there)
    merge(here / "decisions", CONFIG, theirs)
    merge(there / "decisions", CONFIG, mine)
    assert read_chain(here / "decisions", CONFIG) == read_chain(there / "decisions", CONFIG)


def test_a_term_that_falls_within_their_chain_is_refused(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    decide(here, "a" * 64, 5)
    shutil.copytree(here, there)
    chain = read_chain(there / "decisions", CONFIG)
    forged = decide(there, "b" * 64, 6).decisions[-1]
    path = there / "decisions" / CONFIG / forged.name
    path.unlink()
    low = msgspec.structs.replace(forged, term=4)
    (path.parent / low.name).write_bytes(canonical_json(msgspec.to_builtins(low)) + b"\n")
    found = merge(here / "decisions", CONFIG, decisions_of(there))
    assert "term 4 after term 5" in found.refused
    assert read_chain(here / "decisions", CONFIG).head == chain.head


def test_over_http_an_older_term_is_refused_and_the_sender_told(place):
    make, ids = place
    here, there = make("here", *ids[:3]), make("there", *ids[:3])
    decide(here, ids[0], 0)
    shutil.copytree(here / "decisions", there / "decisions")
    decide(here, ids[1], 1)
    decide(there, ids[2], 2)
    with serve_models(there, port=0) as server:
        made = exchange(here, server.url)
        made.distribute(everything=True)
        assert "older term" in made.states[server.url].problem
        made.collect()
    assert read_chain(there / "decisions", CONFIG).champion == ids[2]
    assert read_chain(here / "decisions", CONFIG).champion == ids[2]
    assert made.merged[0].superseded
    assert read_aliases(here)[CONFIG].id == ids[2]


def test_a_forged_decision_is_no_decision(tmp_path):
    here, there = split(tmp_path, ours=0, theirs=1)
    path = max((there / "decisions" / CONFIG).glob("*.json"))
    fields = json.loads(path.read_bytes())
    fields["champion"] = "f" * 64
    path.write_text(json.dumps(fields))
    with pytest.raises(DataError, match="differ"):
        decisions_of(there)
    made = exchange(here, there)
    made.collect()
    assert read_chain(here / "decisions", CONFIG).champion == "b" * 64


def test_no_name_leads_out_of_the_folder(place):
    make, _ = place
    files = [
        {"name": name, "sha256": "0" * 64, "bytes": 1}
        for name in ("../x.safetensors", "/etc/passwd", f"aa/{'b' * 64}.safetensors", "a/b/c.json")
    ]
    found = parsed({"files": files})
    assert (found.models, found.descriptions, found.decisions) == ({}, {}, {})
    assert place_of(make("here"), "../../x") is None
    with pytest.raises(ValueError, match="without name"):
        parsed({"files": [{"name": 3}]})
    with pytest.raises(ValueError, match="without name"):
        parsed([])


def test_a_server_that_others_reach_needs_a_token(place):
    make, _ = place
    with pytest.raises(UsageError, match="no token"):
        serve_models(make("here"), port=0, host="0.0.0.0")
