"""The section `pact:` of the configuration file: how footprints are handed out, and to whom answers go."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from wattspan.addresses import is_loopback
from wattspan.config import Config, DisclosureSection, PublicUrl
from wattspan.config_file import load_as
from wattspan.tls import client_context, server_context

SECRETS: Final = ("client_secret",)
Hours = Annotated[float, Field(gt=0, le=24 * 30)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    """One mapping of the file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsSection(Section):
    """Certificate of the server. SIGHUP reads the files again."""

    cert_file: Path
    key_file: Path

    def context(self) -> ssl.SSLContext:
        """Raises OSError where a file cannot be read or used."""
        return server_context(self.cert_file, self.key_file)


class ListenSection(Section):
    """Where clients come."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8443
    tls: TlsSection | None = None
    clear_on_loopback: bool = False
    """Without TLS, for a proxy on this machine that has it; its X-Forwarded-For is then believed."""

    @model_validator(mode="after")
    def _never_in_clear(self) -> Self:
        if self.tls is None and not self.clear_on_loopback:
            raise ValueError(
                "PACT is never served in clear: give tls: with cert_file and key_file, or "
                "clear_on_loopback: true behind a proxy on this machine that has TLS"
            )
        if self.tls is None and not is_loopback(self.host):
            raise ValueError(
                f"clear_on_loopback serves this machine only, and host is {self.host}: leave host out, or "
                "give tls:"
            )
        return self


class RecipientSection(Section):
    """A customer's own PACT system, which answers and news are posted to."""

    name: str = Field(min_length=1)
    client: str = ""
    """Name of the client that asks; the recipient's own name where it is empty."""
    url: str
    """Base of its API: events go to URL/3/events."""
    token_url: str = ""
    """URL/auth/token where it is empty."""
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    ca_file: Path | None = None
    """Its authority, where the system does not trust it."""
    allow_private: bool = False
    """Its addresses may be private or this machine's."""
    notify: bool = True
    """It is told of new footprints and of those that are deprecated."""

    @field_validator("url", "token_url")
    @classmethod
    def _https(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("allowed: an address that begins with https://, without user, query or fragment")
        return url.rstrip("/")

    @property
    def asked_by(self) -> str:
        """Name of the client whose requests are answered here."""
        return self.client or self.name

    @property
    def token_address(self) -> str:
        """Where its tokens come from."""
        return self.token_url or f"{self.url}/auth/token"

    @property
    def events_address(self) -> str:
        """Where events are posted to."""
        return f"{self.url}/3/events"

    @property
    def host(self) -> str:
        """Its host's name."""
        return urlsplit(self.url).hostname or ""

    def context(self) -> ssl.SSLContext:
        """Raises OSError where the file of the authority cannot be used."""
        return client_context(self.ca_file)


class LimitsSection(Section):
    """What one address or client may ask for."""

    token_requests_per_minute: Annotated[int, Field(ge=1)] = 60
    """Of one address."""
    failures_before_lock: Annotated[int, Field(ge=1)] = 5
    """Wrong secrets of one client, or from one address, in a row."""
    lock_s: Seconds = 60
    """The first lock; each further one is twice as long."""
    most_lock_s: Seconds = 3600
    page_footprints: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Footprints of one page where the client asks for no fewer."""
    event_bytes: Annotated[int, Field(ge=1024)] = 1024 * 1024
    answer_footprints: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Footprints of one answer to a request by event; a wider request is rejected."""


class RetrySection(Section):
    """Events that a recipient does not take at once."""

    first_s: Seconds = 30
    """Before the second try; each further wait is twice as long."""
    most_s: Seconds = 6 * 3600
    give_up_after_h: Hours = 72
    timeout_s: Seconds = 30


class PactSection(Section):
    """The host system."""

    listen: ListenSection
    url: PublicUrl | None = None
    """How clients call this server: named as the source of events."""
    state: Path = Path("wattspan-pact.sqlite")
    """Clients, tokens, footprints as they were handed out, events."""
    token_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60
    recipients: tuple[RecipientSection, ...] = ()
    limits: LimitsSection = LimitsSection()
    retry: RetrySection = RetrySection()

    @model_validator(mode="after")
    def _recipients(self) -> Self:
        for what, names in (
            ("recipients are named", [r.name for r in self.recipients]),
            ("recipients answer the client", [r.asked_by for r in self.recipients]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {what} {twice[0]!r}; there is one for each")
        return self


class PactConfig(Config):
    """The configuration file of `wattspan pact serve`: that of every command, and `pact`."""

    disclosure: DisclosureSection
    pact: PactSection


def load_pact_config(path: Path | None, environ: Mapping[str, str]) -> PactConfig:
    """The configuration at `path`. Raises ConfigError naming file, line and key."""
    return load_as(PactConfig, path, environ, SECRETS)
