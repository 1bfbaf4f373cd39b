package tokenizer

import (
	"hash/maphash"
	"math/bits"
)

// textTable finds the id of a text. It is a hash table with open addressing that is filled once: what is not there,
// which is most of what merging asks for, costs one look at eight bytes. The hash has a seed of its own for each table,
// so that no file can be made to be slow.
type textTable struct {
	texts []string // by id
	slots []uint64 // upper half of the hash, then id plus one, so that 0 is a free place; at most half in use
	seed  maphash.Seed
}

// newTextTable returns a table of texts, of which repeated is one that is there twice, as id other before; or -1.
func newTextTable(texts []string) (x textTable, repeated, other int32) {
	x = textTable{texts: texts, slots: make([]uint64, 1<<bits.Len(uint(2*len(texts)))), seed: maphash.MakeSeed()}
	mask := uint64(len(x.slots) - 1)
	for id, text := range texts {
		h := maphash.String(x.seed, text)
		i := h & mask
		for ; x.slots[i] != 0; i = (i + 1) & mask {
			if s := x.slots[i]; s>>32 == h>>32 && texts[uint32(s)-1] == text {
				return x, int32(id), int32(uint32(s) - 1)
			}
		}
		x.slots[i] = h&^0xFFFFFFFF | uint64(id+1)
	}
	return x, none, none
}

// get returns the id of text, and whether there is one.
func (x *textTable) get(text string) (id int32, ok bool) {
	h, mask := maphash.String(x.seed, text), uint64(len(x.slots)-1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := x.slots[i]
		if s>>32 == h>>32 && s != 0 && x.texts[uint32(s)-1] == text {
			return int32(uint32(s) - 1), true
		}
		if s == 0 {
			return none, false
		}
	}
}

// find is get for bytes.
func (x *textTable) find(text []byte) (id int32, ok bool) {
	h, mask := maphash.Bytes(x.seed, text), uint64(len(x.slots)-1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := x.slots[i]
		if s>>32 == h>>32 && s != 0 && x.texts[uint32(s)-1] == string(text) {
			return int32(uint32(s) - 1), true
		}
		if s == 0 {
			return none, false
		}
	}
}
