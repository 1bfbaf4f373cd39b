package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/internal/tinymodel"
)

// call runs the command in this process.
func call(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// TestDamagedFiles cuts a model short at many places and flips bits of its header: whatever a subcommand
// makes of it, it ends with success, or with exit code 1 and one line that names the file.
func TestDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.gguf")
	if err := tinymodel.WriteFile(whole, tinymodel.Config{Vocab: 264}); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	header := bytes.Index(good, []byte("token_embd.weight")) + 2000 // and the descriptions of tensors
	damaged := filepath.Join(dir, "damaged.gguf")
	failed := 0
	try := func(what string, data []byte) {
		if err := os.WriteFile(damaged, data, 0o666); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"inspect", damaged},
			{"tokenize", "-m", damaged},
			{"run", "-m", damaged, "-p", "the", "-n", "1", "-c", "64"},
		} {
			code, _, stderr := call("the", args...)
			if code == 0 {
				continue
			}
			failed++
			if fault := notOneLine(stderr); code != 1 || fault != "" {
				t.Errorf("%s: %s: exit code %d, %s: %q", what, args[0], code, fault, stderr)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		try("cut", good[:i*len(good)/60])
	}
	if want := 3 * 60; failed != want {
		t.Errorf("%d commands on short files failed, want all of %d", failed, want)
	}
	for range 150 {
		bad := bytes.Clone(good)
		bad[r.IntN(header)] ^= 1 << r.IntN(8)
		try("flipped", bad)
	}
	t.Logf("%d of %d commands failed", failed, 3*210)
}

// TestDamagedNames checks that errors about a file say which.
func TestDamagedNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "short.gguf")
	if err := tinymodel.WriteFile(path, tinymodel.Config{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	out := path + ".out"
	for _, args := range [][]string{
		{"run", "-m", path, "-p", "x"},
		{"logits", "-m", path, "--tokens", "1", "-o", out},
		{"tokenize", "-m", path},
		{"quantize", "--type", "Q8_0", path, out},
		{"inspect", path},
		{"explain", "-m", path},
	} {
		code, _, stderr := call("", args...)
		if code != 1 || notOneLine(stderr) != "" || !strings.Contains(stderr, path) || !strings.Contains(stderr, "offset") {
			t.Errorf("%s: exit code %d, %q: want one line with file and offset", args[0], code, stderr)
		}
	}
}
