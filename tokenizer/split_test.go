package tokenizer

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var rewrite = flag.Bool("rewrite", false, "write what the tests find into testdata")

// splitTexts are cut by every pre-tokenizer in TestSplit.
var splitTexts = []string{
	"I'M sure they'll don't; WE'RE\r\n\r\n  x = y1234567.89\t\t(a+b) ~~é~ HTTPServer éÀb",
	"  中文 ひらがな１２３ カナ 한국어 a\u0301b \u0301x\u3000。！（）\u00a0 — “q”...\n \n ",
	" 文't o't 文文a 文 文…\n",
	"     12 3456a 1234 if x:\n        return 'x'  #$%\n\n",
}

// wordsOf cuts text by a pre-tokenizer and checks that nothing is lost and no word is empty.
func wordsOf(t testing.TB, p preTokenizer, text []byte) []string {
	t.Helper()
	ends, _ := splitText(p.passes, text, nil, nil)
	var words []string
	lo := 0
	for _, end := range ends {
		hi := int(end)
		if hi <= lo && len(text) > 0 || hi > len(text) {
			t.Fatalf("%q: words end at %v", text, ends)
		}
		words = append(words, string(text[lo:hi]))
		lo = hi
	}
	if lo != len(text) {
		t.Fatalf("%q: words end at %v", text, ends)
	}
	return words
}

// TestSplit compares the words of splitTexts with testdata/split.txt. What is there was checked against the
// regular expressions of the models, run by another engine.
func TestSplit(t *testing.T) {
	loadClasses()
	var got strings.Builder
	for _, group := range preGroups {
		fmt.Fprintf(&got, "%s\n", strings.Join(group.names, " "))
		for _, text := range splitTexts {
			for i, w := range wordsOf(t, group.make(), []byte(text)) {
				fmt.Fprintf(&got, "%c%+q", "\t "[min(i, 1)], w)
			}
			got.WriteByte('\n')
		}
	}
	path := filepath.Join("testdata", "split.txt")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, have := strings.Split(string(data), "\n"), strings.Split(got.String(), "\n")
	name := ""
	for i := range max(len(want), len(have)) {
		w, h := "", ""
		if i < len(want) {
			w = want[i]
		}
		if i < len(have) {
			h = have[i]
		}
		if !strings.HasPrefix(h, "\t") {
			name = h
		}
		if w != h {
			t.Errorf("%s:\n got %s\nwant %s", name, h, w)
		}
	}
}

func TestPreNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, group := range preGroups {
		for _, name := range group.names {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
	}
	if _, ok := lookupPre("no such name"); ok {
		t.Error("a name that is not there was found")
	}
}

// FuzzSplit: whatever the text, the words of every pre-tokenizer make it up.
func FuzzSplit(f *testing.F) {
	loadClasses()
	var all []preTokenizer
	for _, group := range preGroups {
		all = append(all, group.make())
	}
	for _, text := range append(slices.Clone(splitTexts), badTexts...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range all {
			wordsOf(t, p, appendNormalized(nil, text))
		}
	})
}

func TestRangesAreSorted(t *testing.T) {
	all := [][]runeRange{hanRanges, deepseekLetters, deepseekPunct, deepseekCJK, deepseek3CJK, afmoeCJK}
	for _, ranges := range append(all, youtuScripts...) {
		for i, x := range ranges {
			if x.lo > x.hi || i > 0 && ranges[i-1].hi >= x.lo {
				t.Errorf("range %X is out of order", x)
			}
		}
	}
}

func TestClassOf(t *testing.T) {
	loadClasses()
	for r, want := range map[rune]class{
		'a': letter, '5': number, '½': number, '!': punct, '~': symbol, 0x301: mark, 0: control, 0x200B: control, 0xD800: control,
		' ': space, '\n': control | space, 0x85: control | space, 0x3000: space, 0x1C: control, 0x378: 0, 0x10FFFF: 0,
		0x2FFC: symbol, 0x31EF: symbol, 0x2EBF0: letter, 0x2EE5D: letter, 0x2EE5E: 0, -1: 0, 0x110000: 0,
	} {
		if got := classOf(r); got != want {
			t.Errorf("classOf(%#x) = %b, want %b", r, got, want)
		}
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.Is(unicode.L, r) != (classOf(r)&letter != 0) && classOf(r) != letter {
			t.Fatalf("%#x: class %b", r, classOf(r))
		}
	}
}

func TestAppendNormalized(t *testing.T) {
	for in, want := range map[string]string{
		"aé日😀":             "aé日😀",
		"\xff":             "\uFFFD",
		"\xc1\xa1":         "a",
		"\xed\xa0\x80":     "\xed\xa0\x80",
		"\xf5\x80\x80\x80": "\uFFFD",
		"\xf4\x90\x80\x80": "\uFFFD",
		"\xe4\xbdx":        "\uFFFD\uFFFDx",
		"\x80\x80":         "\uFFFD\uFFFD",
		"\xe0\x80\x80":     "\x00",
	} {
		if got := appendNormalized(nil, in); string(got) != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestBaseRune(t *testing.T) {
	for r, want := range map[rune]rune{
		'a': 'a', 'é': 'e', 'Å': 'A', 'Ǖ': 'U', 'ệ': 'e', '각': 'ᄀ', '힣': 'ᄒ', 'が': 'か', '≠': '=', 'ß': 'ß', 0x212B: 'A', 0x2FA1D: 0x2A600,
	} {
		if got := baseRune(r); got != want {
			t.Errorf("baseRune(%q) = %q, want %q", r, got, want)
		}
	}
	for r, base := range loadBases() {
		if !utf8.ValidRune(base) || baseRune(base) != base {
			t.Errorf("the base %q of %q has a base", base, r)
		}
	}
}

// TestFinalPieces: passing pieces by that no later pass would cut changes nothing.
func TestFinalPieces(t *testing.T) {
	loadClasses()
	rng := rand.New(rand.NewPCG(8, 8))
	final := 0
	for _, group := range preGroups {
		p, plain := group.make(), group.make()
		for i := range p.passes {
			if r, ok := p.passes[i].(*runPass); ok {
				if r.final {
					final++
				}
				plain.passes[i].(*runPass).final = false
			}
		}
		for range 300 {
			var text []byte
			for range rng.IntN(40) {
				text = append(text, pickUnit(rng)...)
			}
			if got, want := wordsOf(t, p, text), wordsOf(t, plain, text); !slices.Equal(got, want) {
				t.Fatalf("%v: %q is cut into %q, want %q", group.names, text, got, want)
			}
		}
	}
	if final == 0 {
		t.Error("no pass has final pieces")
	}
}

func pickUnit(rng *rand.Rand) string {
	units := []string{" ", " ", "\t", "\n", "\u00a0", "\u3000", "a", "Foo", "é", "12", "3", "٣", ".", "~", "(", "。", "中", "ひ", "한", "_", "+", "'s", "-"}
	return units[rng.IntN(len(units))]
}
