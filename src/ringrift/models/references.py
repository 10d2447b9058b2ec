"""One grammar for every place where a model is named (`models.md` 1).

A reference is tried as: an existing file; an id or its unique beginning of six digits or more; an
alias; a path that does not exist, whose stem is an alias; `champion`, `best`, `candidate`, a
configuration such as `square8_2p`, and `champion~2` for the second champion before the present one.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError
from ringrift.core.ids import short
from ringrift.core.settings.configurations import CONFIGURATIONS, SHORT_BOARDS
from ringrift.models.aliases import read_aliases
from ringrift.models.decisions import read_chain
from ringrift.models.names import BEST, CANDIDATE, CHAMPION, OLD_SUFFIXES, best_alias
from ringrift.models.registry import SUFFIX, find_model, model_path

if TYPE_CHECKING:
    from ringrift.models.aliases import Alias
    from ringrift.models.decisions import Chain

_ID = re.compile(r"[0-9a-f]{6,64}")
_BACK = re.compile(r"(.+)~(\d{1,4})")


@dataclass(frozen=True)
class References:
    """What names mean in one models folder; without a folder only files are found."""

    models: Path | None

    @property
    def objects(self) -> Path:
        """The folder of model files; raises `UsageError` without a data root."""
        if self.models is None:
            raise UsageError("no data root, where models are found", hint="--root DIR")
        return self.models / "objects"

    def file(self, reference: str, config: str | None = None) -> Path:
        """Return the file of the model that a reference means.

        `config` is the configuration of `champion`, `best` and `candidate`; without it the only one
        that has such a model is meant. Raises `UsageError` for a reference that means nothing
        (naming the nearest) or several things, `DataError` for a model whose file is not here.
        """
        if Path(reference).is_file():
            return Path(reference)
        if self.models is None:
            raise UsageError(f"no model {reference!r}: no data root", hint="--root DIR")
        return find_model(self.objects, self._id(reference, config))

    def id(self, reference: str, config: str | None = None) -> str:
        """Return the id of the model that a reference means, whether its file is here or not.

        Raises as `file` does, and `ModelError` for a file that is no model.
        """
        path = Path(reference)
        if not path.is_file():
            if self.models is None:
                raise UsageError(f"no model {reference!r}: no data root", hint="--root DIR")
            return self._id(reference, config)
        path = path.resolve()
        if len(path.stem) == 64 and _ID.fullmatch(path.stem):
            return path.stem
        from ringrift.nets.container import read_card

        return read_card(path)[0]

    # --- in the folder

    def _id(self, reference: str, config: str | None) -> str:
        found = self._by_digits(reference) or self._by_alias(reference)
        if found is None and (stem := _stem(reference)) != reference:
            found = self._by_alias(stem) or self._by_word(stem, config)
        found = found or self._by_word(reference, config)
        if found is None:
            raise UsageError(
                f"no model {reference!r} in {self.models}", hint=self._nearest(_stem(reference))
            )
        return found

    def _by_digits(self, reference: str) -> str | None:
        if not _ID.fullmatch(reference):
            return None
        if len(reference) == 64 and self._described(reference):
            return reference
        here = _ids_in(self.objects, reference[:2])  # the folder that they all stand in
        found = sorted(name for name in here if name.startswith(reference))
        if len(found) > 1:
            told = ", ".join(map(short, found[:3])) + (", ..." if len(found) > 3 else "")
            raise UsageError(
                f"{reference!r} begins {len(found)} model ids ({told})", hint="more digits"
            )
        return found[0] if found else None

    def _by_alias(self, name: str) -> str | None:
        if "/" in name:
            return None
        if name in self._aliases:
            return self._aliases[name].id
        assert self.models is not None
        link = self.models / f"{name}{SUFFIX}"  # of a folder of copies that has no aliases.json
        return self.id(str(link)) if link.is_file() else None

    def _by_word(self, word: str, config: str | None) -> str | None:
        word, back = _back(word)
        if word in (CHAMPION, BEST):
            return self._champion(self._only(config), back)
        if word == CANDIDATE and not back:
            return self._candidate(config)
        named = configuration(word)
        return None if named is None else self._champion(named, back)

    def _champion(self, config: str, back: int) -> str:
        """Return the champion of a configuration, `back` turns in office ago."""
        in_office = self._chain(config).champions()
        if not in_office and back == 0 and (alias := self._by_alias(best_alias(config))):
            return alias
        if len(in_office) <= back:
            told = "no champion" if not in_office else f"{len(in_office)} champions so far"
            raise UsageError(f"{config} has {told}", hint=self._nearest(config))
        return in_office[-1 - back]

    def _candidate(self, config: str | None) -> str:
        """Return the newest model of a configuration that no decision is about."""
        from ringrift.models.listing import list_models

        assert self.models is not None
        open_ones: dict[str, str] = {}
        for model in list_models(self.models).models:
            new = model.standing.decision is None and model.standing.status != "champion"
            if new and model.config is not None and model.file == "here":
                open_ones.setdefault(model.config, model.id)
        if config is None:
            config = _single(sorted(open_ones), "a candidate")
        if config not in open_ones:
            raise UsageError(f"{config} has no model without a decision")
        return open_ones[config]

    def _only(self, config: str | None) -> str:
        if config is not None:
            return config
        assert self.models is not None
        places = sorted(p.name for p in (self.models / "decisions").glob("*") if p.is_dir())
        return _single([c for c in places if self._chain(c).champion is not None], "a champion")

    def _chain(self, config: str) -> Chain:
        assert self.models is not None
        return read_chain(self.models / "decisions", config)

    @cached_property
    def _aliases(self) -> dict[str, Alias]:
        assert self.models is not None
        return read_aliases(self.models)

    def _described(self, model_id: str) -> bool:
        path = model_path(self.objects, model_id)
        return path.is_file() or path.with_suffix(".json").is_file()

    def _nearest(self, name: str) -> str:
        """Return the three names nearest to one that means nothing."""
        assert self.models is not None
        places = [p.name for p in (self.models / "decisions").glob("*") if p.is_dir()]
        links = [p.name.removesuffix(SUFFIX) for p in self.models.glob(f"*{SUFFIX}")]
        known = [*dict.fromkeys([*self._aliases, *sorted(links), *sorted(places)])]
        known += [short(name) for name in sorted(_ids_in(self.objects, "??"))]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
        near += [other for other in known if other not in near]
        return (
            ", ".join(near[:3]) or "ringrift models init, or ringrift loop run, which makes models"
        )


def _ids_in(objects: Path, folder: str) -> set[str]:
    """Return the ids of the models with a file or a card in some folders of `objects`."""
    files = (path.stem for path in objects.glob(f"{folder}/*") if path.suffix in (SUFFIX, ".json"))
    return {name for name in files if len(name) == 64}


def _single(configs: list[str], what: str) -> str:
    if len(configs) != 1:
        told = ", ".join(configs) or "none"
        raise UsageError(f"configurations with {what}: {told}", hint="--board and --players")
    return configs[0]


def _stem(reference: str) -> str:
    """Return the last part of a path without the endings of model files."""
    last = reference.rsplit("/", 1)[-1]
    ending = next((suffix for suffix in OLD_SUFFIXES if last.endswith(suffix)), "")
    return last.removesuffix(ending)


def _back(word: str) -> tuple[str, int]:
    match = _BACK.fullmatch(word)
    return (word, 0) if match is None else (match.group(1), int(match.group(2)))


def configuration(word: str) -> str | None:
    """Return the configuration that a word names, short names of boards written out, or None."""
    board, _, seats = word.rpartition("_")
    name = f"{SHORT_BOARDS.get(board, board)}_{seats}"
    return name if name in CONFIGURATIONS else None
