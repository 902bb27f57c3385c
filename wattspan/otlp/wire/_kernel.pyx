# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`scan`: one pass over the bytes of an OTLP trace request, without the GIL; a `SpanTable` shows what it found."""

import os
from collections.abc import Sequence

import numpy as np

from wattspan.otlp.wire.errors import WireError
from wattspan.otlp.wire.keyset import key_set
from wattspan.otlp.wire.limits import FAULTS, MOST_BYTES, MOST_CELLS, MOST_DEPTH, MOST_ROWS, TOO_MANY_BYTES
from wattspan.otlp.wire.table import AttributeIndex, SpanTable

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from wattspan.otlp.wire cimport attribute, cursor, scanner
from wattspan.otlp.wire.interning cimport Keys, Secret, Text, hash_key
from wattspan.otlp.wire.scanner cimport Cell, Lines, Scan, SpanRow, finish_scan, read_request, start_scan

if scanner.MOST_DEPTH != MOST_DEPTH or scanner.MOST_ROWS != MOST_ROWS:
    raise ImportError("the wire kernel was built with other limits than limits.py has; build it again")

cdef int64_t CELLS = MOST_CELLS

cdef Secret SECRET
SECRET.first = int.from_bytes(os.urandom(8), "little")
SECRET.second = int.from_bytes(os.urandom(8), "little") | 1


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


cdef class TextList:
    """The distinct texts of a request, made into bytes only where somebody asks: most are ids that nobody reads."""

    cdef Scanned scanned

    def __len__(self):
        return self.scanned.scan.texts.n

    def __getitem__(self, code):
        cdef Py_ssize_t n = self.scanned.scan.texts.n
        cdef Py_ssize_t place
        if isinstance(code, slice):
            return [self[place] for place in range(*code.indices(n))]
        place = code
        if place < 0:
            place += n
        if not 0 <= place < n:
            raise IndexError(f"text code {code} of {n}")
        return text_of(&self.scanned.scan, <int32_t>place)


Sequence.register(TextList)

cdef object INT8 = np.dtype(np.int8)
cdef object UINT8 = np.dtype(np.uint8)
cdef object INT32 = np.dtype(np.int32)
cdef object INT64 = np.dtype(np.int64)
cdef object UINT64 = np.dtype(np.uint64)
cdef object DOUBLE = np.dtype(np.float64)
cdef object FLAG = np.dtype(np.bool_)
cdef object empty = np.empty


cdef bytes text_of(const Scan* scan, int32_t code):
    """The text of a code below `texts.n`."""
    return PyBytes_FromStringAndSize(<const char*>scan.texts.items[code].at, scan.texts.items[code].length)


# Working memory is kept for the next scan: asking the system for it anew costs more than a scan of 512 spans does.
cdef enum:
    KEPT_SCRATCHES = 4
    KEPT_BYTES = 16 << 20

cdef Scan POOL[KEPT_SCRATCHES]
cdef int N_POOLED = 0


cdef class Scanned:
    """What one scan left: its working memory, which is handed on to a later scan when nobody needs it any more."""

    def __dealloc__(self):
        global N_POOLED
        cdef Scan* scan = &self.scan
        if N_POOLED < KEPT_SCRATCHES and self.is_whole and self.is_small():
            finish_scan(scan)
            POOL[N_POOLED] = scan[0]
            N_POOLED += 1
            return
        free(scan.last_text)
        free(scan.texts.items)
        free(scan.texts.slots)
        free(scan.spans)
        free(scan.scopes)
        free(scan.cells)

    cdef bint is_small(self):
        cdef Scan* scan = &self.scan
        return (
            scan.texts.capacity * (sizeof(Text) + 2 * sizeof(int32_t)) + scan.span_capacity * sizeof(SpanRow)
            + scan.scope_capacity * sizeof(scanner.ScopeRow) + scan.cell_capacity * sizeof(Cell)
        ) <= KEPT_BYTES

    @property
    def carries_own(self):
        """Whether a span carries a key of ours."""
        return self.scan.n_own > 0

    def rows_until(self, int64_t offset):
        """How many spans end at or before `offset`."""
        cdef int32_t low = 0
        cdef int32_t high = self.scan.n_spans
        cdef int32_t middle
        while low < high:
            middle = (low + high) // 2
            if self.scan.spans[middle].end <= offset:
                low = middle + 1
            else:
                high = middle
        return low

    def fill(self, table, name):
        """Make the column `name` of `table`, and those that are made with it."""
        if name in VALUES:
            fill_values(&self.scan, self.keyset, table)
        elif name in SCOPES:
            fill_scopes(&self.scan, table)
        elif name == "texts":
            put(table, "texts", texts_of(self))
        else:
            fill_spans(&self.scan, table)


cdef object VALUES = frozenset(
    ("span_index", "resource_index", "scope_index", "value_type", "value_int", "value_double", "value_text")
)
cdef object SCOPES = frozenset(("resource_of_scope", "scope_name_code", "scope_version_code"))
# The table is frozen for everybody else.
cdef object put = object.__setattr__
cdef object new_table = SpanTable.__new__


cdef TextList texts_of(Scanned scanned):
    cdef TextList texts = TextList()
    texts.scanned = scanned
    return texts


cdef Scanned new_scan(bytes data, keyset):
    """A scan that has not begun."""
    global N_POOLED
    cdef Scanned scanned = Scanned()
    scanned.data, scanned.keyset, scanned.lookup = data, keyset, compiled(keyset)
    if N_POOLED > 0:
        N_POOLED -= 1
        scanned.scan = POOL[N_POOLED]
    if not start_scan(
        &scanned.scan, <const uint8_t*>PyBytes_AS_STRING(data), &scanned.lookup.keys, SECRET
    ):
        raise MemoryError
    scanned.is_whole = True
    return scanned


def scan(data, keys, ends=()):
    """The spans of an OTLP trace request and the values of `keys` on spans, scopes and resources.

    `data` is a TracesData or ExportTraceServiceRequest message, or several concatenated; anything but bytes is
    copied first. `ends`: where each of several ends, ascending, of which each must be whole by itself. Raises WireError for
    malformed bytes, ValueError for a wrong key list or ends.
    """
    cdef bytes raw = data if type(data) is bytes else bytes(data)
    cdef int64_t length = PyBytes_GET_SIZE(raw)
    cdef int64_t begin = 0
    cdef int64_t n = len(ends)
    cdef int64_t place
    cdef int64_t* upto
    cdef Scanned scanned
    cdef Scan* state
    cdef int level
    cdef bint ok
    ends_ = np.array([*ends, length], dtype=INT64)
    upto = <int64_t*>address(ends_)
    for place in range(n + 1):
        if not begin <= upto[place] <= length:
            raise ValueError(f"message {place} ends at {upto[place]}, outside {begin} to {length}")
        begin = upto[place]
    if length > MOST_BYTES:
        raise WireError(0, FAULTS[TOO_MANY_BYTES])
    keyset = key_set(keys)
    scanned = new_scan(raw, keyset)
    state = &scanned.scan
    with nogil:
        ok = True
        begin = 0
        for place in range(n + 1):
            if ok:
                ok = read_request(state, state.base + begin, state.base + upto[place])
                begin = upto[place]
    if not ok:
        if state.fault.problem == cursor.NO_MEMORY:
            raise MemoryError
        raise WireError(state.fault.at - state.base, FAULTS[state.fault.problem])
    for level in range(3):
        if <int64_t>state.lines[level].n * rows_of(state, level) > CELLS:
            raise WireError(0, FAULTS[cursor.TOO_MANY_CELLS])
    table = new_table(SpanTable)
    put(table, "n", state.n_spans)
    put(table, "keyset", keyset)
    put(table, "scanned", scanned)
    return table


cdef int32_t rows_of(const Scan* state, int level) noexcept nogil:
    return state.n_spans if level == scanner.SPAN else state.n_resources if level == scanner.RESOURCE else state.n_scopes


cdef object fill_spans(Scan* state, table):
    cdef int32_t n = state.n_spans
    cdef int32_t row
    cdef SpanRow* span
    start_, end_, start_ns_, end_ns_ = empty(n, INT64), empty(n, INT64), empty(n, INT64), empty(n, INT64)
    span_id_, parent_ = empty(n, UINT64), empty(n, UINT64)
    resource_, scope_, name_, state_ = empty(n, INT32), empty(n, INT32), empty(n, INT32), empty(n, INT32)
    trace_id_, kind_, status_, own_ = empty((n, 16), UINT8), empty(n, INT8), empty(n, INT8), empty(n, FLAG)
    cdef int64_t* start = <int64_t*>address(start_)
    cdef int64_t* end = <int64_t*>address(end_)
    cdef int64_t* start_ns = <int64_t*>address(start_ns_)
    cdef int64_t* end_ns = <int64_t*>address(end_ns_)
    cdef uint64_t* span_id = <uint64_t*>address(span_id_)
    cdef uint64_t* parent = <uint64_t*>address(parent_)
    cdef int32_t* resource = <int32_t*>address(resource_)
    cdef int32_t* scope = <int32_t*>address(scope_)
    cdef int32_t* name = <int32_t*>address(name_)
    cdef int32_t* trace_state = <int32_t*>address(state_)
    cdef uint8_t* trace_id = <uint8_t*>address(trace_id_)
    cdef int8_t* kind = <int8_t*>address(kind_)
    cdef int8_t* status = <int8_t*>address(status_)
    cdef uint8_t* own = <uint8_t*>address(own_)
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
            trace_state[row] = span.trace_state
            memcpy(trace_id + 16 * <int64_t>row, span.trace_id, 16)
            kind[row] = span.kind
            status[row] = span.status
            own[row] = span.is_own
    for name_of, column in (
        ("start", start_), ("end", end_), ("start_unix_ns", start_ns_), ("end_unix_ns", end_ns_),
        ("span_id", span_id_), ("parent_span_id", parent_), ("resource", resource_), ("scope", scope_),
        ("name_code", name_), ("trace_state_code", state_), ("trace_id", trace_id_), ("kind", kind_), ("status", status_), ("own_attr", own_),
    ):
        put(table, name_of, column)


cdef object fill_values(Scan* state, keyset, table):
    cdef int32_t m = state.n_cells
    cdef int32_t row
    cdef int level
    cdef int64_t line
    cdef Cell* cell
    cdef int32_t* values[3]
    cdef int32_t rows[3]
    for level in range(3):
        rows[level] = rows_of(state, level)
    put(table, "span_index", index_of(state, scanner.SPAN, rows[0], &values[0]))
    put(table, "resource_index", index_of(state, scanner.RESOURCE, rows[1], &values[1]))
    put(table, "scope_index", index_of(state, scanner.SCOPE, rows[2], &values[2]))
    type_, int_, double_, text_ = empty(m, INT8), empty(m, INT64), empty(m, DOUBLE), empty(m, INT32)
    cdef int8_t* value_type = <int8_t*>address(type_)
    cdef int64_t* value_int = <int64_t*>address(int_)
    cdef double* value_double = <double*>address(double_)
    cdef int32_t* value_text = <int32_t*>address(text_)
    with nogil:
        for row in range(m):
            cell = &state.cells[row]
            # In wire order, so that the last value of a key on a row is the one that stays.
            line = state.lines[cell.level].of_key[cell.key]
            values[cell.level][line * rows[cell.level] + cell.row] = row
            value_type[row] = cell.type
            value_text[row] = cell.text
            value_int[row] = <int64_t>cell.bits if cell.type == attribute.V_INT or cell.type == attribute.V_BOOL else 0
            if cell.type == attribute.V_INT:
                value_double[row] = <double><int64_t>cell.bits
            elif cell.type == attribute.V_DOUBLE:
                memcpy(&value_double[row], &cell.bits, 8)
            else:
                value_double[row] = 0.0
    put(table, "value_type", type_)
    put(table, "value_int", int_)
    put(table, "value_double", double_)
    put(table, "value_text", text_)


def joined(Scanned scanned, codes):
    """The texts of `codes` (int32[k], -1 = none), one after the other, and where each begins, int64[k + 1]."""
    cdef const Scan* scan = &scanned.scan
    cdef const int32_t* of
    cdef int64_t* at
    cdef int64_t row
    cdef int64_t k
    cdef bytes made
    cdef char* out
    codes = np.ascontiguousarray(codes, dtype=INT32)
    k = len(codes)
    of = <const int32_t*>address(codes)
    at_ = empty(k + 1, INT64)
    at = <int64_t*>address(at_)
    at[0] = 0
    for row in range(k):
        if of[row] >= scan.texts.n:
            raise IndexError(f"text code {of[row]} of {scan.texts.n}")
        at[row + 1] = at[row] + (scan.texts.items[of[row]].length if of[row] >= 0 else 0)
    made = PyBytes_FromStringAndSize(NULL, at[k])
    out = PyBytes_AS_STRING(made)
    for row in range(k):
        if of[row] >= 0:
            memcpy(out + at[row], scan.texts.items[of[row]].at, at[row + 1] - at[row])
    return at_, made


cdef object fill_scopes(Scan* state, table):
    cdef int32_t s = state.n_scopes
    cdef int32_t row
    of_scope_, scope_name_, version_ = empty(s, INT32), empty(s, INT32), empty(s, INT32)
    cdef int32_t* of_scope = <int32_t*>address(of_scope_)
    cdef int32_t* scope_name = <int32_t*>address(scope_name_)
    cdef int32_t* version = <int32_t*>address(version_)
    for row in range(s):
        of_scope[row] = state.scopes[row].resource
        scope_name[row] = state.scopes[row].name
        version[row] = state.scopes[row].version
    put(table, "resource_of_scope", of_scope_)
    put(table, "scope_name_code", scope_name_)
    put(table, "scope_version_code", version_)


cdef object index_of(Scan* state, int level, int32_t rows, int32_t** values):
    """The AttributeIndex of one level, its `values` all -1."""
    cdef Lines* lines = &state.lines[level]
    line_ = empty(state.keys.n, INT32)
    values_ = empty((lines.n, rows), INT32)
    memcpy(address(line_), lines.of_key, state.keys.n * sizeof(int32_t))
    values[0] = <int32_t*>address(values_)
    memset(values[0], 0xFF, <size_t>lines.n * rows * sizeof(int32_t))
    return AttributeIndex(line_, values_)
