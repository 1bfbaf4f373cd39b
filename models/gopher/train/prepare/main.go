// Prepare makes the data that gopher is trained on, from the Go distribution's own source: it picks the
// files, trains a byte-level BPE vocabulary on them, and writes
//
//	vocab.gguf    the vocabulary, as the model files will carry it
//	train.u16     token ids of all files but the held-out ones, each file after an end-of-text token
//	heldout.u16   token ids of the held-out packages
//	heldout.bytes how many bytes of text heldout.u16 stands for
//
// Usage: go run ./models/gopher/train/prepare -goroot $(go env GOROOT) -out DIR
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tokenizer"
)

// vocabSize is the number of tokens; the last are for control.
const vocabSize = 4096

// endOfText begins and ends a file.
const endOfText = "<|endoftext|>"

func main() {
	log.SetFlags(0)
	log.SetPrefix("prepare: ")
	out := flag.String("out", "", "folder to write to")
	root := flag.String("goroot", "", "the Go distribution: what 'go env GOROOT' prints")
	flag.Parse()
	if *out == "" || *root == "" {
		log.Fatal("-out or -goroot is missing")
	}
	if err := run(*root, *out); err != nil {
		log.Fatal(err)
	}
}

func run(root, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	train, heldOut, err := pick(root)
	if err != nil {
		return err
	}
	log.Printf("%d files of %.1f MB to train on, %d files of %.2f MB held out", len(train), megabytes(train), len(heldOut), megabytes(heldOut))
	counts := map[string]int{}
	for _, f := range train {
		eachWord(f.text, func(w []byte) { counts[string(w)]++ })
	}
	merges := trainBPE(counts, vocabSize-256-1)
	log.Printf("%d words, %d merges", len(counts), len(merges))
	meta := new(gguf.Metadata)
	meta.Set("general.architecture", gguf.ValueOf("gemma4"))
	Vocabulary(meta, merges)
	vocab := filepath.Join(out, "vocab.gguf")
	if err := gguf.WriteFile(vocab, meta, nil); err != nil {
		return err
	}
	tok, err := tokenizer.New(meta)
	if err != nil {
		return err
	}
	if _, err := writeTokens(tok, filepath.Join(out, "train.u16"), train); err != nil {
		return err
	}
	n, err := writeTokens(tok, filepath.Join(out, "heldout.u16"), heldOut)
	if err != nil {
		return err
	}
	log.Printf("held out: %.3f bytes a token", megabytes(heldOut)*1e6/float64(n))
	return os.WriteFile(filepath.Join(out, "heldout.bytes"), fmt.Appendf(nil, "%.0f\n", megabytes(heldOut)*1e6), 0o644)
}

func megabytes(files []file) float64 {
	n := 0
	for _, f := range files {
		n += len(f.text)
	}
	return float64(n) / 1e6
}

// writeTokens writes the ids of files, each behind an end-of-text token.
func writeTokens(tok *tokenizer.Tokenizer, path string, files []file) (int, error) {
	end, ok := tok.ID(endOfText)
	if !ok {
		return 0, fmt.Errorf("the vocabulary has no %s", endOfText)
	}
	var ids []int32
	var data []byte
	total := 0
	for _, f := range files {
		var err error
		if ids, err = tok.AppendEncode(append(ids[:0], end), string(f.text), tokenizer.EncodeOptions{}); err != nil {
			return 0, err
		}
		for _, id := range ids {
			data = binary.LittleEndian.AppendUint16(data, uint16(id))
		}
		total += len(ids)
	}
	log.Printf("%s: %.2f M tokens", filepath.Base(path), float64(total)/1e6)
	return total, os.WriteFile(path, data, 0o644)
}
