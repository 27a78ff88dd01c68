# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Compiled counting of characters and words: the twin of the functions in ``counting.py``.

Both functions read the code units of each string where CPython keeps them (1, 2 or 4 bytes each)
and make a ``str`` only for a character or word that they have not seen before; the twin makes one
for every word. Callers pass exact ``str`` objects: ``counting.py`` checks them.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.unicode cimport (
    Py_UNICODE_ISSPACE, PyUnicode_DATA, PyUnicode_KIND, PyUnicode_READ, PyUnicode_Substring
)
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp

ctypedef fused CodeUnit:
    unsigned char
    unsigned short
    unsigned int

# The three kinds of string storage; a kind is also the number of bytes of a code unit.
cdef enum:
    ONE_BYTE = 1
    TWO_BYTES = 2

# Counts by code point lie in blocks of 256, allocated when first needed: nearly every text stays
# within a few blocks, and one table of all 0x110000 code points would cost 9 MB to clear.
cdef enum:
    BLOCK_SIZE = 256
    BLOCK_COUNT = 4352  # 0x110000 / 256

cdef enum:
    FIRST_SLOT_COUNT = 1024  # a power of two, as every later size


cdef struct Slot:
    uint64_t hash
    Py_ssize_t entry  # index of the word plus one; 0 marks a free slot


cdef class CharacterTable:
    """Counts by code point, and the characters in order of first appearance."""

    cdef int64_t* blocks[BLOCK_COUNT]
    cdef list seen

    def __cinit__(self):  # the object's memory, so every block pointer, starts as zero
        self.seen = []

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(BLOCK_COUNT):
            PyMem_Free(self.blocks[i])

    cdef int64_t* make_block(self, Py_ssize_t i) except NULL:
        self.blocks[i] = <int64_t*> PyMem_Calloc(BLOCK_SIZE, sizeof(int64_t))
        if self.blocks[i] == NULL:
            raise MemoryError("no memory for the character counts")
        return self.blocks[i]

    cdef dict as_dict(self):
        cdef dict counts = {}
        cdef str character
        cdef unsigned int point
        for character in self.seen:
            point = <Py_UCS4> character
            counts[character] = self.blocks[point // BLOCK_SIZE][point % BLOCK_SIZE]
        return counts


cdef int add_characters(
    CharacterTable table, const CodeUnit* units, Py_ssize_t length  # units [length]
) except -1:
    cdef Py_ssize_t i
    cdef int64_t* block
    cdef int64_t* count
    for i in range(length):
        block = table.blocks[units[i] // BLOCK_SIZE]
        if block == NULL:
            block = table.make_block(units[i] // BLOCK_SIZE)
        count = &block[units[i] % BLOCK_SIZE]
        if count[0] == 0:
            table.seen.append(<Py_UCS4> units[i])
        count[0] += 1
    return 0


def count_characters(texts):
    """Count the characters of exact ``str`` objects, in order of first appearance."""
    cdef CharacterTable table = CharacterTable()
    cdef str text
    cdef int kind
    for text in texts:
        kind = PyUnicode_KIND(text)
        if kind == ONE_BYTE:
            add_characters(table, <const unsigned char*> PyUnicode_DATA(text), len(text))
        elif kind == TWO_BYTES:
            add_characters(table, <const unsigned short*> PyUnicode_DATA(text), len(text))
        else:
            add_characters(table, <const unsigned int*> PyUnicode_DATA(text), len(text))
    return table.as_dict()


cdef class WordTable:
    """Open-addressing hash table: code points of a word -> its index, and a count for each index.

    A look-up needs no ``str`` object, which is what a dict would ask for at every word.
    """

    cdef Slot* slots  # [slot_count], at most half of them in use
    cdef int64_t* counts  # [slot_count / 2]
    cdef Py_ssize_t slot_count
    cdef uint64_t seed
    cdef list words

    def __cinit__(self):
        self.words = []
        # Python's own string hash is keyed anew in each process: with it as a seed, texts can't
        # be prepared to make every word collide.
        self.seed = <uint64_t> <Py_ssize_t> hash("word table")
        self.resize(FIRST_SLOT_COUNT)

    def __dealloc__(self):
        PyMem_Free(self.slots)
        PyMem_Free(self.counts)

    cdef int resize(self, Py_ssize_t slot_count) except -1:
        cdef Slot* slots = <Slot*> PyMem_Calloc(slot_count, sizeof(Slot))
        cdef int64_t* counts = <int64_t*> PyMem_Realloc(
            self.counts, slot_count // 2 * sizeof(int64_t)
        )
        if counts != NULL:
            self.counts = counts
        if slots == NULL or counts == NULL:
            PyMem_Free(slots)
            raise MemoryError("no memory for the word counts")
        cdef Py_ssize_t i, at
        for i in range(self.slot_count):
            if self.slots[i].entry:
                at = self.slots[i].hash & (slot_count - 1)
                while slots[at].entry:
                    at = (at + 1) & (slot_count - 1)
                slots[at] = self.slots[i]
        PyMem_Free(self.slots)
        self.slots = slots
        self.slot_count = slot_count
        return 0

    cdef int append(self, str word, uint64_t hash_value, Py_ssize_t at) except -1:
        """Put a new word with count 1 into the free slot ``at``."""
        self.words.append(word)
        cdef Py_ssize_t entry = len(self.words)
        self.counts[entry - 1] = 1
        self.slots[at].hash = hash_value
        self.slots[at].entry = entry
        if 2 * (entry + 1) > self.slot_count:
            self.resize(2 * self.slot_count)
        return 0

    cdef dict as_dict(self):
        cdef dict counts = {}
        cdef Py_ssize_t i
        for i in range(len(self.words)):
            counts[self.words[i]] = self.counts[i]
        return counts


cdef inline bint word_equals(str word, const CodeUnit* units, Py_ssize_t length):  # units [length]
    if len(word) != length:
        return False
    cdef int kind = PyUnicode_KIND(word)
    cdef const void* data = PyUnicode_DATA(word)
    if kind == sizeof(CodeUnit):
        return memcmp(data, units, length * sizeof(CodeUnit)) == 0
    # A word cut from a wide text is stored narrow if its own characters allow it.
    cdef Py_ssize_t i
    for i in range(length):
        if PyUnicode_READ(kind, <void*> data, i) != units[i]:
            return False
    return True


cdef int add_words(
    WordTable table, str text, const CodeUnit* units, Py_ssize_t length  # units [length]
) except -1:
    cdef Py_ssize_t start, end = 0, at
    cdef uint64_t hash_value
    while True:
        start = end
        while start < length and Py_UNICODE_ISSPACE(units[start]):
            start += 1
        if start == length:
            return 0
        hash_value = table.seed
        end = start
        while end < length and not Py_UNICODE_ISSPACE(units[end]):
            # The step of the FNV-1a hash, on code points so that the storage kind plays no part.
            hash_value = (hash_value ^ units[end]) * <uint64_t> 0x100000001B3
            end += 1
        hash_value ^= hash_value >> 32  # the low bits, which choose the slot, see all the others
        at = hash_value & (table.slot_count - 1)
        while table.slots[at].entry and not (
            table.slots[at].hash == hash_value
            and word_equals(
                <str> table.words[table.slots[at].entry - 1], &units[start], end - start
            )
        ):
            at = (at + 1) & (table.slot_count - 1)
        if table.slots[at].entry:
            table.counts[table.slots[at].entry - 1] += 1
        else:
            table.append(PyUnicode_Substring(text, start, end), hash_value, at)


def count_words(texts):
    """Count the words of exact ``str`` objects, in order of first appearance."""
    cdef WordTable table = WordTable()
    cdef str text
    cdef int kind
    for text in texts:
        kind = PyUnicode_KIND(text)
        if kind == ONE_BYTE:
            add_words(table, text, <const unsigned char*> PyUnicode_DATA(text), len(text))
        elif kind == TWO_BYTES:
            add_words(table, text, <const unsigned short*> PyUnicode_DATA(text), len(text))
        else:
            add_words(table, text, <const unsigned int*> PyUnicode_DATA(text), len(text))
    return table.as_dict()
