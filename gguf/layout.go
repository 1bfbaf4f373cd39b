package gguf

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/tenon-go/tenon/tensor"
)

// removedTypes are ids that once were types. Files with them exist still.
var removedTypes = map[uint32]string{
	4:  "Q4_2",
	5:  "Q4_3",
	31: "Q4_0_4_4",
	32: "Q4_0_4_8",
	33: "Q4_0_8_8",
	36: "IQ4_NL_4_4",
	37: "IQ4_NL_4_8",
	38: "IQ4_NL_8_8",
}

// badType returns why id is no type that a tensor can have, or "".
func badType(id uint32) string {
	if id <= math.MaxUint8 && tensor.DType(id).Valid() {
		return ""
	}
	if name, removed := removedTypes[id]; removed {
		return fmt.Sprintf("type %d (%s) was removed from GGUF: quantize the model again", id, name)
	}
	return fmt.Sprintf("unknown type %d", id)
}

// tensorBytes returns the packed size of a tensor, or why there can be none. It needs positive sizes.
func tensorBytes(t tensor.DType, s tensor.Shape) (size int64, reason string) {
	blockElems, blockBytes := t.Block()
	if s[0]%blockElems != 0 {
		return 0, fmt.Sprintf("a row of %d elements is no whole number of %s blocks of %d", s[0], t, blockElems)
	}
	if s.Elems() < 0 {
		return 0, fmt.Sprintf("the number of elements of shape %v overflows", s)
	}
	hi, lo := bits.Mul64(uint64(s.Elems()/blockElems), uint64(blockBytes))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, fmt.Sprintf("the size of shape %v in %s overflows", s, t)
	}
	return int64(lo), ""
}

func tensorField(name string) string { return "tensor " + strconv.Quote(name) }

// alignUp returns the next multiple of align, a power of two, from n on.
func alignUp(n, align int64) int64 { return (n + align - 1) &^ (align - 1) }

// placeTensors checks where the tensors lie and makes their offsets relative to the file. The reader
// stands behind the last description.
func (r *reader) placeTensors(p *part) error {
	base := alignUp(int64(r.off), int64(p.alignment))
	size := int64(len(r.data))
	for i := range p.tensors {
		t := &p.tensors[i]
		if t.Offset%int64(p.alignment) != 0 {
			return r.fail(p.offsetAt[i], tensorField(t.Name), "offset %d is no multiple of the alignment %d", t.Offset, p.alignment)
		}
		// Compared without adding what the file says: the sum could overflow.
		if room := size - base; t.Offset > room || t.Size > room-t.Offset {
			return r.failKind(ErrTruncated, p.offsetAt[i], tensorField(t.Name),
				"%d bytes from offset %d of the tensor data, which has %d bytes", t.Size, t.Offset, max(room, 0))
		}
		t.Offset += base
	}
	return r.checkOverlap(p)
}

// checkOverlap returns an error if two tensors share bytes.
func (r *reader) checkOverlap(p *part) error {
	order := make([]int, len(p.tensors))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return int(min(max(p.tensors[a].Offset-p.tensors[b].Offset, -1), 1))
	})
	for i := 1; i < len(order); i++ {
		a, b := &p.tensors[order[i-1]], &p.tensors[order[i]]
		if a.Offset+a.Size > b.Offset {
			return r.fail(p.offsetAt[order[i]], tensorField(b.Name),
				"its bytes from %d overlap tensor %q, which ends at %d", b.Offset, a.Name, a.Offset+a.Size)
		}
	}
	return nil
}
