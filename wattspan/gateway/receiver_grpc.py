"""The OTLP/gRPC receiver: raw bytes in, so that nothing is decoded twice.

opentelemetry-proto docs/specification.md, "OTLP/gRPC".
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, NoReturn

import grpc
import grpc.aio

from wattspan.gateway.journal import without_content
from wattspan.gateway.limits import MemoryBudget, Reservation
from wattspan.gateway.otlp_status import Code, RefusalError, status
from wattspan.gateway.settings import GrpcReceiverSection, LimitsSection
from wattspan.gateway.signals import Signal
from wattspan.gateway.tallies import ReceiverTally

log: Final = logging.getLogger(__name__)

Accept = Callable[[Signal, bytes], Awaitable[int]]
_Context = grpc.aio.ServicerContext[bytes, bytes]

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_DETAILS: Final = "grpc-status-details-bin"


class GrpcReceiver:
    """Answers OTLP requests once what `accept` does with them is done."""

    def __init__(
        self,
        settings: GrpcReceiverSection,
        limits: LimitsSection,
        budget: MemoryBudget,
        signals: Collection[Signal],
        accept: Accept,
        tally: ReceiverTally,
        drain_s: float,
    ) -> None:
        self._budget = budget
        self._accept = accept
        self._tally = tally
        self._drain_s = drain_s
        self._listening = settings
        self._request_bytes = limits.request_bytes
        self.reload(settings, signals)
        self._server: grpc.aio.Server | None = None
        self.port = 0

    def reload(self, settings: GrpcReceiverSection, signals: Collection[Signal]) -> None:
        """Take over the token and the signals; where it listens and its limits need a restart."""
        self._signals = signals
        self._token = f"Bearer {settings.bearer_token}".encode() if settings.bearer_token else b""

    async def start(self, *, shares_port: bool = False) -> None:
        """Listen. Raises OSError where the address cannot be had or the certificates cannot be used."""
        settings = self._listening
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._request_bytes),
                # Two gateways on one port would each have a part of the spans.
                ("grpc.so_reuseport", int(shares_port)),
            ]
        )
        self._server.add_generic_rpc_handlers(tuple(self._handler(signal) for signal in Signal))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.port}"
        try:
            if settings.tls is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, settings.tls.credentials())
        except RuntimeError as error:
            raise OSError(f"gateway.grpc: cannot listen on {address}: {error}") from error
        await self._server.start()

    async def close(self) -> None:
        """Stop listening; requests under way have `drain_s` to end."""
        if self._server is not None:
            await self._server.stop(self._drain_s)

    def _handler(self, signal: Signal) -> grpc.GenericRpcHandler:
        service, method = signal.method.strip("/").split("/")

        async def export(request: bytes, context: _Context) -> bytes:
            return await self._export(signal, request, context)

        return grpc.method_handlers_generic_handler(
            service, {method: grpc.unary_unary_rpc_method_handler(export)}
        )

    async def _export(self, signal: Signal, request: bytes, context: _Context) -> bytes:
        try:
            self._check(signal, context.invocation_metadata() or ())
            with Reservation(self._budget) as reservation:
                reservation.add(len(request))
                items = await self._accept(signal, request)
        except RefusalError as refusal:
            self._tally.refused[signal] += refusal.items
            await self._abort(signal, refusal, context)
        except Exception as error:
            log.error("a request failed: %s", without_content(error))
            await self._abort(signal, RefusalError(500, Code.INTERNAL, "internal error"), context)
        self._tally.accepted[signal] += items
        self._tally.requests[signal.value, "OK"] += 1
        return b""

    def _check(self, signal: Signal, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        if self._token:
            given = next((value for name, value in metadata if name == "authorization"), "")
            given = given.encode() if isinstance(given, str) else given
            if not hmac.compare_digest(given, self._token):
                raise RefusalError(401, Code.UNAUTHENTICATED, "the bearer token is missing or wrong")
        if signal not in self._signals:
            raise RefusalError(
                404, Code.UNIMPLEMENTED, f"{signal.value} are not enabled: no destination takes them"
            )

    async def _abort(self, signal: Signal, refusal: RefusalError, context: _Context) -> NoReturn:
        code = _CODES[int(refusal.code)]
        self._tally.requests[signal.value, code.name] += 1
        details = status(refusal.code, refusal.message, refusal.retry_after_s)
        await context.abort(code, refusal.message, trailing_metadata=((_DETAILS, details),))
