package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// mixedText returns about n bytes: prose of several scripts, code, numbers, and words nobody has seen.
func mixedText(n int) string {
	rng := rand.New(rand.NewPCG(7, 11))
	common := strings.Fields(`the of and to in a is that for it was on are as with his they at be this from have or by one
		had not but what all were when we there can an your which their said if do will each about how up out them then
		she many some so these would other into has more her two like him see time could no make than first been its who
		now people my made over did down only way find use may water long little very after words called just where most
		know get through back much before go good new write our used me man too any day same right look think also`)
	lines := []string{
		"func (s *Server) handle(w http.ResponseWriter, r *http.Request) error {\n\treturn nil\n}\n",
		"for (int i = 0; i < 1024; ++i) { sum += a[i] * b[i]; }\n",
		"Ein kleiner Vogel saß über dem Tor und zählte fünf Äpfel.\n",
		"今日はとても良い天気ですね。散歩に行きましょう。\n",
		"Привет, мир! Сегодня хорошая погода.\n",
		"안녕하세요, 만나서 반갑습니다.\n",
		"He said: \"It's 12,345.67 euros\" -- and they'd agreed!\n",
		"    {\"name\": \"x\", \"value\": [1, 2.5e-3, null]},\n",
	}
	var b strings.Builder
	for b.Len() < n {
		switch k := rng.IntN(20); {
		case k < 14:
			for range 8 + rng.IntN(12) {
				// Zipf's law, roughly: the first words are by far the most frequent.
				b.WriteString(common[int(float64(len(common))*rng.Float64()*rng.Float64())])
				b.WriteByte(' ')
			}
			b.WriteString(".\n")
		case k < 16:
			for range 6 {
				for range 2 + rng.IntN(9) {
					b.WriteByte(byte('a' + rng.IntN(26)))
				}
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%d\n", rng.IntN(1_000_000))
		default:
			b.WriteString(lines[rng.IntN(len(lines))])
		}
	}
	return b.String()
}

func BenchmarkEncode(b *testing.B) {
	text := mixedText(1 << 20)
	long := strings.Repeat("abcdefghij", 1<<20/10)
	for _, name := range []string{"llama-bpe", "qwen2", "gpt-2", "deepseek-llm", "llama-spm", "bert-bge"} {
		b.Run(name, func(b *testing.B) {
			tok := newOrSkip(b, openVocab(b, vocabPath(b, name)))
			for _, c := range []struct{ name, text string }{{"mixed", text}, {"oneWord", long}} {
				b.Run(c.name, func(b *testing.B) {
					var ids []int32
					b.SetBytes(int64(len(c.text)))
					b.ReportAllocs()
					for b.Loop() {
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

func BenchmarkStream(b *testing.B) {
	tok := newOrSkip(b, openVocab(b, vocabPath(b, "llama-bpe")))
	ids, err := tok.Encode(mixedText(1<<14), EncodeOptions{})
	if err != nil {
		b.Fatal(err)
	}
	s := tok.NewStream(StreamOptions{})
	b.ReportAllocs()
	for b.Loop() {
		for _, id := range ids {
			if _, err := s.Push(id); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ids)), "ns/token")
}

func BenchmarkNew(b *testing.B) {
	for _, name := range []string{"llama-bpe", "llama-spm"} {
		b.Run(name, func(b *testing.B) {
			f := openVocab(b, vocabPath(b, name))
			for b.Loop() {
				if _, err := New(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
