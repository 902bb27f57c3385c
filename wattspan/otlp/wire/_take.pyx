# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`take`: the numbers of spans whose kinds are known, as the columns of calls.

What is known of a kind is for `wattspan.otlp.dialects.kinds` to say; here are only places.
"""

import numpy as np

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport NAN
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from wattspan.otlp.wire cimport attribute
from wattspan.otlp.wire._kernel cimport Scanned, address
from wattspan.otlp.wire.scanner cimport Cell, Scan, SpanRow

cdef object INT8 = np.dtype(np.int8)
cdef object INT32 = np.dtype(np.int32)
cdef object INT64 = np.dtype(np.int64)
cdef object DOUBLE = np.dtype(np.float64)
cdef object FLAG = np.dtype(np.bool_)
cdef object empty = np.empty

# What is known of a kind, as `wattspan.otlp.dialects.kinds.Kind.places` packs it. `role` is that of dialects.roles; places
# count a span's cells, -1 = none.
cdef struct Places:
    int32_t what
    int32_t role
    int32_t input
    int32_t output
    int32_t cache_read
    int32_t cache_write
    int32_t reasoning
    int32_t total
    int32_t response_id
    int32_t cache_outside
    int32_t reasoning_outside
    int32_t output_is_rest
    int32_t is_invented
    int32_t is_error
    int32_t is_self_hosted
    int32_t is_streaming
    int32_t dialect

cdef enum What:
    NOTHING = 0
    PLAIN = 1
    CAREFUL = 2

PLACES = sizeof(Places) // 4

# A count and whether it is there.
cdef struct Count:
    int64_t value
    bint present

cdef struct Usage:
    Count input
    Count output
    Count cache_read
    Count cache_write
    Count reasoning
    Count total


cdef inline bint count_at(const Cell* cells, int32_t place, int64_t most, Count* count) noexcept nogil:
    """The count at a place; False where it is no whole number from 0 to `most`."""
    count.value = 0
    count.present = place >= 0
    if place < 0:
        return True
    if cells[place].type != attribute.V_INT or cells[place].bits > <uint64_t>most:
        return False
    count.value = <int64_t>cells[place].bits
    return True


cdef inline void add_part(
    Count* whole, int64_t part, int32_t outside, const Count* other, const Count* total
) noexcept nogil:
    if not whole.present or part == 0:
        return
    if outside > 0 or part > whole.value or (
        outside == 0 and total.present and total.value - other.value - whole.value == part
    ):
        whole.value += part


cdef inline void fill_from_total(Count* whole, const Count* other, const Count* total) noexcept nogil:
    if total.present and not whole.present and other.present and total.value >= other.value:
        whole.value = total.value - other.value
        whole.present = True


cdef inline void fold(Usage* usage, const Places* places) noexcept nogil:
    """As dialects.counts.fold and output_from_total: input with the cache in it, output with the reasoning."""
    cdef int64_t cached = usage.cache_read.value + usage.cache_write.value
    if places.output_is_rest and usage.total.present and usage.input.present:
        if usage.total.value - usage.input.value > usage.output.value:
            usage.output.value = usage.total.value - usage.input.value
            usage.output.present = True
    fill_from_total(&usage.input, &usage.output, &usage.total)
    fill_from_total(&usage.output, &usage.input, &usage.total)
    add_part(&usage.input, cached, places.cache_outside, &usage.output, &usage.total)
    add_part(&usage.output, usage.reasoning.value, places.reasoning_outside, &usage.input, &usage.total)
    if not usage.input.present:
        usage.cache_read.value = usage.cache_write.value = 0
    if not usage.output.present:
        usage.reasoning.value = 0
    if places.is_invented:
        usage.input.value = usage.output.value = usage.reasoning.value = 0
        usage.cache_read.value = usage.cache_write.value = 0


# Where `take` writes.
cdef struct Columns:
    int64_t* rows
    int32_t* kind
    int64_t* input
    int64_t* cache_read
    int64_t* cache_write
    int64_t* output
    int64_t* reasoning
    uint8_t* has_usage
    uint8_t* is_error
    int64_t* start_unix_ns
    int64_t* duration_ns
    uint8_t* is_self_hosted
    int8_t* role
    int32_t* response_id
    uint8_t* is_streaming
    int32_t* dialect


cdef bint take_row(
    const Scan* scan, const Places* places, int32_t row, int32_t kind, int64_t most, const Columns* to, int64_t* k
) noexcept nogil:
    """Put a span of a plain kind at the end of the columns; False where one of its counts is odd."""
    cdef const SpanRow* span = &scan.spans[row]
    cdef const Cell* cells = scan.cells + span.first_cell
    cdef Usage usage
    cdef int64_t at = k[0]
    if not (
        count_at(cells, places.input, most, &usage.input)
        and count_at(cells, places.output, most, &usage.output)
        and count_at(cells, places.cache_read, most, &usage.cache_read)
        and count_at(cells, places.cache_write, most, &usage.cache_write)
        and count_at(cells, places.reasoning, most, &usage.reasoning)
        and count_at(cells, places.total, most, &usage.total)
    ):
        return False
    fold(&usage, places)
    to.has_usage[at] = usage.input.value > 0 or usage.output.value > 0
    if places.role != 0 and not to.has_usage[at]:
        return True
    to.rows[at] = row
    to.kind[at] = kind
    to.input[at] = usage.input.value
    to.cache_read[at] = usage.cache_read.value
    to.cache_write[at] = usage.cache_write.value
    to.output[at] = usage.output.value
    to.reasoning[at] = usage.reasoning.value
    to.is_error[at] = places.is_error
    to.start_unix_ns[at] = span.start_unix_ns
    to.duration_ns[at] = 0
    if 0 < span.start_unix_ns < span.end_unix_ns:
        to.duration_ns[at] = span.end_unix_ns - span.start_unix_ns
    to.is_self_hosted[at] = places.is_self_hosted
    to.role[at] = places.role
    to.response_id[at] = cells[places.response_id].text if places.response_id >= 0 else -1
    to.is_streaming[at] = places.is_streaming
    to.dialect[at] = places.dialect
    k[0] = at + 1
    return True


def take(Scanned scanned, kinds, list places, int64_t most_tokens):
    """The calls among spans of known kinds: their columns, the kinds they are of, and the rows that need a careful look.

    `kinds`: int32[n] as `group` gives them; `places`: of each kind what is known of it. The columns: rows int64[k], kind
    int32[k] (as an index into the kinds they are of), input, cache read, cache write, output and reasoning tokens int64[k], has usage, is error bool[k], start and
    duration int64[k] in nanoseconds, is self-hosted bool[k], role int8[k], response id int32[k], is streaming bool[k],
    dialect int32[k]; and what plain spans do not have: energy float64[k] (NaN), bool[k] (False).
    """
    cdef const Scan* scan = &scanned.scan
    cdef int32_t n = scan.n_spans
    cdef int32_t n_kinds = <int32_t>len(places)
    cdef int32_t row
    cdef int32_t kind
    cdef int64_t m = 0
    cdef int64_t k = 0
    cdef const int32_t* kind_of
    cdef const Places** known
    cdef int32_t* used = NULL
    cdef double* nothing
    cdef Columns to
    cdef list those = []
    cdef list careful = []
    kinds = np.ascontiguousarray(kinds, dtype=np.int32)
    if len(kinds) != n:
        raise ValueError(f"{n} spans were scanned, {len(kinds)} have a kind")
    kind_of = <const int32_t*>address(kinds)
    known = <const Places**>calloc(n_kinds + 1, sizeof(Places*))
    used = <int32_t*>malloc((n_kinds + 1) * sizeof(int32_t))
    if known == NULL or used == NULL:
        free(known)
        free(used)
        raise MemoryError
    memset(used, 0xFF, (n_kinds + 1) * sizeof(int32_t))
    try:
        for kind in range(n_kinds):
            if type(places[kind]) is not bytes or PyBytes_GET_SIZE(places[kind]) != sizeof(Places):
                raise ValueError(f"what is known of kind {kind} is not {PLACES} numbers of 32 bits")
            known[kind] = <const Places*>PyBytes_AS_STRING(places[kind])
        for row in range(n):
            if kind_of[row] >= n_kinds:
                raise ValueError(f"span {row} is of kind {kind_of[row]}, but {n_kinds} are known")
            if kind_of[row] >= 0 and known[kind_of[row]].what == PLAIN:
                check_places(known[kind_of[row]], scan.spans[row].n_cells)
                m += 1
        rows_, kind_ = empty(m, INT64), empty(m, INT32)
        input_, read_, write_, output_ = empty(m, INT64), empty(m, INT64), empty(m, INT64), empty(m, INT64)
        reasoning_, usage_, error_, start_ = empty(m, INT64), empty(m, FLAG), empty(m, FLAG), empty(m, INT64)
        duration_, hosted_, role_, response_ = empty(m, INT64), empty(m, FLAG), empty(m, INT8), empty(m, INT32)
        streaming_, dialect_, energy_, never_ = empty(m, FLAG), empty(m, INT32), empty(m, DOUBLE), empty(m, FLAG)
        memset(address(never_), 0, m)
        nothing = <double*>address(energy_)
        for row in range(<int32_t>m):
            nothing[row] = NAN
        to.rows = <int64_t*>address(rows_)
        to.kind = <int32_t*>address(kind_)
        to.input = <int64_t*>address(input_)
        to.cache_read = <int64_t*>address(read_)
        to.cache_write = <int64_t*>address(write_)
        to.output = <int64_t*>address(output_)
        to.reasoning = <int64_t*>address(reasoning_)
        to.has_usage = <uint8_t*>address(usage_)
        to.is_error = <uint8_t*>address(error_)
        to.start_unix_ns = <int64_t*>address(start_)
        to.duration_ns = <int64_t*>address(duration_)
        to.is_self_hosted = <uint8_t*>address(hosted_)
        to.role = <int8_t*>address(role_)
        to.response_id = <int32_t*>address(response_)
        to.is_streaming = <uint8_t*>address(streaming_)
        to.dialect = <int32_t*>address(dialect_)
        for row in range(n):
            kind = kind_of[row]
            if kind >= 0 and known[kind].what == NOTHING:
                continue
            if kind < 0 or known[kind].what == CAREFUL or not take_row(
                scan, known[kind], row, kind, most_tokens, &to, &k
            ):
                careful.append(row)
        for row in range(k):
            kind = to.kind[row]
            if used[kind] < 0:
                used[kind] = <int32_t>len(those)
                those.append(kind)
            to.kind[row] = used[kind]
    finally:
        free(known)
        free(used)
    columns = (
        rows_, kind_, input_, read_, write_, output_, reasoning_, usage_, error_, start_, duration_, hosted_, role_,
        response_, streaming_, dialect_, energy_, never_,
    )
    return (columns if k == m else tuple([column[:k] for column in columns])), those, careful


cdef int check_places(const Places* places, int32_t n_cells) except -1:
    if max(
        places.input, places.output, places.cache_read, places.cache_write, places.reasoning, places.total,
        places.response_id,
    ) >= n_cells:
        raise ValueError(f"a kind has its counts beyond the {n_cells} values of its spans")
    return 0
