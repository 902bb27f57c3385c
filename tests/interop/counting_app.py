"""An application with Wattspan inside whose counters Prometheus scrapes: argument, the port to be scraped on.

It makes one call, then prints its figures and waits to be ended.
"""

from __future__ import annotations

import sys
import time

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import start_http_server

from tests.interop.the_call import ATTRIBUTES
from wattspan.sdk import WattspanExporter


def main(port: int) -> None:
    """Make the call, then one more each half second, so that there is a rate."""
    set_meter_provider(MeterProvider([PrometheusMetricReader()]))
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(WattspanExporter(InMemorySpanExporter())))
    tracer = provider.get_tracer("shop.llm")
    start_http_server(port, "127.0.0.1")
    while True:
        with tracer.start_as_current_span("chat gpt-4o", attributes=ATTRIBUTES):
            pass
        time.sleep(0.5)


if __name__ == "__main__":
    main(int(sys.argv[1]))
