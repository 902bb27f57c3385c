"""Reading protobuf bytes: every function here takes `end`, and gives NULL with a fault rather than read past it.

The innermost ones are C: compilers inline them only where they are told to, and half the time of a scan hung on it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

# As limits.FAULTS numbers them.
cdef enum Problem:
    VARINT_CUT = 1
    VARINT_LONG = 2
    TAG_LONG = 3
    FIELD_ZERO = 4
    WIRE_TYPE = 5
    LENGTH_LONG = 6
    LENGTH_PAST = 7
    FIXED_CUT = 8
    GROUP_END = 9
    GROUP_OPEN = 10
    TOO_DEEP = 11
    TOO_MANY_ROWS = 12
    TOO_MANY_CELLS = 13
    TOO_MANY_BYTES = 14
    NO_MEMORY = 15

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    #if defined(__GNUC__)
    #define WATTSPAN_INLINE static inline __attribute__((always_inline))
    #define WATTSPAN_APART static __attribute__((noinline, cold, unused))
    #define WATTSPAN_SWAP __builtin_bswap64
    #define WATTSPAN_LIKELY(x) __builtin_expect(!!(x), 1)
    #else
    #include <stdlib.h>
    #define WATTSPAN_INLINE static __forceinline
    #define WATTSPAN_APART static __declspec(noinline)
    #define WATTSPAN_SWAP _byteswap_uint64
    #define WATTSPAN_LIKELY(x) (x)
    #endif
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define WATTSPAN_IS_BIG 1
    #else
    #define WATTSPAN_IS_BIG 0
    #endif

    /* Ask for `lines` cache lines from p on, none of them past end. */
    WATTSPAN_INLINE void wattspan_prefetch(const uint8_t *p, const uint8_t *end, int lines) {
    #if defined(__GNUC__)
        for (int line = 0; line < lines && p < end; line++, p += 64) __builtin_prefetch(p);
    #endif
    }

    typedef struct {
        int problem;
        const uint8_t *at;
    } wattspan_fault;

    WATTSPAN_INLINE uint64_t wattspan_load(const uint8_t *p) {
        uint64_t number;
        memcpy(&number, p, 8);
        return WATTSPAN_IS_BIG ? WATTSPAN_SWAP(number) : number;
    }

    WATTSPAN_INLINE uint64_t wattspan_load_big(const uint8_t *p) {
        uint64_t number;
        memcpy(&number, p, 8);
        return WATTSPAN_IS_BIG ? number : WATTSPAN_SWAP(number);
    }

    WATTSPAN_INLINE const uint8_t *wattspan_fail(wattspan_fault *fault, int problem, const uint8_t *at) {
        fault->problem = problem;
        fault->at = at;
        return NULL;
    }

    /* A varint of up to `most` bytes; `problem` is the fault of a longer one, or of a value above `largest`. */
    WATTSPAN_APART const uint8_t *wattspan_take_long(const uint8_t *p, const uint8_t *end, uint64_t *value, int most,
                                                     uint64_t largest, int problem, wattspan_fault *fault) {
        uint64_t number = 0;
        int place = 0;
        for (;; place++) {
            if (place == 10) return wattspan_fail(fault, 2, p);
            if (end - p <= place) return wattspan_fail(fault, 1, p);
            number |= (uint64_t)(p[place] & 0x7F) << 7 * place;
            if (p[place] < 0x80) break;
        }
        if (place >= most || number > largest) return wattspan_fail(fault, problem, p);
        *value = number;
        return p + place + 1;
    }

    WATTSPAN_INLINE const uint8_t *wattspan_take_varint(const uint8_t *p, const uint8_t *end, uint64_t *value,
                                                        wattspan_fault *fault) {
        if (WATTSPAN_LIKELY(p < end && *p < 0x80)) {
            *value = *p;
            return p + 1;
        }
        return wattspan_take_long(p, end, value, 10, UINT64_MAX, 2, fault);
    }

    WATTSPAN_INLINE const uint8_t *wattspan_take_tag(const uint8_t *p, const uint8_t *end, uint32_t *tag,
                                                     wattspan_fault *fault) {
        uint64_t number = 0;
        if (WATTSPAN_LIKELY(p < end && *p < 0x80)) {
            *tag = *p;
            return p + 1;
        }
        if (WATTSPAN_LIKELY(end - p > 1 && p[1] < 0x80)) {
            *tag = (uint32_t)(*p & 0x7F) | (uint32_t)p[1] << 7;
            return p + 2;
        }
        p = wattspan_take_long(p, end, &number, 5, UINT32_MAX, 3, fault);
        *tag = (uint32_t)number;
        return p;
    }

    WATTSPAN_INLINE const uint8_t *wattspan_take_length(const uint8_t *p, const uint8_t *end, int64_t *length,
                                                        wattspan_fault *fault) {
        uint64_t number = 0;
        const uint8_t *body;
        if (WATTSPAN_LIKELY(p < end && *p < 0x80)) {
            number = *p;
            body = p + 1;
        } else if (WATTSPAN_LIKELY(end - p > 1 && p[1] < 0x80)) {
            number = (uint64_t)(*p & 0x7F) | (uint64_t)p[1] << 7;
            body = p + 2;
        } else {
            body = wattspan_take_long(p, end, &number, 5, INT32_MAX, 6, fault);
            if (body == NULL) return NULL;
        }
        if ((int64_t)number > end - body) return wattspan_fail(fault, 7, p);
        *length = (int64_t)number;
        return body;
    }
    """
    ctypedef struct Fault "wattspan_fault":
        int problem
        const uint8_t* at

    void prefetch "wattspan_prefetch"(const uint8_t* p, const uint8_t* end, int lines) noexcept nogil

    # The caller has made sure of the 8 bytes that these read.
    uint64_t load_u64 "wattspan_load"(const uint8_t* p) noexcept nogil
    uint64_t load_u64_big_endian "wattspan_load_big"(const uint8_t* p) noexcept nogil

    const uint8_t* fail "wattspan_fail"(Fault* fault, int problem, const uint8_t* at) noexcept nogil

    # A varint of up to 10 bytes; bits above the 64th are dropped, as protobuf's parsers do.
    const uint8_t* take_varint "wattspan_take_varint"(
        const uint8_t* p, const uint8_t* end, uint64_t* value, Fault* fault
    ) noexcept nogil

    # A field's tag, its number << 3 | wire type: up to 5 bytes.
    const uint8_t* take_tag "wattspan_take_tag"(
        const uint8_t* p, const uint8_t* end, uint32_t* tag, Fault* fault
    ) noexcept nogil

    # A length of up to 5 bytes that fits into what is left; gives where the counted bytes begin.
    const uint8_t* take_length "wattspan_take_length"(
        const uint8_t* p, const uint8_t* end, int64_t* length, Fault* fault
    ) noexcept nogil

# Messages whose inside holds other messages; LEAF has scalars only.
cdef enum Message:
    NO_MESSAGE = 0
    LEAF = 1
    KEY_VALUE = 2
    ANY_VALUE = 3
    ARRAY_VALUE = 4
    KEY_VALUE_LIST = 5
    EVENT = 6
    LINK = 7


cdef inline const uint8_t* skip_group(
    const uint8_t* p, const uint8_t* end, uint32_t number, int depth, Fault* fault
) noexcept nogil:
    """To after the end tag of group `number`, whose start tag was read; `depth` levels are left for what is in it."""
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef uint64_t ignored
    cdef int64_t length
    while p < end:
        start = p
        p = take_tag(p, end, &tag, fault)
        if p == NULL:
            return NULL
        if tag & 7 == 0:
            p = take_varint(p, end, &ignored, fault)
        elif tag & 7 == 1:
            p = p + 8 if end - p >= 8 else fail(fault, FIXED_CUT, p)
        elif tag & 7 == 2:
            p = take_length(p, end, &length, fault)
            if p != NULL:
                p += length
        elif tag & 7 == 3:
            p = skip_group(p, end, tag >> 3, depth - 1, fault) if depth > 0 else fail(fault, TOO_DEEP, start)
        elif tag & 7 == 4:
            return p if tag >> 3 == number else fail(fault, GROUP_END, start)
        elif tag & 7 == 5:
            p = p + 4 if end - p >= 4 else fail(fault, FIXED_CUT, p)
        else:
            return fail(fault, WIRE_TYPE, start)
        if p == NULL:
            return NULL
    return fail(fault, GROUP_OPEN, end)


cdef inline const uint8_t* skip_field(
    const uint8_t* start, const uint8_t* p, const uint8_t* end, uint32_t tag, int depth, Fault* fault
) noexcept nogil:
    """To after the value of a field that nobody reads; its tag lies at `start`, its value at `p`."""
    cdef uint64_t ignored
    cdef int64_t length
    if tag < 8:
        return fail(fault, FIELD_ZERO, start)
    if tag & 7 == 2:
        p = take_length(p, end, &length, fault)
        if p == NULL:
            return NULL
        return p + length
    if tag & 7 == 0:
        return take_varint(p, end, &ignored, fault)
    if tag & 7 == 1:
        return p + 8 if end - p >= 8 else fail(fault, FIXED_CUT, p)
    if tag & 7 == 5:
        return p + 4 if end - p >= 4 else fail(fault, FIXED_CUT, p)
    if tag & 7 == 3:
        if depth <= 0:
            return fail(fault, TOO_DEEP, start)
        return skip_group(p, end, tag >> 3, depth - 1, fault)
    return fail(fault, GROUP_END if tag & 7 == 4 else WIRE_TYPE, start)


cdef inline Message submessage(Message message, uint32_t tag) noexcept nogil:
    """The message that a field of `message` with this tag holds; NO_MESSAGE for scalars and unknown fields."""
    if message == KEY_VALUE:
        return ANY_VALUE if tag == 0x12 else NO_MESSAGE
    if message == ANY_VALUE:
        return ARRAY_VALUE if tag == 0x2A else KEY_VALUE_LIST if tag == 0x32 else NO_MESSAGE
    if message == ARRAY_VALUE:
        return ANY_VALUE if tag == 0x0A else NO_MESSAGE
    if message == KEY_VALUE_LIST:
        return KEY_VALUE if tag == 0x0A else NO_MESSAGE
    if message == EVENT:
        return KEY_VALUE if tag == 0x1A else NO_MESSAGE
    if message == LINK:
        return KEY_VALUE if tag == 0x22 else NO_MESSAGE
    return NO_MESSAGE


cdef inline bint check_message(
    Message message, const uint8_t* p, const uint8_t* end, int depth, Fault* fault
) noexcept nogil:
    """Whether a message that nobody reads is well formed to its depth; `depth` levels are left for what is in it."""
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    cdef Message inner
    while p < end:
        start = p
        p = take_tag(p, end, &tag, fault)
        if p == NULL:
            return False
        inner = submessage(message, tag)
        if inner == NO_MESSAGE:
            p = skip_field(start, p, end, tag, depth, fault)
            if p == NULL:
                return False
            continue
        p = take_length(p, end, &length, fault)
        if p == NULL:
            return False
        if depth <= 0:
            fail(fault, TOO_DEEP, start)
            return False
        if not check_message(inner, p, p + length, depth - 1, fault):
            return False
        p += length
    return True
