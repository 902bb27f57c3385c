# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`group`: which spans of a scan say the same but for their numbers.

What a kind means is for `wattspan.otlp.dialects.kinds` to say; here are only keys and codes.
"""

import numpy as np

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from wattspan.otlp.wire cimport attribute, scanner
from wattspan.otlp.wire._kernel cimport Scanned, address, text_of
from wattspan.otlp.wire.interning cimport Secret, hash_text
from wattspan.otlp.wire.scanner cimport Cell, Scan, SpanRow

# How the value of a key decides the kind, beyond that the key is there and what type it has: not at all, by its text,
# by whether it says yes, by a text that may be long.
cdef enum Deciding:
    BY_TYPE = 0
    BY_TEXT = 1
    BY_TRUTH = 2
    BY_OBJECT = 3

cdef enum:
    LONGEST_NAME_BYTES = 1024
    LONGEST_OBJECT_BYTES = 512
    LONGEST_NO_BYTES = 5
    ERROR_STATUS = 2
    NO_CODE = -1
    LONG_TEXT = -2
    NO_MEMORY = -1
    TOO_MANY = -2
    MOST_KINDS = 4096

# Distinct rows of int32, each with a number: `arena` has them one after the other.
cdef struct Pack:
    int64_t at
    int32_t length
    uint32_t hash
    int32_t row

cdef struct Packs:
    int32_t* arena
    int64_t used
    int64_t room
    Pack* items
    int32_t n
    int32_t capacity
    int32_t* slots
    uint32_t mask
    Secret secret


cdef bint start_packs(Packs* packs, Secret secret) noexcept nogil:
    memset(packs, 0, sizeof(Packs))
    packs.secret = secret
    packs.capacity = 32
    packs.mask = 63
    packs.room = 4096
    packs.arena = <int32_t*>malloc(packs.room * sizeof(int32_t))
    packs.items = <Pack*>malloc(packs.capacity * sizeof(Pack))
    packs.slots = <int32_t*>malloc((packs.mask + 1) * sizeof(int32_t))
    if packs.arena == NULL or packs.items == NULL or packs.slots == NULL:
        return False
    memset(packs.slots, 0xFF, (packs.mask + 1) * sizeof(int32_t))
    return True


cdef void end_packs(Packs* packs) noexcept nogil:
    free(packs.arena)
    free(packs.items)
    free(packs.slots)


cdef int32_t* pack_room(Packs* packs, int64_t length) noexcept nogil:
    """Where a candidate of `length` numbers may be written; NULL where there is no memory."""
    cdef int64_t room = packs.room
    cdef int32_t* grown
    if packs.used + length > room:
        while packs.used + length > room:
            room *= 2
        grown = <int32_t*>realloc(packs.arena, <size_t>room * sizeof(int32_t))
        if grown == NULL:
            return NULL
        packs.arena = grown
        packs.room = room
    return packs.arena + packs.used


cdef bint grow_packs(Packs* packs) noexcept nogil:
    cdef Pack* items = <Pack*>realloc(packs.items, 2 * <size_t>packs.capacity * sizeof(Pack))
    cdef uint32_t mask = 4 * packs.capacity - 1
    cdef uint32_t slot
    cdef int32_t place
    cdef int32_t* slots
    if items == NULL:
        return False
    packs.items = items
    slots = <int32_t*>malloc((<size_t>mask + 1) * sizeof(int32_t))
    if slots == NULL:
        return False
    memset(slots, 0xFF, (<size_t>mask + 1) * sizeof(int32_t))
    for place in range(packs.n):
        slot = items[place].hash & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = place
    free(packs.slots)
    packs.slots = slots
    packs.mask = mask
    packs.capacity *= 2
    return True


cdef int32_t number_of(Packs* packs, int32_t length, int32_t row, int32_t most) noexcept nogil:
    """Number of the candidate that was written at `pack_room`; NO_MEMORY, TOO_MANY where there are MOST_KINDS."""
    cdef const uint8_t* candidate = <const uint8_t*>(packs.arena + packs.used)
    cdef int64_t size = length * <int64_t>sizeof(int32_t)
    cdef uint32_t key = hash_text(candidate, size, packs.secret)
    cdef uint32_t slot
    cdef int32_t place
    cdef Pack* known
    if packs.n == packs.capacity and not grow_packs(packs):
        return NO_MEMORY
    slot = key & packs.mask
    place = packs.slots[slot]
    while place >= 0:
        known = &packs.items[place]
        if known.hash == key and known.length == length and memcmp(packs.arena + known.at, candidate, size) == 0:
            return place
        slot = (slot + 1) & packs.mask
        place = packs.slots[slot]
    if packs.n == most:
        return TOO_MANY
    place = packs.n
    packs.n += 1
    packs.slots[slot] = place
    packs.items[place].at = packs.used
    packs.items[place].length = length
    packs.items[place].hash = key
    packs.items[place].row = row
    packs.used += length
    return place


cdef inline bint decide(const Scan* scan, const Cell* cell, int how, int32_t* code) noexcept nogil:
    """What the value of a cell has to say about the kind; False where it is too long to say anything."""
    cdef int64_t length
    code[0] = 0
    if how == BY_TYPE:
        return True
    if cell.type == attribute.V_STRING:
        length = scan.texts.items[cell.text].length
        if how == BY_TRUTH:
            code[0] = cell.text if length <= LONGEST_NO_BYTES else LONG_TEXT
            return True
        code[0] = cell.text
        return length <= (LONGEST_NAME_BYTES if how == BY_TEXT else LONGEST_OBJECT_BYTES)
    if cell.type == attribute.V_BOOL or cell.type == attribute.V_INT and how == BY_TRUTH:
        code[0] = NO_CODE - (cell.bits != 0)
    return True


cdef bint number_spans(
    const Scan* scan, const uint8_t* deciding, const int32_t* homes, const uint8_t* is_named, Packs* packs,
    int32_t* kinds
) noexcept nogil:
    """The kind of each span; -1 for spans whose kind is not to be remembered."""
    cdef const SpanRow* span
    cdef const Cell* cell
    cdef int32_t row
    cdef int32_t place
    cdef int32_t* pack
    cdef bint is_plain
    for row in range(scan.n_spans):
        span = &scan.spans[row]
        pack = pack_room(packs, 3 + 2 * <int64_t>span.n_cells)
        if pack == NULL:
            return False
        is_plain = not span.is_own
        pack[0] = homes[span.scope]
        pack[1] = span.status == ERROR_STATUS
        pack[2] = span.name if is_named[span.scope] else NO_CODE
        if is_named[span.scope] and scan.texts.items[span.name].length > LONGEST_NAME_BYTES:
            is_plain = False
        pack += 3
        cell = scan.cells + span.first_cell
        for place in range(span.n_cells):
            pack[0] = cell.key << 3 | cell.type
            if not decide(scan, cell, deciding[cell.key], &pack[1]):
                is_plain = False
            pack += 2
            cell += 1
        kinds[row] = -1
        if is_plain:
            kinds[row] = number_of(packs, 3 + 2 * span.n_cells, row, MOST_KINDS)
            if kinds[row] == NO_MEMORY:
                return False
    return True


cdef bint number_homes(
    const Scan* scan, const uint8_t* deciding, const uint8_t* is_named, Packs* packs, int32_t* homes
) noexcept nogil:
    """For each scope a number: the same for scopes of the same name whose resources say the same."""
    cdef int32_t* begin = <int32_t*>calloc(scan.n_resources + 2, sizeof(int32_t))
    cdef int32_t* of_resource = <int32_t*>malloc((scan.n_resources + 1) * sizeof(int32_t))
    cdef int32_t* cells = NULL
    cdef int32_t* outside = NULL
    cdef int32_t n_outside = 0
    cdef int32_t* pack
    cdef const Cell* cell
    cdef int32_t row
    cdef int32_t at = 0
    cdef int32_t upto
    cdef int32_t length
    cdef bint ok = False
    # Cells that are of no span, which are few.
    outside = <int32_t*>malloc((scan.n_cells + 1) * sizeof(int32_t))
    cells = <int32_t*>malloc((scan.n_cells + 1) * sizeof(int32_t))
    if begin != NULL and of_resource != NULL and outside != NULL and cells != NULL:
        ok = True
        for row in range(scan.n_spans + 1):
            upto = scan.n_cells if row == scan.n_spans else scan.spans[row].first_cell
            while at < upto:
                cell = &scan.cells[at]
                if cell.level == scanner.RESOURCE and deciding[cell.key]:
                    outside[n_outside] = at
                    n_outside += 1
                    begin[cell.row + 2] += 1
                at += 1
            if row < scan.n_spans:
                at += scan.spans[row].n_cells
        for row in range(scan.n_resources):
            begin[row + 2] += begin[row + 1]
        for at in range(n_outside):
            cell = &scan.cells[outside[at]]
            cells[begin[cell.row + 1]] = outside[at]
            begin[cell.row + 1] += 1
        for row in range(scan.n_resources):
            length = begin[row + 1] - begin[row]
            pack = pack_room(packs, 1 + 2 * length)
            if pack == NULL:
                ok = False
                break
            pack[0] = -1
            pack += 1
            for at in range(begin[row], begin[row + 1]):
                cell = &scan.cells[cells[at]]
                pack[0] = cell.key << 3 | cell.type
                pack[1] = cell.text
                pack += 2
            of_resource[row] = number_of(packs, 1 + 2 * length, row, scanner.MOST_ROWS * 2)
            ok = ok and of_resource[row] >= 0
        for row in range(scan.n_scopes if ok else 0):
            pack = pack_room(packs, 3)
            if pack == NULL:
                ok = False
                break
            pack[0] = of_resource[scan.scopes[row].resource]
            pack[1] = scan.scopes[row].name
            pack[2] = is_named[row]
            homes[row] = number_of(packs, 3, row, scanner.MOST_ROWS * 2)
            ok = ok and homes[row] >= 0
    free(begin)
    free(of_resource)
    free(cells)
    free(outside)
    return ok


cdef int64_t text_size(const Scan* scan, int32_t code) noexcept nogil:
    return 4 + (scan.texts.items[code].length if code >= 0 else 0)


cdef uint8_t* put_text(const Scan* scan, int32_t code, uint8_t* out) noexcept nogil:
    """A text with its length before it; what is no text by its (negative) code alone."""
    cdef int32_t length = code
    if code >= 0:
        length = <int32_t>scan.texts.items[code].length
        memcpy(out + 4, scan.texts.items[code].at, length)
    memcpy(out, &length, 4)
    return out + 4 + (length if code >= 0 else 0)


cdef int64_t put_pairs(const Scan* scan, const int32_t* pairs, int32_t n, uint8_t* out) noexcept nogil:
    """Keys and values of a pack as bytes that say the same in every request; only their size where `out` is NULL."""
    cdef int64_t size = 4
    cdef int32_t place
    if out != NULL:
        memcpy(out, &n, 4)
    for place in range(n):
        if out != NULL:
            memcpy(out + size, &pairs[2 * place], 4)
        size += 4
        if out != NULL:
            put_text(scan, pairs[2 * place + 1], out + size)
        size += text_size(scan, pairs[2 * place + 1])
    return size


cdef bytes content_of(const Scan* scan, const Packs* homes, const Packs* kinds, int32_t kind):
    """What makes a kind, in bytes that are the same in every request."""
    cdef const int32_t* pack = kinds.arena + kinds.items[kind].at
    cdef int32_t n = (kinds.items[kind].length - 3) // 2
    cdef const int32_t* scope = homes.arena + homes.items[pack[0]].at
    cdef const Pack* resource = &homes.items[scope[0]]
    cdef const int32_t* of_resource = homes.arena + resource.at + 1
    cdef int32_t n_of_resource = (resource.length - 1) // 2
    cdef int64_t size = 4 + text_size(scan, scope[1]) + text_size(scan, pack[2])
    cdef bytes made
    cdef uint8_t* out
    size += put_pairs(scan, of_resource, n_of_resource, NULL) + put_pairs(scan, pack + 3, n, NULL)
    made = PyBytes_FromStringAndSize(NULL, size)
    out = <uint8_t*>PyBytes_AS_STRING(made)
    memcpy(out, &pack[1], 4)
    out = put_text(scan, scope[1], out + 4)
    out = put_text(scan, pack[2], out)
    out += put_pairs(scan, of_resource, n_of_resource, out)
    put_pairs(scan, pack + 3, n, out)
    return made


def group(Scanned scanned, bytes deciding, bytes deciding_of_resource, dict names, is_named):
    """The kind of each span (int32[n], -1 where it is none to be remembered), and of each kind its content, its first row and
    where the values of that begin.

    `deciding`, `deciding_of_resource`: for each key how its value decides (BY_TYPE, ...). `names`: for scope names
    whether the names of their spans decide; `is_named(scope name)` answers for others. Spans of one kind have the
    same content; two requests with the same content have spans of one kind.
    """
    cdef const Scan* scan = &scanned.scan
    cdef Packs homes
    cdef Packs packs
    cdef int32_t* home_of
    cdef uint8_t* named
    cdef int32_t row
    cdef int32_t last = -1
    cdef bint ok
    cdef list contents
    cdef list first
    if PyBytes_GET_SIZE(deciding) != scan.keys.n or PyBytes_GET_SIZE(deciding_of_resource) != scan.keys.n:
        raise ValueError(f"{scan.keys.n} keys were asked for, {len(deciding)} are told how they decide")
    kinds_ = np.empty(scan.n_spans, np.int32)
    home_of = <int32_t*>malloc((scan.n_scopes + 1) * sizeof(int32_t))
    named = <uint8_t*>malloc(scan.n_scopes + 1)
    ok = start_packs(&homes, scan.texts.secret)
    ok = start_packs(&packs, scan.texts.secret) and ok
    try:
        if home_of == NULL or named == NULL or not ok:
            raise MemoryError
        for row in range(scan.n_scopes):
            if scan.scopes[row].name != last:
                last = scan.scopes[row].name
                name = text_of(scan, last)
                answer = names.get(name)
                if answer is None:
                    answer = is_named(name)
                ok = answer
            named[row] = ok
        ok = number_homes(scan, <const uint8_t*>PyBytes_AS_STRING(deciding_of_resource), named, &homes, home_of)
        ok = ok and number_spans(
            scan, <const uint8_t*>PyBytes_AS_STRING(deciding), home_of, named, &packs, <int32_t*>address(kinds_)
        )
        if not ok:
            raise MemoryError
        contents = [content_of(scan, &homes, &packs, row) for row in range(packs.n)]
        first = [(packs.items[row].row, scan.spans[packs.items[row].row].first_cell) for row in range(packs.n)]
        return kinds_, contents, first
    finally:
        end_packs(&homes)
        end_packs(&packs)
        free(home_of)
        free(named)
