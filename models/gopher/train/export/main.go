// Export turns what target.py and draft.py have written into the two model files:
//
//	go run ./models/gopher/train/export -data DIR -weights DIR -out models/gopher
//
// DIR of -data is prepare's folder, for the vocabulary. Matrices become Q8_0.
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("export: ")
	data := flag.String("data", "", "folder that prepare has written")
	weights := flag.String("weights", "", "folder that target.py and draft.py have written")
	out := flag.String("out", "models/gopher", "folder to write to")
	flag.Parse()
	if *data == "" || *weights == "" {
		log.Fatal("-data or -weights is missing")
	}
	vocab, err := gguf.Open(filepath.Join(*data, "vocab.gguf"))
	if err != nil {
		log.Fatal(err)
	}
	defer vocab.Close()
	for _, e := range []struct {
		name, file string
		meta       func(m *gguf.Metadata, w *network)
	}{{"target", "gopher.gguf", target}, {"draft", "gopher-mtp.gguf", draft}} {
		w, err := readNetwork(*weights, e.name)
		if err != nil {
			log.Fatal(err)
		}
		meta := new(gguf.Metadata)
		e.meta(meta, w)
		for k, v := range vocab.All() {
			if strings.HasPrefix(k, "tokenizer.") {
				meta.Set(k, v)
			}
		}
		if err := gguf.WriteFile(filepath.Join(*out, e.file), meta, w.sources()); err != nil {
			log.Fatal(err)
		}
		log.Printf("%s: %d tensors, trained on %.0f M tokens", e.file, len(w.Tensors), float64(w.Tokens)/1e6)
	}
}

// network is what common.py's save has written.
type network struct {
	Parts   int     `json:"parts"`
	Tokens  int64   `json:"tokens"`
	HeldOut float64 `json:"held_out_bits_per_byte"`
	Tensors []struct {
		Name   string `json:"name"`
		Shape  []int  `json:"shape"` // slowest first
		Offset int    `json:"offset"`
	} `json:"tensors"`
	blob []byte
}

func readNetwork(folder, name string) (*network, error) {
	raw, err := os.ReadFile(filepath.Join(folder, name+".json"))
	if err != nil {
		return nil, err
	}
	w := new(network)
	if err := json.Unmarshal(raw, w); err != nil {
		return nil, err
	}
	for i := range w.Parts {
		part, err := os.ReadFile(filepath.Join(folder, fmt.Sprintf("%s.%d.f32", name, i)))
		if err != nil {
			return nil, err
		}
		w.blob = append(w.blob, part...)
	}
	return w, nil
}

// shape returns the shape of the named tensor, fastest first.
func (w *network) shape(name string) tensor.Shape {
	for _, t := range w.Tensors {
		if t.Name == name {
			s := tensor.MakeShape(t.Shape[len(t.Shape)-1])
			if len(t.Shape) == 2 {
				s[1] = t.Shape[0]
			}
			return s
		}
	}
	log.Fatalf("there is no tensor %s", name)
	panic("unreachable")
}

// ggufName turns a parameter's name into that of the file.
func ggufName(name string) string {
	switch name {
	case "pre_projection", "post_projection":
		return "nextn." + name + ".weight"
	}
	return name + ".weight"
}

// sources returns the tensors in the form that gguf.Write takes, with those that are not trained.
func (w *network) sources() []gguf.TensorSource {
	var all []gguf.TensorSource
	blocks := 0
	for _, t := range w.Tensors {
		s := w.shape(t.Name)
		n := s.Elems()
		values := make([]float32, n)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(w.blob[t.Offset+4*i:]))
		}
		typ := tensor.F32
		if len(t.Shape) == 2 {
			typ = tensor.Q8_0
		}
		all = append(all, source(ggufName(t.Name), typ, s, values))
		if strings.HasSuffix(t.Name, ".attn_norm") {
			all = append(all, source(fmt.Sprintf("blk.%d.layer_output_scale.weight", blocks), tensor.F32, tensor.MakeShape(1), []float32{1}))
			blocks++
		}
	}
	// No pair is left out of the rotation.
	ones := make([]float32, headDim/2)
	for i := range ones {
		ones[i] = 1
	}
	return append(all, source("rope_freqs.weight", tensor.F32, tensor.MakeShape(len(ones)), ones))
}

func source(name string, t tensor.DType, s tensor.Shape, values []float32) gguf.TensorSource {
	return gguf.TensorSource{Name: name, Type: t, Shape: s, Write: func(out io.Writer) error {
		p := make([]byte, s.Elems()/s[0]*t.RowBytes(s[0]))
		if err := quant.Encode(t, p, values, nil); err != nil {
			return err
		}
		_, err := out.Write(p)
		return err
	}}
}

// What model.py says and the shapes do not.
const (
	headDim       = 64
	slidingWindow = 512
	contextLength = 2048
	freqBase      = 10000
	logitCap      = 30
	eps           = 1e-6
	sharedLayers  = 2
)

var (
	targetSlides = []bool{true, true, false, true, true, false, true, false}
	draftSlides  = []bool{true, false}
)

// common writes what both files say.
func common(m *gguf.Metadata, arch, name, about string, w *network, slides []bool, shared int) {
	set(m, "general.architecture", arch)
	set(m, "general.name", name)
	set(m, "general.description", about)
	set(m, "general.license", "bsd-3-clause")
	set(m, "general.datasets", "the source of the Go distribution (go.dev, BSD-3-Clause), without vendored and generated files")
	set(m, "general.training.tokens", uint64(w.Tokens))
	set(m, "general.file_type", uint32(7)) // mostly Q8_0
	set(m, "general.quantization_version", uint32(2))
	a := func(key string) string { return arch + "." + key }
	embd := w.shape("token_embd")
	set(m, a("vocab_size"), uint32(embd[1]))
	set(m, a("context_length"), uint32(contextLength))
	set(m, a("embedding_length"), uint32(embd[0]))
	set(m, a("block_count"), uint32(len(slides)))
	set(m, a("feed_forward_length"), uint32(w.shape("blk.0.ffn_gate")[1]))
	set(m, a("attention.head_count"), uint32(w.shape("blk.0.attn_q")[1]/headDim))
	set(m, a("attention.layer_norm_rms_epsilon"), float32(eps))
	set(m, a("attention.sliding_window"), uint32(slidingWindow))
	m.Set(a("attention.sliding_window_pattern"), gguf.ArrayOf(slides))
	set(m, a("attention.shared_kv_layers"), uint32(shared))
	set(m, a("embedding_length_per_layer_input"), uint32(0))
	for _, suffix := range []string{"", "_swa"} {
		set(m, a("attention.key_length"+suffix), uint32(headDim))
		set(m, a("attention.value_length"+suffix), uint32(headDim))
		set(m, a("rope.dimension_count"+suffix), uint32(headDim))
		set(m, a("rope.freq_base"+suffix), float32(freqBase))
	}
}

func set[T gguf.Scalar](m *gguf.Metadata, key string, v T) { m.Set(key, gguf.ValueOf(v)) }

// kvHeads is the target's.
var kvHeads int

func target(m *gguf.Metadata, w *network) {
	common(m, "gemma4", "gopher", "completes Go source", w, targetSlides, sharedLayers)
	kvHeads = w.shape("blk.0.attn_k")[1] / headDim
	heads(m, "gemma4", len(targetSlides))
	set(m, "gemma4.final_logit_softcapping", float32(logitCap))
	set(m, "general.training.held_out_bits_per_byte", w.HeldOut)
}

func draft(m *gguf.Metadata, w *network) {
	common(m, "gemma4-assistant", "gopher-mtp", "drafts for gopher", w, draftSlides, len(draftSlides))
	heads(m, "gemma4-assistant", len(draftSlides))
	set(m, "gemma4-assistant.embedding_length_out", uint32(w.shape("post_projection")[1]))
	set(m, "gemma4-assistant.nextn_predict_layers", uint32(len(draftSlides)))
}

func heads(m *gguf.Metadata, arch string, layers int) {
	all := make([]uint32, layers)
	for i := range all {
		all[i] = uint32(kvHeads)
	}
	m.Set(arch+".attention.head_count_kv", gguf.ArrayOf(all))
}
