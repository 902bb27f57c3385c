"""Spellings: providers, operations, hosts and model ids as instrumentations write them, made one."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from wattspan.otlp.dialects.table import table

LONGEST_NAME_BYTES: Final = 1024
"""Longer texts are no name of a model, provider, host or operation."""

_REMEMBERED: Final = 4096


def provider_name(text: str, key: str = "") -> str:
    """OpenTelemetry's spelling of a provider; "" for what is none (an agent framework, a placeholder).

    `key` is the attribute the text came from. Unknown providers keep their own name in lower case.
    """
    if key in table().provider_before_slash:
        text, slash, _ = text.partition("/")
        if not slash:
            return ""
    return _provider(text.strip().lower())


@lru_cache(_REMEMBERED)
def _provider(name: str) -> str:
    known = table()
    if name in known.not_providers:
        return ""
    # Vercel's SDK appends the API to the provider: openai.chat, google.generative-ai, amazon-bedrock.
    head = name
    while head:
        if found := known.providers.get(head):
            return found
        head = head.rpartition(".")[0]
    return name


def provider_of_host(provider: str, host: str) -> str:
    """The provider behind `host` where the client's word for it is open to doubt, else `provider`.

    An OpenAI client says "openai" whoever answers it; Azure, Groq or OpenRouter are known by their host.
    """
    return _provider_of_host(provider, host) if host else provider


@lru_cache(_REMEMBERED)
def _provider_of_host(provider: str, host: str) -> str:
    if provider not in table().host_decides_for:
        return provider
    for prefix, suffix, found in table().hosts:
        if host.startswith(prefix) and (host.endswith(suffix) if suffix[0] in ".-" else _is_at(host, suffix)):
            return found
    return provider


def _is_at(host: str, domain: str) -> bool:
    return host == domain or host.endswith(("." + domain, "-" + domain))


@lru_cache(_REMEMBERED)
def operation_name(text: str) -> str:
    """OpenTelemetry's name of an operation that is one call of a model; "" for every other operation."""
    return table().operations.get(text.strip(' "').lower(), "")


@lru_cache(_REMEMBERED)
def host_name(text: str) -> str:
    """Host in lower case, from a host name, `host:port` or a URL; "" where there is none."""
    rest = text.strip().lower()
    rest = rest.partition("://")[2] or rest
    for mark in "/?#":
        rest = rest.partition(mark)[0]
    rest = rest.rpartition("@")[2]
    if rest.startswith("["):
        return rest[1:].partition("]")[0]
    if rest.count(":") == 1:
        rest = rest.partition(":")[0]
    return rest.rstrip(".") if _is_host(rest) else ""


def _is_host(text: str) -> bool:
    return bool(text) and not any(letter.isspace() or letter in "<>\"'" for letter in text)


@lru_cache(_REMEMBERED)
def model_of(response: str, request: str) -> str:
    """The more specific of the two model ids: the response's, unless it is a placeholder or cut short."""
    if not response or response.lower() in table().placeholder_models:
        return request
    is_cut = len(request) > len(response) and request.startswith(response) and request[len(response)] in "-@:"
    return request if is_cut else response
