"""OTLP's trace messages with texts as raw bytes, from the descriptors of opentelemetry-proto.

A text that is not UTF-8 makes protobuf refuse the whole request. The kernel passes such a text on as it came,
and so does this: the descriptors have `bytes` in the place of `string`, which has the same form on the wire.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from opentelemetry.proto.trace.v1 import trace_pb2


@lru_cache(maxsize=1)
def raw_messages() -> tuple[Any, Any]:
    """The classes of TracesData and Span."""
    pool = descriptor_pool.DescriptorPool()
    _add(pool, trace_pb2.DESCRIPTOR, set())
    package = trace_pb2.DESCRIPTOR.package
    traces, span = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in ("TracesData", "Span")
    )
    return traces, span


def _add(pool: descriptor_pool.DescriptorPool, file: FileDescriptor, done: set[str]) -> None:
    for needed in file.dependencies:
        if needed.name not in done:
            _add(pool, needed, done)
    copy = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(copy)
    for message in copy.message_type:
        _texts_as_bytes(message)
    pool.Add(copy)
    done.add(file.name)


def _texts_as_bytes(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        if field.type == field.TYPE_STRING:
            field.type = field.TYPE_BYTES
    for nested in message.nested_type:
        _texts_as_bytes(nested)
