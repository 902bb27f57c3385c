"""`Embedded`: facts from objects in texts, laid beside the attributes of the same spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from wattspan.otlp.dialects.counts import Count
from wattspan.otlp.dialects.embedded import Facts
from wattspan.otlp.dialects.names import LONGEST_NAME_BYTES
from wattspan.otlp.dialects.view import Codes, Flags, Floats, Ints


class Embedded:
    """For each attribute with objects: the text code of each span (-1 = not read) and the facts of each
    text."""

    def __init__(self, text_count: int) -> None:
        self._text_count = text_count
        self._read: list[tuple[Codes, Mapping[int, Facts]]] = []

    def add(self, codes: Codes, facts: Mapping[int, Facts]) -> None:
        """Put the facts of one more attribute behind those that are there: the first to say something
        wins."""
        if facts:
            self._read.append((codes, facts))

    def take(self, lines: Ints) -> Embedded:
        """The same for some of the spans."""
        taken = Embedded(self._text_count)
        taken._read = [(codes[lines], facts) for codes, facts in self._read]
        return taken

    def count(self, codes: Codes, facts: Mapping[int, Facts], field: str) -> Count | None:
        """The count `field` of each span; None where no text has it."""
        said = {code: fact.counts[field] for code, fact in facts.items() if field in fact.counts}
        if not said:
            return None
        values = np.zeros(self._text_count + 1, dtype=np.int64)
        present = np.zeros(self._text_count + 1, dtype=np.bool_)
        at = list(said)
        values[at], present[at] = list(said.values()), True
        return Count(values[codes], present[codes])

    def energy(self, known_kwh: Floats) -> Floats:
        """`known_kwh` with the energies of objects where it is NaN."""
        for codes, facts in self._read:
            said = {
                code: fact.energy_kwh for code, fact in facts.items() if fact.energy_kwh == fact.energy_kwh
            }
            if said:
                energy_kwh = np.full(self._text_count + 1, np.nan)
                energy_kwh[list(said)] = list(said.values())
                known_kwh = np.where(np.isnan(known_kwh), energy_kwh[codes], known_kwh)
        return known_kwh

    def streaming(self, known: Flags) -> Flags:
        """`known`, and True where an object says that the response was streamed."""
        for codes, facts in self._read:
            said = [code for code, fact in facts.items() if fact.is_streaming]
            if said:
                known = known | np.isin(codes, said)
        return known

    def fill(
        self, known: tuple[Codes, list[str]], fact: str, spelled: Callable[[str], str]
    ) -> tuple[Codes, list[str]]:
        """`known` (codes and their names) with the texts of objects where it has none."""
        chosen, names = known
        for codes, facts in self._read:
            said = {code: found.texts[fact] for code, found in facts.items() if fact in found.texts}
            if not said or chosen.all():
                continue
            index = {name: place for place, name in enumerate(names)}
            answers = np.zeros(self._text_count + 1, dtype=np.int32)
            for code, text in said.items():
                if len(text) <= LONGEST_NAME_BYTES:
                    answers[code] = index.setdefault(spelled(text), len(index))
            chosen, names = np.where(chosen > 0, chosen, answers[codes]), list(index)
        return chosen, names
