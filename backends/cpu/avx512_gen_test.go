package cpu

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestAVX512Generated holds that the assembly of level AVX512 is what its generator writes.
func TestAVX512Generated(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("go", "run", ".", "-o", dir)
	cmd.Dir = filepath.Join("_asm", "avx512")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	files, err := filepath.Glob("avx512_*_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(written) {
		t.Errorf("there are %d files, and the generator writes %d", len(files), len(written))
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
}
