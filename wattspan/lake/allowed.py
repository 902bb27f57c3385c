"""Which attributes the lake keeps. An allow-list: what is not on it, prompts and users first, is dropped."""

from __future__ import annotations

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
)
"""Kept unless the configuration says otherwise: names of routes, tools, stages and versions."""

LONGEST_VALUE: Final = 256
"""Characters kept of a value; names of things are shorter."""
MOST_ATTRIBUTES: Final = 64
"""Further attributes a configuration may name."""

_PERSONAL: Final = (
    "user",
    "enduser",
    "session",
    "conversation",
    "client.address",
    "client.ip",
    "net.peer",
    "network.peer",
    "email",
    "message",
    "prompt",
    "completion",
    "content",
    "input.value",
    "output.value",
    "tool.call.arguments",
    "tool.call.result",
    "db.query.text",
    "db.statement",
    "url.full",
    "url.query",
    "http.url",
    "exception.message",
    "exception.stacktrace",
    "authorization",
    "cookie",
)


class AllowedError(ValueError):
    """An attribute that the lake must not keep was asked for."""


def allowed_keys(further: Iterable[str]) -> tuple[str, ...]:
    """ALLOWED and `further`, each once. Raises AllowedError for keys that hold people or what they wrote."""
    extra = tuple(dict.fromkeys(further))
    for key in extra:
        if found := next((word for word in _PERSONAL if word in key.lower()), None):
            raise AllowedError(
                f"lake.attributes: {key!r} is not kept: keys with {found!r} in them hold people or what they "
                "wrote; copy what you need (a plan, a tenant's size) to an attribute of its own"
            )
    if len(extra) > MOST_ATTRIBUTES:
        raise AllowedError(f"lake.attributes names {len(extra)} keys; at most {MOST_ATTRIBUTES}")
    return tuple(dict.fromkeys((*ALLOWED, *extra)))
