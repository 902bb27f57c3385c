"""Whether a call was served by the user's own machine, not by a provider."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

SERVING_ENGINES = frozenset(
    {
        "ollama", "vllm", "llama_cpp", "llamacpp", "lm_studio", "lmstudio", "hosted_vllm", "sglang", "tgi",
        "localai", "transformers", "gpt4all",
    }
)  # fmt: skip
"""Names that serving engines go by as a provider, or as the prefix of a model id ("ollama/llama3.3")."""

PRIVATE_SUFFIXES = (
    ".local", ".localhost", ".internal", ".lan", ".localdomain", ".home.arpa", ".svc", ".cluster.local",
    ".intranet", ".corp",
)  # fmt: skip
"""Ends of host names that only a private network resolves."""


@lru_cache(4096)
def is_private_host(host: str) -> bool:
    """Whether the host is this machine or in a private network. Any text is answered; "" is not one."""
    if not host:
        return False
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_SUFFIXES)
    return address.is_private or address.is_loopback or address.is_link_local


def is_serving_engine(name: str) -> bool:
    """Whether a provider, or a model id's prefix, names an engine that users run themselves."""
    return name.partition("/")[0].lower() in SERVING_ENGINES


def is_own_machine(provider: str, model: str, host: str) -> bool:
    """Whether a call to `host` (or, where no host is known, to this provider and model) stays with the user.

    A loopback or private host may still be a gateway in front of a provider: who asks must also see whether
    the model's weights can be had.
    """
    if host:
        return is_private_host(host)
    return is_serving_engine(provider) or ("/" in model and is_serving_engine(model))
