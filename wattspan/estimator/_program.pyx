# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`run`: the operations of a formula (`program.py`), over some rows at a time so that all stay in the nearest cache."""

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef object INT64 = np.dtype(np.int64)
cdef object DOUBLE = np.dtype(np.float64)
cdef object FLAG = np.dtype(np.bool_)
cdef object empty = np.empty

# As program.OPERATIONS and program.LOADS number them.
cdef enum Code:
    ADD = 0
    SUBTRACT = 1
    MULTIPLY = 2
    DIVIDE = 3
    ABOVE = 4
    BOTH = 5
    INVERT = 6
    CHOOSE = 7
    CONSTANT = 8
    FLOATS = 9
    INTS = 10
    FLAGS = 11

cdef enum:
    ROWS = 128
    # Other threads get the interpreter for more rows than this: handing it over and back has its price.
    WORTH_ROWS = 8192
    MOST_COLUMNS = 32
    MOST_REGISTERS = 256

# `a`, `b`, `c`: registers, or which constant or column is loaded.
cdef struct Step:
    int32_t code
    int32_t to
    int32_t a
    int32_t b
    int32_t c

cdef struct Data:
    const double* table
    int64_t width
    const int64_t* lines
    const void* columns[MOST_COLUMNS]


cdef void load(const Step* step, const Data* data, int64_t first, int n, double* to) noexcept nogil:
    cdef const double* constants
    cdef const double* floats
    cdef const int64_t* ints
    cdef const uint8_t* flags
    cdef int row
    if step.code == CONSTANT:
        constants = data.table + step.a * data.width
        for row in range(n):
            to[row] = constants[data.lines[first + row]]
    elif step.code == FLOATS:
        floats = <const double*>data.columns[step.a] + first
        memcpy(to, floats, n * sizeof(double))
    elif step.code == INTS:
        ints = <const int64_t*>data.columns[step.a] + first
        for row in range(n):
            to[row] = <double>ints[row]
    else:
        flags = <const uint8_t*>data.columns[step.a] + first
        for row in range(n):
            to[row] = flags[row] != 0


cdef void work(
    int32_t code, int n, const double* a, const double* b, const double* c, double* to
) noexcept nogil:
    cdef int row
    if code == ADD:
        for row in range(n):
            to[row] = a[row] + b[row]
    elif code == SUBTRACT:
        for row in range(n):
            to[row] = a[row] - b[row]
    elif code == MULTIPLY:
        for row in range(n):
            to[row] = a[row] * b[row]
    elif code == DIVIDE:
        for row in range(n):
            to[row] = a[row] / b[row]
    elif code == ABOVE:
        for row in range(n):
            to[row] = a[row] > b[row]
    elif code == BOTH:
        for row in range(n):
            to[row] = a[row] != 0 and b[row] != 0
    elif code == INVERT:
        for row in range(n):
            to[row] = a[row] == 0
    else:
        for row in range(n):
            to[row] = b[row] if a[row] != 0 else c[row]


cdef void follow(
    const Step* steps, int n_steps, const Data* data, int64_t n, double* room, const int32_t* results, int n_results,
    double* out
) noexcept nogil:
    cdef const Step* step
    cdef int64_t first = 0
    cdef int place
    cdef int many
    while first < n:
        many = <int>min(n - first, ROWS)
        for place in range(n_steps):
            step = &steps[place]
            if step.code >= CONSTANT:
                load(step, data, first, many, room + step.to * ROWS)
            else:
                work(
                    step.code, many, room + step.a * ROWS, room + step.b * ROWS, room + step.c * ROWS,
                    room + step.to * ROWS,
                )
        for place in range(n_results):
            memcpy(out + place * n + first, room + results[place] * ROWS, many * sizeof(double))
        first += many


cdef const void* start_of(array, dtype, int64_t n) except? NULL:
    """Where a contiguous array of n items begins; the caller keeps the array."""
    cdef Py_buffer view
    cdef const void* at
    if array.dtype != dtype or array.size != n:
        raise ValueError(f"{array.dtype}[{array.size}] was given where {dtype}[{n}] is wanted")
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    at = view.buf
    PyBuffer_Release(&view)
    return at


def run(bytes steps, int registers, list literals, bytes results, table, lines, list columns):
    """The results of a program, a float64[n] each: see `Program.over`.

    `steps`: `Step`s; the first `registers` hold the literals; `results`: int32 registers. Raises ValueError for arrays of
    another type or length, and for steps that name what is not there.
    """
    cdef const Step* step = <const Step*>PyBytes_AS_STRING(steps)
    cdef const int32_t* result = <const int32_t*>PyBytes_AS_STRING(results)
    cdef int n_steps = <int>(PyBytes_GET_SIZE(steps) // sizeof(Step))
    cdef int n_results = <int>(PyBytes_GET_SIZE(results) // sizeof(int32_t))
    cdef int64_t n = len(lines)
    cdef int64_t first
    cdef int64_t row
    cdef Data data
    cdef double* room
    cdef double* out
    cdef double literal
    cdef int place
    cdef int many
    cdef list keep = []
    if len(columns) > MOST_COLUMNS or registers > MOST_REGISTERS or len(literals) > registers:
        raise ValueError(f"{len(columns)} columns and {registers} registers are more than a program can have")
    for place in range(n_steps):
        check(&step[place], registers, len(table), columns)
    for place in range(n_results):
        if not 0 <= result[place] < registers:
            raise ValueError(f"result {place} is in register {result[place]} of {registers}")
    data.width = table.shape[1]
    data.table = <const double*>start_of(table, DOUBLE, len(table) * data.width)
    data.lines = <const int64_t*>start_of(lines, INT64, n)
    for row in range(n):
        if not 0 <= data.lines[row] < data.width:
            raise ValueError(f"row {row} has its constants in column {data.lines[row]} of {data.width}")
    for place in range(n_steps):
        if step[place].code > CONSTANT:
            column = np.ascontiguousarray(columns[step[place].a])
            keep.append(column)
            data.columns[step[place].a] = start_of(
                column, DOUBLE if step[place].code == FLOATS else INT64 if step[place].code == INTS else FLAG, n
            )
    made = empty((n_results, n), DOUBLE)
    out = <double*>start_of(made, DOUBLE, n_results * n)
    room = <double*>malloc(<size_t>registers * ROWS * sizeof(double) + 1)
    if room == NULL:
        raise MemoryError
    try:
        for place, literal in enumerate(literals):
            for many in range(<int>min(n, ROWS)):
                room[place * ROWS + many] = literal
        if n > WORTH_ROWS:
            with nogil:
                follow(step, n_steps, &data, n, room, result, n_results, out)
        else:
            follow(step, n_steps, &data, n, room, result, n_results, out)
    finally:
        free(room)
    return list(made)


cdef int check(const Step* step, int registers, int constants, list columns) except -1:
    cdef int most = registers
    if step.code == CONSTANT:
        most = constants
    elif step.code > CONSTANT:
        most = <int>len(columns)
    if not (
        ADD <= step.code <= FLAGS and 0 <= step.to < registers and 0 <= step.a < most and 0 <= step.b < registers
        and 0 <= step.c < registers
    ):
        raise ValueError(f"a step of code {step.code} names what is not there")
    return 0
