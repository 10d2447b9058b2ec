"""The words that name agents."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.agents.factory import make_agent
from ringrift.agents.kinds import KINDS, OF_MODELS, Key, Value
from ringrift.agents.spec import AgentSpec, format_spec, parse_spec, parse_specs, resolve
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec

BAD = [
    ("", "unknown agent kind"),
    ("randm", "try random"),
    ("random:", "not key=value"),
    ("random:x=1", "keys of random: none"),
    ("random@abcdef", "takes no model"),
    (" random", "unknown agent kind"),
    ("random,heuristic", "unknown agent kind"),
    ("heuristic:tua=1", "try tau"),
    ("heuristic:5", "keys of heuristic"),
    ("heuristic:tau=-1", "at least 0|from 0"),
    ("heuristic:eps=1.5", "from 0 to 1"),
    ("heuristic:tau=", "tau is ''"),
    ("heuristic:tau=nan", "tau is 'nan'"),
    ("heuristic:tau=inf", "tau is 'inf'"),
    ("heuristic:tau=1_0", "tau is '1_0'"),
    ("heuristic:tau= 1", "tau is ' 1'"),
    ("heuristic:tau=1,tau=2", "given twice"),
    ("heuristic:tau=1,", "not key=value"),
    ("heuristic:persona=agressive", "try aggressive"),
    ("heuristic:weights=", "expected a file"),
    ("gumbel", "needs a model.*try eval=heuristic"),
    ("gumbel@none", "needs a model"),
    ("gumbel@", "no model"),
    ("gumbel@ abc", "blanks"),
    ("gumbel@abc:sims=0", "from 1 to"),
    ("gumbel@abc:sims=1e3", "whole number"),
    ("gumbel@abc:16,sims=8", "given twice"),
    ("gumbel@abc:m=4.5", "whole number"),
    ("gumbel@abc:eval=heuristic", "takes no model"),
    ("gumbel:eval=heuristik", "try heuristic"),
    ("gumbel:eval=net", "needs a model"),
    ("mcts_", "unknown agent kind"),
    ("mcts_0", "sims is '0'"),
    ("mcts_100:sims=5", "given twice"),
    ("mcts_1.5", "whole number"),
    ("mcts:eval=net", "needs a model, or eval=rollout or eval=heuristic"),
    ("mcts@abc:eval=rollout", "takes no model"),
    ("mcts:temp=alphazer", "try alphazero"),
    ("mcts:tau=1,temp=default", "exclude each other"),
    ("mcts:reuse=maybe", "one of on, off"),
    ("alphabeta:eval=nnue", "needs a model"),
    ("alphabeta:depth=0", "from 1 to 64"),
    ("paranoid:multi=brs", "unknown key 'multi'"),
    ("minmax", "try minimax"),
    ("policy", "needs a model"),
    ("policy@abc:0.001", "from 0.01 to 10"),
    ("descent:max_depth=-1", "from 1"),
    ("ladder", "needs level"),
    ("ladder:11", "from 1 to 10"),
    ("level_0", "level is '0'"),
    ("ladder@abc:3", "takes no model"),
    ("mix()", "not spec\\*weight"),
    ("mix(random)", "not spec\\*weight"),
    ("mix(random*1", "ends with"),
    ("mix(random*0)", "above 0"),
    ("mix(random*-1)", "from 0"),
    ("mix(random*1;randm*2)", "try random"),
    ("mix(mix(random*1)*1)", "a mix in a mix"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_bad_spec_says_what_and_where_and_none_plays(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_spec(text)
    assert caught.value.exit_code == 2
    assert caught.value.where is not None
    assert caught.value.where.startswith("position ")
    with pytest.raises(UsageError):
        make_agent(text, BoardSpec.create("square8"))


def test_the_place_of_the_fault() -> None:
    with pytest.raises(UsageError) as caught:
        parse_spec("heuristic:tau=1,epz=0.5")
    assert caught.value.where == "position 17"
    with pytest.raises(UsageError) as caught:
        parse_spec("mix(random*1;mcts:simz=2*1)")
    assert caught.value.where == "position 19"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("random", "random"),
        ("Heuristic:TAU=0.10", "heuristic:tau=0.1"),
        ("heuristic:tau=0", "heuristic"),
        ("heuristic:tau=2,eps=.5", "heuristic:eps=0.5,tau=2"),
        ("gumbel@Model/A.safetensors:32", "gumbel@Model/A.safetensors:sims=32"),
        ("gumbel@abc:sims=150,m=16,c_scale=1.0", "gumbel@abc"),
        ("gumbel:scale=1,eval=HEURISTIC", "gumbel:eval=heuristic,scale=1"),
        ("heuristic:territorial", "heuristic:persona=territorial"),
        ("minimax:4", "alphabeta:depth=4"),
        ("alphabeta@nnue:eval=nnue", "alphabeta@nnue"),
        ("alphabeta:eval=heuristic", "alphabeta"),
        ("mcts@none:eval=rollout", "mcts:eval=rollout"),
        ("brs:2", "brs"),
        ("mcts:sims=100,ms=50", "mcts:ms=50,sims=100"),
        ("descent:ms=50", "descent:ms=50"),
        ("policy@champion:.5", "policy@champion:tau=0.5"),
        ("MIX(random*1.0;Heuristic:tau=0*.5)", "mix(random*1;heuristic*0.5)"),
    ],
)
def test_one_form(text: str, canonical: str) -> None:
    assert format_spec(parse_spec(text)) == canonical
    assert parse_spec(canonical) == parse_spec(text)


def values(key: Key) -> st.SearchStrategy[Value]:
    if key.choices:
        return st.sampled_from(key.choices)
    if key.type is Path:
        return st.from_regex(r"[a-z/._]{1,20}", fullmatch=True)
    high = min(key.high, 1e6)
    if key.type is int:
        return st.integers(int(key.low), int(high))
    return st.floats(key.low, high, allow_nan=False)


MODELS = st.from_regex(r"[0-9a-f]{6,64}|[A-Za-z/][A-Za-z0-9_./-]{0,30}", fullmatch=True)


@st.composite
def spec_texts(draw: st.DrawFn) -> str:
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    wanted = {name for name in kind.keys if name in kind.required or draw(st.booleans())}
    if {"tau", "temp"} <= wanted:
        wanted.remove("temp")
    args = {name: draw(values(kind.keys[name])) for name in sorted(wanted)}
    model = draw(MODELS.filter(lambda name: name.lower() != "none"))
    named = args.get("eval")
    with_model = kind.takes_model and (
        named in OF_MODELS or (named is None and (kind.alone is None or draw(st.booleans())))
    )
    parts = [f"{name}={value!r}".replace("'", "") for name, value in args.items()]
    text = kind.name + (f"@{model}" if with_model else "")
    return text + (":" + ",".join(draw(st.permutations(parts))) if parts else "")


@st.composite
def specs(draw: st.DrawFn) -> AgentSpec:
    if draw(st.integers(0, 3)):
        return parse_spec(draw(spec_texts()))
    weights = st.floats(1e-6, 1e6)
    parts = [f"{draw(spec_texts())}*{draw(weights)!r}" for _ in range(draw(st.integers(1, 3)))]
    return parse_spec(f"mix({';'.join(parts)})")


@given(specs())
def test_round_trip(spec: AgentSpec) -> None:
    assert parse_spec(format_spec(spec)) == spec
    assert format_spec(parse_spec(format_spec(spec))) == format_spec(spec)


@given(st.lists(specs(), min_size=1, max_size=4))
def test_a_list_is_its_specs_joined_by_commas(found: list[AgentSpec]) -> None:
    assert parse_specs(",".join(map(str, found))) == found


def test_a_word_that_is_a_kind_begins_the_next_spec() -> None:
    text = "random, heuristic:eps=.1,tau=2,mcts_50,mix(random*1;brs:3*2),level_3"
    assert [str(spec) for spec in parse_specs(text)] == [
        "random",
        "heuristic:eps=0.1,tau=2",
        "mcts:sims=50",
        "mix(random*1;brs:depth=3*2)",
        "ladder:level=3",
    ]
    with pytest.raises(UsageError) as caught:
        parse_specs("random,mcts:sims=x")
    assert caught.value.where == "position 18"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mcts_100", "mcts:sims=100"),
        ("mcts_800", "mcts:sims=800"),
        ("gumbel_64@abcdef", "gumbel@abcdef:sims=64"),
        ("gumbel-mcts:eval=heuristic", "gumbel:eval=heuristic"),
        ("policy_only@abcdef", "policy@abcdef"),
        ("policy_0.5@abcdef", "policy@abcdef:tau=0.5"),
        ("neural_demo@abcdef", "policy@abcdef"),
        ("difficulty_4", "ladder:level=4"),
        ("level_4", "ladder:level=4"),
        ("minimax", "alphabeta"),
        ("gpu_minimax", "alphabeta"),
        ("nn_minimax", "alphabeta@nnue"),
        ("nn_descent", "descent@champion"),
        ("nnue-guided", "mcts@nnue"),
    ],
)
def test_old_names_mean_specs(old: str, new: str) -> None:
    assert parse_spec(old) == parse_spec(new)
    assert resolve(parse_spec(old)) == resolve(parse_spec(new))


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        spec = parse_spec(text)
    except UsageError:
        return
    assert parse_spec(format_spec(spec)) == spec


def test_the_identity_follows_model_and_arguments() -> None:
    spec = parse_spec("gumbel@champion:sims=8")
    first = resolve(spec, model_id="a" * 64)
    assert first.text == f"gumbel@{'a' * 64}:sims=8"
    assert first.kind == "gumbel"
    assert first == resolve(parse_spec(f"gumbel@{'a' * 64}:8"), model_id="a" * 64)
    assert first.agent_hash != resolve(spec, model_id="b" * 64).agent_hash
    assert first.agent_hash != resolve(parse_spec("gumbel@x:sims=9"), model_id="a" * 64).agent_hash


def test_a_model_says_what_evaluates_and_a_board_what_is_its_default() -> None:
    named = resolve(parse_spec("mcts@abcdef:eval=net"), model_id="a" * 64)
    assert named == resolve(parse_spec("mcts@champion"), model_id="a" * 64)
    assert named.text == f"mcts@{'a' * 64}"
    wide = parse_spec("alphabeta:width=0")
    assert resolve(wide, board="square8").text == "alphabeta"
    assert resolve(wide, board="square19").text == "alphabeta:width=0"
    assert resolve(parse_spec("alphabeta:width=64"), board="square19").text == "alphabeta"


@pytest.mark.parametrize(("kind", "default"), [("mcts", 100), ("descent", 200)])
def test_time_alone_takes_the_place_of_the_default_of_simulations(kind: str, default: int) -> None:
    timed, both = parse_spec(f"{kind}:ms=50"), parse_spec(f"{kind}:ms=50,sims={default}")
    assert parse_spec(kind).get("sims") == default
    assert timed.get("sims") is None
    assert both.get("sims") == default
    hashes = {resolve(spec, board="square8").agent_hash for spec in (timed, both)}
    assert len(hashes) == 2
    assert resolve(both, board="square8").text == f"{kind}:ms=50,sims={default}"
