# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`splice`: appends attributes to spans, takes out old ones of ours, and decodes nothing else."""

import numpy as np

from wattspan.otlp.wire.encode import Additions
from wattspan.otlp.wire.errors import WireError
from wattspan.otlp.wire.keyset import key_set
from wattspan.otlp.wire.limits import FAULTS, MOST_BYTES, MOST_DEPTH, TOO_MANY_BYTES

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from wattspan.otlp.wire cimport cursor
from wattspan.otlp.wire._kernel cimport CompiledKeys, address, compiled
from wattspan.otlp.wire.cursor cimport Fault, fail, skip_field, take_length, take_tag
from wattspan.otlp.wire.interning cimport Keys, find_key
from wattspan.otlp.wire.writing cimport put_varint, width

cdef int DEPTH = MOST_DEPTH
cdef int64_t BYTES = MOST_BYTES

# Beyond cursor.Problem: the message has another number of spans than the caller says.
cdef int OTHER_COUNT = 100

cdef struct Edit:
    const uint8_t* at
    int64_t length
    bint is_edited

# One change: copy up to `at`, leave out `skip` bytes, write `number` as a varint (if >= 0), then `length` bytes of
# `text`.
cdef struct Change:
    int64_t at
    int64_t skip
    int64_t number
    const uint8_t* text
    int64_t length

cdef struct Plan:
    Fault fault
    const uint8_t* base
    const Edit* edits
    int32_t n_edits
    int32_t n_spans
    const Keys* cut
    const uint8_t* carries_own
    Change* changes
    int64_t n_changes
    int64_t capacity
    int64_t growth


cdef Change* add_change(Plan* plan, int64_t at, int64_t skip) noexcept nogil:
    """One more change that writes nothing yet; NULL where there is no memory."""
    cdef Change* grown
    cdef Change* change
    if plan.n_changes == plan.capacity:
        plan.capacity = 256 if plan.capacity == 0 else 2 * plan.capacity
        grown = <Change*>realloc(plan.changes, <size_t>plan.capacity * sizeof(Change))
        if grown == NULL:
            fail(&plan.fault, cursor.NO_MEMORY, plan.base)
            return NULL
        plan.changes = grown
    change = &plan.changes[plan.n_changes]
    plan.n_changes += 1
    change.at = at
    change.skip = skip
    change.number = -1
    change.text = NULL
    change.length = 0
    return change


cdef bint key_of(
    const uint8_t* p, const uint8_t* end, const uint8_t** key, int64_t* key_length, int depth, Fault* fault
) noexcept nogil:
    """The key of a KeyValue: the last one, empty where it has none."""
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    key[0] = p
    key_length[0] = 0
    while p < end:
        start = p
        p = take_tag(p, end, &tag, fault)
        if p == NULL:
            return False
        if tag == 0x0A:
            p = take_length(p, end, &length, fault)
            if p == NULL:
                return False
            key[0] = p
            key_length[0] = length
            p += length
        else:
            p = skip_field(start, p, end, tag, depth, fault)
            if p == NULL:
                return False
    return True


cdef bint plan_cuts(Plan* plan, const uint8_t* p, const uint8_t* end, int64_t* growth) noexcept nogil:
    """Leave out the attributes of a span whose key is to be cut."""
    cdef const uint8_t* start
    cdef const uint8_t* key
    cdef int64_t key_length
    cdef uint32_t tag
    cdef int64_t length
    cdef int depth = DEPTH - 3
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &plan.fault)
        if p == NULL:
            return False
        if tag != 0x4A:
            p = skip_field(start, p, end, tag, depth, &plan.fault)
            if p == NULL:
                return False
            continue
        p = take_length(p, end, &length, &plan.fault)
        if p == NULL or not key_of(p, p + length, &key, &key_length, depth - 1, &plan.fault):
            return False
        p += length
        if find_key(plan.cut, key, key_length) >= 0:
            growth[0] -= p - start
            if add_change(plan, start - plan.base, p - start) == NULL:
                return False
    return True


cdef bint plan_span(Plan* plan, const uint8_t* p, const uint8_t* end, int64_t* growth) noexcept nogil:
    cdef int32_t row = plan.n_spans
    cdef const Edit* edit
    cdef Change* change
    plan.n_spans += 1
    if row >= plan.n_edits:
        fail(&plan.fault, OTHER_COUNT, p)
        return False
    edit = &plan.edits[row]
    if not edit.is_edited:
        return True
    if plan.cut.n > 0 and (plan.carries_own == NULL or plan.carries_own[row]):
        if not plan_cuts(plan, p, end, growth):
            return False
    if edit.length > 0:
        change = add_change(plan, end - plan.base, 0)
        if change == NULL:
            return False
        change.text = edit.at
        change.length = edit.length
        growth[0] += edit.length
    return True


cdef bint plan_message(Plan* plan, int level, const uint8_t* p, const uint8_t* end, int64_t* growth) noexcept nogil:
    """Plan the changes inside a request (level 0), a ResourceSpans (1) or a ScopeSpans (2), and mend the lengths of the
    submessages that change: field 1 of the first leads to spans, field 2 of the others."""
    cdef uint32_t way = 0x0A if level == 0 else 0x12
    cdef const uint8_t* start
    cdef const uint8_t* header
    cdef uint32_t tag
    cdef int64_t length
    cdef int64_t inner
    cdef int64_t place
    cdef bint ok
    while p < end:
        start = p
        p = take_tag(p, end, &tag, &plan.fault)
        if p == NULL:
            return False
        if tag != way:
            p = skip_field(start, p, end, tag, DEPTH - level, &plan.fault)
            if p == NULL:
                return False
            continue
        header = p
        p = take_length(p, end, &length, &plan.fault)
        if p == NULL:
            return False
        inner = 0
        place = plan.n_changes
        # The length comes before what changes it: a change for it is put here and filled in, or taken back.
        if add_change(plan, header - plan.base, 0) == NULL:
            return False
        if level == 2:
            ok = plan_span(plan, p, p + length, &inner)
        else:
            ok = plan_message(plan, level + 1, p, p + length, &inner)
        if not ok:
            return False
        if plan.n_changes == place + 1:
            plan.n_changes = place
        elif inner != 0:
            plan.changes[place].skip = p - header
            plan.changes[place].number = length + inner
            growth[0] += inner + width(length + inner) - (p - header)
        p += length
    return True


cdef void write_changes(const Plan* plan, int64_t size, uint8_t* out) noexcept nogil:
    cdef const Change* change
    cdef int64_t place
    cdef int64_t done = 0
    for place in range(plan.n_changes):
        change = &plan.changes[place]
        memcpy(out, plan.base + done, change.at - done)
        out += change.at - done
        done = change.at + change.skip
        if change.number >= 0:
            out = put_varint(out, change.number)
        if change.length > 0:
            memcpy(out, change.text, change.length)
            out += change.length
    memcpy(out, plan.base + done, size - done)


cdef Edit* edits_of(additions, int64_t first, int32_t n, list keep) except NULL:
    """`n` of the additions as pointers; what they point into is put into `keep`. The caller frees the result."""
    cdef int32_t row
    cdef const int64_t* offsets
    cdef const uint8_t* is_edited
    cdef const uint8_t* blob
    cdef int64_t size
    cdef Edit* edits
    cdef tuple items
    if not (first >= 0 and first + n <= len(additions)):
        raise ValueError(f"{len(additions)} additions for {n} spans; give one for each (None: leave the span alone)")
    edits = <Edit*>calloc(n + 1, sizeof(Edit))
    if edits == NULL:
        raise MemoryError
    try:
        if isinstance(additions, Additions):
            offsets_ = np.ascontiguousarray(additions.offsets, dtype=np.int64)
            edits_ = np.ascontiguousarray(additions.edits, dtype=np.bool_)
            if len(offsets_) != len(edits_) + 1 or type(additions.blob) is not bytes:
                raise ValueError(f"additions need a blob of bytes and {len(edits_) + 1} offsets, not {len(offsets_)}")
            keep.append(additions.blob)
            blob = <const uint8_t*>PyBytes_AS_STRING(additions.blob)
            size = PyBytes_GET_SIZE(additions.blob)
            offsets = <const int64_t*>address(offsets_) + first
            is_edited = <const uint8_t*>address(edits_) + first
            for row in range(n):
                if not 0 <= offsets[row] <= offsets[row + 1] <= size:
                    raise ValueError(f"additions of span {row} lie outside their blob")
                edits[row].is_edited = is_edited[row]
                edits[row].at = blob + offsets[row]
                edits[row].length = offsets[row + 1] - offsets[row]
        else:
            items = tuple(additions)
            keep.append(items)
            for row in range(n):
                item = items[first + row]
                if item is None:
                    continue
                if type(item) is not bytes:
                    raise TypeError(f"the addition of span {row} is {type(item).__name__}; give bytes or None")
                edits[row].is_edited = True
                edits[row].at = <const uint8_t*>PyBytes_AS_STRING(item)
                edits[row].length = PyBytes_GET_SIZE(item)
    except BaseException:
        free(edits)
        raise
    return edits


def splice(data, table, additions, cut):
    """`data` with `additions[i]` appended to span i, and the attributes whose key is in `cut` taken out of it.

    Spans whose addition is None stay as they are; b"" only cuts. All bytes outside the edited spans' attributes and
    the lengths around them are the same; where nothing changes, `data` itself is returned. Raises ValueError where
    the number of additions or of spans in `table` is not that of `data`, WireError for malformed bytes.
    """
    cdef bytes raw = data if type(data) is bytes else bytes(data)
    keyset = key_set(cut)
    cdef CompiledKeys lookup = compiled(keyset)
    cdef Plan plan
    cdef list keep = []
    if PyBytes_GET_SIZE(raw) > BYTES:
        raise WireError(0, FAULTS[TOO_MANY_BYTES])
    if len(additions) != table.n:
        raise ValueError(
            f"{len(additions)} additions for {table.n} spans; give one for each (None: leave the span alone)"
        )
    own_ = np.ascontiguousarray(table.own_attr, dtype=np.bool_)
    if len(own_) != table.n:
        raise ValueError(f"the table has {table.n} spans, and {len(own_)} flags of own attributes")
    plan.cut = &lookup.keys
    plan.carries_own = <const uint8_t*>address(own_) if keyset.are_own else NULL
    return spliced(raw, &plan, additions, 0, table.n, keep)


def append(data, additions, first, n):
    """`data`, a message with `n` spans, with `additions[first + i]` appended to span i. Errors as of `splice`."""
    cdef bytes raw = data if type(data) is bytes else bytes(data)
    cdef Plan plan
    cdef Keys nothing
    cdef list keep = []
    if PyBytes_GET_SIZE(raw) > BYTES:
        raise WireError(0, FAULTS[TOO_MANY_BYTES])
    nothing.n = 0
    plan.cut = &nothing
    plan.carries_own = NULL
    return spliced(raw, &plan, additions, first, n, keep)


cdef bytes spliced(bytes raw, Plan* plan, additions, int64_t first, int32_t n, list keep):
    """`plan` says what is to be cut."""
    cdef int64_t size = PyBytes_GET_SIZE(raw)
    cdef int64_t growth = 0
    cdef bint ok
    cdef bytes made
    cdef uint8_t* out
    plan.fault.problem = 0
    plan.base = <const uint8_t*>PyBytes_AS_STRING(raw)
    plan.n_edits = n
    plan.n_spans = 0
    plan.changes = NULL
    plan.n_changes = 0
    plan.capacity = 0
    plan.edits = edits_of(additions, first, n, keep)
    try:
        with nogil:
            ok = plan_message(plan, 0, plan.base, plan.base + size, &growth)
        if ok and plan.n_spans != plan.n_edits or not ok and plan.fault.problem == OTHER_COUNT:
            raise ValueError(f"the table has {plan.n_edits} spans, the data has another number of them")
        if not ok:
            if plan.fault.problem == cursor.NO_MEMORY:
                raise MemoryError
            raise WireError(plan.fault.at - plan.base, FAULTS[plan.fault.problem])
        if plan.n_changes == 0:
            return raw
        if size + growth > BYTES:
            raise WireError(0, FAULTS[TOO_MANY_BYTES])
        made = PyBytes_FromStringAndSize(NULL, size + growth)
        out = <uint8_t*>PyBytes_AS_STRING(made)
        with nogil:
            write_changes(plan, size, out)
        return made
    finally:
        free(plan.changes)
        free(<void*>plan.edits)
