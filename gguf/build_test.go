package gguf

import (
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// raw builds files by hand, right or wrong, without the writer that is under test as well.
type raw struct{ b []byte }

func (r *raw) u8(v uint8) *raw       { r.b = append(r.b, v); return r }
func (r *raw) u32(v uint32) *raw     { r.b = binary.LittleEndian.AppendUint32(r.b, v); return r }
func (r *raw) u64(v uint64) *raw     { r.b = binary.LittleEndian.AppendUint64(r.b, v); return r }
func (r *raw) str(s string) *raw     { r.u64(uint64(len(s))); r.b = append(r.b, s...); return r }
func (r *raw) text(s string) *raw    { r.b = append(r.b, s...); return r }
func (r *raw) zeros(n int) *raw      { r.b = append(r.b, make([]byte, n)...); return r }
func (r *raw) key(k string) *raw     { return r.str(k) }
func (r *raw) typ(t Type) *raw       { return r.u32(uint32(t)) }
func (r *raw) align(n int) *raw      { return r.zeros(-len(r.b) & (n - 1)) }
func header(tensors, kv int) *raw    { return headerV(3, tensors, kv) }
func (r *raw) parse() (*File, error) { return Parse(r.b, "m.gguf") }

func headerV(version uint32, tensors, kv int) *raw {
	return new(raw).text("GGUF").u32(version).u64(uint64(tensors)).u64(uint64(kv))
}

// tensor writes a description; dims fastest first.
func (r *raw) tensor(name string, typ uint32, offset uint64, dims ...uint64) *raw {
	r.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		r.u64(d)
	}
	return r.u32(typ).u64(offset)
}

// sample is metadata with every type, and tensors of several.
func sampleMeta() *Metadata {
	m := new(Metadata)
	m.Set("general.architecture", ValueOf("llama"))
	m.Set("u8", ValueOf(uint8(200)))
	m.Set("i8", ValueOf(int8(-100)))
	m.Set("u16", ValueOf(uint16(60000)))
	m.Set("i16", ValueOf(int16(-30000)))
	m.Set("u32", ValueOf(uint32(4e9)))
	m.Set("i32", ValueOf(int32(-2e9)))
	m.Set("u64", ValueOf(uint64(math.MaxUint64)))
	m.Set("i64", ValueOf(int64(math.MinInt64)))
	m.Set("f32", ValueOf(float32(1.5)))
	m.Set("f64", ValueOf(math.Pi))
	m.Set("true", ValueOf(true))
	m.Set("false", ValueOf(false))
	m.Set("string", ValueOf("Καλημέρα\x00\xff"))
	m.Set("string.empty", ValueOf(""))
	m.Set("a.u8", ArrayOf([]uint8{0, 255}))
	m.Set("a.i8", ArrayOf([]int8{-128, 127}))
	m.Set("a.u16", ArrayOf([]uint16{0, 65535}))
	m.Set("a.i16", ArrayOf([]int16{-32768, 32767}))
	m.Set("a.u32", ArrayOf([]uint32{7, math.MaxUint32}))
	m.Set("a.i32", ArrayOf([]int32{math.MinInt32, math.MaxInt32}))
	m.Set("a.u64", ArrayOf([]uint64{0, math.MaxUint64}))
	m.Set("a.i64", ArrayOf([]int64{math.MinInt64, math.MaxInt64}))
	m.Set("a.f32", ArrayOf([]float32{-0.5, float32(math.Inf(1))}))
	m.Set("a.f64", ArrayOf([]float64{math.SmallestNonzeroFloat64, -1}))
	m.Set("a.bool", ArrayOf([]bool{true, false, true}))
	m.Set("a.string", ArrayOf([]string{"", "a", "long enough to tell", "\xf0\x9f\x98\x80"}))
	m.Set("a.empty", ArrayOf([]string{}))
	return m
}

// bytesOf returns n bytes that differ from place to place and from seed to seed.
func bytesOf(n int64, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*31) ^ byte(i>>8) ^ seed
	}
	return b
}

// source is a tensor that writes bytesOf in pieces.
func source(name string, t tensor.DType, seed byte, sizes ...int) TensorSource {
	s := tensor.MakeShape(sizes...)
	return TensorSource{Name: name, Type: t, Shape: s, Write: func(w io.Writer) error {
		size, _ := tensorBytes(t, s)
		b := bytesOf(size, seed)
		for len(b) > 0 {
			n := min(len(b), 1000)
			if _, err := w.Write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
		return nil
	}}
}

func sampleTensors() []TensorSource {
	return []TensorSource{
		source("token_embd.weight", tensor.Q4_K, 1, 512, 3),
		source("output_norm.weight", tensor.F32, 2, 7),
		source("blk.0.ffn_gate_exps.weight", tensor.Q8_0, 3, 32, 5, 2),
		source("one", tensor.I8, 4, 1),
		source("blk.0.conv", tensor.BF16, 5, 3, 1, 2, 2),
	}
}

// writeTemp writes b to a file of the given name in dir.
func writeTemp(t testing.TB, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
