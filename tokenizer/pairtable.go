package tokenizer

import "math/bits"

// pairTable maps two symbols to the rank and the result of their merge. It is a hash table with open
// addressing that is filled once: a merge list of 300,000 takes 8 MB and one cache line a look-up.
type pairTable struct {
	slots []pairSlot // a power of two of them, at most half in use
	shift uint
}

type pairSlot struct {
	key  uint64 // both symbols plus one, so that 0 is a free place
	rank uint32
	into int32
}

func newPairTable(n int) pairTable {
	size := bits.Len(uint(2*n + 1))
	return pairTable{slots: make([]pairSlot, 1<<size), shift: uint(64 - size)}
}

func tableKey(left, right int32) uint64 { return uint64(left+1)<<32 | uint64(right+1) }

// find returns the place of key, or the free one where it belongs.
func (x *pairTable) find(key uint64) *pairSlot {
	mask := uint64(len(x.slots) - 1)
	for i := key * 0x9E3779B97F4A7C15 >> x.shift; ; i++ {
		s := &x.slots[i&mask]
		if s.key == key || s.key == 0 {
			return s
		}
	}
}

// add adds a merge unless the pair has one already: of two the first counts.
func (x *pairTable) add(left, right int32, rank uint32, into int32) {
	if s := x.find(tableKey(left, right)); s.key == 0 {
		*s = pairSlot{tableKey(left, right), rank, into}
	}
}

// get returns the merge of two symbols, noRank if there is none.
func (x *pairTable) get(left, right int32) (rank uint32, into int32) {
	if s := x.find(tableKey(left, right)); s.key != 0 {
		return s.rank, s.into
	}
	return noRank, none
}
