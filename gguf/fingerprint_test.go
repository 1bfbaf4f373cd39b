package gguf

import (
	"bytes"
	"errors"
	"testing"
)

func TestFingerprint(t *testing.T) {
	data := write(t, 3, vocabulary(50), nil)
	print := func(data []byte) [32]byte {
		t.Helper()
		f, err := Parse(data, "m.gguf")
		if err != nil {
			t.Fatal(err)
		}
		sum, err := f.Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	one := print(data)
	if one != print(bytes.Clone(data)) {
		t.Error("equal files have different fingerprints")
	}
	if one == print(write(t, 3, vocabulary(51), nil)) {
		t.Error("different files have one fingerprint")
	}
	f, err := Parse(data, "m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := f.Fingerprint(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}
