"""The settings of the gateway: what stands under `gateway:` in the configuration file."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import grpc
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from wattspan.config import Config
from wattspan.gateway.signals import Signal
from wattspan.otlp.attributes import Detail, Profile
from wattspan.tls import client_context, server_context

Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Bytes = Annotated[int, Field(ge=1)]

MEBIBYTE = 1024 * 1024


class Section(BaseModel):
    """One mapping of the file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerTlsSection(Section):
    """TLS of a receiver."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = Field(
        default=None, description="Clients must show a certificate of this CA (mTLS)."
    )

    def context(self) -> ssl.SSLContext:
        """As the HTTP server takes it. Raises OSError where a file cannot be read or used."""
        return server_context(self.cert_file, self.key_file, self.client_ca_file)

    def credentials(self) -> grpc.ServerCredentials:
        """As the gRPC server takes it. Raises OSError where a file cannot be read or used."""
        self.context()
        return grpc.ssl_server_credentials(
            [(self.key_file.read_bytes(), self.cert_file.read_bytes())],
            root_certificates=self.client_ca_file.read_bytes() if self.client_ca_file else None,
            require_client_auth=self.client_ca_file is not None,
        )


class ClientTlsSection(Section):
    """TLS towards a destination whose endpoint begins with https://."""

    ca_file: Path | None = Field(default=None, description="CA of the destination; else the system's.")
    cert_file: Path | None = Field(default=None, description="Our own certificate, for mTLS.")
    key_file: Path | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self

    def context(self) -> ssl.SSLContext:
        """As the HTTP client takes it. Raises OSError where a file cannot be read or used."""
        return client_context(self.ca_file, self.cert_file, self.key_file)

    def credentials(self) -> grpc.ChannelCredentials:
        """As the gRPC client takes it. Raises OSError where a file cannot be read or used."""
        self.context()
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca_file.read_bytes() if self.ca_file else None,
            private_key=self.key_file.read_bytes() if self.key_file else None,
            certificate_chain=self.cert_file.read_bytes() if self.cert_file else None,
        )


class ReceiverSection(Section):
    """Where OTLP comes in."""

    enabled: bool = True
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    tls: ServerTlsSection | None = None
    bearer_token: str | None = Field(
        default=None,
        min_length=8,
        description="Clients must send `Authorization: Bearer ...`, or get 401.",
    )

    @property
    def listening(self) -> tuple[object, ...]:
        """What the listening socket rests on."""
        return tuple(value for name, value in self if name != "bearer_token")


class HttpReceiverSection(ReceiverSection):
    """OTLP/HTTP: protobuf and JSON on one port."""

    port: Port = Field(default=4318, description="0 takes a free one.")


class GrpcReceiverSection(ReceiverSection):
    """OTLP/gRPC."""

    port: Port = Field(default=4317, description="0 takes a free one.")


class TelemetrySection(Section):
    """`/healthz`, `/readyz` and `/metrics`."""

    host: str = "127.0.0.1"
    port: Port = Field(default=8888, description="0 takes a free one.")
    log_format: Literal["json", "text"] = "json"


class WebSection(Section):
    """The page over the lake, on the telemetry port."""

    enabled: bool = False
    token: str | None = Field(default=None, description="What visitors must bring; needed beyond loopback.")
    hosts: tuple[str, ...] = Field(default=(), description="Further names that the page is called by.")


class LimitsSection(Section):
    """Bounds on what one client, and all of them together, can make the gateway hold."""

    request_bytes: Bytes = Field(default=64 * MEBIBYTE, description="One request, once inflated; 413 above.")
    memory_bytes: Bytes = Field(
        default=256 * MEBIBYTE, description="Bodies of all requests being handled; 429 above."
    )
    body_timeout_s: Seconds = Field(default=30, description="For a client to send its whole body; 408 after.")
    retry_after_s: Seconds = Field(default=1, description="Retry-After of 429 and 503.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.memory_bytes < self.request_bytes:
            raise ValueError(
                f"memory_bytes ({self.memory_bytes}) must hold one of request_bytes ({self.request_bytes})"
            )
        return self


class SpoolSection(Section):
    """Where batches wait on disk."""

    directory: Path = Field(
        default=Path("wattspan-spool"), description="Local disk, not a network file system."
    )
    batch_bytes: Bytes = Field(
        default=MEBIBYTE, description="Requests that come together are kept as one batch up to this size."
    )


class RetrySection(Section):
    """How long a destination that fails is left alone: there is no limit on the number of attempts."""

    initial_s: Seconds = 5
    max_s: Seconds = 30
    multiplier: Annotated[float, Field(ge=1, le=10)] = 1.5
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="A wait of t is drawn from t x (1 - jitter) to t x (1 + jitter)."
    )


class DestinationSection(Section):
    """One OTLP back end."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="Keeps its place in the spool.")
    protocol: Literal["http", "grpc"] = "http"
    endpoint: str = Field(
        description="http://host:port or https://...; over HTTP /v1/traces is added to its path."
    )
    signals: tuple[Signal, ...] = Field(default=(Signal.TRACES,), min_length=1)
    profile: Profile | None = Field(
        default=None, description="Names of the attributes; those of `attributes.profile` where absent."
    )
    detail: Detail | None = Field(default=None, description="How many; `attributes.detail` where absent.")
    compression: Literal["gzip", "zstd", "none"] = "gzip"
    headers: dict[str, str] = {}
    tls: ClientTlsSection = ClientTlsSection()
    timeout_s: Seconds = Field(default=10, description="For one attempt, from connect to the whole answer.")
    in_flight: Annotated[int, Field(ge=1, le=256)] = Field(default=4, description="Requests sent at once.")
    request_bytes: Bytes = Field(
        default=4 * MEBIBYTE,
        description="Waiting batches are sent together up to this size, uncompressed.",
    )
    join_bytes: Annotated[int, Field(ge=0)] = Field(
        default=128 * 1024,
        description="Fewer waiting bytes than this wait for what is on its way to the disk or to the "
        "destination.",
    )
    retry: RetrySection = RetrySection()
    quota_bytes: Bytes = Field(
        default=1024 * MEBIBYTE, description="Bytes in the spool that may wait for this destination."
    )
    on_quota: Literal["refuse", "drop_oldest"] = Field(
        default="refuse",
        description="At the quota: clients get 503, or the oldest batches are dropped and count as failed.",
    )

    @field_validator("endpoint")
    @classmethod
    def _url(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError("must be a URL such as http://localhost:4318 or https://otlp.example.com/otlp")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _grpc(self) -> Self:
        if self.protocol == "grpc" and self.compression == "zstd":
            raise ValueError("compression zstd is for protocol http; over gRPC there are gzip and none")
        if self.protocol == "grpc" and urlsplit(self.endpoint).path:
            raise ValueError("an endpoint of protocol grpc has no path")
        return self

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\r\n\0]", text):
                raise ValueError(f"{name!r} is not a header that can be sent")
            if name.lower() in ("content-type", "content-encoding", "content-length", "host"):
                raise ValueError(f"{name} is set by the gateway")
        return value


class GatewaySection(Section):
    """Everything of the gateway."""

    http: HttpReceiverSection = HttpReceiverSection()
    grpc: GrpcReceiverSection = GrpcReceiverSection()
    telemetry: TelemetrySection = TelemetrySection()
    limits: LimitsSection = LimitsSection()
    spool: SpoolSection = SpoolSection()
    acknowledge: Literal["durable", "delivered"] = Field(
        default="durable",
        description="When a client is told that its request is accepted: on disk, or, without a disk, once "
        "every destination has it.",
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        default=1, description="Processes that share the ports. Limits, quotas and in_flight hold for each."
    )
    worker_timeout_s: Seconds = Field(
        default=60,
        description="A worker of several that does not answer for this long is killed and replaced.",
    )
    drain_s: Seconds = Field(
        default=10, description="After SIGTERM: time for requests under way and for what can still be sent."
    )
    destinations: tuple[DestinationSection, ...] = Field(min_length=1)

    def fixed(self, what: GatewaySection) -> list[str]:
        """What differs in `what` and cannot change while the gateway runs."""
        return [
            name
            for name, is_same in (
                ("gateway.http but its bearer_token", self.http.listening == what.http.listening),
                ("gateway.grpc but its bearer_token", self.grpc.listening == what.grpc.listening),
                ("gateway.limits.request_bytes", self.limits.request_bytes == what.limits.request_bytes),
                ("gateway.telemetry", self.telemetry == what.telemetry),
                ("gateway.spool", self.spool == what.spool),
                ("gateway.acknowledge", self.acknowledge == what.acknowledge),
                ("gateway.workers", self.workers == what.workers),
            )
            if not is_same
        ]

    @property
    def signals(self) -> frozenset[Signal]:
        """Those that some destination takes."""
        return frozenset(signal for destination in self.destinations for signal in destination.signals)

    @model_validator(mode="after")
    def _destinations(self) -> Self:
        names = [destination.name for destination in self.destinations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two destinations are named {twice[0]!r}; each needs a name of its own")
        return self


class ServeConfig(Config):
    """The configuration file of `wattspan serve`: that of every command, and `gateway`."""

    gateway: GatewaySection
    web: WebSection = WebSection()

    def version_of(self, destination: DestinationSection) -> tuple[Profile, Detail]:
        """Names and detail of the attributes that a destination gets."""
        return (
            destination.profile or self.attributes.profile,
            destination.detail or self.attributes.detail,
        )
