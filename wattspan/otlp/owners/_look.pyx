# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""The quick look of `look.py` over the spans of a scan: the same answers, in loops instead of array operations."""

import numpy as np

from libc.math cimport isnan
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy, memset

from wattspan.otlp.wire._kernel cimport Scanned, address, text_of
from wattspan.otlp.wire.interning cimport fold
from wattspan.otlp.wire.scanner cimport Scan, SpanRow

cdef object BYTE = np.dtype(np.bool_)
cdef object INT32 = np.dtype(np.int32)
cdef object INT64 = np.dtype(np.int64)
cdef object UINT64 = np.dtype(np.uint64)
cdef object empty = np.empty

cdef enum:
    DEEPEST = 64
    NEIGHBOURS = 64
    # As node.OVERLAP_SLACK_NS.
    SLACK_NS = 2000000

cdef enum Role:
    CALL = 0
    AGGREGATE = 1


cdef inline uint64_t trace_hash(const uint8_t* trace_id) noexcept nogil:
    """As batch.trace_hashes."""
    cdef uint64_t halves[2]
    cdef uint64_t mixed
    memcpy(halves, trace_id, 16)
    mixed = halves[0] * <uint64_t>0x9E3779B97F4A7C15u ^ halves[1]
    mixed = (mixed ^ mixed >> 32) * <uint64_t>0xC2B2AE3D27D4EB4Fu
    return mixed ^ mixed >> 32


# Numbers by key: open addressing; `items[slot]` is the place of its key in `keys`, or -1.
cdef struct Index:
    int32_t* items
    uint32_t mask
    uint64_t secret


cdef bint start_index(Index* index, int64_t n, uint64_t secret) noexcept nogil:
    index.mask = 15
    while index.mask < 2 * n:
        index.mask = 2 * index.mask + 1
    index.secret = secret
    index.items = <int32_t*>malloc((<size_t>index.mask + 1) * sizeof(int32_t))
    if index.items == NULL:
        return False
    memset(index.items, 0xFF, (<size_t>index.mask + 1) * sizeof(int32_t))
    return True


cdef inline uint32_t slot_of(const Index* index, const uint64_t* keys, uint64_t key) noexcept nogil:
    """The slot that holds `key`, or the empty one where it would go."""
    cdef uint32_t slot = <uint32_t>fold(key ^ index.secret, <uint64_t>0x9E3779B97F4A7C15u) & index.mask
    while index.items[slot] >= 0 and keys[index.items[slot]] != key:
        slot = (slot + 1) & index.mask
    return slot


# The calls of a reading, what is worked out of them, and where the answers go. Arrays of the k calls but for those of all
# n spans: hashes, keys, call_of_row; and those of the traces: bounds, group_hash, needs_care.
cdef struct Calls:
    int64_t k
    int64_t groups
    const int64_t* rows
    const int8_t* role
    const uint8_t* has_usage
    const double* reported_kwh
    const uint8_t* is_error
    const uint8_t* is_continuation
    const int32_t* response_id
    const int64_t* input
    const int64_t* output
    const int32_t* model
    uint64_t* hashes
    int64_t* order
    int64_t* bounds
    int64_t* group
    uint64_t* group_hash
    uint64_t* span_id
    uint64_t* parent_id
    int64_t* end_ns
    uint8_t* carries
    int32_t* scope
    uint8_t* needs_care
    uint8_t* is_owner
    uint64_t* owner_span_id
    uint64_t* keys
    int32_t* call_of_row
    int64_t* up
    int32_t* kids
    uint8_t* is_left
    uint8_t* doubt
    int64_t* winner


cdef int64_t gather(const Scan* scan, Calls* calls, const Index* traces) noexcept nogil:
    """Traces, ids and times of the calls; the number of aggregates."""
    cdef const SpanRow* span
    cdef int64_t call
    cdef int64_t aggregates = 0
    cdef uint32_t slot
    cdef int64_t group
    cdef int64_t row
    for row in range(scan.n_spans):
        calls.hashes[row] = trace_hash(scan.spans[row].trace_id)
    calls.groups = 0
    for call in range(calls.k):
        span = &scan.spans[calls.rows[call]]
        slot = slot_of(traces, calls.group_hash, calls.hashes[calls.rows[call]])
        if traces.items[slot] < 0:
            traces.items[slot] = <int32_t>calls.groups
            calls.group_hash[calls.groups] = calls.hashes[calls.rows[call]]
            calls.bounds[calls.groups + 1] = 0
            calls.groups += 1
        group = traces.items[slot]
        calls.group[call] = group
        calls.bounds[group + 1] += 1
        calls.span_id[call] = span.span_id
        calls.parent_id[call] = span.parent_span_id
        calls.end_ns[call] = span.end_unix_ns
        calls.carries[call] = calls.has_usage[call] or not isnan(calls.reported_kwh[call])
        calls.scope[call] = scan.scopes[span.scope].name
        calls.is_owner[call] = True
        calls.owner_span_id[call] = span.span_id
        aggregates += calls.role[call] == AGGREGATE
    calls.bounds[0] = 0
    for group in range(calls.groups):
        calls.needs_care[group] = False
        calls.bounds[group + 1] += calls.bounds[group]
    return aggregates


cdef int64_t gather_others(
    const Scan* scan, const Calls* calls, const Index* traces, uint64_t* span_id, uint64_t* parent_id
) noexcept nogil:
    """Ids of all spans, and the traces without calls behind those with calls; the number of all traces."""
    cdef int64_t total = calls.groups
    cdef int64_t row
    cdef uint32_t slot
    for row in range(scan.n_spans):
        span_id[row] = scan.spans[row].span_id
        parent_id[row] = scan.spans[row].parent_span_id
        slot = slot_of(traces, calls.group_hash, calls.hashes[row])
        if traces.items[slot] < 0:
            traces.items[slot] = <int32_t>total
            calls.group_hash[total] = calls.hashes[row]
            total += 1
    return total


cdef void sort_by_trace(const Calls* calls, int64_t* at) noexcept nogil:
    """`order`: the calls of a trace next to one another, as they came. `at`: room for a number a trace."""
    cdef int64_t call
    memcpy(at, calls.bounds, calls.groups * sizeof(int64_t))
    for call in range(calls.k):
        calls.order[at[calls.group[call]]] = call
        at[calls.group[call]] += 1


cdef void find_nearest(const Scan* scan, const Calls* calls, const Index* spans, const Index* traces) noexcept nogil:
    """`up`: the nearest call or aggregate above each (-1 = none); traces with a span that comes twice, or too deep a tree,
    need care."""
    cdef int64_t call
    cdef int32_t row
    cdef int32_t level
    cdef uint32_t slot
    cdef uint64_t wanted
    for row in range(scan.n_spans):
        calls.call_of_row[row] = -1
        calls.keys[row] = scan.spans[row].span_id ^ calls.hashes[row]
        slot = slot_of(spans, calls.keys, calls.keys[row])
        if spans.items[slot] < 0:
            spans.items[slot] = row
        else:
            slot = slot_of(traces, calls.group_hash, calls.hashes[row])
            if traces.items[slot] >= 0:
                calls.needs_care[traces.items[slot]] = True
    for call in range(calls.k):
        calls.call_of_row[calls.rows[call]] = <int32_t>call
        calls.kids[call] = 0
    for call in range(calls.k):
        calls.up[call] = -1
        row = <int32_t>calls.rows[call]
        for level in range(DEEPEST):
            if scan.spans[row].parent_span_id == 0:
                break
            wanted = scan.spans[row].parent_span_id ^ calls.hashes[row]
            row = spans.items[slot_of(spans, calls.keys, wanted)]
            if row < 0:
                break
            if calls.call_of_row[row] >= 0:
                calls.up[call] = calls.call_of_row[row]
                calls.kids[calls.up[call]] += 1
                break
        else:
            calls.needs_care[calls.group[call]] = True


cdef void join_pairs(const Calls* calls) noexcept nogil:
    """`winner`: of each call that repeats the one call directly inside or around it, that call; -1 otherwise."""
    cdef int64_t inner
    cdef int64_t outer
    cdef bint is_one
    cdef bint outer_wins
    for inner in range(calls.k):
        calls.winner[inner] = -1
    for inner in range(calls.k):
        outer = calls.up[inner]
        if calls.role[inner] == AGGREGATE or outer < 0 or calls.role[outer] == AGGREGATE:
            continue
        if calls.kids[outer] != 1 or calls.kids[inner] != 0 or calls.carries[inner] != calls.carries[outer]:
            continue
        is_one = calls.input[inner] == calls.input[outer] and calls.output[inner] == calls.output[outer] and (
            calls.carries[inner]
            or (calls.response_id[inner] >= 0 and calls.response_id[inner] == calls.response_id[outer])
        )
        if not is_one and not calls.carries[inner]:
            is_one = calls.is_error[inner] == calls.is_error[outer] and calls.model[inner] == calls.model[outer]
        if is_one:
            outer_wins = calls.is_continuation[inner] and not calls.is_continuation[outer]
            calls.winner[inner if outer_wins else outer] = outer if outer_wins else inner


# A call and its start.
cdef struct Start:
    int64_t ns
    int64_t call


cdef int compare_starts(const void* one, const void* other) noexcept nogil:
    cdef int64_t a = (<const Start*>one).ns
    cdef int64_t b = (<const Start*>other).ns
    return (a > b) - (a < b)


cdef bint may_be_side_by_side(const Scan* scan, const Calls* calls, int64_t group, Start* starts) noexcept nogil:
    """As look._may_be_side_by_side. `starts`: room for one a call."""
    cdef int64_t n = 0
    cdef int64_t place
    cdef int64_t later
    cdef int64_t call
    cdef int64_t one
    cdef int64_t other
    cdef int64_t until_ns
    for place in range(calls.bounds[group], calls.bounds[group + 1]):
        call = calls.order[place]
        if calls.is_left[call]:
            starts[n].ns = scan.spans[calls.rows[call]].start_unix_ns
            starts[n].call = call
            n += 1
    qsort(starts, n, sizeof(Start), compare_starts)
    for place in range(n):
        one = starts[place].call
        # Times are 63 bits wide, so the sum fits into 64 unsigned.
        until_ns = max(starts[place].ns, calls.end_ns[one])
        for later in range(place + 1, n):
            if <uint64_t>starts[later].ns > <uint64_t>until_ns + SLACK_NS:
                break
            if later - place > NEIGHBOURS:
                return True
            other = starts[later].call
            if calls.scope[one] != calls.scope[other] and may_say_the_same(calls, one, other):
                return True
    return False


cdef bint may_say_the_same(const Calls* calls, int64_t one, int64_t other) noexcept nogil:
    if calls.carries[one] and calls.carries[other]:
        return calls.input[one] == calls.input[other] and -1 <= calls.output[one] - calls.output[other] <= 1
    return calls.is_error[one] == calls.is_error[other]


cdef void find_doubt(const Scan* scan, const Calls* calls, int32_t* seen, Start* starts) noexcept nogil:
    """Traces in which something is open to doubt need care. `seen`: room for a number a text, all 0; `starts`: room for
    one a call."""
    cdef int64_t call
    cdef int64_t above
    cdef int64_t place
    cdef int64_t group
    cdef int32_t level
    cdef int32_t least
    cdef int32_t most
    cdef bint is_too_deep = False
    for call in range(calls.k):
        calls.is_left[call] = calls.role[call] != AGGREGATE and calls.winner[call] < 0
        if calls.is_left[call] and calls.response_id[call] >= 0:
            seen[calls.response_id[call]] += 1
    for call in range(calls.k):
        calls.doubt[call] = calls.is_left[call] and (
            calls.is_continuation[call] or (calls.response_id[call] >= 0 and seen[calls.response_id[call]] > 1)
        )
        if calls.winner[call] >= 0 and not calls.is_left[calls.winner[call]]:
            calls.doubt[call] = True
        above = calls.up[call]
        level = 0
        while above >= 0:
            if calls.is_left[above] and calls.is_left[call]:
                calls.doubt[call] = True
            above = calls.up[above]
            level += 1
            if level == DEEPEST:
                is_too_deep = True
                break
    for call in range(calls.k):
        if calls.doubt[call] or is_too_deep and calls.is_left[call]:
            calls.needs_care[calls.group[call]] = True
    for group in range(calls.groups):
        least = 0x7FFFFFFF
        most = -1
        for place in range(calls.bounds[group], calls.bounds[group + 1]):
            call = calls.order[place]
            if calls.is_left[call]:
                least = min(least, calls.scope[call])
                most = max(most, calls.scope[call])
        if least < most and may_be_side_by_side(scan, calls, group, starts):
            calls.needs_care[group] = True


cdef void explain_aggregates(
    const Calls* calls, int64_t* below, int64_t* above, int64_t m, int64_t* last, uint8_t* generated
) noexcept nogil:
    """Aggregates that repeat what is below them are owned by the call that ended last there; traces with others need care.

    `below`: the m calls with usage in the order of their ends. `above`, `last`, `generated`: room for a number a call.
    """
    cdef int64_t place
    cdef int64_t left
    cdef int64_t call
    cdef int32_t level
    for call in range(calls.k):
        last[call] = -1
        generated[call] = False
    for place in range(m):
        above[place] = calls.up[below[place]]
    for level in range(DEEPEST):
        left = 0
        for place in range(m):
            if above[place] < 0:
                continue
            below[left] = below[place]
            above[left] = above[place]
            last[above[left]] = below[left]
            if calls.output[below[left]] > 0:
                generated[above[left]] = True
            left += 1
        m = left
        if m == 0:
            break
        for place in range(m):
            above[place] = calls.up[above[place]]
    for call in range(calls.k):
        if calls.role[call] != AGGREGATE:
            continue
        if last[call] >= 0 and (generated[call] or calls.output[call] == 0):
            calls.is_owner[call] = False
            calls.owner_span_id[call] = calls.span_id[last[call]]
        else:
            calls.needs_care[calls.group[call]] = True


def look(Scanned scanned, reading):
    """The quick look at a reading of `scanned`, and its calls by trace.

    The arrays of k calls, g traces with calls and n spans: hashes uint64[n], order int64[k], bounds int64[g + 1], group
    int64[k], hash of each trace uint64[g], span id, parent id uint64[k], end int64[k], carries usage bool[k], code of the
    scope's name int32[k]; needs care bool[g], is owner bool[k], owner's span id uint64[k], copies and their owners int64;
    span id and parent id of all spans uint64[n], hashes of the traces without calls uint64; the scopes' names by code.
    """
    cdef const Scan* scan = &scanned.scan
    cdef int64_t n = scan.n_spans
    cdef Calls calls
    cdef Index traces
    cdef Index spans
    cdef int64_t call
    cdef int64_t aggregates
    cdef int64_t k
    cdef uint8_t* room
    cdef Start* starts
    cdef list keep = []
    batch = reading.calls
    rows = _as(reading.rows, INT64, -1, keep)
    k = len(rows)
    calls.k = k
    calls.rows = <const int64_t*>address(rows)
    calls.role = <const int8_t*>address(_as(reading.role, np.int8, k, keep))
    calls.has_usage = <const uint8_t*>address(_as(batch.has_usage, BYTE, k, keep))
    calls.reported_kwh = <const double*>address(_as(batch.reported_energy_kwh, np.float64, k, keep))
    calls.is_error = <const uint8_t*>address(_as(batch.is_error, BYTE, k, keep))
    calls.is_continuation = <const uint8_t*>address(_as(reading.is_continuation, BYTE, k, keep))
    calls.response_id = <const int32_t*>address(_as(reading.response_id, INT32, k, keep))
    calls.input = <const int64_t*>address(_as(batch.input_tokens, INT64, k, keep))
    calls.output = <const int64_t*>address(_as(batch.output_tokens, INT64, k, keep))
    calls.model = NULL
    for call in range(k):
        if not 0 <= calls.rows[call] < n or calls.response_id[call] >= scan.texts.n:
            raise ValueError(f"call {call} is no span of the scan")
    hashes, order, bounds, group = empty(n, UINT64), empty(k, INT64), empty(k + 1, INT64), empty(k, INT64)
    group_hash, span_id, parent_id, end_ns = empty(n, UINT64), empty(k, UINT64), empty(k, UINT64), empty(k, INT64)
    carries, scope, needs_care = empty(k, BYTE), empty(k, INT32), empty(k, BYTE)
    is_owner, owner_span_id = empty(k, BYTE), empty(k, UINT64)
    calls.hashes = <uint64_t*>address(hashes)
    calls.order = <int64_t*>address(order)
    calls.bounds = <int64_t*>address(bounds)
    calls.group = <int64_t*>address(group)
    calls.group_hash = <uint64_t*>address(group_hash)
    calls.span_id = <uint64_t*>address(span_id)
    calls.parent_id = <uint64_t*>address(parent_id)
    calls.end_ns = <int64_t*>address(end_ns)
    calls.carries = <uint8_t*>address(carries)
    calls.scope = <int32_t*>address(scope)
    calls.needs_care = <uint8_t*>address(needs_care)
    calls.is_owner = <uint8_t*>address(is_owner)
    calls.owner_span_id = <uint64_t*>address(owner_span_id)
    spans.items = NULL
    room = NULL
    if not start_index(&traces, n, scan.texts.secret.first):
        raise MemoryError
    try:
        aggregates = gather(scan, &calls, &traces)
        room = <uint8_t*>malloc(16 * n + 64 * k + 16 + 4 * <size_t>scan.texts.n)
        if room == NULL:
            raise MemoryError
        # In order of size, so that all are aligned.
        calls.keys = <uint64_t*>room
        calls.up = <int64_t*>(calls.keys + n)
        calls.winner = calls.up + k
        starts = <Start*>(calls.winner + k)
        calls.call_of_row = <int32_t*>(starts + k)
        calls.kids = calls.call_of_row + n
        calls.is_left = <uint8_t*>(calls.kids + k)
        calls.doubt = calls.is_left + k
        sort_by_trace(&calls, calls.up)
        copies_, owners = empty(0, INT64), empty(0, INT64)
        if calls.groups < k or aggregates > 0:
            if not start_index(&spans, n, scan.texts.secret.first):
                raise MemoryError
            find_nearest(scan, &calls, &spans, &traces)
            for call in range(k):
                if calls.up[call] >= 0 and not calls.carries[call]:
                    calls.model = <const int32_t*>address(_as(batch.model.codes, INT32, k, keep))
                    break
            join_pairs(&calls)
            seen = np.zeros(max(scan.texts.n, 1), dtype=np.int32)
            find_doubt(scan, &calls, <int32_t*>address(seen), starts)
            if aggregates > 0:
                below = np.flatnonzero(carries & (reading.role == CALL))
                below = below[np.argsort(end_ns[below], kind="stable")]
                m = len(below)
                above, last, generated = empty(m, INT64), empty(k, INT64), empty(k, BYTE)
                explain_aggregates(
                    &calls, <int64_t*>address(below), <int64_t*>address(above), m, <int64_t*>address(last),
                    <uint8_t*>address(generated),
                )
            losers = []
            for call in range(k):
                if calls.winner[call] >= 0:
                    calls.is_owner[call] = False
                    calls.owner_span_id[call] = calls.span_id[calls.winner[call]]
                    if not calls.needs_care[calls.group[call]]:
                        losers.append((call, calls.winner[call]))
            if losers:
                copies_, owners = np.array(losers, dtype=np.int64).T
        g, total = calls.groups, calls.groups
        span_ids, parent_ids = span_id, parent_id
        if n > k:
            span_ids, parent_ids = empty(n, UINT64), empty(n, UINT64)
            total = gather_others(
                scan, &calls, &traces, <uint64_t*>address(span_ids), <uint64_t*>address(parent_ids)
            )
    finally:
        free(room)
        free(traces.items)
        free(spans.items)
    return (
        hashes, order, bounds[:g + 1], group, group_hash[:g], span_id, parent_id, end_ns, carries, scope,
        needs_care[:g], is_owner, owner_span_id, copies_, owners, span_ids, parent_ids, group_hash[g:total],
        scope_names(scan, &calls),
    )


cdef dict scope_names(const Scan* scan, const Calls* calls):
    cdef dict names = {}
    cdef int32_t last = -1
    cdef int64_t call
    for call in range(calls.k):
        if calls.scope[call] != last:
            last = calls.scope[call]
            if last not in names:
                names[last] = text_of(scan, last).decode("utf-8", "replace")
    return names


cdef object _as(array, dtype, int64_t k, list keep):
    array = np.ascontiguousarray(array, dtype=dtype)
    if k >= 0 and len(array) != k:
        raise ValueError(f"a column of {len(array)} rows among those of {k} calls")
    keep.append(array)
    return array
