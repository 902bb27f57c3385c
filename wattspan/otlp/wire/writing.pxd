"""Writing protobuf bytes into memory that the caller has made large enough."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

# Its C part is used here.
from wattspan.otlp.wire cimport cursor

cdef extern from *:
    """
    /* Copies 16 bytes at a time where there is room for the surplus: a call of memcpy costs more than a field. `from`
       has 16 readable bytes behind its end; what is written behind `out + length` is overwritten by what follows. */
    WATTSPAN_INLINE uint8_t *wattspan_put(uint8_t *out, const uint8_t *end, const uint8_t *from, int64_t length) {
        if (end - out < length + 16) {
            memcpy(out, from, length);
        } else {
            for (int64_t done = 0; done < length; done += 16) memcpy(out + done, from + done, 16);
        }
        return out + length;
    }

    WATTSPAN_INLINE uint8_t *wattspan_put_double(uint8_t *out, const double *from) {
        uint64_t bits;
        memcpy(&bits, from, 8);
        bits = wattspan_load((const uint8_t *)&bits);
        memcpy(out, &bits, 8);
        return out + 8;
    }
    """
    uint8_t* put "wattspan_put"(uint8_t* out, const uint8_t* end, const uint8_t* text, int64_t length) noexcept nogil
    uint8_t* put_double "wattspan_put_double"(uint8_t* out, const double* start) noexcept nogil

# Bytes that `put` may read behind what it copies.
cdef enum:
    SURPLUS = 16


cdef inline int width(uint64_t number) noexcept nogil:
    """Bytes of a varint."""
    cdef int bytes = 1
    while number > 0x7F:
        number >>= 7
        bytes += 1
    return bytes


cdef inline uint8_t* put_varint(uint8_t* out, uint64_t number) noexcept nogil:
    while number > 0x7F:
        out[0] = <uint8_t>(number & 0x7F | 0x80)
        number >>= 7
        out += 1
    out[0] = <uint8_t>number
    return out + 1
