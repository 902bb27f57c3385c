"""Texts by content: a keyed hash, the table that gives each distinct text of a request a code, and a fixed key list."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from wattspan.otlp.wire.cursor cimport load_u64

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(_MSC_VER) && !defined(__SIZEOF_INT128__)
    #include <intrin.h>
    static inline uint64_t wattspan_fold(uint64_t a, uint64_t b) {
        uint64_t high, low = _umul128(a, b, &high);
        return high ^ low;
    }
    #else
    static inline uint64_t wattspan_fold(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)(product >> 64) ^ (uint64_t)product;
    }
    #endif
    """
    uint64_t fold "wattspan_fold"(uint64_t a, uint64_t b) noexcept nogil

cdef struct Secret:
    uint64_t first
    uint64_t second

cdef struct Text:
    const uint8_t* at
    int64_t length
    uint32_t hash
    uint32_t slot

cdef struct Texts:
    Text* items
    int32_t n
    int32_t capacity
    int32_t* slots
    uint32_t mask
    Secret secret

# The keys of one KeySet: open addressing over `slots` (index of the key, or -1).
cdef struct Keys:
    const uint8_t** at
    int32_t* length
    int32_t n
    int32_t* slots
    uint32_t mask


cdef inline uint64_t load_tail(const uint8_t* p, int64_t length) noexcept nogil:
    """The last 0 to 7 bytes as a number; never reads past them."""
    cdef uint64_t number = 0
    memcpy(&number, p, length)
    return number


cdef inline bint is_same(const uint8_t* a, const uint8_t* b, int64_t length) noexcept nogil:
    """Whether two texts of one length are equal; without a call for the 8 to 32 bytes that most keys have."""
    if length < 8 or length > 32:
        return memcmp(a, b, length) == 0
    if load_u64(a) != load_u64(b) or load_u64(a + length - 8) != load_u64(b + length - 8):
        return False
    return length <= 16 or (
        load_u64(a + 8) == load_u64(b + 8) and load_u64(a + length - 16) == load_u64(b + length - 16)
    )


cdef inline uint32_t hash_text(const uint8_t* p, int64_t length, Secret secret) noexcept nogil:
    """Keyed, so that nobody can send texts that all fall into one slot."""
    cdef uint64_t state = secret.first ^ <uint64_t>length
    cdef int64_t left = length
    while left > 16:
        state = fold(state ^ load_u64(p), secret.second ^ load_u64(p + 8))
        p += 16
        left -= 16
    if left >= 8:
        state = fold(state ^ load_u64(p), secret.second ^ load_u64(p + left - 8))
    else:
        state = fold(state ^ load_tail(p, left), secret.second)
    return <uint32_t>(state ^ state >> 32)


cdef inline bint start_texts(Texts* texts, Secret secret) noexcept nogil:
    """An empty table; False where there is no memory."""
    texts.secret = secret
    texts.n = 0
    texts.capacity = 64
    texts.mask = 127
    texts.items = <Text*>malloc(texts.capacity * sizeof(Text))
    texts.slots = <int32_t*>malloc((texts.mask + 1) * sizeof(int32_t))
    if texts.items == NULL or texts.slots == NULL:
        return False
    memset(texts.slots, 0xFF, (texts.mask + 1) * sizeof(int32_t))
    return True


cdef inline bint grow_texts(Texts* texts) noexcept nogil:
    cdef Text* items = <Text*>realloc(texts.items, 2 * <size_t>texts.capacity * sizeof(Text))
    cdef uint32_t mask = 2 * texts.mask + 1
    cdef int32_t* slots
    cdef uint32_t slot
    cdef int32_t code
    if items == NULL:
        return False
    texts.items = items
    slots = <int32_t*>malloc((<size_t>mask + 1) * sizeof(int32_t))
    if slots == NULL:
        return False
    memset(slots, 0xFF, (<size_t>mask + 1) * sizeof(int32_t))
    for code in range(texts.n):
        slot = items[code].hash & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = code
        items[code].slot = slot
    free(texts.slots)
    texts.slots = slots
    texts.mask = mask
    texts.capacity *= 2
    return True


cdef inline void clear_texts(Texts* texts) noexcept nogil:
    """Forget all texts, keep the memory."""
    cdef int32_t code
    for code in range(texts.n):
        texts.slots[texts.items[code].slot] = -1
    texts.n = 0


cdef inline int32_t intern(Texts* texts, const uint8_t* p, int64_t length) noexcept nogil:
    """Code of a text, a new one if it was not there yet; -1 where there is no memory.

    A table cannot overflow its codes: a message has fewer than 2^31 bytes, and a text has a tag and a length.
    """
    cdef uint32_t key = hash_text(p, length, texts.secret)
    cdef uint32_t slot = key & texts.mask
    cdef Text* known
    cdef int32_t code = texts.slots[slot]
    while code >= 0:
        known = &texts.items[code]
        if known.hash == key and known.length == length and is_same(known.at, p, length):
            return code
        slot = (slot + 1) & texts.mask
        code = texts.slots[slot]
    if texts.n == texts.capacity:
        if not grow_texts(texts):
            return -1
        slot = key & texts.mask
        while texts.slots[slot] >= 0:
            slot = (slot + 1) & texts.mask
    code = texts.n
    texts.items[code].at = p
    texts.items[code].length = length
    texts.items[code].hash = key
    texts.items[code].slot = slot
    texts.slots[slot] = code
    texts.n += 1
    return code


cdef inline uint32_t hash_key(const uint8_t* p, int64_t length) noexcept nogil:
    """Of length, ends and middle: attribute keys share long beginnings (`gen_ai.usage.`) and ends (`_tokens`)."""
    cdef uint64_t state = <uint64_t>length
    if length >= 8:
        state = fold(
            load_u64(p + length - 8) ^ state, load_u64(p + (length - 8) // 2) ^ <uint64_t>0x9E3779B97F4A7C15u
        )
    else:
        state = fold(load_tail(p, length) ^ state, <uint64_t>0x9E3779B97F4A7C15u)
    return <uint32_t>(state ^ state >> 32)


cdef inline int32_t find_key(const Keys* keys, const uint8_t* p, int64_t length) noexcept nogil:
    """Index of a key in the list, or -1."""
    cdef uint32_t slot = hash_key(p, length) & keys.mask
    cdef int32_t key = keys.slots[slot]
    while key >= 0:
        if keys.length[key] == length and is_same(keys.at[key], p, length):
            return key
        slot = (slot + 1) & keys.mask
        key = keys.slots[slot]
    return -1
