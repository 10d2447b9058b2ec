"""An event of the loop as one line for people (`loop.md` 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ringrift.loop.events import Event
from ringrift.loop.plan import HELD_BY

JOB_LEVEL = frozenset({"job_filed", "job_retried", "training_progress"})
"""Shown where more than the news is wanted."""
UNKNOWN = "unknown"
Data = Mapping[str, Any]


def line_of(event: Event) -> str:
    """Return the line of an event: the clock, the configuration, what happened."""
    head = str(event["at"])[11:19]
    return " ".join(part for part in (head, words_of(event)) if part)


def words_of(event: Event) -> str:
    """Return what happened, without the clock."""
    kind, data = str(event["kind"]), event["data"]
    if kind in ("promoted", "rejected", "inconclusive"):
        return cycle_line(event)
    config = event["config"]
    say = _WORDS.get(kind)
    words = _listed(data) if say is None else say(data)
    name = kind.replace("_", " ")
    return "  ".join(part for part in (config, f"{name}: {words}" if words else name) if part)


def cycle_line(event: Event) -> str:
    """Return the line that a finished cycle leaves."""
    data = event["data"]
    parts = [
        f"cycle {event['cycle']}",
        str(event["config"]),
        None if data["games"] is None else f"{grouped(data['games'])} games",
        _loss_words(data["losses"]),
        _test_words(data),
        _verdict_words(event["kind"], data),
        None if data["seconds"] is None else duration(data["seconds"]),
    ]
    return "  ".join(part for part in parts if part)


def grouped(number: float) -> str:
    """Return a count with its thousands apart."""
    return f"{number:,.0f}".replace(",", " ")


def duration(seconds: float) -> str:
    """Return a duration as 12s, 4m12s, 3h05m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def signed_elo(elo: float | None, ci95: Any) -> str:
    """Return an Elo difference with its 95 % interval."""
    if elo is None:
        return "Elo unknown"
    interval = "" if ci95 is None else f" [{ci95[0]:.0f}, {ci95[1]:.0f}]"
    return f"{elo:+.0f} Elo{interval}"


def _loss_words(losses: Any) -> str | None:
    losses = [loss for loss in losses if loss is not None]
    if not losses:
        return None
    first, last = losses[0], losses[-1]
    return f"loss {first:.2f}->{last:.2f}" if len(losses) > 1 else f"loss {last:.2f}"


def _test_words(data: Data) -> str | None:
    if not data["test_games"]:
        return None
    return f"{signed_elo(data['elo_diff'], data['ci95'])} {data['test_games']} games"


def _verdict_words(kind: str, data: Data) -> str:
    short = str(data["candidate"])[:6]
    return f"PROMOTED {short}" if kind == "promoted" else f"{kind}: {short}, {data['reason']}"


def _listed(data: Data) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in data.items() if value is not None)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "; ".join(map(_short, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{name} {_short(item)}" for name, item in value.items())
    return str(value)


def _games_words(data: Data) -> str:
    rate = data.get("games_per_hour")
    speed = "" if rate is None else f", {rate / 60:.0f} games/min"
    return f"{grouped(data['games'])} more, {data['new_games']}/{data['trigger']} new{speed}"


def _progress_words(data: Data) -> str:
    named = ("epoch", "loss", "samples_per_s", "eta_s")
    return _listed({name: data[name] for name in named if name in data})


def _training_words(data: Data) -> str:
    seconds = data.get("seconds")
    net = f" ({data['net']})" if data.get("net") else ""
    parts = [
        f"model {str(data['model'])[:6]}{net}" if data.get("model") else None,
        _loss_words(data.get("losses") or []),
        f"{grouped(data['samples'])} samples" if data.get("samples") else None,
        None if seconds is None else duration(seconds),
    ]
    return ", ".join(part for part in parts if part)


def _match_words(data: Data) -> str:
    score = UNKNOWN if data["score"] is None else f"{data['score']:.3f}"
    counted = f"{data['wins']}-{data['losses']}-{data['capped']}"
    verdict = f", {data['verdict']}" if data.get("verdict") else ""
    return f"{data['title']}: {score} in {data['games']} games ({counted} capped){verdict}"


def _milestone_words(data: Data) -> str:
    minutes = data.get("minutes")
    after = "" if minutes is None else f" after {minutes:.1f} min"
    return f"{data['name']}{after}"


def _job_words(data: Data) -> str:
    tried = f", attempt {data['attempt']}" if "attempt" in data else ""
    why = data.get("error") or data.get("reason") or ""
    return f"{data['job_kind']}{tried}{f': {why}' if why else ''}"


def _tuning_words(data: Data) -> str:
    return f"{data['trials']} trials, {data['outcome']}"


def _model_words(data: Data) -> str:
    return f"no model yet - starting from random weights (model {str(data['model'])[:6]})"


def _calibration_words(data: Data) -> str:
    temperature = data.get("temperature")
    shown = UNKNOWN if temperature is None else f"{temperature:.2f}"
    return f"ECE {data['ece']:.3f}, temperature {shown} (model {str(data['model'])[:6]})"


def _guard_words(data: Data) -> str:
    level = str(data["level"])
    does = f"{level}, {HELD_BY[level]}" if level in HELD_BY else level
    reasons = "; ".join(data["reasons"])
    return f"{does}: {reasons} (ringrift node limits tells more)" if reasons else does


_WORDS: dict[str, Callable[[Data], str]] = {
    "model_initialised": _model_words,
    "guard_level": _guard_words,
    "games_ingested": _games_words,
    "job_filed": _job_words,
    "job_failed": _job_words,
    "job_retried": _job_words,
    "training_progress": _progress_words,
    "training_finished": _training_words,
    "tuning_finished": _tuning_words,
    "calibration": _calibration_words,
    "match_finished": _match_words,
    "shadow_finished": _match_words,
    "superseded": lambda data: f"{str(data['candidate'])[:6]}, {data['reason']}",
    "rolled_back": lambda data: f"to {str(data['champion'])[:6]}, {data['reason']}",
    "milestone": _milestone_words,
    "halted": lambda data: str(data["reason"]),
    "signal": lambda data: f"{data['signal']}, {data['reason']}",
}
