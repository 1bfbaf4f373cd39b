package opcorpus

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// Judge compares the elements of a result, in the order of its shape, with the file's. It returns what is
// compared and how far off it is, also with an error.
func (g *Graph) Judge(r Result, have []float64) (what string, off float64, err error) {
	k := g.b
	name := k.c.Output.Tensor
	if k.c.Reference != "" {
		name = k.c.Reference
	}
	info, ok := k.f.Tensor(name)
	if !ok {
		return "", 0, fmt.Errorf("opcorpus: the file has no tensor %s", name)
	}
	if info.Shape != r.T.Shape || info.Type != r.T.Type {
		return "", 0, fmt.Errorf("opcorpus: have %v, want %s %v", r.T, info.Type, info.Shape)
	}
	want, err := elements(&tensor.Tensor{Type: info.Type, Shape: info.Shape, Stride: info.Shape.Packed(info.Type)}, k.f.Data(info))
	switch {
	case err != nil:
		return "", 0, err
	case len(have) != len(want):
		return "", 0, fmt.Errorf("opcorpus: have %d elements, want %d", len(have), len(want))
	case r.Set:
		return r.Limit.What, 0, sameSets(have, want, info.Shape[0])
	case r.Limit.NMSE == 0 && r.T.Type.Quantized():
		off, err := k.quantized(have, want)
		return "error beside the peer's", off, err
	}
	if off = nmse(have, want); !(off <= r.Limit.NMSE) {
		err = fmt.Errorf("%s (%s): NMSE %.3g, want %.3g or less", k.c.Op, k.c.Note, off, r.Limit.NMSE)
	}
	return r.Limit.What, off, err
}

// sameSets compares rows of n elements as sets.
func sameSets(have, want []float64, n int) error {
	for ; len(have) > 0; have, want = have[n:], want[n:] {
		h, w := slices.Sorted(slices.Values(have[:n])), slices.Sorted(slices.Values(want[:n]))
		if !slices.Equal(h, w) {
			return fmt.Errorf("have the set %v, want %v", h, w)
		}
	}
	return nil
}

// worse is how much greater than the peer's an encoder's error may be.
const worse = 1.02

// quantized compares the error of an encoded result with that of the peer's, both against what was
// encoded: where two codes are equally good, an encoder may take either.
func (k *builder) quantized(have, want []float64) (float64, error) {
	if slices.Equal(have, want) {
		return 0, nil
	}
	a := k.in("a")
	if a == nil { // rows are set: outside of them nothing may differ
		return k.quantizedRows(have, want)
	}
	src, err := k.input(a)
	if err != nil {
		return 0, err
	}
	return besidePeer(have, want, src)
}

func besidePeer(have, want, src []float64) (float64, error) {
	ours, theirs := nmse(have, src), nmse(want, src)
	if ours > theirs*worse {
		return ours/theirs - 1, fmt.Errorf("encoded with an error of %.3g, the peer's is %.3g", ours, theirs)
	}
	return ours/theirs - 1, nil
}

func (k *builder) quantizedRows(have, want []float64) (float64, error) {
	x := k.in("src")
	src, err := k.input(x)
	if err != nil {
		return 0, err
	}
	ids, err := k.input(k.in("ids"))
	if err != nil {
		return 0, err
	}
	n, worst := x.Shape[0], 0.0
	have = slices.Clone(have)
	for j, id := range ids {
		at := int(id) * n
		off, err := besidePeer(have[at:at+n], want[at:at+n], src[j*n:][:n])
		if worst = max(worst, off); err != nil {
			return worst, fmt.Errorf("row %g: %w", id, err)
		}
		copy(have[at:at+n], want[at:])
	}
	if !slices.Equal(have, want) {
		return worst, fmt.Errorf("a row that no index names has changed")
	}
	return worst, nil
}

// input returns the elements of a leaf or a view of one.
func (k *builder) input(t *tensor.Tensor) ([]float64, error) {
	if t.Shape.Elems() == 0 {
		return nil, nil
	}
	return elements(t, k.data[t.Root()][t.Offset:])
}

// elements returns the elements of t, whose memory is p, in the order of its shape.
func elements(t *tensor.Tensor, p []byte) ([]float64, error) {
	elems, size := t.Type.Block()
	block := make([]float32, elems)
	s, st := t.Shape, t.Stride
	var v []float64
	for row := range s.Rows() {
		at := row%s[1]*st[1] + row/s[1]%s[2]*st[2] + row/s[1]/s[2]*st[3]
		for i := 0; i < s[0]; i += elems {
			q := p[at+i/elems*st[0]:]
			if t.Type == tensor.I64 { // float32 would round it
				v = append(v, float64(int64(binary.LittleEndian.Uint64(q))))
				continue
			}
			if err := quant.Decode(t.Type, block, q[:size]); err != nil {
				return nil, err
			}
			for _, x := range block {
				v = append(v, float64(x))
			}
		}
	}
	return v, nil
}

// nmse returns the squared error of x beside the squares of ref. Equal infinities and NaNs are no error.
func nmse(x, ref []float64) float64 {
	var d, s float64
	for i, r := range ref {
		switch {
		case x[i] == r || math.IsNaN(x[i]) && math.IsNaN(r):
			if !math.IsNaN(r) && !math.IsInf(r, 0) {
				s += r * r
			}
		default:
			d += (x[i] - r) * (x[i] - r)
			s += r * r
		}
	}
	if d == 0 {
		return 0
	}
	return d / s
}
