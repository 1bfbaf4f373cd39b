//go:build !purego

package cpu

import (
	"bufio"
	"bytes"
	"debug/elf"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// TestAVX2Generated holds that the assembly of the levels AVX2 and AVXVNNI is what its generator writes.
func TestAVX2Generated(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("go", "run", ".", "-o", dir)
	cmd.Dir = filepath.Join("_asm", "avx2")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	written, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range written {
		want, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes (go generate ./backends/cpu): %v", f.Name(), err)
		}
	}
	files, err := filepath.Glob("avx[2v]*_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		isWritten := slices.ContainsFunc(written, func(e os.DirEntry) bool { return e.Name() == f })
		if bytes.HasPrefix(b, []byte("// Code generated")) && !isWritten {
			t.Errorf("%s is generated, and the generator does not write it", f)
		}
	}
}

// A macro is an instruction in bytes, and what it should be.
type macro struct {
	name, instruction string
	code              []byte
}

// macrosOf returns the macros of bytes in a file. Each stands below a comment that is its instruction.
func macrosOf(t *testing.T, name string) (all []macro) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var before string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "#define "); ok && strings.Contains(rest, "BYTE") {
			m := macro{instruction: strings.TrimPrefix(before, "// ")}
			m.name, rest, _ = strings.Cut(rest, " ")
			for part := range strings.SplitSeq(rest, ";") {
				var v byte
				if _, err := fmt.Sscanf(strings.TrimSpace(part), "BYTE $0x%X", &v); err != nil {
					t.Fatalf("%s: %s: %q: %v", name, m.name, part, err)
				}
				m.code = append(m.code, v)
			}
			all = append(all, m)
		}
		before = line
	}
	return all
}

// TestVEXMacros assembles what the comment of each macro says, and compares the bytes.
func TestVEXMacros(t *testing.T) {
	as, err := exec.LookPath("as")
	if err != nil {
		t.Skip("there is no GNU assembler: ", err)
	}
	files, err := filepath.Glob("avxvnni_*_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		all := macrosOf(t, file)
		if len(all) == 0 {
			t.Errorf("%s has no macros", file)
			continue
		}
		var src strings.Builder
		for _, m := range all {
			fmt.Fprintln(&src, m.instruction)
		}
		object := filepath.Join(t.TempDir(), "macros.o")
		cmd := exec.Command(as, "--64", "-o", object, "-")
		cmd.Stdin = strings.NewReader(src.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("this assembler does not know the instructions of %s: %v\n%s", file, err, out)
		}
		f, err := elf.Open(object)
		if err != nil {
			t.Fatal(err)
		}
		text, err := f.Section(".text").Data()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			n := min(len(m.code), len(text))
			if !bytes.Equal(m.code, text[:n]) {
				t.Fatalf("%s: %s is % x, and %q is % x", file, m.name, m.code, m.instruction, text[:n])
			}
			text = text[n:]
		}
		if len(text) > 0 {
			t.Errorf("%s: % x more", file, text)
		}
	}
}

// TestNoEVEX holds that the units of AVX2 and AVXVNNI have no instruction with an EVEX prefix and no mask
// register, which processors of these levels do not know.
func TestNoEVEX(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("there is no objdump: ", err)
	}
	binary := filepath.Join(t.TempDir(), "cpu.test")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := elf.Open(binary)
	if err != nil {
		t.Skip("objdump reads other programs here: ", err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	// What stands in the .s files has no wrapper's name.
	ours := regexp.MustCompile(`/backends/cpu\.\w+(AVX2|AVXVNNI)(x\d)?\.abi0$`)
	var from, to uint64
	units := map[string]bool{}
	for _, s := range symbols {
		if ours.MatchString(s.Name) {
			units[s.Name] = true
			if from == 0 || s.Value < from {
				from = s.Value
			}
			to = max(to, s.Value+s.Size)
		}
	}
	if want := 4 * (len(unitsAVX2) + len(unitsAVXVNNI)); len(units) < want {
		t.Fatalf("there are %d functions, and at least %d units", len(units), want)
	}
	cmd := exec.Command(objdump, "-d", "-w", fmt.Sprintf("--start-address=%#x", from), fmt.Sprintf("--stop-address=%#x", to), binary)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	instructions := disassembled(t, out, units)
	if instructions < 10000 {
		t.Errorf("only %d instructions were read", instructions)
	}
}

// disassembled goes through objdump's lines of some functions and returns how many instructions there are.
func disassembled(t *testing.T, out []byte, functions map[string]bool) (instructions int) {
	header := regexp.MustCompile(`^[0-9a-f]+ <(.*)>:$`)
	code := regexp.MustCompile(`^\s*[0-9a-f]+:\t((?:[0-9a-f]{2} )+)\s*(.*)$`)
	mask := regexp.MustCompile(`%k[0-7]`)
	isOurs, name := false, ""
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		if m := header.FindStringSubmatch(lines.Text()); m != nil {
			name = m[1]
			isOurs = functions[name]
		}
		m := code.FindStringSubmatch(lines.Text())
		if m == nil || !isOurs {
			continue
		}
		instructions++
		if strings.HasPrefix(m[1], "62 ") || mask.MatchString(m[2]) || strings.Contains(m[2], "(bad)") {
			t.Fatalf("%s: %s", name, lines.Text())
		}
	}
	return instructions
}

// TestAVX2Decoders holds that blocks of random bytes are decoded as package quant does it: to the same bits,
// where there is a number, and to nothing behind the row.
func TestAVX2Decoders(t *testing.T) {
	if why := Missing(AVX2); why != "" {
		t.Skip(why)
	}
	u := unitsOf(AVX2)
	r := rand.New(rand.NewPCG(13, 14))
	for _, typ := range []tensor.DType{tensor.BF16, tensor.Q8_0, tensor.Q4_0, tensor.Q4_K, tensor.Q6_K} {
		elems, size := typ.Block()
		for _, blocks := range []int{0, 1, 2, 7, 8, 9, 33} {
			src := make([]byte, blocks*size)
			for i := range src {
				src[i] = byte(r.Uint32())
			}
			got, want := make([]float32, blocks*elems+8), make([]float32, blocks*elems)
			for i := range got {
				got[i] = outside
			}
			if err := quant.Decode(typ, want, src); err != nil {
				t.Fatal(err)
			}
			u.decode[typ](got[:len(want)], src)
			for i, g := range got {
				switch {
				case i >= len(want):
					if g != outside {
						t.Fatalf("%s: element %d behind %d is %g", typ, i, len(want), g)
					}
				case math.Float32bits(g) != math.Float32bits(want[i]) && !(g != g && want[i] != want[i]):
					t.Fatalf("%s: element %d of %d is %g, want %g", typ, i, len(want), g, want[i])
				}
			}
		}
	}
}

// TestPanelOfLongPrompts holds that as many tokens as make panels pay get what a few of them get from row
// units, but for how tokens are rounded: there in blocks of 32, here of 256.
func TestPanelOfLongPrompts(t *testing.T) {
	if why := Missing(AVX2); why != "" {
		t.Skip(why)
	}
	dev, err := NewAt(AVX2, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	const k, rows, few = 512, 37, 5
	many := unitsOf(AVX2).panel.fewest + 1
	for _, typ := range []tensor.DType{tensor.Q3_K, tensor.Q4_K, tensor.Q6_K} {
		results := map[int][]float64{}
		for _, tokens := range []int{few, many} {
			r := newRig(t, 1)
			w, x := r.random(typ, tensor.MakeShape(k, rows)), r.normal(many*k, 1)
			out := r.MatMul(w, r.values(tensor.F32, tensor.MakeShape(k, tokens), x[:tokens*k]))
			b, err := r.bind(dev, false, out)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.prog.Submit(t.Context()); err != nil {
				t.Fatal(err)
			}
			results[tokens] = b.read(out)
		}
		var size float64
		for _, v := range results[few] {
			size = max(size, math.Abs(v))
		}
		for i, want := range results[few] {
			if got := results[many][i]; !(math.Abs(got-want) <= 1e-2*size) {
				t.Fatalf("%s: result %d is %g, and %g with few tokens", typ, i, got, want)
			}
		}
	}
}
