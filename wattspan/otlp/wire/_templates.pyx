# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`fill`: attributes of many spans from templates: the bytes of a kind of estimate, with places for its numbers."""

import numpy as np

from wattspan.otlp.wire.encode import Additions

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from wattspan.otlp.wire._kernel cimport address
from wattspan.otlp.wire.writing cimport put_double

cdef enum:
    MOST_NUMBERS = 31
    # Choices at hand: kinds of calls take turns, and asking Python for each cost more than writing it.
    AT_HAND = 64

# `holes`: pairs of an offset in the text and the column whose number goes there.
cdef struct Template:
    const uint8_t* text
    int64_t length
    int32_t n_holes
    const int32_t* holes


cdef inline void write(const Template* template, const double** numbers, int64_t row, uint8_t* out) noexcept nogil:
    cdef int32_t hole
    memcpy(out, template.text, template.length)
    for hole in range(template.n_holes):
        put_double(out + template.holes[2 * hole], &numbers[template.holes[2 * hole + 1]][row])


cdef int add_template(Template* template, found, int64_t columns, list keep) except -1:
    cdef int32_t hole
    text, holes = found
    if type(text) is not bytes or type(holes) is not bytes or PyBytes_GET_SIZE(holes) % 8:
        raise TypeError("a template is bytes, and pairs of 32-bit numbers as bytes")
    keep.append(found)
    template.text = <const uint8_t*>PyBytes_AS_STRING(text)
    template.length = PyBytes_GET_SIZE(text)
    template.n_holes = <int32_t>(PyBytes_GET_SIZE(holes) // 8)
    template.holes = <const int32_t*>PyBytes_AS_STRING(holes)
    for hole in range(template.n_holes):
        if not (
            0 <= template.holes[2 * hole] <= template.length - 8 and 0 <= template.holes[2 * hole + 1] < columns
        ):
            raise ValueError(f"hole {hole} of a template lies outside its text, or is for no column")
    return 0


cdef object _as(array, dtype, int64_t k, list keep):
    array = np.ascontiguousarray(array, dtype=dtype)
    if len(array) != k:
        raise ValueError(f"a column of {len(array)} rows among those of {k}")
    keep.append(array)
    return array


def fill(plan, basis, numbers, rows, n, template_of, other_rows=(), others=()):
    """The attributes of k calls as additions for `n` spans: row i goes to span `rows[i]`, ascending.

    `plan` int64[k], `basis` int32[k] and which of the `numbers` (float64[k] each) are finite choose the template: (bytes,
    holes), asked for as `template_of(row, finite)` once for each choice there is (`finite`: a bit a number). Span `other_rows[i]`, ascending too, gets
    `others[i]`. Raises ValueError where columns differ in length, a span is named twice, or is none of the n.
    """
    cdef int64_t n_spans = n
    cdef int64_t k = len(rows)
    cdef int64_t m = len(others)
    cdef int64_t row
    cdef int64_t span
    cdef int64_t place
    cdef int64_t total = 0
    cdef int64_t choice
    cdef int64_t choice_at_hand[AT_HAND]
    cdef int32_t code_at_hand[AT_HAND]
    cdef int32_t slot
    cdef int64_t last_span = -1
    cdef int32_t column
    cdef int32_t n_numbers = <int32_t>len(numbers)
    cdef int32_t n_templates = 0
    cdef const int64_t* plan_of
    cdef const int32_t* basis_of
    cdef const int64_t* spans
    cdef const int64_t* other_spans
    cdef const double* of[MOST_NUMBERS]
    cdef Template* templates = NULL
    cdef int32_t* code = NULL
    cdef int64_t* offsets
    cdef uint8_t* is_edited
    cdef uint8_t* out
    cdef uint8_t* start
    cdef bytes blob
    cdef bytes other
    cdef bint is_other
    cdef list keep = []
    cdef dict known = {}
    if n_numbers > MOST_NUMBERS:
        raise ValueError(f"{n_numbers} numbers a row; at most {MOST_NUMBERS}")
    plan_of = <const int64_t*>address(_as(plan, np.int64, k, keep))
    basis_of = <const int32_t*>address(_as(basis, np.int32, k, keep))
    spans = <const int64_t*>address(_as(rows, np.int64, k, keep))
    other_spans = <const int64_t*>address(_as(other_rows, np.int64, m, keep))
    for column in range(n_numbers):
        of[column] = <const double*>address(_as(numbers[column], np.float64, k, keep))
    for slot in range(AT_HAND):
        # No choice is negative: plans are counted from 0.
        choice_at_hand[slot] = -1
    offsets_ = np.empty(n_spans + 1, np.int64)
    edits_ = np.zeros(n_spans, np.bool_)
    offsets = <int64_t*>address(offsets_)
    is_edited = <uint8_t*>address(edits_)
    code = <int32_t*>malloc((k + 1) * sizeof(int32_t))
    templates = <Template*>calloc(k + 1, sizeof(Template))
    try:
        if code == NULL or templates == NULL:
            raise MemoryError
        for row in range(k):
            choice = plan_of[row] << 8 | basis_of[row]
            if choice < 0:
                raise ValueError(f"row {row} is of plan {plan_of[row]} and basis {basis_of[row]}; both are counted from 0")
            choice <<= n_numbers
            for column in range(n_numbers):
                choice |= <int64_t>(isfinite(of[column][row]) != 0) << column
            slot = <int32_t>(<uint64_t>choice * <uint64_t>0x9E3779B97F4A7C15u >> 58)
            if choice_at_hand[slot] != choice:
                found = known.get(choice)
                if found is None:
                    finite = choice & ((<int64_t>1 << n_numbers) - 1)
                    add_template(&templates[n_templates], template_of(row, finite), n_numbers, keep)
                    known[choice] = found = n_templates
                    n_templates += 1
                choice_at_hand[slot] = choice
                code_at_hand[slot] = found
            code[row] = code_at_hand[slot]
            total += templates[code[row]].length
        for other in others:
            total += PyBytes_GET_SIZE(other)
        blob = PyBytes_FromStringAndSize(NULL, total)
        start = out = <uint8_t*>PyBytes_AS_STRING(blob)
        row = place = 0
        span = 0
        while row < k or place < m:
            is_other = row == k or place < m and other_spans[place] < spans[row]
            last_span = other_spans[place] if is_other else spans[row]
            if not span <= last_span < n_spans:
                raise ValueError(f"span {last_span} is named twice, or out of order, or none of the {n_spans}")
            while span <= last_span:
                offsets[span] = out - start
                span += 1
            is_edited[last_span] = True
            if is_other:
                other = others[place]
                memcpy(out, PyBytes_AS_STRING(other), PyBytes_GET_SIZE(other))
                out += PyBytes_GET_SIZE(other)
                place += 1
            else:
                write(&templates[code[row]], of, row, out)
                out += templates[code[row]].length
                row += 1
        while span <= n_spans:
            offsets[span] = out - start
            span += 1
        return Additions(blob, offsets_, edits_)
    finally:
        free(code)
        free(templates)
