package spec_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

// A text that repeats itself is guessed by looking up what came before, and each round gives several
// tokens.
func ExampleDecoder() {
	var b bytes.Buffer // a small model with random weights; any GGUF file will do
	if err := tinymodel.Write(&b, tinymodel.Config{Seed: 2}); err != nil {
		log.Fatal(err)
	}
	f, err := gguf.Parse(b.Bytes(), "tiny.gguf")
	if err != nil {
		log.Fatal(err)
	}
	device := cpu.New(cpu.Options{Threads: 1})
	defer device.Close()
	target, err := engine.New(f, engine.Options{Devices: []backends.Device{device}})
	if err != nil {
		log.Fatal(err)
	}
	defer target.Close()
	sampler, err := sample.New(sample.Params{}, target.Params().Vocab)
	if err != nil {
		log.Fatal(err)
	}

	d := spec.NewDecoder(target, spec.Options{Max: 4, Fixed: true}, spec.NewNGram(spec.NGramOptions{}))
	defer d.Close()
	ctx := context.Background()
	first, err := d.Prompt(ctx, 0, []int32{1, 60, 61, 62}, sampler)
	if err != nil {
		log.Fatal(err)
	}
	text := []int32{first}
	for len(text) < 100 {
		if text, err = d.Step(ctx, 0, sampler, 100-len(text), text); err != nil {
			log.Fatal(err)
		}
	}
	st := d.Stats()
	fmt.Println(len(text), "tokens, fewer rounds than tokens:", st.Rounds < 99)
	// Output: 100 tokens, fewer rounds than tokens: true
}
