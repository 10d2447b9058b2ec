"""The words that name agents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.agents.factory import make_agent
from ringrift.agents.spec import KINDS, AgentSpec, Key, Value, format_spec, parse_spec, resolve
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
    ("gumbel", "needs a model"),
    ("gumbel@", "no model"),
    ("gumbel@ abc", "blanks"),
    ("gumbel@abc:sims=0", "from 1 to 1000000"),
    ("gumbel@abc:sims=1e3", "whole number"),
    ("gumbel@abc:16,sims=8", "given twice"),
    ("gumbel@abc:m=4.5", "whole number"),
    ("gumbel@abc:eval=heuristic", "takes no model"),
    ("gumbel:eval=heuristik", "try heuristic"),
    ("gumbel:eval=net", "needs a model"),
    ("mcts_100", "unknown agent kind"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_bad_spec_says_what_and_where(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_spec(text)
    assert caught.value.exit_code == 2
    assert caught.value.where is not None
    assert caught.value.where.startswith("position ")


def test_the_place_of_the_fault() -> None:
    with pytest.raises(UsageError) as caught:
        parse_spec("heuristic:tau=1,epz=0.5")
    assert caught.value.where == "position 17"


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
    ],
)
def test_one_form(text: str, canonical: str) -> None:
    assert format_spec(parse_spec(text)) == canonical
    assert parse_spec(canonical) == parse_spec(text)


def values(key: Key) -> st.SearchStrategy[Value]:
    if key.choices:
        return st.sampled_from(key.choices)
    high = min(key.high, 1e6)
    if key.type is int:
        return st.integers(int(key.low), int(high))
    return st.floats(key.low, high, allow_nan=False)


@st.composite
def specs(draw: st.DrawFn) -> AgentSpec:
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    args = {name: draw(values(key)) for name, key in kind.keys.items() if draw(st.booleans())}
    wants_net = kind.model == "net" and args.get("eval", "net") == "net"
    model = draw(st.from_regex(r"[0-9a-f]{6,64}|[A-Za-z/][A-Za-z0-9_./-]{0,30}", fullmatch=True))
    text = kind.name + (f"@{model}" if wants_net else "")
    parts = [f"{name}={value!r}".replace("'", "") for name, value in args.items()]
    return parse_spec(text + (":" + ",".join(draw(st.permutations(parts))) if parts else ""))


@given(specs())
def test_round_trip(spec: AgentSpec) -> None:
    assert parse_spec(format_spec(spec)) == spec
    assert format_spec(parse_spec(format_spec(spec))) == format_spec(spec)


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


def test_noise_is_part_of_a_resolved_search() -> None:
    board = BoardSpec.create("square8")
    quiet = make_agent("gumbel:eval=heuristic,sims=4", board).spec
    loud = make_agent("gumbel:eval=heuristic,sims=4", board, explore=True).spec
    assert quiet.text.endswith("scale=0,sims=4")
    assert loud.text.endswith("scale=1,sims=4")
    assert quiet.agent_hash != loud.agent_hash


def test_a_search_without_models_at_hand_is_refused() -> None:
    with pytest.raises(UsageError, match="no models"):
        make_agent("gumbel@abcdef", BoardSpec.create("square8"))
