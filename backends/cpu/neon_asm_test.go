package cpu

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"go/constant"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNEONGenerated holds that the files of the level NEON are what their generator writes.
func TestNEONGenerated(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	cmd := exec.Command("go", "run", ".", "-o", dir)
	cmd.Dir = filepath.Join("_asm", "neon")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GOOS=") || strings.HasPrefix(v, "GOARCH=")
	})
	cmd.Env = append(cmd.Env, "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := os.ReadDir(dir)
	if err != nil || len(want) == 0 {
		t.Fatalf("the generator wrote %d files: %v", len(want), err)
	}
	for _, f := range want {
		w, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		// A checkout may have the line ends of its system.
		if have, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n")), w) {
			t.Errorf("%s is not what _asm/neon writes: make generate (%v)", f.Name(), err)
		}
	}
}

var (
	macroDefined = regexp.MustCompile(`(?m)^#define (\w+)\(([^)]*)\) WORD \$\((.*)\)$`)
	macroUsed    = regexp.MustCompile(`(?m)^\t(\w+)\(([^)]*)\) // (.*)$`)
)

// TestNEONWords assembles the comment of each macro with binutils, and compares it with the macro's
// word.
func TestNEONWords(t *testing.T) {
	const as = "aarch64-linux-gnu-as" // so called on arm64 too
	if _, err := exec.LookPath(as); err != nil {
		t.Skipf("the assembler of binutils is needed: %v", err)
	}
	macros := map[string][2]string{} // parameters, and the word
	header, err := os.ReadFile("neon_arm64.h")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range macroDefined.FindAllSubmatch(header, -1) {
		macros[string(m[1])] = [2]string{string(m[2]), string(m[3])}
	}
	if n := bytes.Count(header, []byte("#define")); n == 0 || n != len(macros) {
		t.Fatalf("%d of %d macros understood", len(macros), n)
	}
	files, err := filepath.Glob("neon_*_arm64.s")
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]string{} // the comment of each use
	used := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range macroUsed.FindAllSubmatch(text, -1) {
			name, use := string(u[1]), fmt.Sprintf("%s(%s)", u[1], u[2])
			if c, ok := uses[use]; ok && c != string(u[3]) {
				t.Errorf("%s is called %q and %q", use, c, u[3])
			}
			uses[use], used[name] = string(u[3]), true
		}
	}
	for name := range macros {
		if !used[name] {
			t.Errorf("nothing uses %s", name)
		}
	}
	var order []string
	var source strings.Builder
	source.WriteString(".arch armv8.2-a+dotprod\n")
	for use, c := range uses {
		order = append(order, use)
		source.WriteString(c + "\n")
	}
	for i, word := range assemble(t, as, source.String(), len(order)) {
		if got := expand(t, macros, order[i]); got != word {
			t.Errorf("%s is %#08x, and %q %#08x", order[i], got, uses[order[i]], word)
		}
	}
}

// assemble returns the n words of some assembly.
func assemble(t *testing.T, as, source string, n int) []uint32 {
	t.Helper()
	object := filepath.Join(t.TempDir(), "words.o")
	cmd := exec.Command(as, "-o", object, "-")
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := elf.Open(object)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := f.Section(".text").Data()
	if err != nil || len(text) != 4*n {
		t.Fatalf("%d bytes for %d instructions: %v", len(text), n, err)
	}
	words := make([]uint32, n)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(text[4*i:])
	}
	return words
}

// expand returns the word of a macro's use.
func expand(t *testing.T, macros map[string][2]string, use string) uint32 {
	t.Helper()
	name, operands, _ := strings.Cut(strings.TrimSuffix(use, ")"), "(")
	m, ok := macros[name]
	if !ok {
		t.Fatalf("%s is not in the header", name)
	}
	word := m[1]
	values := strings.Split(operands, ", ")
	for i, p := range strings.Split(m[0], ", ") {
		word = strings.ReplaceAll(word, "("+p+")", values[i])
	}
	v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, word)
	if err != nil {
		t.Fatalf("%s: %v", use, err)
	}
	n, _ := constant.Uint64Val(v.Value)
	return uint32(n)
}
