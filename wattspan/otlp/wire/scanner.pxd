"""The one pass of `scan`: OTLP trace bytes to rows and cells in C arrays, without the GIL.

Every function answers whether it went well; where not, the fault is in `scan.fault`.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from wattspan.otlp.wire cimport cursor
from wattspan.otlp.wire.attribute cimport (
    V_STRING,
    Attribute,
    Value,
    is_own,
    read_any_attribute,
    read_plain_attribute,
)
from wattspan.otlp.wire.cursor cimport (
    Fault,
    check_message,
    fail,
    load_u64,
    load_u64_big_endian,
    prefetch,
    skip_field,
    take_length,
    take_tag,
    take_varint,
)
from wattspan.otlp.wire.interning cimport (
    Keys,
    Secret,
    Text,
    Texts,
    clear_texts,
    find_key,
    intern,
    is_same,
    start_texts,
)

# As limits.py has them.
cdef enum:
    MOST_DEPTH = 100
    MOST_ROWS = 1 << 21

cdef enum Level:
    SPAN = 0
    RESOURCE = 1
    SCOPE = 2

cdef struct Cell:
    uint64_t bits
    int32_t row
    int32_t text
    int16_t key
    int8_t level
    int8_t type

# A key of the span before, at the same place among its attributes.
cdef struct Known:
    const uint8_t* at
    int64_t length
    int32_t key
    bint is_own

cdef enum:
    MOST_KNOWN = 64

# Which keys the rows of one level carry: the key's line in the level's index, -1 until a row carries it.
cdef struct Lines:
    int32_t* of_key
    int32_t n

cdef struct SpanRow:
    int64_t start
    int64_t end
    uint8_t trace_id[16]
    uint64_t span_id
    uint64_t parent_span_id
    int64_t start_unix_ns
    int64_t end_unix_ns
    int32_t resource
    int32_t scope
    int32_t name
    int32_t trace_state
    int32_t first_cell
    int32_t n_cells
    int8_t kind
    int8_t status
    int8_t is_own

cdef struct ScopeRow:
    int32_t resource
    int32_t name
    int32_t version

cdef struct Scan:
    Fault fault
    const uint8_t* base
    const Keys* keys
    int32_t* last_text
    int32_t last_name
    int32_t last_trace_state
    Lines lines[3]
    Texts texts
    SpanRow* spans
    int32_t n_spans
    int32_t span_capacity
    ScopeRow* scopes
    int32_t n_scopes
    int32_t scope_capacity
    int32_t n_resources
    Cell* cells
    int32_t n_cells
    int32_t cell_capacity
    int32_t n_own
    int n_known
    Known known[MOST_KNOWN]


cdef inline bint start_scan(Scan* scan, const uint8_t* base, const Keys* keys, Secret secret) noexcept nogil:
    """Empty what an earlier scan left; False where there is no memory."""
    cdef size_t line = keys.n * sizeof(int32_t)
    cdef int32_t* lines
    cdef int level
    # Four lines of one number a key, all -1: the last text of each key, and the lines of the three levels.
    lines = <int32_t*>realloc(scan.last_text, 4 * line + 1)
    if lines == NULL:
        return False
    memset(lines, 0xFF, 4 * line)
    scan.last_text = lines
    for level in range(3):
        scan.lines[level].of_key = lines + (level + 1) * keys.n
        scan.lines[level].n = 0
    scan.last_name = scan.last_trace_state = -1
    scan.fault.problem = 0
    scan.base = base
    scan.keys = keys
    scan.n_spans = scan.n_scopes = scan.n_resources = scan.n_cells = scan.n_own = 0
    scan.n_known = 0
    # Code 0 is the empty text.
    return (scan.texts.items != NULL or start_texts(&scan.texts, secret)) and intern(&scan.texts, base, 0) == 0


cdef inline void finish_scan(Scan* scan) noexcept nogil:
    """Make ready for `start_scan`."""
    clear_texts(&scan.texts)


cdef inline bint room(Scan* scan, void** items, int32_t n, int32_t* capacity, size_t size) noexcept nogil:
    """Whether there is room for one more item behind `n`; makes it if need be."""
    cdef int32_t wanted
    cdef void* grown
    if n < capacity[0]:
        return True
    wanted = 64 if capacity[0] == 0 else 2 * capacity[0]
    grown = realloc(items[0], wanted * size)
    if grown == NULL:
        fail(&scan.fault, cursor.NO_MEMORY, scan.base)
        return False
    items[0] = grown
    capacity[0] = wanted
    return True


cdef inline int32_t code_of(Scan* scan, int32_t* last, const uint8_t* p, int64_t length) noexcept nogil:
    """Code of a text, -1 without memory. `last` is the code that the same key had on the row before.

    Most keys hold the same text span after span: one comparison instead of a hash.
    """
    cdef Text* known
    if last[0] >= 0:
        known = &scan.texts.items[last[0]]
        if known.length == length and is_same(known.at, p, length):
            return last[0]
    last[0] = intern(&scan.texts, p, length)
    if last[0] < 0:
        fail(&scan.fault, cursor.NO_MEMORY, p)
    return last[0]


cdef inline int32_t key_of(Scan* scan, const Attribute* attribute, int place, bint* own) noexcept nogil:
    """Index of a span's attribute key, -1 where it was not asked for; `place`: which attribute of the span it is.

    Spans that follow one another mostly have the same keys in the same order: one comparison instead of a hash.
    """
    cdef Known* known
    if place >= MOST_KNOWN:
        own[0] = own[0] or is_own(attribute.key, attribute.key_length)
        return find_key(scan.keys, attribute.key, attribute.key_length)
    known = &scan.known[place]
    if place >= scan.n_known:
        scan.n_known = place + 1
    elif known.length == attribute.key_length and is_same(known.at, attribute.key, known.length):
        own[0] = own[0] or known.is_own
        return known.key
    known.at = attribute.key
    known.length = attribute.key_length
    known.key = find_key(scan.keys, attribute.key, attribute.key_length)
    known.is_own = is_own(attribute.key, attribute.key_length)
    own[0] = own[0] or known.is_own
    return known.key


cdef inline bint keep_value(Scan* scan, const Value* value, int level, int32_t row, int32_t key) noexcept nogil:
    cdef int32_t code = -1
    cdef Cell* cell
    if value.type == V_STRING:
        code = code_of(scan, &scan.last_text[key], value.text, value.length)
        if code < 0:
            return False
    if not room(scan, <void**>&scan.cells, scan.n_cells, &scan.cell_capacity, sizeof(Cell)):
        return False
    if scan.lines[level].of_key[key] < 0:
        scan.lines[level].of_key[key] = scan.lines[level].n
        scan.lines[level].n += 1
    cell = &scan.cells[scan.n_cells]
    scan.n_cells += 1
    cell.bits = value.bits
    cell.row = row
    cell.text = code
    cell.key = <int16_t>key
    cell.level = level
    cell.type = value.type
    return True


cdef inline bint read_attribute(
    Scan* scan, const uint8_t* p, const uint8_t* end, int level, int32_t row, int depth
) noexcept nogil:
    """One KeyValue of a resource or a scope: kept if its key was asked for."""
    cdef Value value
    cdef Attribute attribute
    cdef int32_t key
    if not read_plain_attribute(p, end, &attribute, &value):
        if not read_any_attribute(p, end, &attribute, &value, depth, &scan.fault):
            return False
    key = find_key(scan.keys, attribute.key, attribute.key_length)
    return key < 0 or keep_value(scan, &value, level, row, key)


cdef inline bint read_span_attribute(
    Scan* scan, const uint8_t* p, const uint8_t* end, int32_t row, int place, bint* own, int depth
) noexcept nogil:
    cdef Value value
    cdef Attribute attribute
    cdef int32_t key
    if not read_plain_attribute(p, end, &attribute, &value):
        if not read_any_attribute(p, end, &attribute, &value, depth, &scan.fault):
            return False
    key = key_of(scan, &attribute, place, own)
    return key < 0 or keep_value(scan, &value, SPAN, row, key)


cdef inline int8_t small(uint64_t number) noexcept nogil:
    """An enum's number if it fits int8, else 0 (unspecified); enums are 32 bits wide on the wire."""
    return <int8_t>number if <uint32_t>number <= 127 else 0


cdef inline bint read_status(Scan* scan, const uint8_t* p, const uint8_t* end, SpanRow* span, int depth) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef uint64_t number = 0
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &scan.fault)
        if p == NULL:
            return False
        if tag == 0x18:
            p = take_varint(p, end, &number, &scan.fault)
            span.status = small(number)
        else:
            p = skip_field(start, p, end, tag, depth, &scan.fault)
        if p == NULL:
            return False
    return True


cdef inline bint read_span(Scan* scan, const uint8_t* p, const uint8_t* end, int32_t resource, int32_t scope) noexcept nogil:
    cdef const uint8_t* start
    cdef const uint8_t* name = p
    cdef int64_t name_length = 0
    cdef int64_t length
    cdef uint64_t number = 0
    cdef uint32_t tag
    cdef int32_t row = scan.n_spans
    cdef int depth = MOST_DEPTH - 3
    cdef bint own = False
    cdef int place = 0
    cdef SpanRow* span
    if row >= MOST_ROWS:
        fail(&scan.fault, cursor.TOO_MANY_ROWS, p)
        return False
    if not room(scan, <void**>&scan.spans, row, &scan.span_capacity, sizeof(SpanRow)):
        return False
    scan.n_spans += 1
    span = &scan.spans[row]
    memset(span, 0, sizeof(SpanRow))
    span.start = p - scan.base
    span.end = end - scan.base
    span.resource = resource
    span.scope = scope
    span.first_cell = scan.n_cells
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &scan.fault)
        if p == NULL:
            return False
        if tag & 7 == 2 and 8 < tag <= 0x7A:
            p = take_length(p, end, &length, &scan.fault)
            if p == NULL:
                return False
            if tag == 0x4A:
                if not read_span_attribute(scan, p, p + length, row, place, &own, depth - 1):
                    return False
                place += 1
            elif tag == 0x0A:
                if length == 16:
                    memcpy(span.trace_id, p, 16)
                else:
                    memset(span.trace_id, 0, 16)
            elif tag == 0x12:
                span.span_id = load_u64_big_endian(p) if length == 8 else 0
            elif tag == 0x1A:
                span.trace_state = code_of(scan, &scan.last_trace_state, p, length) if length else 0
                if span.trace_state < 0:
                    return False
            elif tag == 0x22:
                span.parent_span_id = load_u64_big_endian(p) if length == 8 else 0
            elif tag == 0x2A:
                name = p
                name_length = length
            elif tag == 0x5A:
                if not check_message(cursor.EVENT, p, p + length, depth - 1, &scan.fault):
                    return False
            elif tag == 0x6A:
                if not check_message(cursor.LINK, p, p + length, depth - 1, &scan.fault):
                    return False
            elif tag == 0x7A:
                if not read_status(scan, p, p + length, span, depth - 1):
                    return False
            p += length
        elif tag == 0x39 or tag == 0x41:
            if end - p < 8:
                fail(&scan.fault, cursor.FIXED_CUT, p)
                return False
            number = load_u64(p)
            if number >> 63:
                number = 0
            if tag == 0x39:
                span.start_unix_ns = <int64_t>number
            else:
                span.end_unix_ns = <int64_t>number
            p += 8
        elif tag == 0x30:
            p = take_varint(p, end, &number, &scan.fault)
            if p == NULL:
                return False
            span.kind = small(number)
        else:
            p = skip_field(start, p, end, tag, depth, &scan.fault)
            if p == NULL:
                return False
    span.n_cells = scan.n_cells - span.first_cell
    span.is_own = own
    scan.n_own += own
    span.name = code_of(scan, &scan.last_name, name, name_length)
    return span.name >= 0


cdef inline bint read_scope(Scan* scan, const uint8_t* p, const uint8_t* end, int32_t row, int depth) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    cdef int32_t code
    cdef int32_t last = -1
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &scan.fault)
        if p == NULL:
            return False
        if tag == 0x0A or tag == 0x12 or tag == 0x1A:
            p = take_length(p, end, &length, &scan.fault)
            if p == NULL:
                return False
            if tag == 0x1A:
                if not read_attribute(scan, p, p + length, SCOPE, row, depth - 1):
                    return False
            else:
                code = code_of(scan, &last, p, length)
                if code < 0:
                    return False
                if tag == 0x0A:
                    scan.scopes[row].name = code
                else:
                    scan.scopes[row].version = code
            p += length
        else:
            p = skip_field(start, p, end, tag, depth, &scan.fault)
            if p == NULL:
                return False
    return True


cdef inline bint read_scope_spans(Scan* scan, const uint8_t* p, const uint8_t* end, int32_t resource) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    cdef int32_t row = scan.n_scopes
    cdef int depth = MOST_DEPTH - 2
    if row >= MOST_ROWS:
        fail(&scan.fault, cursor.TOO_MANY_ROWS, p)
        return False
    if not room(scan, <void**>&scan.scopes, row, &scan.scope_capacity, sizeof(ScopeRow)):
        return False
    scan.n_scopes += 1
    scan.scopes[row].resource = resource
    scan.scopes[row].name = 0
    scan.scopes[row].version = 0
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &scan.fault)
        if p == NULL:
            return False
        if tag == 0x0A or tag == 0x12:
            p = take_length(p, end, &length, &scan.fault)
            if p == NULL:
                return False
            if tag == 0x12:
                # The next span lies beyond what the processor fetches by itself where spans are long.
                prefetch(p + length, end, 12)
                if not read_span(scan, p, p + length, resource, row):
                    return False
            elif not read_scope(scan, p, p + length, row, depth - 1):
                return False
            p += length
        else:
            p = skip_field(start, p, end, tag, depth, &scan.fault)
            if p == NULL:
                return False
    return True


cdef inline bint read_resource(Scan* scan, const uint8_t* p, const uint8_t* end, int32_t row, int depth) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &scan.fault)
        if p == NULL:
            return False
        if tag == 0x0A or tag == 0x1A:
            p = take_length(p, end, &length, &scan.fault)
            if p == NULL:
                return False
            if tag == 0x0A:
                if not read_attribute(scan, p, p + length, RESOURCE, row, depth - 1):
                    return False
            elif not check_message(cursor.LEAF, p, p + length, depth - 1, &scan.fault):
                return False
            p += length
        else:
            p = skip_field(start, p, end, tag, depth, &scan.fault)
            if p == NULL:
                return False
    return True


cdef inline bint read_resource_spans(Scan* scan, const uint8_t* p, const uint8_t* end) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    cdef int32_t row = scan.n_resources
    cdef int depth = MOST_DEPTH - 1
    if row >= MOST_ROWS:
        fail(&scan.fault, cursor.TOO_MANY_ROWS, p)
        return False
    scan.n_resources += 1
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &scan.fault)
        if p == NULL:
            return False
        if tag == 0x0A or tag == 0x12:
            p = take_length(p, end, &length, &scan.fault)
            if p == NULL:
                return False
            if tag == 0x12:
                if not read_scope_spans(scan, p, p + length, row):
                    return False
            elif not read_resource(scan, p, p + length, row, depth - 1):
                return False
            p += length
        else:
            p = skip_field(start, p, end, tag, depth, &scan.fault)
            if p == NULL:
                return False
    return True


cdef inline bint read_request(Scan* scan, const uint8_t* p, const uint8_t* end) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &scan.fault)
        if p == NULL:
            return False
        if tag == 0x0A:
            p = take_length(p, end, &length, &scan.fault)
            if p == NULL:
                return False
            if not read_resource_spans(scan, p, p + length):
                return False
            p += length
        else:
            p = skip_field(start, p, end, tag, MOST_DEPTH, &scan.fault)
            if p == NULL:
                return False
    return True
