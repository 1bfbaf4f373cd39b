package tokenizer_test

import (
	"fmt"
	"log"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tokenizer"
)

// Example encodes and decodes with a vocabulary of seven tokens. Most programs pass an open gguf.File.
func Example() {
	meta := new(gguf.Metadata)
	meta.Set("tokenizer.ggml.model", gguf.ValueOf("llama"))
	meta.Set("tokenizer.ggml.tokens", gguf.ArrayOf([]string{"<unk>", "<s>", "</s>", "▁", "▁a", "▁an", "n"}))
	meta.Set("tokenizer.ggml.scores", gguf.ArrayOf([]float32{0, 0, 0, -4, -2, -1, -3}))
	meta.Set("tokenizer.ggml.token_type", gguf.ArrayOf([]int32{2, 3, 3, 1, 1, 1, 1}))
	t, err := tokenizer.New(meta)
	if err != nil {
		log.Fatal(err)
	}

	ids, err := t.Encode("an a", tokenizer.EncodeOptions{AddSpecial: true})
	if err != nil {
		log.Fatal(err)
	}
	text, err := t.Decode(ids, tokenizer.DecodeOptions{TrimEnds: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v %q\n", ids, text)
	// Output: [1 5 4] " an a"
}

// ExampleStream prints tokens as they are generated, never half a character.
func ExampleStream() {
	meta := new(gguf.Metadata)
	meta.Set("tokenizer.ggml.model", gguf.ValueOf("llama"))
	meta.Set("tokenizer.ggml.tokens", gguf.ArrayOf([]string{"<unk>", "<s>", "</s>", "▁gr", "<0xC3>", "<0xBC>", "n"}))
	meta.Set("tokenizer.ggml.token_type", gguf.ArrayOf([]int32{2, 3, 3, 1, 6, 6, 1}))
	t, err := tokenizer.New(meta)
	if err != nil {
		log.Fatal(err)
	}

	s := t.NewStream(tokenizer.StreamOptions{TextStart: true})
	for _, id := range []int32{3, 4, 5, 6} {
		text, err := s.Push(id)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%q ", text)
	}
	fmt.Printf("%q\n", s.Flush())
	// Output: "gr" "" "ü" "n" ""
}
