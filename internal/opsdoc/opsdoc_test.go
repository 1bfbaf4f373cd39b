// Package opsdoc keeps docs/ops.md: which ops and types each backend supports.
//
// What a backend says is kept in docs/support, a file for each, because no machine has the devices of all.
// The test asks those that are here: an op that one no longer supports fails it, and so does a table that
// is not what the files give. A new op or a backend's first file is written by
//
//	go test ./internal/opsdoc -rewrite
//
// on a machine that has a device of it, or with a C++ compiler for ROCm: see internal/hipemu.
package opsdoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
	_ "github.com/tenon-go/tenon/backends/cpu"    // column CPU
	_ "github.com/tenon-go/tenon/backends/rocm"   // column ROCm
	_ "github.com/tenon-go/tenon/backends/vulkan" // column Vulkan
)

//go:generate go test . -rewrite

var rewrite = flag.Bool("rewrite", false, "write docs/ops.md and docs/support")

const (
	tablePath   = "../../docs/ops.md"
	supportPath = "../../docs/support"
	header      = "<!-- Written by make generate. Do not edit. -->\n\n"
)

// emulate gives a backend a device without a card, where that can be had.
var emulate = func(*testing.T) {}

// TestSupport compares what each backend here says with what is kept.
func TestSupport(t *testing.T) {
	emulate(t)
	asked := 0
	for _, found := range backends.Probe() {
		if len(found.Devices) == 0 {
			t.Logf("%s has no device here: %v", found.Backend, found.Err)
			continue
		}
		asked++
		t.Run(found.Backend, func(t *testing.T) {
			now, err := conformance.Survey(found.Devices[0], conformance.Options{})
			if err != nil {
				t.Fatal(err)
			}
			now.Device = found.Backend
			compareKept(t, now, filepath.Join(supportPath, found.Backend+".json"))
		})
	}
	if asked == 0 {
		t.Fatal("no backend has a device")
	}
}

func compareKept(t *testing.T, now *conformance.Support, path string) {
	kept, err := load(path)
	switch {
	case err == nil:
		for _, lost := range now.Lost(kept) {
			if *rewrite {
				t.Logf("lost: %s", lost)
			} else {
				t.Errorf("lost: %s", lost)
			}
		}
	case !errors.Is(err, fs.ErrNotExist) || !*rewrite:
		t.Fatal(err)
	}
	if !*rewrite {
		if !reflect.DeepEqual(now, kept) && !t.Failed() {
			t.Errorf("%s is not what the backend says now: make generate", path)
		}
		return
	}
	data, err := json.MarshalIndent(now, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTable compares docs/ops.md with the files that it is made from.
func TestTable(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(supportPath, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s has no files (%v)", supportPath, err)
	}
	var all []*conformance.Support
	for _, path := range paths {
		s, err := load(path)
		if err != nil {
			t.Fatal(err)
		}
		if name := strings.TrimSuffix(filepath.Base(path), ".json"); s.Device != name {
			t.Fatalf("%s is about %s", path, s.Device)
		}
		all = append(all, s)
	}
	// The CPU, which runs everything, is the column that others are read against.
	slices.SortStableFunc(all, func(a, b *conformance.Support) int { return column(a) - column(b) })
	table := bytes.NewBufferString(header)
	if err := conformance.WriteSupport(table, all...); err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(tablePath, table.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(tablePath)
	if err != nil {
		t.Fatal(err)
	}
	have = bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n")) // as Git may write it
	if !bytes.Equal(have, table.Bytes()) {
		t.Errorf("%s is not what the files in %s give: make generate", tablePath, supportPath)
	}
}

// column orders columns.
func column(s *conformance.Support) int {
	if s.Device == "CPU" {
		return 0
	}
	return 1
}

func load(path string) (*conformance.Support, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &conformance.Support{}
	return s, json.Unmarshal(data, s)
}
