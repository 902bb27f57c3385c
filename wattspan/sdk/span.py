"""`EnrichedSpan`: a copy of an ended span with other attributes."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan


class EnrichedSpan(ReadableSpan):
    """What `span` says in public, with `attributes` in the place of its own.

    The span itself stays as it is: other exporters have it too. Neither the limit of attributes nor that of
    their length is applied again: they bound what instrumentations set, and ours come on top.
    """

    def __init__(self, span: ReadableSpan, attributes: dict[str, Any]) -> None:
        self._before = span
        if type(span) is ReadableSpan:
            # As the SDK makes them: they are their fields, and asking for each by its property takes longer
            # than all else that is done with a span.
            self.__dict__.update(span.__dict__)
            self._attributes = attributes
            return
        super().__init__(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    @property
    def dropped_attributes(self) -> int:
        """Attributes that the limits of the SDK cost the span."""
        return self._before.dropped_attributes

    @property
    def dropped_events(self) -> int:
        """Events that the limits of the SDK cost the span."""
        return self._before.dropped_events

    @property
    def dropped_links(self) -> int:
        """Links that the limits of the SDK cost the span."""
        return self._before.dropped_links
