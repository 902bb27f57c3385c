# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""`Recent` of `recent.py` in C arrays: thousands of traces come and go with every request."""

import os

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from wattspan.otlp.wire._kernel cimport address
from wattspan.otlp.wire.interning cimport fold

cdef uint64_t SECRET = int.from_bytes(os.urandom(8), "little")

cdef enum:
    NONE = -1

# A trace, in a ring from the one longest unseen to the one seen last. `batch`: NONE where its spans were unfolded.
cdef struct Entry:
    uint64_t key
    int32_t before
    int32_t after
    int32_t batch
    int32_t group
    uint32_t slot
    int64_t calls


cdef class Recent:
    """The traces seen last, and the batch that has the spans of each, where nobody has looked at them yet."""

    cdef Entry* entries
    cdef int32_t n
    cdef int32_t capacity
    cdef int32_t vacant
    cdef int32_t oldest
    cdef int32_t latest
    cdef int32_t* slots
    cdef uint32_t mask
    cdef int64_t total
    cdef list batches
    cdef int32_t* live
    cdef int32_t live_capacity
    cdef list vacant_batches

    def __cinit__(self):
        self.capacity = 64
        self.mask = 127
        self.vacant = self.oldest = self.latest = NONE
        self.entries = <Entry*>malloc(self.capacity * sizeof(Entry))
        self.slots = <int32_t*>malloc((self.mask + 1) * sizeof(int32_t))
        self.live_capacity = 64
        self.live = <int32_t*>malloc(self.live_capacity * sizeof(int32_t))
        if self.entries == NULL or self.slots == NULL or self.live == NULL:
            raise MemoryError
        memset(self.slots, 0xFF, (self.mask + 1) * sizeof(int32_t))
        self.batches, self.vacant_batches = [], []
        self.thread(0)

    def __dealloc__(self):
        free(self.entries)
        free(self.slots)
        free(self.live)

    cdef void thread(self, int32_t first) noexcept:
        """Put the entries from `first` on among the vacant ones."""
        cdef int32_t place
        for place in range(self.capacity - 1, first - 1, -1):
            self.entries[place].after = self.vacant
            self.vacant = place

    cdef uint32_t slot_of(self, uint64_t key) noexcept:
        """The slot of a key, or the empty one where it would go."""
        cdef uint32_t slot = self.home(key)
        while self.slots[slot] >= 0 and self.entries[self.slots[slot]].key != key:
            slot = (slot + 1) & self.mask
        return slot

    cdef inline uint32_t home(self, uint64_t key) noexcept:
        return <uint32_t>fold(key ^ SECRET, <uint64_t>0x9E3779B97F4A7C15u) & self.mask

    cdef int grow(self) except -1:
        cdef Entry* entries = <Entry*>realloc(self.entries, 2 * <size_t>self.capacity * sizeof(Entry))
        cdef int32_t* slots
        cdef int32_t place
        if entries == NULL:
            raise MemoryError
        self.entries = entries
        slots = <int32_t*>malloc(2 * (<size_t>self.mask + 1) * sizeof(int32_t))
        if slots == NULL:
            raise MemoryError
        free(self.slots)
        self.slots = slots
        self.mask = 2 * self.mask + 1
        memset(self.slots, 0xFF, (<size_t>self.mask + 1) * sizeof(int32_t))
        place = self.oldest
        while place >= 0:
            entries[place].slot = self.slot_of(entries[place].key)
            self.slots[entries[place].slot] = place
            place = entries[place].after
        self.capacity *= 2
        self.thread(self.capacity // 2)
        return 0

    cdef int grow_live(self) except -1:
        cdef int32_t* live = <int32_t*>realloc(self.live, 2 * <size_t>self.live_capacity * sizeof(int32_t))
        if live == NULL:
            raise MemoryError
        self.live = live
        self.live_capacity *= 2
        return 0

    cdef void unlink(self, int32_t place) noexcept:
        cdef Entry* entry = &self.entries[place]
        if entry.before >= 0:
            self.entries[entry.before].after = entry.after
        else:
            self.oldest = entry.after
        if entry.after >= 0:
            self.entries[entry.after].before = entry.before
        else:
            self.latest = entry.before

    cdef void append(self, int32_t place) noexcept:
        self.entries[place].before = self.latest
        self.entries[place].after = NONE
        if self.latest >= 0:
            self.entries[self.latest].after = place
        else:
            self.oldest = place
        self.latest = place

    cdef int32_t insert(self, uint64_t key) except -2:
        """The entry of a key, the last from now on; a new one has no batch and no calls."""
        cdef uint32_t slot
        cdef int32_t place
        if self.vacant == NONE:
            self.grow()
        slot = self.slot_of(key)
        place = self.slots[slot]
        if place >= 0:
            self.unlink(place)
        else:
            place = self.vacant
            self.vacant = self.entries[place].after
            self.slots[slot] = place
            self.entries[place].slot = slot
            self.entries[place].key = key
            self.entries[place].batch = NONE
            self.entries[place].calls = 0
            self.n += 1
        self.append(place)
        return place

    cdef void remove(self, int32_t place) noexcept:
        cdef uint32_t hole = self.entries[place].slot
        cdef uint32_t slot = hole
        cdef uint32_t wanted
        self.unlink(place)
        self.entries[place].after = self.vacant
        self.vacant = place
        self.n -= 1
        # What comes behind the hole moves up, unless it would come before the slot where its search begins.
        while True:
            slot = (slot + 1) & self.mask
            if self.slots[slot] < 0:
                break
            wanted = self.home(self.entries[self.slots[slot]].key)
            if ((slot - wanted) & self.mask) >= ((slot - hole) & self.mask):
                self.slots[hole] = self.slots[slot]
                self.entries[self.slots[hole]].slot = hole
                hole = slot
        self.slots[hole] = NONE

    cdef int leave(self, int32_t batch) except -1:
        """One trace fewer is in a batch; without any it goes."""
        self.live[batch] -= 1
        if self.live[batch] == 0:
            self.batches[batch] = None
            self.vacant_batches.append(batch)
        return 0

    def __len__(self):
        return self.n

    @property
    def calls(self):
        """Calls of all traces."""
        return self.total

    def __contains__(self, uint64_t key):
        return self.slots[self.slot_of(key)] >= 0

    def known(self, keys):
        """bool[g]: which of the traces uint64[g] are known; None where none is."""
        cdef const uint64_t* of = NULL
        cdef int64_t place
        cdef int64_t g
        keys = np.ascontiguousarray(keys, dtype=np.uint64)
        g = len(keys)
        of = <const uint64_t*>address(keys)
        found = None
        for place in range(g):
            if self.slots[self.slot_of(of[place])] >= 0:
                if found is None:
                    found = np.zeros(g, dtype=np.bool_)
                found[place] = True
        return found

    def add(self, keys, groups, sizes, batch):
        """New traces, all in `batch`: its group of each, int64[g], and how many calls that has."""
        cdef const uint64_t* of
        cdef const int64_t* group
        cdef const int64_t* size
        cdef int64_t at
        cdef int64_t g
        cdef int32_t place
        cdef int32_t slot
        keys = np.ascontiguousarray(keys, dtype=np.uint64)
        groups = np.ascontiguousarray(groups, dtype=np.int64)
        sizes = np.ascontiguousarray(sizes, dtype=np.int64)
        g = len(keys)
        if len(groups) != g or len(sizes) != g:
            raise ValueError(f"{g} traces with {len(groups)} groups and {len(sizes)} sizes")
        if g == 0:
            return
        of = <const uint64_t*>address(keys)
        group = <const int64_t*>address(groups)
        size = <const int64_t*>address(sizes)
        if self.vacant_batches:
            slot = self.vacant_batches.pop()
            self.batches[slot] = batch
        else:
            slot = <int32_t>len(self.batches)
            if slot == self.live_capacity:
                self.grow_live()
            self.batches.append(batch)
        self.live[slot] = <int32_t>g
        for at in range(g):
            place = self.insert(of[at])
            self.entries[place].batch = slot
            self.entries[place].group = <int32_t>group[at]
            self.entries[place].calls = size[at]
            self.total += size[at]

    def open(self, uint64_t key):
        """Make a trace the last one; its batch and group if it has them: from now on they are the caller's."""
        cdef int32_t place = self.insert(key)
        cdef int32_t slot = self.entries[place].batch
        if slot == NONE:
            return None
        found = self.batches[slot], self.entries[place].group
        self.entries[place].batch = NONE
        self.leave(slot)
        return found

    def resize(self, uint64_t key, int64_t calls):
        """Say how many calls a known trace has."""
        cdef int32_t place = self.slots[self.slot_of(key)]
        if place < 0:
            raise KeyError(key)
        self.total += calls - self.entries[place].calls
        self.entries[place].calls = calls

    def evict(self, int64_t most_traces, int64_t most_calls):
        """Forget the traces longest unseen until the bounds hold: how many, and which of them were opened."""
        cdef int64_t gone = 0
        cdef int32_t place
        opened = []
        while self.n > most_traces or (self.total > most_calls and self.n > 1):
            place = self.oldest
            self.total -= self.entries[place].calls
            if self.entries[place].batch == NONE:
                opened.append(self.entries[place].key)
            else:
                self.leave(self.entries[place].batch)
            self.remove(place)
            gone += 1
        return gone, opened
