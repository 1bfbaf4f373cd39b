// Package testcorpus finds the reference corpus that tests compare with: models with logits, quantized
// blocks, vocabularies with token ids, op inputs and outputs. It is test data and no part of the
// repository; without it the tests that need it skip and say so.
package testcorpus

import (
	"os"
	"path/filepath"
	"testing"
)

// Env is the environment variable that names the corpus folder.
const Env = "TENON_CORPUS"

// Dir returns the corpus folder, or skips t when there is none. A folder that is named and cannot be
// read fails the test: a typing mistake must not look like a machine without a corpus.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(Env)
	if dir == "" {
		t.Skipf("%s is not set: the reference corpus is absent", Env)
	}
	// Tests run in the folder of their package: a relative path is one from the repository's top, where
	// people and scripts stand when they write it.
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(top(t), dir)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("%s: %v", Env, err)
	}
	return dir
}

// top returns the folder of go.work, above the test's own.
func top(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.work")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			t.Fatalf("%s is relative, and there is no go.work above %s", Env, dir)
		}
	}
}

// Glob returns the files of the corpus that match pattern (relative to its root), at least one.
func Glob(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(Dir(t), filepath.FromSlash(pattern)))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Skipf("the corpus has no %s", pattern)
	}
	return names
}
