//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/tenon-go/tenon/internal/hipemu"
)

// Kernels that one device has written are another's, which then compiles none; what is damaged, or what the runtime refuses, is compiled.
func TestEmulatedEmbeddedKernels(t *testing.T) {
	var archive bytes.Buffer
	d, _ := emulated(t, hipemu.Options{})
	if err := d.WriteKernels(&archive); !errors.Is(err, ErrNoKernels) {
		t.Fatalf("a device without kernels writes %d bytes, %v", archive.Len(), err)
	}
	runs := func(d *Device) error {
		r, err := makeRig(d, 8)
		if err != nil {
			return err
		}
		r.run(t)
		r.close(t)
		return nil
	}
	if err := runs(d); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteKernels(&archive); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil || len(z.File) != 2 {
		t.Fatalf("an archive of %d files, %v", len(z.File), err)
	}
	damaged, foreign := fstest.MapFS{}, fstest.MapFS{}
	for _, f := range z.File {
		damaged[f.Name] = &fstest.MapFile{Data: []byte("no sum")}
		foreign[f.Name] = &fstest.MapFile{Data: summed([]byte("no code"))}
	}
	for _, tc := range []struct {
		name     string
		fsys     fs.FS
		compiles bool
	}{{"written before", z, false}, {"none", fstest.MapFS{}, true}, {"damaged", damaged, true}, {"foreign", foreign, true}} {
		t.Run(tc.name, func(t *testing.T) {
			defer AddKernels(tc.fsys)()
			d, e := emulated(t, hipemu.Options{}) // with an empty cache
			e.Fail("hiprtcCompileProgram", 6, 0, -1)
			if err := runs(d); (err != nil) != tc.compiles {
				t.Errorf("without a compiler: %v", err)
			}
			e.Fail("", 0, 0, 0)
			d, _ = emulated(t, hipemu.Options{})
			if err := runs(d); err != nil {
				t.Errorf("with one: %v", err)
			}
		})
	}
}
