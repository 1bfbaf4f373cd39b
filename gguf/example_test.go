package gguf_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
)

// Example writes a small model file and reads it again.
func Example() {
	dir, err := os.MkdirTemp("", "gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "tiny.gguf")

	meta := new(gguf.Metadata)
	meta.Set("general.architecture", gguf.ValueOf("llama"))
	meta.Set("llama.block_count", gguf.ValueOf(uint32(2)))
	meta.Set("llama.attention.head_count_kv", gguf.ArrayOf([]int32{4, 2}))
	norm := gguf.TensorSource{
		Name: "output_norm.weight", Type: tensor.F32, Shape: tensor.MakeShape(3),
		Write: func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, []float32{1, 2, 3}) },
	}
	if err := gguf.WriteFile(path, meta, []gguf.TensorSource{norm}); err != nil {
		log.Fatal(err)
	}

	f, err := gguf.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for key, value := range f.All() {
		fmt.Println(key, "=", value)
	}
	for t := range f.Tensors() {
		fmt.Println(t.Name, t.Type, t.Shape, t.Size, "bytes")
	}
	// Output:
	// general.architecture = "llama"
	// llama.block_count = 2
	// llama.attention.head_count_kv = int32[2][4 2]
	// output_norm.weight F32 [3] 12 bytes
}

// A Section reads many keys and reports one error at the end.
func ExampleMetadata_Section() {
	meta := new(gguf.Metadata)
	meta.Set("llama.block_count", gguf.ValueOf(uint32(2)))
	meta.Set("llama.attention.head_count", gguf.ValueOf(uint32(8)))

	s := meta.Section("llama")
	layers := s.Int("block_count")
	heads := s.IntPerLayer("attention.head_count", layers)
	base := s.FloatOr("rope.freq_base", 10000)
	fmt.Println(layers, heads, base, s.Err())

	s.Int("embedding_length")
	fmt.Println(s.Err())
	// Output:
	// 2 [8 8] 10000 <nil>
	// gguf: key "llama.embedding_length" is missing
}
