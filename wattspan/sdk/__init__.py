"""Energy and carbon in an application, on the spans of opentelemetry-python; its page is `docs/sdk.md`."""

from wattspan.sdk.exporter import WattspanExporter
from wattspan.sdk.otlp import WattspanOtlpExporter, WattspanOtlpHttpExporter
from wattspan.sdk.processor import WattspanSpanProcessor
from wattspan.sdk.sampler import RecordUnsampled
from wattspan.sdk.settings import Settings, SettingsError

__all__ = [
    "RecordUnsampled",
    "Settings",
    "SettingsError",
    "WattspanExporter",
    "WattspanOtlpExporter",
    "WattspanOtlpHttpExporter",
    "WattspanSpanProcessor",
]
