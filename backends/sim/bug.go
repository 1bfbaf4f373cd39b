package sim

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// Bug is one of the mistakes that kernels are known for: see Break.
type Bug uint8

// The bugs. Each shows itself only where its like would in a kernel, so that a test finds it by the case
// that was made for it.
const (
	noBug Bug = iota
	// WrongScale makes results 1/16 too large. It leaves results alone that are no floats.
	WrongScale
	// WrongStride reads sources of which rows, planes or elements stand apart as if they were packed.
	WrongStride
	// MissedTail leaves unwritten what is beyond the last group of 8 elements of each row. It leaves
	// quantized results alone.
	MissedTail
	// RacingWrite loses the last row of a result in every second to fifth run, by the device's seed.
	RacingWrite
	// Overrun writes a byte after the result, if the buffer does not end there.
	Overrun
	// DirtySource changes a byte of the first source that the result does not lie in.
	DirtySource
	numBugs
)

var bugNames = [...]string{
	WrongScale: "wrong-scale", WrongStride: "wrong-stride", MissedTail: "missed-tail",
	RacingWrite: "racing-write", Overrun: "overrun", DirtySource: "dirty-source",
}

// String returns the bug's name in the text form.
func (b Bug) String() string {
	if b == noBug || b >= numBugs {
		return fmt.Sprintf("Bug(%d)", uint8(b))
	}
	return bugNames[b]
}

// parseBug returns the bug of the given name.
func parseBug(name string) (Bug, bool) {
	for b := noBug + 1; b < numBugs; b++ {
		if bugNames[b] == name {
			return b, true
		}
	}
	return noBug, false
}

// mutate returns the node that the CPU backend is to run for n, and where its tensors lie.
func mutate(b Bug, n *tensor.Tensor, place func(*tensor.Tensor) tensor.Storage) (*tensor.Tensor, func(*tensor.Tensor) tensor.Storage) {
	if b != WrongStride {
		return n, place
	}
	wrong := *n
	wrong.Src = make([]*tensor.Tensor, len(n.Src))
	real := map[*tensor.Tensor]*tensor.Tensor{&wrong: n}
	for i, s := range n.Src {
		wrong.Src[i] = s
		if s == nil || n.Base != nil && s.Root() == n.Base {
			continue
		}
		c := *s
		c.Stride = s.Shape.Packed(s.Type)
		if c.Stride != s.Stride && c.Bytes() <= s.Bytes() {
			wrong.Src[i], real[&c] = &c, s
		}
	}
	return &wrong, func(t *tensor.Tensor) tensor.Storage {
		if r, ok := real[t]; ok {
			t = r
		}
		return place(t)
	}
}

// broken spoils what one node computes. It takes no memory while it runs.
type broken struct {
	dev   *Device
	bug   Bug
	t     *tensor.Tensor
	mem   []byte // of the result, and the byte after it if there is one
	src   []byte // of a source
	saved []byte // what the result was before
	run   uint64
	every uint64 // run in which a racing write is lost
}

func newBroken(c *compiler, b Bug, n *tensor.Tensor) *broken {
	x := &broken{dev: c.dev, bug: b, t: n, every: 2 + c.dev.random()%4}
	at := c.storage(n)
	x.mem = bytesOf(at)
	if size := n.Bytes(); len(x.mem) > size {
		x.mem = x.mem[:size+1]
	}
	x.saved = make([]byte, len(x.mem))
	for _, s := range n.Src {
		if s != nil && s.Root() != n.Root() && x.src == nil && c.storage(s).Bound() {
			x.src = bytesOf(c.storage(s))[:s.Bytes()]
		}
	}
	return x
}

// bytesOf returns the bytes from a place to the end of its buffer.
func bytesOf(at tensor.Storage) []byte {
	if b := bufOf(at.Buffer); b != nil {
		return b.mem[at.Offset:]
	}
	return buffer.HostBytes(at.Buffer)[at.Offset:]
}

func (b *broken) before() { copy(b.saved, b.mem) }

func (b *broken) after() {
	size := b.t.Bytes()
	switch b.bug {
	case WrongScale:
		b.eachRow(func(off, _ int) {
			elems, bytes := b.t.Type.Block()
			for i := 0; elems == 1 && i < b.t.Shape[0]; i++ {
				enlarge(b.t.Type, b.mem[off+i*b.t.Stride[0]:][:bytes])
			}
		})
	case MissedTail:
		b.eachRow(func(off, _ int) {
			elems, bytes := b.t.Type.Block()
			for i := b.t.Shape[0] &^ 7; elems == 1 && i < b.t.Shape[0]; i++ {
				at := off + i*b.t.Stride[0]
				copy(b.mem[at:at+bytes], b.saved[at:])
			}
		})
	case RacingWrite:
		if b.run++; b.run%b.every != 0 {
			return
		}
		last := b.t.Shape.Rows() - 1
		b.eachRow(func(off, row int) {
			if row == last {
				n := b.t.Type.RowBytes(b.t.Shape[0])
				copy(b.mem[off:off+n], b.saved[off:])
			}
		})
	case Overrun:
		if len(b.mem) > size {
			b.mem[size] ^= 0x55
		}
	case DirtySource:
		if len(b.src) > 0 {
			b.src[len(b.src)/2] ^= 0x55
		}
	}
}

// eachRow calls f with the byte offset and the number of each row of the result.
func (b *broken) eachRow(f func(off, row int)) {
	s, st := &b.t.Shape, &b.t.Stride
	row := 0
	for i3 := range s[3] {
		for i2 := range s[2] {
			for i1 := range s[1] {
				f(i1*st[1]+i2*st[2]+i3*st[3], row)
				row++
			}
		}
	}
}

// enlarge makes the float at p 1/16 larger.
func enlarge(t tensor.DType, p []byte) {
	const factor = 1 + 1.0/16
	switch t {
	case tensor.F32:
		x := math.Float32frombits(binary.LittleEndian.Uint32(p))
		binary.LittleEndian.PutUint32(p, math.Float32bits(x*factor))
	case tensor.F16:
		binary.LittleEndian.PutUint16(p, quant.F32ToF16(quant.F16ToF32(binary.LittleEndian.Uint16(p))*factor))
	case tensor.BF16:
		binary.LittleEndian.PutUint16(p, quant.F32ToBF16(quant.BF16ToF32(binary.LittleEndian.Uint16(p))*factor))
	}
}
