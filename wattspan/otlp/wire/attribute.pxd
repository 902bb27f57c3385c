"""One KeyValue: its key and its value, however the sender wrote them."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from wattspan.otlp.wire cimport cursor
from wattspan.otlp.wire.cursor cimport (
    Fault,
    check_message,
    fail,
    load_u64,
    skip_field,
    take_length,
    take_tag,
    take_varint,
)

# Numbers of the table: NONE to BYTES are AnyValue's field numbers.
cdef enum ValueType:
    V_NONE = 0
    V_STRING = 1
    V_BOOL = 2
    V_INT = 3
    V_DOUBLE = 4
    V_ARRAY = 5
    V_KVLIST = 6
    V_BYTES = 7

cdef struct Value:
    int type
    uint64_t bits
    const uint8_t* text
    int64_t length

cdef struct Attribute:
    const uint8_t* key
    int64_t key_length


cdef inline bint read_any_value(
    const uint8_t* p, const uint8_t* end, Value* value, int depth, Fault* fault
) noexcept nogil:
    """Merge an AnyValue into `value`: of its one-of fields the last wins."""
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef uint64_t number
    cdef int64_t length
    while p < end:
        start = p
        p = take_tag(p, end, &tag, fault)
        if p == NULL:
            return False
        if tag == 0x0A or tag == 0x3A or tag == 0x2A or tag == 0x32:
            p = take_length(p, end, &length, fault)
            if p == NULL:
                return False
            value.type = tag >> 3
            if tag == 0x0A:
                value.text = p
                value.length = length
            elif tag != 0x3A:
                if depth <= 0:
                    fail(fault, cursor.TOO_DEEP, start)
                    return False
                if not check_message(
                    cursor.ARRAY_VALUE if tag == 0x2A else cursor.KEY_VALUE_LIST,
                    p, p + length, depth - 1, fault,
                ):
                    return False
            p += length
        elif tag == 0x10 or tag == 0x18 or tag == 0x40:
            p = take_varint(p, end, &number, fault)
            if p == NULL:
                return False
            # Field 8 refers to a string table that traces do not have: it takes the place of the value before it.
            value.type = V_NONE if tag == 0x40 else tag >> 3
            value.bits = number if tag == 0x18 else number != 0
        elif tag == 0x21:
            if end - p < 8:
                fail(fault, cursor.FIXED_CUT, p)
                return False
            value.type = V_DOUBLE
            value.bits = load_u64(p)
            p += 8
        else:
            p = skip_field(start, p, end, tag, depth, fault)
            if p == NULL:
                return False
    return True


cdef inline bint is_own(const uint8_t* key, int64_t length) noexcept nogil:
    """As keyset.is_own_key."""
    if length >= 9 and key[0] == c"w":
        return memcmp(key, b"wattspan.", 9) == 0
    if length == 23:
        return memcmp(key, b"gen_ai.usage.energy_kwh", 23) == 0
    if length == 19:
        return memcmp(key, b"gen_ai.usage.co2e_g", 19) == 0
    return False


cdef inline bint read_plain_attribute(
    const uint8_t* p, const uint8_t* end, Attribute* attribute, Value* value
) noexcept nogil:
    """A KeyValue as every exporter writes it: a short key, then one text, number or truth value, and no more.

    False for all others, the malformed among them: read_any_attribute looks at those.
    """
    cdef int64_t left = end - p - 2
    cdef int64_t length
    if left < 2 or p[0] != 0x0A or p[1] > 0x7F or p[1] > left - 2:
        return False
    attribute.key = p + 2
    attribute.key_length = p[1]
    p += 2 + attribute.key_length
    # What follows: tag and length of the AnyValue, then tag of its one field.
    left = end - p - 2
    if p[0] != 0x12 or p[1] > 0x7F or p[1] != left or left < 2:
        return False
    p += 2
    value.type = p[0] >> 3
    value.bits = 0
    value.text = NULL
    value.length = 0
    if p[0] == 0x0A:
        value.text = p + 2
        value.length = left - 2
        return p[1] == left - 2
    if p[0] == 0x18 or p[0] == 0x10:
        length = 1
        value.bits = p[1] & 0x7F
        while p[length] > 0x7F:
            length += 1
            if length == left or length > 10:
                return False
            value.bits |= <uint64_t>(p[length] & 0x7F) << 7 * (length - 1)
        if p[0] == 0x10:
            value.bits = value.bits != 0
        return length == left - 1
    if p[0] == 0x21 and left == 9:
        value.bits = load_u64(p + 1)
        return True
    return False


cdef inline bint read_any_attribute(
    const uint8_t* p, const uint8_t* end, Attribute* attribute, Value* value, int depth, Fault* fault
) noexcept nogil:
    """Any KeyValue: the last key wins, values merge, in whatever order they come."""
    cdef const uint8_t* start
    cdef uint32_t tag
    cdef int64_t length
    attribute.key = p
    attribute.key_length = 0
    value.type = V_NONE
    value.bits = 0
    value.text = NULL
    value.length = 0
    while p < end:
        start = p
        p = take_tag(p, end, &tag, fault)
        if p == NULL:
            return False
        if tag == 0x0A or tag == 0x12:
            p = take_length(p, end, &length, fault)
            if p == NULL:
                return False
            if tag == 0x0A:
                attribute.key = p
                attribute.key_length = length
            else:
                if depth <= 0:
                    fail(fault, cursor.TOO_DEEP, start)
                    return False
                if not read_any_value(p, p + length, value, depth - 1, fault):
                    return False
            p += length
        else:
            p = skip_field(start, p, end, tag, depth, fault)
            if p == NULL:
                return False
    return True
