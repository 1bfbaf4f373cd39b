package tokenizer

import (
	"math/bits"
	"math/rand/v2"
)

// pairTable maps two symbols to the rank and the result of their merge. It is a hash table with open addressing that is
// filled once: a merge list of 300,000 takes 12 MB. A pair that does not merge, as most, costs one look at eight bytes.
// The hash has a seed of its own for each table, so that no file can be made to be slow.
type pairTable struct {
	slots  []uint64 // upper half of the hash, then index into merges plus one, so that 0 is a free place
	merges []merge
	seed   uint64
}

type merge struct {
	left, right int32
	rank        uint32
	into        int32
}

// newPairTable has room for n merges.
func newPairTable(n int) pairTable {
	return pairTable{
		slots:  make([]uint64, 1<<bits.Len(uint(2*n+1))), // at most half in use
		merges: make([]merge, 0, n), seed: rand.Uint64(),
	}
}

func (x *pairTable) hash(left, right int32) uint64 {
	hi, lo := bits.Mul64((uint64(uint32(left))<<32|uint64(uint32(right)))^x.seed, 0x9E3779B97F4A7C15)
	return hi ^ lo
}

// add adds a merge unless the pair has one already: of two the first counts.
func (x *pairTable) add(left, right int32, rank uint32, into int32) {
	h, mask := x.hash(left, right), uint64(len(x.slots)-1)
	i := h & mask
	for ; x.slots[i] != 0; i = (i + 1) & mask {
		if s := x.slots[i]; s>>32 == h>>32 && x.merges[uint32(s)-1].of(left, right) {
			return
		}
	}
	x.merges = append(x.merges, merge{left, right, rank, into})
	x.slots[i] = h&^0xFFFFFFFF | uint64(len(x.merges))
}

func (m *merge) of(left, right int32) bool { return m.left == left && m.right == right }

// get returns the merge of two symbols, noRank if there is none.
func (x *pairTable) get(left, right int32) (rank uint32, into int32) {
	h, mask := x.hash(left, right), uint64(len(x.slots)-1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := x.slots[i]
		if s == 0 {
			return noRank, none
		}
		if s>>32 == h>>32 {
			if m := &x.merges[uint32(s)-1]; m.of(left, right) {
				return m.rank, m.into
			}
		}
	}
}
