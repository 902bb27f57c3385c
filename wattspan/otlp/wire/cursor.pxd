"""Reading protobuf bytes: every function here takes `end`, and returns NULL with a fault rather than read past it."""

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

cdef struct Fault:
    int problem
    const uint8_t* at

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


cdef inline const uint8_t* fail(Fault* fault, int problem, const uint8_t* at) noexcept nogil:
    fault.problem = problem
    fault.at = at
    return NULL


cdef inline uint64_t load_u64(const uint8_t* p) noexcept nogil:
    """Little-endian on every machine; compilers make one load of it."""
    return (
        <uint64_t>p[0] | <uint64_t>p[1] << 8 | <uint64_t>p[2] << 16 | <uint64_t>p[3] << 24
        | <uint64_t>p[4] << 32 | <uint64_t>p[5] << 40 | <uint64_t>p[6] << 48 | <uint64_t>p[7] << 56
    )


cdef inline uint64_t load_u64_big_endian(const uint8_t* p) noexcept nogil:
    return (
        <uint64_t>p[7] | <uint64_t>p[6] << 8 | <uint64_t>p[5] << 16 | <uint64_t>p[4] << 24
        | <uint64_t>p[3] << 32 | <uint64_t>p[2] << 40 | <uint64_t>p[1] << 48 | <uint64_t>p[0] << 56
    )


cdef inline const uint8_t* take_varint(
    const uint8_t* p, const uint8_t* end, uint64_t* value, Fault* fault
) noexcept nogil:
    """A varint of up to 10 bytes; bits above the 64th are dropped, as protobuf's parsers do."""
    cdef const uint8_t* q = p
    cdef uint64_t number = 0
    cdef int shift = 0
    if p < end and p[0] < 0x80:
        value[0] = p[0]
        return p + 1
    while q < end:
        number |= <uint64_t>(q[0] & 0x7F) << shift
        if q[0] < 0x80:
            value[0] = number
            return q + 1
        shift += 7
        q += 1
        if shift == 70:
            return fail(fault, VARINT_LONG, p)
    return fail(fault, VARINT_CUT, p)


cdef inline const uint8_t* take_tag(
    const uint8_t* p, const uint8_t* end, uint32_t* tag, Fault* fault
) noexcept nogil:
    """A field's tag: its number << 3 | wire type."""
    cdef uint64_t number
    cdef const uint8_t* q
    if p < end and p[0] < 0x80:
        tag[0] = p[0]
        return p + 1
    q = take_varint(p, end, &number, fault)
    if q == NULL:
        return NULL
    if q - p > 5 or number > 0xFFFFFFFFu:
        return fail(fault, TAG_LONG, p)
    tag[0] = <uint32_t>number
    return q


cdef inline const uint8_t* take_length(
    const uint8_t* p, const uint8_t* end, int64_t* length, Fault* fault
) noexcept nogil:
    """A length that fits into what is left of the message; returns where the counted bytes begin."""
    cdef uint64_t number
    cdef const uint8_t* q
    if p < end and p[0] < 0x80 and p[0] < end - p:
        length[0] = p[0]
        return p + 1
    q = take_varint(p, end, &number, fault)
    if q == NULL:
        return NULL
    if q - p > 5 or number > 0x7FFFFFFFu:
        return fail(fault, LENGTH_LONG, p)
    if <int64_t>number > end - q:
        return fail(fault, LENGTH_PAST, p)
    length[0] = <int64_t>number
    return q


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
