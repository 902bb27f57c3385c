# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`encode_columns`: attributes of many spans, column by column, as the bytes that `splice` appends."""

import numpy as np

from wattspan.calls import Column
from wattspan.otlp.wire.encode import Additions, before_double, encode_attribute

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from wattspan.otlp.wire._kernel cimport address
from wattspan.otlp.wire.writing cimport SURPLUS, put, put_double, put_varint, width

# The least integer whose varint has 1, 2, ... 10 bytes.
cdef tuple OF_WIDTH = (0, 0x80, 0x4000, 0x20_0000, 0x1000_0000, *(2 ** bits for bits in (35, 42, 49, 56)), -1)

cdef enum CellKind:
    C_TEXT = 0
    C_DOUBLE = 1
    C_INT = 2
    C_BOOL = 3
    C_CONSTANT = 4

# One attribute of many spans. `texts` + at[i]..at[i + 1] is, for C_TEXT, the whole field of the text with code i; for
# C_BOOL, that of False and True; for C_CONSTANT (i = 0), that of all rows; for C_INT, the bytes before a value of i + 1 bytes; for C_DOUBLE (i = 0), the bytes
# before the value. `texts` has SURPLUS bytes behind its end.
cdef struct Cells:
    int kind
    const uint8_t* texts
    int64_t* at
    const int32_t* codes
    const double* doubles
    const int64_t* ints
    const uint8_t* flags
    const uint8_t* present


cdef inline int64_t place_of(const Cells* cells, int64_t row) noexcept nogil:
    """Which of the texts a cell begins with; -1 for a cell that is left out."""
    if cells.present != NULL and not cells.present[row]:
        return -1
    if cells.kind == C_DOUBLE:
        return 0 if isfinite(cells.doubles[row]) else -1
    if cells.kind == C_TEXT:
        return cells.codes[row]
    if cells.kind == C_BOOL:
        return cells.flags[row] != 0
    if cells.kind == C_CONSTANT:
        return 0
    return width(<uint64_t>cells.ints[row]) - 1


cdef int64_t column_size(const Cells* cells, int64_t k) noexcept nogil:
    """Bytes of all cells of a column."""
    cdef int64_t size = 0
    cdef int64_t row
    cdef int64_t place
    for row in range(k):
        place = place_of(cells, row)
        if place >= 0:
            size += cells.at[place + 1] - cells.at[place]
            if cells.kind == C_DOUBLE:
                size += 8
            elif cells.kind == C_INT:
                size += place + 1
    return size


cdef inline uint8_t* put_cell(const Cells* cells, int64_t row, uint8_t* out, const uint8_t* end) noexcept nogil:
    cdef int64_t place = place_of(cells, row)
    if place < 0:
        return out
    out = put(out, end, cells.texts + cells.at[place], cells.at[place + 1] - cells.at[place])
    if cells.kind == C_DOUBLE:
        return put_double(out, &cells.doubles[row])
    if cells.kind == C_INT:
        return put_varint(out, <uint64_t>cells.ints[row])
    return out


cdef void describe(column, int64_t k, Cells* cells, list keep) except *:
    """Fill `cells` from an AttributeColumn of k rows; the arrays and bytes it points into go to `keep`."""
    cdef int64_t row
    cdef int64_t n_names
    cdef const int32_t* codes
    key, values, present = column
    if present is not None:
        present = _array(key, present, np.bool_, k)
        keep.append(present)
        cells.present = <const uint8_t*>address(present)
    if isinstance(values, Column):
        array = _array(key, values.codes, np.int32, k)
        codes = <const int32_t*>address(array)
        n_names = len(values.names)
        fields = [b""] * n_names
        for row in range(k):
            if not 0 <= codes[row] < n_names:
                raise ValueError(f"attribute {key}: code {codes[row]} in row {row}, but {n_names} names")
            if fields[codes[row]] == b"" and values.names[codes[row]]:
                fields[codes[row]] = encode_attribute(key, values.names[codes[row]])
        cells.kind = C_TEXT
        cells.codes = codes
    elif isinstance(values, (str, bool, int, float)):
        array = None
        is_written = isfinite(values) if isinstance(values, float) else values != ""
        fields = [encode_attribute(key, values) if is_written else b""]
        cells.kind = C_CONSTANT
    elif values.dtype.kind == "b":
        array = _array(key, values, np.bool_, k)
        fields = [encode_attribute(key, False), encode_attribute(key, True)]
        cells.kind = C_BOOL
        cells.flags = <const uint8_t*>address(array)
    elif values.dtype.kind == "i":
        array = _array(key, values, np.int64, k)
        fields = [encode_attribute(key, number) for number in OF_WIDTH]
        fields = [field[: len(field) - 1 - place] for place, field in enumerate(fields)]
        cells.kind = C_INT
        cells.ints = <const int64_t*>address(array)
    elif values.dtype.kind == "f":
        array = _array(key, values, np.float64, k)
        fields = [before_double(key)]
        cells.kind = C_DOUBLE
        cells.doubles = <const double*>address(array)
    else:
        raise TypeError(f"attribute {key}: an array of {values.dtype} cannot be written; use float64, int64 or bool")
    cells.at = <int64_t*>calloc(len(fields) + 1, sizeof(int64_t))
    if cells.at == NULL:
        raise MemoryError
    for row in range(len(fields)):
        cells.at[row + 1] = cells.at[row] + PyBytes_GET_SIZE(fields[row])
    fields.append(bytes(SURPLUS))
    texts = b"".join(fields)
    keep.append((array, texts))
    cells.texts = <const uint8_t*>PyBytes_AS_STRING(texts)


def _array(key, values, dtype, k):
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.shape != (k,):
        raise ValueError(f"attribute {key} has an array of shape {array.shape}, there are {k} rows")
    return array


def encode_columns(columns, rows, n):
    """The attributes of `columns` as additions for `n` spans: row i of each column goes to span `rows[i]`.

    Spans that are not in `rows` are not edited. Raises ValueError for a span that is named twice or is none of the n,
    and for columns of another length than `rows`. The arrays must not be changed meanwhile: the GIL is released.
    """
    cdef int64_t k
    cdef int64_t row
    cdef int64_t span
    cdef int64_t last = -1
    cdef int64_t n_spans = n
    cdef int n_columns
    cdef int place
    cdef int64_t total = 0
    cdef Cells* cells
    cdef const int64_t* spans
    cdef const int64_t* order = NULL
    cdef int64_t* offsets
    cdef uint8_t* is_edited
    cdef uint8_t* out
    cdef uint8_t* start
    cdef bint is_ascending = True
    cdef bytes blob
    cdef list keep = []
    columns = list(columns)
    n_columns = len(columns)
    rows_ = np.ascontiguousarray(rows, dtype=np.int64)
    if rows_.ndim != 1:
        raise ValueError(f"rows have the shape {rows_.shape}; give one span row a call")
    k = len(rows_)
    spans = <const int64_t*>address(rows_)
    offsets_ = np.empty(n_spans + 1, np.int64)
    edits_ = np.zeros(n_spans, np.bool_)
    offsets = <int64_t*>address(offsets_)
    is_edited = <uint8_t*>address(edits_)
    for row in range(k):
        span = spans[row]
        if not 0 <= span < n_spans:
            raise ValueError(f"row {row} goes to span {span}, but there are {n_spans} spans")
        if is_edited[span]:
            raise ValueError(f"span {span} is named twice")
        is_edited[span] = True
        is_ascending = is_ascending and span > last
        last = span
    if not is_ascending:
        order_ = np.argsort(rows_)
        keep.append(order_)
        order = <const int64_t*>address(order_)
    cells = <Cells*>calloc(n_columns + 1, sizeof(Cells))
    if cells == NULL:
        raise MemoryError
    try:
        for place in range(n_columns):
            describe(columns[place], k, &cells[place], keep)
            total += column_size(&cells[place], k)
        blob = PyBytes_FromStringAndSize(NULL, total)
        start = <uint8_t*>PyBytes_AS_STRING(blob)
        with nogil:
            out = start
            span = 0
            for row in range(k):
                last = row if order == NULL else order[row]
                while span <= spans[last]:
                    offsets[span] = out - start
                    span += 1
                for place in range(n_columns):
                    out = put_cell(&cells[place], last, out, start + total)
            while span <= n_spans:
                offsets[span] = out - start
                span += 1
        return Additions(blob, offsets_, edits_)
    finally:
        for place in range(n_columns):
            free(cells[place].at)
        free(cells)
