# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`scan`: one pass over the bytes of an OTLP trace request, without the GIL, into a `SpanTable`."""

import os

import numpy as np

from wattspan.otlp.wire.errors import WireError
from wattspan.otlp.wire.keyset import key_set
from wattspan.otlp.wire.limits import FAULTS, MOST_BYTES, MOST_CELLS, MOST_DEPTH, MOST_ROWS, TOO_MANY_BYTES
from wattspan.otlp.wire.table import AttributeIndex, SpanTable

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from wattspan.otlp.wire cimport cursor
from wattspan.otlp.wire.cursor cimport (
    Fault,
    check_message,
    fail,
    load_u64,
    load_u64_big_endian,
    skip_field,
    take_length,
    take_tag,
    take_varint,
)
from wattspan.otlp.wire.interning cimport Keys, Secret, Text, Texts, find_key, hash_key, intern, is_same, start_texts

cdef int DEPTH = MOST_DEPTH
cdef int32_t ROWS = MOST_ROWS
cdef int64_t CELLS = MOST_CELLS

cdef Secret SECRET
SECRET.first = int.from_bytes(os.urandom(8), "little")
SECRET.second = int.from_bytes(os.urandom(8), "little") | 1

# Numbers of the table: NONE to BYTES are AnyValue's field numbers.
cdef enum ValueType:
    V_NONE = 0
    V_STRING = 1
    V_BOOL = 2
    V_INT = 3
    V_DOUBLE = 4
    V_ARRAY = 5
    V_KVLIST = 6
    V_BYTES = 7

cdef enum Level:
    SPAN = 0
    RESOURCE = 1
    SCOPE = 2

cdef struct Value:
    int type
    uint64_t bits
    const uint8_t* text
    int64_t length

cdef struct Cell:
    uint64_t bits
    int32_t row
    int32_t text
    int32_t line
    int8_t level
    int8_t type

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
    int8_t kind
    int8_t status
    bint is_own

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


cdef bint room(Scan* scan, void** items, int32_t n, int32_t* capacity, size_t size) noexcept nogil:
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


cdef bint read_any_value(
    Scan* scan, const uint8_t* p, const uint8_t* end, Value* value, int depth
) noexcept nogil:
    """Merge an AnyValue into `value`: of its one-of fields the last wins."""
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef uint64_t number
    cdef int64_t length
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &scan.fault)
        if p == NULL:
            return False
        if tag == 0x0A or tag == 0x3A or tag == 0x2A or tag == 0x32:
            p = take_length(p, end, &length, &scan.fault)
            if p == NULL:
                return False
            value.type = tag >> 3
            if tag == 0x0A:
                value.text = p
                value.length = length
            elif tag != 0x3A:
                if depth <= 0:
                    fail(&scan.fault, cursor.TOO_DEEP, start)
                    return False
                if not check_message(
                    cursor.ARRAY_VALUE if tag == 0x2A else cursor.KEY_VALUE_LIST,
                    p, p + length, depth - 1, &scan.fault,
                ):
                    return False
            p += length
        elif tag == 0x10 or tag == 0x18 or tag == 0x40:
            p = take_varint(p, end, &number, &scan.fault)
            if p == NULL:
                return False
            # Field 8 refers to a string table that traces do not have: it takes the place of the value before it.
            value.type = V_NONE if tag == 0x40 else tag >> 3
            value.bits = number if tag == 0x18 else number != 0
        elif tag == 0x21:
            if end - p < 8:
                fail(&scan.fault, cursor.FIXED_CUT, p)
                return False
            value.type = V_DOUBLE
            value.bits = load_u64(p)
            p += 8
        else:
            p = skip_field(start, p, end, tag, depth, &scan.fault)
            if p == NULL:
                return False
    return True


cdef inline bint is_own(const uint8_t* key, int64_t length) noexcept nogil:
    """As keyset.is_own_key."""
    if length >= 9 and key[0] == c"w":
        return memcmp(key, b"wattspan.", 9) == 0
    if length == 23:
        return memcmp(key, b"gen_ai.usage.energy_kwh", 23) == 0
    if length == 19:
        return memcmp(key, b"gen_ai.usage.co2e_g", 19) == 0
    return False


cdef struct Attribute:
    const uint8_t* key
    int64_t key_length


cdef inline bint read_plain_attribute(
    const uint8_t* p, const uint8_t* end, Attribute* attribute, Value* value
) noexcept nogil:
    """A KeyValue as every exporter writes it: a short key, then one text, number or truth value, and no more.

    False for all others, the malformed among them: read_any_attribute looks at those.
    """
    cdef int64_t left = end - p - 2
    cdef int64_t length
    if left < 2 or p[0] != 0x0A or p[1] > 0x7F or p[1] > left - 2:
        return False
    attribute.key = p + 2
    attribute.key_length = p[1]
    p += 2 + attribute.key_length
    # What follows: tag and length of the AnyValue, then tag of its one field.
    left = end - p - 2
    if p[0] != 0x12 or p[1] > 0x7F or p[1] != left or left < 2:
        return False
    p += 2
    value.type = p[0] >> 3
    value.bits = 0
    value.text = NULL
    value.length = 0
    if p[0] == 0x0A:
        value.text = p + 2
        value.length = left - 2
        return p[1] == left - 2
    if p[0] == 0x18 or p[0] == 0x10:
        length = 1
        value.bits = p[1] & 0x7F
        while p[length] > 0x7F:
            length += 1
            if length == left or length > 10:
                return False
            value.bits |= <uint64_t>(p[length] & 0x7F) << 7 * (length - 1)
        if p[0] == 0x10:
            value.bits = value.bits != 0
        return length == left - 1
    if p[0] == 0x21 and left == 9:
        value.bits = load_u64(p + 1)
        return True
    return False


cdef bint read_any_attribute(
    Scan* scan, const uint8_t* p, const uint8_t* end, Attribute* attribute, Value* value, int depth
) noexcept nogil:
    """Any KeyValue: the last key wins, values merge, in whatever order they come."""
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    attribute.key = p
    attribute.key_length = 0
    value.type = V_NONE
    value.bits = 0
    value.text = NULL
    value.length = 0
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &scan.fault)
        if p == NULL:
            return False
        if tag == 0x0A or tag == 0x12:
            p = take_length(p, end, &length, &scan.fault)
            if p == NULL:
                return False
            if tag == 0x0A:
                attribute.key = p
                attribute.key_length = length
            else:
                if depth <= 0:
                    fail(&scan.fault, cursor.TOO_DEEP, start)
                    return False
                if not read_any_value(scan, p, p + length, value, depth - 1):
                    return False
            p += length
        else:
            p = skip_field(start, p, end, tag, depth, &scan.fault)
            if p == NULL:
                return False
    return True


cdef inline bint read_attribute(
    Scan* scan, const uint8_t* p, const uint8_t* end, int level, int32_t row, bint* own, int depth
) noexcept nogil:
    """One KeyValue: kept if its key was asked for."""
    cdef Value value
    cdef Attribute attribute
    cdef int32_t key
    cdef int32_t code = -1
    cdef Cell* cell
    cdef Lines* lines
    if not read_plain_attribute(p, end, &attribute, &value):
        if not read_any_attribute(scan, p, end, &attribute, &value, depth):
            return False
    if is_own(attribute.key, attribute.key_length):
        own[0] = True
    key = find_key(scan.keys, attribute.key, attribute.key_length)
    if key < 0:
        return True
    if value.type == V_STRING:
        code = code_of(scan, &scan.last_text[key], value.text, value.length)
        if code < 0:
            return False
    if not room(scan, <void**>&scan.cells, scan.n_cells, &scan.cell_capacity, sizeof(Cell)):
        return False
    lines = &scan.lines[level]
    if lines.of_key[key] < 0:
        lines.of_key[key] = lines.n
        lines.n += 1
    cell = &scan.cells[scan.n_cells]
    scan.n_cells += 1
    cell.bits = value.bits
    cell.row = row
    cell.text = code
    cell.line = lines.of_key[key]
    cell.level = level
    cell.type = value.type
    return True


cdef inline int8_t small(uint64_t number) noexcept nogil:
    """An enum's number if it fits int8, else 0 (unspecified); enums are 32 bits wide on the wire."""
    return <int8_t>number if <uint32_t>number <= 127 else 0


cdef bint read_status(Scan* scan, const uint8_t* p, const uint8_t* end, SpanRow* span, int depth) noexcept nogil:
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


cdef bint read_span(Scan* scan, const uint8_t* p, const uint8_t* end, int32_t resource, int32_t scope) noexcept nogil:
    cdef const uint8_t* start
    cdef const uint8_t* name = p
    cdef int64_t name_length = 0
    cdef int64_t length
    cdef uint64_t number = 0
    cdef uint32_t tag
    cdef int32_t row = scan.n_spans
    cdef int depth = DEPTH - 3
    cdef bint own = False
    cdef SpanRow* span
    if row >= ROWS:
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
                if not read_attribute(scan, p, p + length, SPAN, row, &own, depth - 1):
                    return False
            elif tag == 0x0A:
                if length == 16:
                    memcpy(span.trace_id, p, 16)
                else:
                    memset(span.trace_id, 0, 16)
            elif tag == 0x12:
                span.span_id = load_u64_big_endian(p) if length == 8 else 0
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
    span.is_own = own
    span.name = code_of(scan, &scan.last_name, name, name_length)
    return span.name >= 0


cdef bint read_scope(Scan* scan, const uint8_t* p, const uint8_t* end, int32_t row, int depth) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    cdef int32_t code
    cdef int32_t last = -1
    cdef bint own = False
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
                if not read_attribute(scan, p, p + length, SCOPE, row, &own, depth - 1):
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


cdef bint read_scope_spans(Scan* scan, const uint8_t* p, const uint8_t* end, int32_t resource) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    cdef int32_t row = scan.n_scopes
    cdef int32_t empty
    cdef int32_t last = -1
    cdef int depth = DEPTH - 2
    if row >= ROWS:
        fail(&scan.fault, cursor.TOO_MANY_ROWS, p)
        return False
    if not room(scan, <void**>&scan.scopes, row, &scan.scope_capacity, sizeof(ScopeRow)):
        return False
    scan.n_scopes += 1
    empty = code_of(scan, &last, p, 0)
    if empty < 0:
        return False
    scan.scopes[row].resource = resource
    scan.scopes[row].name = empty
    scan.scopes[row].version = empty
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


cdef bint read_resource(Scan* scan, const uint8_t* p, const uint8_t* end, int32_t row, int depth) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    cdef bint own = False
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
                if not read_attribute(scan, p, p + length, RESOURCE, row, &own, depth - 1):
                    return False
            elif not check_message(cursor.LEAF, p, p + length, depth - 1, &scan.fault):
                return False
            p += length
        else:
            p = skip_field(start, p, end, tag, depth, &scan.fault)
            if p == NULL:
                return False
    return True


cdef bint read_resource_spans(Scan* scan, const uint8_t* p, const uint8_t* end) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    cdef int32_t row = scan.n_resources
    cdef int depth = DEPTH - 1
    if row >= ROWS:
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


cdef bint read_request(Scan* scan, const uint8_t* p, const uint8_t* end) noexcept nogil:
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
            p = skip_field(start, p, end, tag, DEPTH, &scan.fault)
            if p == NULL:
                return False
    return True


cdef class CompiledKeys:
    """The keys of a `KeySet` as the kernel looks them up."""

    def __cinit__(self, names):
        cdef int32_t key
        cdef uint32_t slot
        cdef const uint8_t* at
        self.encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        self.keys.n = len(self.encoded)
        self.keys.mask = 15
        while self.keys.mask < 4 * <uint32_t>self.keys.n:
            self.keys.mask = 2 * self.keys.mask + 1
        self.keys.at = <const uint8_t**>calloc(self.keys.n + 1, sizeof(uint8_t*))
        self.keys.length = <int32_t*>calloc(self.keys.n + 1, sizeof(int32_t))
        self.keys.slots = <int32_t*>malloc((self.keys.mask + 1) * sizeof(int32_t))
        if self.keys.at == NULL or self.keys.length == NULL or self.keys.slots == NULL:
            raise MemoryError
        memset(self.keys.slots, 0xFF, (self.keys.mask + 1) * sizeof(int32_t))
        for key in range(self.keys.n):
            at = <const uint8_t*>PyBytes_AS_STRING(self.encoded[key])
            self.keys.at[key] = at
            self.keys.length[key] = <int32_t>PyBytes_GET_SIZE(self.encoded[key])
            slot = hash_key(at, self.keys.length[key]) & self.keys.mask
            while self.keys.slots[slot] >= 0:
                slot = (slot + 1) & self.keys.mask
            self.keys.slots[slot] = key

    def __dealloc__(self):
        free(self.keys.at)
        free(self.keys.length)
        free(self.keys.slots)


cdef CompiledKeys compiled(keyset):
    if keyset.compiled is None:
        keyset.compiled = CompiledKeys(keyset.keys)
    return keyset.compiled


cdef void* address(array) except? NULL:
    """Where a contiguous array begins; the caller keeps the array, and knows its type and length."""
    cdef Py_buffer view
    cdef void* at
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    at = view.buf
    PyBuffer_Release(&view)
    return at


cdef object INT8 = np.dtype(np.int8)
cdef object UINT8 = np.dtype(np.uint8)
cdef object INT32 = np.dtype(np.int32)
cdef object INT64 = np.dtype(np.int64)
cdef object UINT64 = np.dtype(np.uint64)
cdef object DOUBLE = np.dtype(np.float64)
cdef object FLAG = np.dtype(np.bool_)
cdef object empty = np.empty


def scan(data, keys):
    """The spans of an OTLP trace request and the values of `keys` on spans, scopes and resources.

    `data` is a TracesData or ExportTraceServiceRequest message, or several concatenated; anything but bytes is
    copied first. Raises WireError for malformed bytes, ValueError for a wrong key list.
    """
    cdef bytes raw = data if type(data) is bytes else bytes(data)
    cdef CompiledKeys lookup
    cdef Scan state
    cdef bint ok
    cdef int level
    cdef int64_t length = PyBytes_GET_SIZE(raw)
    if length > MOST_BYTES:
        raise WireError(0, FAULTS[TOO_MANY_BYTES])
    keyset = key_set(keys)
    lookup = compiled(keyset)
    memset(&state, 0, sizeof(Scan))
    state.base = <const uint8_t*>PyBytes_AS_STRING(raw)
    state.keys = &lookup.keys
    try:
        # Four lines of one number a key, all -1: the last text of each key, and the lines of the three levels.
        state.last_text = <int32_t*>malloc(4 * <size_t>(lookup.keys.n + 1) * sizeof(int32_t))
        if state.last_text == NULL or not start_texts(&state.texts, SECRET):
            raise MemoryError
        memset(state.last_text, 0xFF, 4 * <size_t>(lookup.keys.n + 1) * sizeof(int32_t))
        for level in range(3):
            state.lines[level].of_key = state.last_text + (level + 1) * lookup.keys.n
        state.last_name = -1
        with nogil:
            ok = read_request(&state, state.base, state.base + length)
        if not ok:
            if state.fault.problem == cursor.NO_MEMORY:
                raise MemoryError
            raise WireError(state.fault.at - state.base, FAULTS[state.fault.problem])
        return table_of(&state, keyset)
    finally:
        free(state.last_text)
        free(state.texts.items)
        free(state.texts.slots)
        free(state.spans)
        free(state.scopes)
        free(state.cells)


cdef object table_of(Scan* state, keyset):
    cdef int32_t n = state.n_spans
    cdef int32_t m = state.n_cells
    cdef int32_t s = state.n_scopes
    cdef int32_t row
    cdef SpanRow* span
    cdef Cell* cell
    cdef int32_t* values[3]
    cdef int32_t rows[3]
    rows[0], rows[1], rows[2] = n, state.n_resources, s
    span_index = index_of(state, SPAN, n, &values[0])
    resource_index = index_of(state, RESOURCE, rows[1], &values[1])
    scope_index = index_of(state, SCOPE, s, &values[2])
    start_, end_, start_ns_, end_ns_ = empty(n, INT64), empty(n, INT64), empty(n, INT64), empty(n, INT64)
    span_id_, parent_ = empty(n, UINT64), empty(n, UINT64)
    resource_, scope_, name_ = empty(n, INT32), empty(n, INT32), empty(n, INT32)
    trace_id_, kind_, status_, own_ = empty((n, 16), UINT8), empty(n, INT8), empty(n, INT8), empty(n, FLAG)
    type_, int_, double_, text_ = empty(m, INT8), empty(m, INT64), empty(m, DOUBLE), empty(m, INT32)
    of_scope_, scope_name_, version_ = empty(s, INT32), empty(s, INT32), empty(s, INT32)
    cdef int64_t* start = <int64_t*>address(start_)
    cdef int64_t* end = <int64_t*>address(end_)
    cdef int64_t* start_ns = <int64_t*>address(start_ns_)
    cdef int64_t* end_ns = <int64_t*>address(end_ns_)
    cdef uint64_t* span_id = <uint64_t*>address(span_id_)
    cdef uint64_t* parent = <uint64_t*>address(parent_)
    cdef int32_t* resource = <int32_t*>address(resource_)
    cdef int32_t* scope = <int32_t*>address(scope_)
    cdef int32_t* name = <int32_t*>address(name_)
    cdef uint8_t* trace_id = <uint8_t*>address(trace_id_)
    cdef int8_t* kind = <int8_t*>address(kind_)
    cdef int8_t* status = <int8_t*>address(status_)
    cdef uint8_t* own = <uint8_t*>address(own_)
    cdef int8_t* value_type = <int8_t*>address(type_)
    cdef int64_t* value_int = <int64_t*>address(int_)
    cdef double* value_double = <double*>address(double_)
    cdef int32_t* value_text = <int32_t*>address(text_)
    cdef int32_t* of_scope = <int32_t*>address(of_scope_)
    cdef int32_t* scope_name = <int32_t*>address(scope_name_)
    cdef int32_t* version = <int32_t*>address(version_)
    with nogil:
        for row in range(n):
            span = &state.spans[row]
            start[row] = span.start
            end[row] = span.end
            start_ns[row] = span.start_unix_ns
            end_ns[row] = span.end_unix_ns
            span_id[row] = span.span_id
            parent[row] = span.parent_span_id
            resource[row] = span.resource
            scope[row] = span.scope
            name[row] = span.name
            memcpy(trace_id + 16 * <int64_t>row, span.trace_id, 16)
            kind[row] = span.kind
            status[row] = span.status
            own[row] = span.is_own
        for row in range(m):
            cell = &state.cells[row]
            # In wire order, so that the last value of a key on a row is the one that stays.
            values[cell.level][<int64_t>cell.line * rows[cell.level] + cell.row] = row
            value_type[row] = cell.type
            value_text[row] = cell.text
            value_int[row] = <int64_t>cell.bits if cell.type == V_INT or cell.type == V_BOOL else 0
            if cell.type == V_INT:
                value_double[row] = <double><int64_t>cell.bits
            elif cell.type == V_DOUBLE:
                memcpy(&value_double[row], &cell.bits, 8)
            else:
                value_double[row] = 0.0
        for row in range(s):
            of_scope[row] = state.scopes[row].resource
            scope_name[row] = state.scopes[row].name
            version[row] = state.scopes[row].version
    texts = [
        PyBytes_FromStringAndSize(<const char*>state.texts.items[row].at, state.texts.items[row].length)
        for row in range(state.texts.n)
    ]
    return SpanTable(
        n, keyset, start_, end_, resource_, scope_, trace_id_, span_id_, parent_, start_ns_, end_ns_, kind_,
        status_, name_, own_, span_index, resource_index, scope_index, type_, int_, double_, text_, texts, of_scope_, scope_name_, version_,
    )


cdef object index_of(Scan* state, int level, int32_t rows, int32_t** values):
    """The AttributeIndex of one level, its `values` all -1."""
    cdef Lines* lines = &state.lines[level]
    if <int64_t>lines.n * rows > CELLS:
        raise WireError(0, FAULTS[cursor.TOO_MANY_CELLS])
    line_ = empty(state.keys.n, INT32)
    values_ = empty((lines.n, rows), INT32)
    memcpy(address(line_), lines.of_key, state.keys.n * sizeof(int32_t))
    values[0] = <int32_t*>address(values_)
    memset(values[0], 0xFF, <size_t>lines.n * rows * sizeof(int32_t))
    return AttributeIndex(line_, values_)
