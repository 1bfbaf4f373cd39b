package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/backends/conformance/ref"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// beyond is a size that no 32-bit offset holds, signed or not.
const beyond = 5 << 30

func largeCases(t *table) {
	add := func(name string, run func(ctx context.Context, s *session, mem buffer.Buffer) (measure, error)) {
		t.cases = append(t.cases, Case{
			ID: ChapterLarge + "/" + name, Chapter: ChapterLarge, Bytes: beyond + 1<<20,
			run: func(ctx context.Context, s *session) (m measure, err error) {
				if s.memory.MaxSize() < beyond {
					return m, skipError(fmt.Sprintf("buffers have at most %d bytes", s.memory.MaxSize()))
				}
				mem, err := s.memory.Alloc(beyond)
				if errors.Is(err, buffer.ErrNoMemory) {
					return m, skipError(err.Error())
				} else if err != nil {
					return m, err
				}
				defer func() { err = errors.Join(err, mem.Close()) }()
				return run(ctx, s, mem)
			},
		})
	}
	add("read-write", largeReadWrite)
	for _, typ := range []tensor.DType{tensor.F16, tensor.Q8_0} {
		add("GetRows/x="+typ.String(), func(ctx context.Context, s *session, mem buffer.Buffer) (measure, error) {
			return largeRows(ctx, s, mem, typ)
		})
		add("SetRows/x="+typ.String(), func(ctx context.Context, s *session, mem buffer.Buffer) (measure, error) {
			return largeCache(ctx, s, mem, typ)
		})
		add("MatMul/a="+typ.String(), func(ctx context.Context, s *session, mem buffer.Buffer) (measure, error) {
			return largeProduct(ctx, s, mem, typ)
		})
	}
}

// largeReadWrite moves bytes on both sides of 2^31 and 2^32.
func largeReadWrite(_ context.Context, _ *session, mem buffer.Buffer) (measure, error) {
	offsets := []int64{0, 1<<31 - 500, 1<<31 + 7, 1<<32 - 500, 1<<32 + 7, beyond - 1000}
	for pass := range 2 { // all are written before any is read
		for i, off := range offsets {
			p := make([]byte, 1000)
			for j := range p {
				p[j] = byte(i*17 + j)
			}
			if pass == 0 {
				if _, err := mem.WriteAt(p, off); err != nil {
					return measure{}, err
				}
				continue
			}
			have := make([]byte, 1000)
			if _, err := mem.ReadAt(have, off); err != nil {
				return measure{}, err
			}
			if i == 1 || i == 3 { // the next one begins inside
				have, p = have[:500], p[:500]
			}
			if string(have) != string(p) {
				return measure{}, fmt.Errorf("bytes at %d are not those that were written", off)
			}
		}
	}
	return measure{}, buffer.Fill(mem, 1<<32-10, 20, 3)
}

// large is a graph over one tensor of more than 2^32 bytes, of which a few rows are not zero.
type large struct {
	g    *gen
	big  *tensor.Tensor
	rows []int64 // that are not zero
	data map[int64][]byte
}

const largeRow = 4096 // elements

func newLarge(s *session, typ tensor.DType, role tensor.Role) (*large, error) {
	g := newGen(s.rand("large" + typ.String()))
	size := int64(typ.RowBytes(largeRow))
	n := (beyond - 1<<20) / size
	big, err := tensor.NewLeaf(role, "big", typ, tensor.MakeShape(largeRow, int(n)))
	if err != nil {
		return nil, err
	}
	l := &large{g: g, big: big, data: map[int64][]byte{}}
	for _, r := range []int64{0, 1<<31/size - 1, 1 << 31 / size, 1<<31/size + 1, 1<<32/size - 1, 1 << 32 / size, 1<<32/size + 1, n - 1} {
		l.rows = append(l.rows, r)
		l.data[r] = g.encoded(typ, tensor.MakeShape(largeRow), g.normal(largeRow, 1))
	}
	return l, nil
}

// run writes the rows, compiles out with big in mem and everything else in the session's arena, and
// runs. small is the same graph over just the rows, for the oracle.
func (l *large) run(ctx context.Context, s *session, mem buffer.Buffer, out *tensor.Tensor) (b *bound, err error) {
	for _, r := range l.rows {
		if _, err := mem.WriteAt(l.data[r], r*int64(len(l.data[r]))); err != nil {
			return nil, err
		}
	}
	graph, err := l.g.Build(out)
	if err != nil {
		return nil, fmt.Errorf("the case itself is wrong: %w", err)
	}
	b = &bound{s: s, g: l.g, nodes: graph.Nodes, places: map[*tensor.Tensor]int64{}}
	if err := s.supports(b.nodes); err != nil {
		return b, err
	}
	b.layOut(&tensor.Graph{}, false)
	at := b.size
	if out.Base == nil {
		b.size = up(at+int64(out.Bytes())+guard, int64(s.memory.Alignment()))
		b.places[out] = at
	}
	if err := s.grow(b.size); err != nil {
		return b, err
	}
	b.prog, err = s.compile(b.nodes, func(t *tensor.Tensor) tensor.Storage {
		if t.Root() == l.big {
			return tensor.Storage{Buffer: mem, Offset: int64(t.Offset)}
		}
		return b.place(t)
	})
	if err != nil {
		return b, err
	}
	if err := b.reset(); err != nil {
		return b, err
	}
	if err := b.submit(ctx, true); err != nil {
		return b, err
	}
	return b, b.fetch()
}

// decoded returns row r of the big tensor.
func (l *large) decoded(r int64) (ref.Value, error) {
	s := tensor.MakeShape(largeRow)
	return ref.Read(l.big.Type, s, s.Packed(l.big.Type), l.data[r])
}

func largeRows(ctx context.Context, s *session, mem buffer.Buffer, typ tensor.DType) (m measure, err error) {
	l, err := newLarge(s, typ, tensor.Weight)
	if err != nil {
		return m, err
	}
	out := l.g.GetRows(l.big, l.g.ints(tensor.I64, tensor.MakeShape(len(l.rows)), l.rows))
	b, err := l.run(ctx, s, mem, out)
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return m, err
	}
	got, err := b.read(out)
	if err != nil {
		return m, err
	}
	for i, r := range l.rows {
		want, err := l.decoded(r)
		if err != nil {
			return m, err
		}
		for j, w := range want.F {
			if g := got.F[i*largeRow+j]; g != w {
				return m, fmt.Errorf("row %d, element %d is %v, want %v", r, j, g, w)
			}
		}
	}
	return m, nil
}

func largeCache(ctx context.Context, s *session, mem buffer.Buffer, typ tensor.DType) (m measure, err error) {
	l, err := newLarge(s, typ, tensor.Cache)
	if err != nil {
		return m, err
	}
	// Each row is written three rows further down, where nothing is.
	to := make([]int64, len(l.rows))
	for i, r := range l.rows {
		to[i] = r + 3
	}
	to[len(to)-1] -= 8
	x := l.g.random(tensor.F32, tensor.MakeShape(largeRow, len(to)))
	out := l.g.SetRows(l.big, x, l.g.ints(tensor.I64, tensor.MakeShape(len(to)), to))
	b, err := l.run(ctx, s, mem, out)
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return m, err
	}
	row := tensor.MakeShape(largeRow)
	size := int64(typ.RowBytes(largeRow))
	for i, r := range to {
		raw := make([]byte, size)
		if _, err := mem.ReadAt(raw, r*size); err != nil {
			return m, err
		}
		got, err := ref.Read(typ, row, row.Packed(typ), raw)
		if err != nil {
			return m, err
		}
		data := b.g.data[x][i*4*largeRow : (i+1)*4*largeRow]
		want, err := ref.Read(tensor.F32, row, row.Packed(tensor.F32), data)
		if err != nil {
			return m, err
		}
		want.Type, want.Raw = typ, nil
		if typ.Quantized() {
			if want.Raw, err = want.Bytes(); err != nil {
				return m, err
			}
		}
		one, err := compare(&got, &want, Tolerance{ULP: 0.5})
		if err != nil {
			return m, fmt.Errorf("row %d: %w", r, err)
		}
		m.worst(one)
	}
	for _, r := range l.rows { // what was there stays
		have := make([]byte, size)
		if _, err := mem.ReadAt(have, r*size); err != nil {
			return m, err
		}
		if string(have) != string(l.data[r]) {
			return m, fmt.Errorf("row %d has changed and was not written", r)
		}
	}
	return m, nil
}

func largeProduct(ctx context.Context, s *session, mem buffer.Buffer, typ tensor.DType) (m measure, err error) {
	l, err := newLarge(s, typ, tensor.Weight)
	if err != nil {
		return m, err
	}
	x := l.g.random(tensor.F32, tensor.MakeShape(largeRow))
	out := l.g.MatMul(l.big, x)
	b, err := l.run(ctx, s, mem, out)
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return m, err
	}
	got, err := b.read(out)
	if err != nil {
		return m, err
	}
	row := tensor.MakeShape(largeRow)
	factor, err := ref.Read(tensor.F32, row, row.Packed(tensor.F32), b.g.data[x])
	if err != nil {
		return m, err
	}
	some := ref.Value{Type: tensor.F32, Shape: tensor.MakeShape(len(l.rows))}
	want := some
	for _, r := range l.rows {
		w, err := l.decoded(r)
		if err != nil {
			return m, err
		}
		sum := 0.0
		for i, v := range w.F {
			sum += v * factor.F[i]
		}
		want.F, want.Mag = append(want.F, sum), append(want.Mag, 64) // 64 is the root of as many terms of size 1
		some.F = append(some.F, got.F[r])
		got.F[r] = 0
	}
	for i, v := range got.F {
		if v != 0 {
			return m, fmt.Errorf("element %d is %v, of a row of zeros", i, v)
		}
	}
	return compare(&some, &want, toleranceOf(out))
}
