"""`find_roles`: which spans are calls of a model, which sum calls up, and what they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from wattspan.otlp.dialects.fit import Fits
from wattspan.otlp.dialects.names import LONGEST_NAME_BYTES, operation_name
from wattspan.otlp.dialects.table import AGGREGATED, COUNTS, Dialect, Table
from wattspan.otlp.dialects.view import Codes, Flags, View

CALL: Final = 0
"""The span is one call of a model."""
AGGREGATE: Final = 1
"""The span has token counts but is no call itself: an agent, a workflow, a step, an operation nobody
knows."""
NO_ROLE: Final = -1
"""The span is neither."""

Small = npt.NDArray[np.int8]


@dataclass(slots=True)
class Roles:
    """Role and operation of every span of a table."""

    role: Small
    """int8[n]: CALL, AGGREGATE or NO_ROLE."""
    operation: Codes
    """int32[n]: index into `operations`."""
    operations: list[str]
    """Names of operations, "" first."""
    named_model: dict[int, str] = field(default_factory=dict)
    """Request model by row, where the span's name was all there is."""


def find_roles(view: View, fits: Fits, rules: Table) -> Roles:
    """The roles of all spans: by their operation, else by their name where the dialect says so, else by their
    keys.

    A span of a known operation is a call whether it has token counts or not. Of the others those with counts
    (or energy) have a role: a call where a model is named and no operation, an aggregate otherwise.
    """
    operation, operations = view.names("operation", _operation)
    is_call = np.array([name in rules.calls for name in operations])
    roles = Roles(np.where(is_call[operation], np.int8(CALL), np.int8(NO_ROLE)), operation, operations)
    if (operation == 0).any():
        roles.operation = operation.copy()
        for dialect in fits.dialects.values():
            if dialect.names:
                _read_names(view, fits.of(view, dialect), dialect, roles)
    rest = roles.role != CALL
    if rest.any():
        _sniff(view, roles, rest, rules)
    nothing = fits.mask(view, lambda dialect: dialect.is_nothing)
    if nothing is not None:
        roles.role[nothing] = NO_ROLE
    return roles


def _operation(text: str, _key: str) -> str:
    return operation_name(text) or text.strip().lower()


def _read_names(view: View, fit: Flags | None, dialect: Dialect, roles: Roles) -> None:
    if fit is None:
        return
    for row in (fit & (roles.operation == 0)).nonzero()[0].tolist():
        raw = view.spans.texts[int(view.spans.name_code[row])]
        text = raw[:LONGEST_NAME_BYTES].decode("utf-8", "replace")
        name, model = dialect.names.get(text, ""), ""
        if not name and "*" in dialect.names:
            word, _, model = text.partition(" ")
            name = operation_name(word)
        if not name:
            continue
        if name not in roles.operations:
            roles.operations.append(name)
        roles.operation[row] = roles.operations.index(name)
        roles.role[row] = CALL
        if model:
            roles.named_model[row] = model


def _sniff(view: View, roles: Roles, rest: Flags, rules: Table) -> None:
    carried = view.carried
    usage = [place for field in (*COUNTS, *AGGREGATED, "energy") for place in carried.get(field, ())]
    usage += [place for field in carried if "/" in field for place in carried[field]]
    objects = {embedded.key for embedded in rules.embedded if embedded.has_usage}
    usage += [place for place in carried.get("embedded", ()) if view.key(place) in objects]
    with_usage = view.has_any(usage) & rest
    roles.role[with_usage] = AGGREGATE
    without_operation = with_usage & (roles.operation == 0)
    if without_operation.any():
        models = [place for field in ("request_model", "response_model") for place in carried.get(field, ())]
        roles.role[without_operation & view.has_any(models)] = CALL
