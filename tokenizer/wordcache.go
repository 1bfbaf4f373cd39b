package tokenizer

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"
)

const (
	cacheSlots = 1 << 14
	cacheKey   = 32 // longest word kept, in bytes
	cacheIDs   = 8  // most tokens kept of a word
)

// wordCache remembers the tokens of short words. It has a fixed number of places, each for the word seen
// last of those that hash to it: at most 1.3 MB, whatever the text. Entries do not change once stored, so
// that readers need no lock.
type wordCache struct {
	seed  maphash.Seed
	slots [cacheSlots]atomic.Pointer[cacheEntry]
}

type cacheEntry struct {
	keyLen, idLen uint8
	key           [cacheKey]byte
	ids           [cacheIDs]int32
}

func newWordCache() *wordCache { return &wordCache{seed: maphash.MakeSeed()} }

// slot returns the place of word, or nil if the word is too long to be kept.
func (c *wordCache) slot(word []byte) *atomic.Pointer[cacheEntry] {
	if len(word) > cacheKey {
		return nil
	}
	return &c.slots[maphash.Bytes(c.seed, word)%cacheSlots]
}

// cacheLookup appends the tokens of word to dst if the slot holds them.
func cacheLookup(slot *atomic.Pointer[cacheEntry], dst []int32, word []byte) ([]int32, bool) {
	if slot == nil {
		return dst, false
	}
	e := slot.Load()
	if e == nil || !bytes.Equal(e.key[:e.keyLen], word) {
		return dst, false
	}
	return append(dst, e.ids[:e.idLen]...), true
}

// cacheStore keeps the tokens of word.
func cacheStore(slot *atomic.Pointer[cacheEntry], word []byte, ids []int32) {
	if slot == nil || len(ids) > cacheIDs {
		return
	}
	e := &cacheEntry{keyLen: uint8(len(word)), idLen: uint8(len(ids))}
	copy(e.key[:], word)
	copy(e.ids[:], ids)
	slot.Store(e)
}
