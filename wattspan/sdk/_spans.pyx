# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`scan_spans`: ended spans of the SDK in the form that the kernel's scan of bytes leaves, so that all that follows is the same."""

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from wattspan.otlp.wire.table import SpanTable

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from wattspan.otlp.wire cimport attribute, scanner
from wattspan.otlp.wire._kernel cimport CompiledKeys, Scanned, new_scan
from wattspan.otlp.wire.attribute cimport Value, is_own
from wattspan.otlp.wire.scanner cimport Scan, SpanRow, code_of, keep_value, room

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

cdef object put = object.__setattr__
cdef object UNSET = StatusCode.UNSET
cdef object ERROR = StatusCode.ERROR
cdef object READABLE = ReadableSpan

# Places in a SpanContext, which is a tuple.
cdef enum:
    TRACE_ID = 0
    SPAN_ID = 1
    TRACE_STATE = 4
    MOST_SPANS = 1 << 20


class OddSpanError(Exception):
    """A span is not as the SDK makes them, or carries what only the reader in Python takes."""


cdef int32_t text_code(Scan* scan, int32_t* last, text, list keep) except -1:
    """Code of a text, whose bytes are kept."""
    cdef Py_ssize_t size = 0
    cdef const char* at
    cdef int32_t known = scan.texts.n
    cdef int32_t code
    if type(text) is not str:
        raise OddSpanError
    at = PyUnicode_AsUTF8AndSize(text, &size)
    code = code_of(scan, last, <const uint8_t*>at, size)
    if code < 0:
        raise MemoryError
    if scan.texts.n > known:
        # What was there before is kept already.
        keep.append(text)
    return code


cdef int add_attributes(Scan* scan, attributes, dict position, int level, int32_t row, bint* own, list keep) except -1:
    cdef Value value
    cdef Py_ssize_t size = 0
    cdef int overflow = 0
    cdef int32_t key
    cdef int32_t known
    cdef double number
    for name, held in attributes.items():
        if type(name) is not str:
            raise OddSpanError
        if level == scanner.SPAN:
            at = <const uint8_t*>PyUnicode_AsUTF8AndSize(name, &size)
            own[0] = own[0] or is_own(at, size)
        place = position.get(name)
        if place is None:
            continue
        key = place
        value.bits = 0
        value.text = NULL
        value.length = 0
        kind = type(held)
        known = scan.texts.n
        if kind is str:
            value.type = attribute.V_STRING
            value.text = <const uint8_t*>PyUnicode_AsUTF8AndSize(held, &size)
            value.length = size
        elif kind is int:
            value.type = attribute.V_INT
            value.bits = <uint64_t>PyLong_AsLongLongAndOverflow(held, &overflow)
            if overflow:
                # No exporter can send it either.
                continue
        elif kind is bool:
            value.type = attribute.V_BOOL
            value.bits = held
        elif kind is float:
            value.type = attribute.V_DOUBLE
            number = held
            memcpy(&value.bits, &number, 8)
        elif kind is tuple or kind is list:
            value.type = attribute.V_ARRAY
        elif held is None:
            value.type = attribute.V_NONE
        else:
            raise OddSpanError
        if not keep_value(scan, &value, level, row, key):
            raise MemoryError
        if scan.texts.n > known:
            keep.append(held)
    return 0


cdef int64_t time_of(time) except -1:
    if time is None:
        return 0
    if type(time) is not int:
        raise OddSpanError
    return time if 0 < time <= 0x7FFFFFFFFFFFFFFF else 0


def scan_spans(spans, keyset, copied, kinds):
    """The table of `spans`, and a copy of each one's attributes (`copied(attributes)`).

    `kinds`: numbers of span kinds by their id. Raises OddSpanError, or whatever reading odd values raises, where the spans are
    for the reader in Python.
    """
    cdef Scanned scanned = new_scan(b"", keyset)
    cdef Scan* scan = &scanned.scan
    cdef SpanRow* row
    cdef dict fields
    cdef dict position = keyset.position
    cdef dict homes = {}
    cdef dict resources = {}
    cdef list copies = []
    cdef list keep = []
    cdef int32_t home = -1
    cdef int32_t last_state_code = 0
    cdef int32_t last = -1
    cdef bint own
    cdef bytes trace_id
    last_resource = last_scope = last_state = keep
    scanned.kept = keep
    if len(spans) > MOST_SPANS:
        raise OddSpanError
    for span in spans:
        if type(span) is not READABLE:
            raise OddSpanError
        fields = span.__dict__
        resource, scope = fields["_resource"], fields["_instrumentation_scope"]
        if resource is not last_resource or scope is not last_scope:
            last_resource, last_scope = resource, scope
            known = homes.get((id(resource), id(scope)))
            if known is None:
                known = homes[id(resource), id(scope)] = add_home(scan, resource, scope, resources, position, keep)
            home = known
        if not room(scan, <void**>&scan.spans, scan.n_spans, &scan.span_capacity, sizeof(SpanRow)):
            raise MemoryError
        row = &scan.spans[scan.n_spans]
        memset(row, 0, sizeof(SpanRow))
        row.start = row.end = -1
        row.scope = home
        row.resource = scan.scopes[home].resource
        row.first_cell = scan.n_cells
        context = fields["_context"]
        trace_id = context[TRACE_ID].to_bytes(16, "big")
        memcpy(row.trace_id, <const char*>trace_id, 16)
        row.span_id = context[SPAN_ID]
        state = context[TRACE_STATE]
        if state is not last_state:
            last_state = state
            last_state_code = text_code(scan, &last, state.to_header(), keep) if state else 0
        row.trace_state = last_state_code
        parent = fields["_parent"]
        row.parent_span_id = 0 if parent is None else parent[SPAN_ID]
        row.start_unix_ns = time_of(fields["_start_time"])
        row.end_unix_ns = time_of(fields["_end_time"])
        row.kind = kinds.get(id(fields["_kind"]), 0)
        status = fields["_status"]._status_code
        row.status = 0 if status is UNSET else 2 if status is ERROR else 1
        row.name = text_code(scan, &scan.last_name, fields["_name"], keep)
        attributes = copied(fields["_attributes"])
        copies.append(attributes)
        own = False
        add_attributes(scan, attributes, position, scanner.SPAN, scan.n_spans, &own, keep)
        row = &scan.spans[scan.n_spans]
        row.n_cells = scan.n_cells - row.first_cell
        row.is_own = own
        scan.n_own += own
        scan.n_spans += 1
    table = SpanTable.__new__(SpanTable)
    put(table, "n", scan.n_spans)
    put(table, "keyset", keyset)
    put(table, "scanned", scanned)
    return table, copies


cdef int32_t add_home(Scan* scan, resource, scope, dict resources, dict position, list keep) except -1:
    """A scope, and its resource if it is new: its index."""
    cdef int32_t of_resource
    cdef int32_t last = -1
    cdef bint ignored = False
    known = resources.get(id(resource))
    if known is None:
        known = resources[id(resource)] = scan.n_resources
        scan.n_resources += 1
        add_attributes(scan, resource.attributes, position, scanner.RESOURCE, known, &ignored, keep)
    of_resource = known
    if not room(scan, <void**>&scan.scopes, scan.n_scopes, &scan.scope_capacity, sizeof(scanner.ScopeRow)):
        raise MemoryError
    scan.n_scopes += 1
    scan.scopes[scan.n_scopes - 1].resource = of_resource
    scan.scopes[scan.n_scopes - 1].name = text_code(scan, &last, scope.name if scope else "", keep)
    scan.scopes[scan.n_scopes - 1].version = text_code(scan, &last, (scope.version if scope else None) or "", keep)
    add_attributes(
        scan, (scope.attributes if scope else None) or {}, position, scanner.SCOPE, scan.n_scopes - 1, &ignored, keep
    )
    return scan.n_scopes - 1
