package tokenizer

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// gorootText returns n bytes of what comes with Go: prose of its documents, or code.
func gorootText(b *testing.B, n int, dirs []string, suffixes ...string) string {
	b.Helper()
	var text strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(runtime.GOROOT(), dir), func(path string, d fs.DirEntry, err error) error {
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

// BenchmarkEncodeText encodes one MB of real text. "cold" is the first text of a Tokenizer, "warm" one
// whose words it has seen.
func BenchmarkEncodeText(b *testing.B) {
	const n = 1_000_000
	for _, c := range []struct{ name, text string }{
		{"prose", gorootText(b, n, []string{"doc", "src"}, ".html", ".md", "README")},
		{"code", gorootText(b, n, []string{"src/net", "src/go"}, ".go")},
		{"mixed", mixedText(n)[:n]},
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
