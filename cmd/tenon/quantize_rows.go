package main

import (
	"context"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// quantizer writes tensors in other types, one after the other and each a few chunks of rows at a time,
// so that a model of any size passes through little memory.
type quantizer struct {
	ctx      context.Context
	file     *gguf.File
	threads  int
	progress func(done, total int64)
	done     int64 // bytes of the tensors of file
	total    int64
	damaged  []damage
}

// damage is a tensor with values that are no numbers.
type damage struct {
	tensor string
	values int64
}

// chunkElems is about how many values a worker takes at a time: enough that handing out is rare beside
// encoding, few enough that a small matrix keeps all workers busy.
const chunkElems = 1 << 16

// threadsOr returns n, or the number of cores if it is 0.
func threadsOr(n int) int {
	if n == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// source returns the tensor of c in its new type.
func (q *quantizer) source(c choice) gguf.TensorSource {
	if c.typ == c.info.Type {
		same := q.file.Source(c.info)
		write := same.Write
		same.Write = func(w io.Writer) error {
			if err := context.Cause(q.ctx); err != nil {
				return err
			}
			err := write(w)
			q.advance(c.info.Size)
			return err
		}
		return same
	}
	return gguf.TensorSource{
		Name: c.info.Name, Type: c.typ, Shape: c.info.Shape,
		Write: func(w io.Writer) error { return q.convert(w, c) },
	}
}

func (q *quantizer) advance(bytes int64) {
	q.done += bytes
	q.progress(q.done, q.total)
}

// conversion is one tensor on its way.
type conversion struct {
	from, to         quant.Format
	row              int // elements
	fromRow, toRow   int // bytes
	data             []byte
	rows, chunkRows  int
	damaged          atomic.Int64
	next             atomic.Int64 // chunk of the wave to take
	waveFrom, waveTo int          // chunks
	out              [][]byte     // of the chunks of a wave
}

func newConversion(data []byte, info gguf.TensorInfo, typ tensor.DType) (*conversion, error) {
	from, err := quant.Of(info.Type)
	if err != nil {
		return nil, err
	}
	to, err := quant.Of(typ)
	if err != nil {
		return nil, err
	}
	row := info.Shape[0]
	return &conversion{
		from: from, to: to, row: row, fromRow: info.Type.RowBytes(row), toRow: typ.RowBytes(row),
		data: data, rows: info.Shape.Rows(), chunkRows: max(1, chunkElems/row),
	}, nil
}

// convert writes the tensor of c. Chunks are encoded in waves: a few for each worker, then written in
// their order.
func (q *quantizer) convert(w io.Writer, c choice) error {
	data := q.file.Data(c.info)
	if data == nil {
		return gguf.ErrClosed
	}
	v, err := newConversion(data, c.info, c.typ)
	if err != nil {
		return err
	}
	chunks := (v.rows + v.chunkRows - 1) / v.chunkRows
	v.out = make([][]byte, min(chunks, 4*q.threads))
	for from := 0; from < chunks; from += len(v.out) {
		if err := context.Cause(q.ctx); err != nil {
			return err
		}
		v.wave(from, min(from+len(v.out), chunks), q.threads)
		for i := v.waveFrom; i < v.waveTo; i++ {
			if _, err := w.Write(v.out[i-v.waveFrom]); err != nil {
				return err
			}
		}
		rows := min(v.waveTo*v.chunkRows, v.rows) - v.waveFrom*v.chunkRows
		q.advance(int64(rows) * int64(v.fromRow))
	}
	if n := v.damaged.Load(); n > 0 {
		q.damaged = append(q.damaged, damage{c.info.Name, n})
	}
	return nil
}

// wave encodes the chunks from..to.
func (v *conversion) wave(from, to, threads int) {
	v.waveFrom, v.waveTo = from, to
	v.next.Store(int64(from))
	var workers sync.WaitGroup
	for range min(threads, to-from) {
		workers.Go(func() {
			values := make([]float32, v.chunkRows*v.row)
			for {
				i := int(v.next.Add(1)) - 1
				if i >= to {
					return
				}
				v.chunk(i, values)
			}
		})
	}
	workers.Wait()
}

// chunk encodes one chunk.
func (v *conversion) chunk(i int, values []float32) {
	first := i * v.chunkRows
	n := min(v.chunkRows, v.rows-first)
	values = values[:n*v.row]
	v.from.Decode(values, v.data[first*v.fromRow:(first+n)*v.fromRow])
	var bad int64
	for _, x := range values {
		if x-x != 0 {
			bad++
		}
	}
	v.damaged.Add(bad)
	if bytes := n * v.toRow; cap(v.out[i-v.waveFrom]) < bytes {
		v.out[i-v.waveFrom] = make([]byte, bytes)
	} else {
		v.out[i-v.waveFrom] = v.out[i-v.waveFrom][:bytes]
	}
	v.to.Encode(v.out[i-v.waveFrom], values, nil)
}
