package tokenizer

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gorootText returns n bytes of what comes with Go: prose of its documents, or code.
func gorootText(b *testing.B, n int, dirs []string, suffixes ...string) string {
	b.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skipf("no Go to ask for its sources: %v", err)
	}
	var text strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || text.Len() >= n {
				return err
			}
			for _, s := range suffixes {
				if strings.HasSuffix(path, s) {
					data, err := os.ReadFile(path)
					text.Write(data)
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Skipf("this Go has no sources: %v", err)
		}
	}
	if text.Len() < n {
		b.Skipf("this Go has %d bytes of %v, want %d", text.Len(), dirs, n)
	}
	return text.String()[:n]
}

// scriptText returns n bytes of words that nobody has seen, of letters of many scripts: the hardest text there is.
func scriptText(n int) string {
	rng := rand.New(rand.NewPCG(3, 3))
	scripts := [][2]rune{
		{'a', 'z'},
		{0xE0, 0xFF},
		{0x3B1, 0x3C9},
		{0x430, 0x44F},
		{0x5D0, 0x5EA},
		{0x627, 0x64A},
		{0x905, 0x939},
		{0xE01, 0xE2E},
		{0x3041, 0x3096},
		{0x30A1, 0x30FA},
		{0x4E00, 0x9FFF},
		{0xAC00, 0xD7A3},
		{0x1F600, 0x1F64F},
	}
	var b strings.Builder
	for b.Len() < n {
		s := scripts[rng.IntN(len(scripts))]
		for range 1 + rng.IntN(8) {
			b.WriteRune(s[0] + rng.Int32N(s[1]-s[0]+1))
		}
		b.WriteByte(" \n,."[rng.IntN(4)])
	}
	return b.String()
}

// BenchmarkEncodeText encodes one MB of real text. "cold" is the first text of a Tokenizer, "warm" one
// whose words it has seen.
func BenchmarkEncodeText(b *testing.B) {
	const n = 1_000_000
	for _, c := range []struct{ name, text string }{
		{"prose", gorootText(b, n, []string{"doc", "src"}, ".html", ".md", "README")},
		{"code", gorootText(b, n, []string{"src/net", "src/go"}, ".go")},
		{"mixed", mixedText(n)[:n]},
		{"scripts", scriptText(n)[:n]},
	} {
		for _, name := range []string{"llama-bpe", "qwen2", "gpt-2", "deepseek-llm", "starcoder", "llama-spm", "phi-3", "bert-bge"} {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				f := openVocab(b, vocabPath(b, name))
				for _, warm := range []bool{false, true} {
					b.Run(map[bool]string{false: "cold", true: "warm"}[warm], func(b *testing.B) {
						tok := newOrSkip(b, f)
						ids := make([]int32, 0, n)
						b.SetBytes(int64(len(c.text)))
						for b.Loop() {
							if !warm {
								b.StopTimer()
								tok.cache = newWordCache()
								b.StartTimer()
							}
							var err error
							if ids, err = tok.AppendEncode(ids[:0], c.text, EncodeOptions{ParseSpecial: true}); err != nil {
								b.Fatal(err)
							}
						}
						b.ReportMetric(float64(len(ids)), "tokens")
					})
				}
			})
		}
	}
}

// BenchmarkDecodeText decodes the tokens of one MB of prose.
func BenchmarkDecodeText(b *testing.B) {
	text := gorootText(b, 1_000_000, []string{"doc", "src"}, ".html", ".md", "README")
	for _, name := range []string{"llama-bpe", "qwen2", "llama-spm", "bert-bge"} {
		b.Run(name, func(b *testing.B) {
			tok := newOrSkip(b, openVocab(b, vocabPath(b, name)))
			ids, err := tok.Encode(text, EncodeOptions{})
			if err != nil {
				b.Fatal(err)
			}
			var out []byte
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if out, err = tok.AppendDecode(out[:0], ids, DecodeOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
