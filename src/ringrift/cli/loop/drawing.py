"""Draw a status of the loop as a block that is rewritten in place (`loop.md` 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ringrift.loop.lines import UNKNOWN, duration, grouped

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

BAR_WIDTH = 30
STYLES = {
    "unborn": "yellow",
    "collecting": "cyan",
    "blocked": "bold yellow",
    "ready": "cyan",
    "training": "magenta",
    "evaluating": "blue",
    "deciding": "blue",
    "held": "bold red",
}
Tree = Mapping[str, Any]


def draw(status: Tree) -> RenderableType:
    """Return the block of a status: each configuration, then the machine, then warnings."""
    from rich.console import Group
    from rich.text import Text

    jobs = status["jobs"]
    parts: list[RenderableType] = []
    for config, each in status["configs"].items():
        own = [job for job in jobs if job["config"] == config]
        parts += _config(config, each, own)
    parts.append(Text(machine_line(status), style="dim", overflow="ellipsis", no_wrap=True))
    parts += [Text(f"warning: {words}", style="yellow") for words in status["warnings"]]
    return Group(*parts)


def _config(config: str, tree: Tree, jobs: Sequence[Tree]) -> list[Text]:
    from rich.text import Text

    head = Text.assemble(
        (config, "bold"),
        "  ",
        (tree["state"], STYLES.get(tree["state"], "")),
        f"  {tree['reason']}",
    )
    lines = [head, _collecting(tree)]
    lines += [_training(job) for job in jobs if job["kind"] in ("train", "companion")]
    if tree["test"] is not None:
        lines.append(_test(tree["test"]))
    lines.append(Text("  " + champion_line(tree)))
    return lines


def _collecting(tree: Tree) -> Text:
    new, trigger, rate = tree["new_games"], tree["trigger"], tree["games_per_hour"]
    words = f"{new}/{trigger}"
    if rate is not None:
        words += f"  {rate / 60:.0f} games/min"
        if new < trigger and rate > 0:
            words += f"  ETA {duration((trigger - new) / rate * 3600)}"
    return _barred("games until training", new / trigger if trigger else None, words)


def _training(job: Tree) -> Text:
    numbers = job["numbers"]
    words = [f"epoch {numbers['epoch']}" if "epoch" in numbers else ""]
    if "epochs" in numbers and words[0]:
        words[0] += f"/{numbers['epochs']}"
    if numbers.get("loss") is not None:
        words.append(f"loss {numbers['loss']:.3f}")
    if numbers.get("samples_per_s") is not None:
        words.append(f"{grouped(numbers['samples_per_s'])} samples/s")
    if job["eta_s"] is not None:
        words.append(f"ETA {duration(job['eta_s'])}")
    return _barred("training", job["progress"], "  ".join(word for word in words if word))


def _test(test: Tree) -> Text:
    score = f"{test['wins']}-{test['losses']}-{test['capped']}"
    words = f"{test['played']}/{test['games']} games  {score} capped"
    share = test["played"] / test["games"] if test["games"] else None
    if test["llr"] is not None and test["bounds"] is not None:
        low, high = test["bounds"]
        share = min(1.0, max(0.0, (test["llr"] - low) / (high - low)))
        words = f"LLR {test['llr']:+.2f} [{low:.2f}, {high:.2f}]  {words}"
    return _barred(test["title"] or "test", share, words)


def _barred(name: str, share: float | None, words: str) -> Text:
    from rich.text import Text

    filled = 0 if share is None else round(min(1.0, max(0.0, share)) * BAR_WIDTH)
    return Text.assemble(
        f"  {name:<22.22s} ",
        ("━" * filled, "green"),
        ("─" * (BAR_WIDTH - filled), "dim"),
        f"  {words}",
        overflow="ellipsis",
        no_wrap=True,
    )


def champion_line(tree: Tree) -> str:
    """Return who is champion and how strong."""
    champion = "none" if tree["champion"] is None else str(tree["champion"])[:6]
    return (
        f"champion {champion}  {elo_words(tree['elo'], tree['elo_ci95'])}  "
        f"generation {tree['generation']}  {grouped(tree['games'])} games  "
        f"preset {tree['preset']}"
    )


def elo_words(elo: float | None, ci95: Any) -> str:
    """Return a rating with half of its 95 % interval."""
    if elo is None:
        return f"Elo {UNKNOWN}"
    half = "" if ci95 is None else f" ± {(ci95[1] - ci95[0]) / 2:.0f}"
    return f"Elo {elo:.0f}{half}"


def machine_line(status: Tree) -> str:
    """Return the use of the machine and what runs on it."""
    found = status["resources"]
    parts = [
        f"{name} {100 * found[name]:.0f} %"
        for name in ("cpu", "memory", "disk", "gpu")
        if found[name] is not None
    ]
    kinds: dict[str, int] = {}
    for job in status["jobs"]:
        kinds[job["kind"]] = kinds.get(job["kind"], 0) + 1
    running = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    return f"{'  '.join(parts) or 'machine unknown'}  ({found['level']})  jobs: {running}"
