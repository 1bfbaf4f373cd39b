package gguf

import (
	"errors"
	"testing"
)

// FuzzParse holds every input to three rules: no panic, only FormatErrors, and what is accepted can be
// written and read again.
func FuzzParse(f *testing.F) {
	f.Add(write(f, 3, sampleMeta(), sampleTensors()[3:]))
	f.Add(write(f, 2, new(Metadata), sampleTensors()[1:2]))
	for _, c := range malformed {
		if len(c.file.b) < 200 {
			f.Add(c.file.b)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data, "m.gguf")
		if err != nil {
			var fe *FormatError
			if !errors.As(err, &fe) || fe.Offset < 0 || fe.Offset > int64(len(data)) {
				t.Fatalf("%v", err)
			}
			return
		}
		readAll(t, file)
		meta := file.Metadata.Clone()
		meta.Delete(keySplitCount, keyAlignment) // the writer is stricter with these two
		var tensors []TensorSource
		for info := range file.Tensors() {
			tensors = append(tensors, file.Source(info))
		}
		again, err := Parse(write(t, file.Version(), meta, tensors), "again.gguf")
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if again.Len() != meta.Len() || again.NumTensors() != file.NumTensors() || again.TensorBytes() != file.TensorBytes() {
			t.Fatal("what was written differs")
		}
	})
}
