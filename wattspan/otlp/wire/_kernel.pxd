"""What the kernel's modules share."""

from libc.stdint cimport int32_t

from wattspan.otlp.wire.interning cimport Keys
from wattspan.otlp.wire.scanner cimport Scan

cdef class CompiledKeys:
    cdef Keys keys
    cdef list encoded

cdef class Scanned:
    cdef Scan scan
    cdef bint is_whole
    cdef readonly bytes data
    cdef object kept
    cdef readonly object keyset
    cdef CompiledKeys lookup
    cdef bint is_small(self)

cdef CompiledKeys compiled(keyset)
cdef Scanned new_scan(bytes data, keyset)
cdef bytes text_of(const Scan* scan, int32_t code)
cdef void* address(array) except? NULL
