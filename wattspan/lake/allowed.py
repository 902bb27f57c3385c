"""Which attributes the lake keeps. An allow-list: what is not on it, prompts and users first, is dropped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

ALLOWED: Final = (
    "http.route",
    "http.request.method",
    "http.response.status_code",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "db.system.name",
    "db.system",
    "db.operation.name",
    "db.operation",
    "db.collection.name",
    "messaging.system",
    "messaging.operation.type",
    "faas.name",
    "deployment.environment.name",
    "deployment.environment",
    "cloud.provider",
    "cloud.region",
    "service.namespace",
    "service.version",
    "error.type",
    "gen_ai.operation.name",
    "gen_ai.data_source.id",
    "openinference.span.kind",
    "traceloop.span.kind",
    "traceloop.workflow.name",
    "traceloop.entity.name",
    "ai.telemetry.functionId",
    "langfuse.trace.name",
    "langfuse.observation.type",
    "code.function.name",
    "gen_ai.agent.name",
    "gen_ai.tool.name",
    "gen_ai.tool.type",
    "gen_ai.workflow.name",
    "graphql.operation.name",
    "graphql.operation.type",
    "http.method",
    "http.status_code",
    "k8s.deployment.name",
    "k8s.namespace.name",
    "mcp.method.name",
    "messaging.destination.name",
    "messaging.operation.name",
    "rpc.system.name",
)
"""Kept unless the configuration says otherwise: names of routes, tools, stages and versions."""

LONGEST_VALUE: Final = 256
"""Characters kept of a value; names of things are shorter."""
MOST_ATTRIBUTES: Final = 64
"""Further attributes a configuration may name."""

_REFUSED: Final = (
    (
        r"(^|[._])(user|enduser|customer|visitor|person|client|account|member|tenant_user)([._-]?(id|ids|name|"
        r"email|hash|uid|uuid|pseudo\.id|full_name|roles?|scope|login))?$",
        "it names a person",
    ),
    (r"(^|[._])(user|enduser)[._]", "it describes a person"),
    (r"(session|conversation|thread|chat|visit)([._-]?id)?$", "it follows one person through time"),
    (r"e-?mail|phone|(^|[._])ip$|client_?ip|peer\.(ip|address)|client\.(address|port)", "it finds a person"),
    (r"user_?agent", "it tells persons apart"),
    (
        r"messages?($|[._])|prompts?($|[._])|completions?($|[._])|content($|[._])|"
        r"(^|[._])(input|output)s?($|[._]value)|"
        r"(^|[._])args$|documents?($|[._])|embeddings?\.(text|vector)|instructions|arguments|"
        r"(^|[._])(result|response\.text|body)$|"
        r"system_instructions|\.description$|transcript|(^|[._])query($|\.text)|statement|tool\.(call\.)?"
        r"(result|arguments)|entity\.(input|output)",
        "it holds what was said",
    ),
    (
        r"^url\.(full|query|path)$|^http\.(url|target)$|uri$|referr?er",
        "addresses hold names, tokens and questions",
    ),
    (
        r"authorization|cookie|password|passwd|secret|api[._-]?key|credential|(^|[._])header(s)?([._]|$)|"
        r"(access|refresh|auth|bearer|id)[._-]?token$",
        "it holds secrets",
    ),
    (r"exception\.(message|stacktrace)", "it holds whatever the program was working on"),
)
_SAFE: Final = re.compile(
    r"(^|[._])(prompt[._](name|version|id)|(user|customer|account|member)[._](plan|tier|type|segment|kind))$",
    re.IGNORECASE,
)
"""Names of templates and classes of people: nobody is found by them."""
_PATTERNS: Final = tuple((re.compile(pattern, re.IGNORECASE), reason) for pattern, reason in _REFUSED)


class AllowedError(ValueError):
    """An attribute that the lake must not keep was asked for."""


def allowed_keys(further: Iterable[str]) -> tuple[str, ...]:
    """ALLOWED and `further`, each once. Raises AllowedError for keys that hold people or what they wrote."""
    extra = tuple(key for key in dict.fromkeys(further) if key not in ALLOWED)
    for key in extra:
        if reason := _why_not(key):
            raise AllowedError(
                f"attribute {key!r} cannot be kept in the lake: {reason}; copy what you need of it (a plan, "
                "a tenant's size) to an attribute of its own"
            )
    if len(extra) > MOST_ATTRIBUTES:
        raise AllowedError(f"lake.attributes names {len(extra)} keys; at most {MOST_ATTRIBUTES}")
    return tuple(dict.fromkeys((*ALLOWED, *extra)))


def _why_not(key: str) -> str | None:
    if not 0 < len(key) <= LONGEST_VALUE:
        return f"a key has 1 to {LONGEST_VALUE} characters"
    if _SAFE.search(key):
        return None
    return next((reason for pattern, reason in _PATTERNS if pattern.search(key)), None)
