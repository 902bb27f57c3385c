from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from wattspan.config import ConfigError
from wattspan.gateway.configuration import json_schema, load_serve_config

SMALLEST = "gateway:\n  destinations:\n    - name: tempo\n      endpoint: http://localhost:4319\n"
DOCS = Path(__file__).parents[2] / "docs"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_smallest_file_has_a_default_for_everything_else(tmp_path: Path) -> None:
    config = load_serve_config(written(tmp_path, SMALLEST), {})
    gateway, destination = config.gateway, config.gateway.destinations[0]
    assert (gateway.http.host, gateway.http.port, gateway.telemetry.port) == ("127.0.0.1", 4318, 8888)
    assert gateway.limits.request_bytes == 67_108_864
    assert (destination.retry.initial_s, destination.retry.max_s, destination.retry.multiplier) == (
        5,
        30,
        1.5,
    )
    assert destination.on_quota == "refuse"
    assert config.version_of(destination) == ("genai", "standard")
    assert config.edition == "2026.11"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SMALLEST + "      compresion: gzip\n",
            "gateway.yaml, line 5: gateway.destinations.0.compresion: Extra inputs are not permitted, found "
            "'gzip'; allowed keys: name, protocol, endpoint,",
        ),
        (
            SMALLEST + "  http:\n    port: 70000\n",
            "gateway.yaml, line 6: gateway.http.port: Input should be less than or equal to 65535, "
            "found 70000",
        ),
        (
            SMALLEST + "      compression: brotli\n",
            "gateway.yaml, line 5: gateway.destinations.0.compression: Input should be 'gzip', 'zstd' or "
            "'none', found 'brotli'",
        ),
        (
            SMALLEST + "    - name: tempo\n      endpoint: http://localhost:1\n",
            "two destinations are named 'tempo'; each needs a name of its own",
        ),
        ("gateway:\n  destinations: []\n", "line 2: gateway.destinations: Tuple should have at least 1 item"),
        ("grid: {}\n", "gateway.yaml: gateway: is needed and not there"),
        ("- a\n", "the file must be a mapping of keys such as gateway:"),
        ("a: [\n", "not YAML"),
        (
            SMALLEST.replace("http://localhost:4319", "localhost:4319"),
            "gateway.yaml, line 4: gateway.destinations.0.endpoint: must be a URL such as",
        ),
        (
            SMALLEST + "      headers: {Content-Type: text/plain}\n",
            "gateway.destinations.0.headers: Content-Type is set by the gateway",
        ),
        (
            SMALLEST + "  limits:\n    memory_bytes: 1000\n",
            "memory_bytes (1000) must hold one of request_bytes (67108864)",
        ),
        (
            SMALLEST + "      headers:\n        X-Key: ${env:MISSING_KEY}\n",
            "gateway.yaml, line 6: gateway.destinations.0.headers.X-Key: the environment variable "
            "MISSING_KEY is not set; set it, or write the value here",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_line_key_and_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_serve_config(written(tmp_path, text), {})
    assert message in str(caught.value)


def test_texts_take_secrets_from_the_environment_and_errors_do_not_show_them(tmp_path: Path) -> None:
    text = SMALLEST + "      headers:\n        Authorization: Bearer ${env:TOKEN}\n"
    config = load_serve_config(written(tmp_path, text), {"TOKEN": "s3cret"})
    assert config.gateway.destinations[0].headers == {"Authorization": "Bearer s3cret"}
    with pytest.raises(ConfigError) as caught:
        load_serve_config(written(tmp_path, text), {"TOKEN": "s3cret\r\nX: y"})
    assert "Authorization" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_variables_override_the_file(tmp_path: Path) -> None:
    environ = {
        "WATTSPAN__GATEWAY__HTTP__PORT": "14318",
        "WATTSPAN__GATEWAY__DESTINATIONS__0__SIGNALS": "[traces, logs]",
        "WATTSPAN__GRID__FACTOR_TYPE": "direct",
        "UNRELATED": "x",
    }
    config = load_serve_config(written(tmp_path, SMALLEST), environ)
    assert config.gateway.http.port == 14318
    assert [signal.value for signal in config.gateway.destinations[0].signals] == ["traces", "logs"]
    assert config.grid.factor_type == "direct"


def test_the_environment_alone_is_enough() -> None:
    environ = {"WATTSPAN__GATEWAY__DESTINATIONS": "[{name: a, endpoint: 'http://b:1'}]"}
    assert load_serve_config(None, environ).gateway.destinations[0].endpoint == "http://b:1"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "WATTSPAN__GATEWAY__HTTP__PORT",
            "many",
            "environment variable WATTSPAN__GATEWAY__HTTP__PORT: Input",
        ),
        (
            "WATTSPAN__GATEWAY__DESTINATIONS__7__NAME",
            "x",
            "there is no gateway.destinations.7.name to replace",
        ),
        (
            "WATTSPAN__GATEWAY__HTTP__PORT",
            "[",
            "environment variable WATTSPAN__GATEWAY__HTTP__PORT: not YAML",
        ),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_serve_config(written(tmp_path, SMALLEST), {name: value})
    assert message in str(caught.value)


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads((DOCS / "gateway.schema.json").read_text(encoding="utf-8")) == json_schema()


def test_the_schema_takes_and_refuses_what_the_code_does() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid(yaml.safe_load(SMALLEST))
    assert not validator.is_valid(yaml.safe_load(SMALLEST + "      compresion: gzip\n"))
    assert not validator.is_valid({})


def test_every_key_has_a_line_in_the_documents() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")

    def keys(schema: dict, place: str) -> list[str]:  # type: ignore[type-arg]
        found = []
        for name, member in schema.get("properties", {}).items():
            here = f"{place}.{name}"
            references = [
                o["$ref"] for o in (member, member.get("items", {}), *member.get("anyOf", [])) if "$ref" in o
            ]
            inner = next((whole["$defs"][r.rsplit("/", 1)[1]] for r in references), {})
            if "properties" in inner:
                found += keys(inner, here + ("[]" if "items" in member else ""))
            else:
                found.append(here)
        return found

    whole = json_schema()
    every = keys(whole["$defs"]["GatewaySection"], "gateway")
    assert len(every) > 30
    assert [key for key in every if f"`{key}`" not in page] == []
