"""What the kernel's modules share."""

from wattspan.otlp.wire.interning cimport Keys

cdef class CompiledKeys:
    cdef Keys keys
    cdef list encoded

cdef CompiledKeys compiled(keyset)
cdef void* address(array) except? NULL
