"""Run one application against the fake provider and keep the OTLP it sends: `capture.py NAME OUT`.

NAME is a scenario of one of the `apps*.py`; OUT a folder that gets NAME.binpb and
NAME.truth.json. Run it with the Python of the virtual environment that holds the packages of the scenario,
in a network namespace that has loopback only:
`unshare -n sh -c 'ip link set lo up; exec PYTHON capture.py NAME OUT'`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

QUIET = {
    "NO_PROXY": "*",
    "OPENAI_API_KEY": "sk-dummy",
    "ANTHROPIC_API_KEY": "sk-dummy",
    "GOOGLE_API_KEY": "dummy",
    "MISTRAL_API_KEY": "dummy",
    "CO_API_KEY": "dummy",
    "AWS_ACCESS_KEY_ID": "dummy",
    "AWS_SECRET_ACCESS_KEY": "dummy",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "eu-west-3",
    "AWS_MAX_ATTEMPTS": "1",
    "DO_NOT_TRACK": "1",
    "TRACELOOP_TELEMETRY": "false",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "LITELLM_TELEMETRY": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGSMITH_TRACING": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "0",
    "HF_HUB_OFFLINE": "1",
    "OTEL_PYTHON_LOG_LEVEL": "error",
}
MODULES = ("apps", "apps_agents", "apps_more", "apps_frameworks", "apps_doubled")


def clear_environment() -> None:
    """No proxies, no settings of this machine; dummy keys; the packages' own telemetry off."""
    for key in [*os.environ]:
        if key.lower().endswith("_proxy") or key.startswith(("OTEL_", "AWS_", "OPENAI_", "ANTHROPIC_")):
            del os.environ[key]
    os.environ.update(QUIET)
    os.environ["HOME"] = "/nonexistent"


def scenario(name: str) -> Callable[[str, str], None]:
    """The scenario function: it takes the provider's URL and the URL of the sink."""
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        if name in module.SCENARIOS:
            return module.SCENARIOS[name]  # type: ignore[no-any-return]
    raise SystemExit(f"no scenario {name!r}")


def main(name: str, out: Path) -> None:
    clear_environment()
    from fake_llm import FakeProvider
    from sink import Sink

    run = scenario(name)
    with FakeProvider() as provider, Sink() as sink:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = sink.url
        os.environ["OTEL_SERVICE_NAME"] = "order-desk"
        run(provider.url, sink.url)
        from opentelemetry import trace

        getattr(trace.get_tracer_provider(), "shutdown", lambda: None)()
        data, lines, truth = sink.data(), sink.json_lines(), provider.ledger.truth()
    (out / f"{name}.binpb").write_bytes(data)
    if lines:
        (out / f"{name}.jsonl").write_bytes(lines)
    (out / f"{name}.truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    print(f"{name}: {len(data)} bytes, {truth['calls']} calls, {truth['errors']} errors")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
