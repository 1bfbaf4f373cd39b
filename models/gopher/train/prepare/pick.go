package main

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type file struct {
	name string // relative to the distribution's src
	text []byte
}

// heldOutPackages are never trained on, with their tests.
var heldOutPackages = []string{
	"container/heap", "container/list", "container/ring", "encoding/csv", "encoding/hex", "text/tabwriter", "path",
	"html", "expvar", "mime/quotedprintable", "compress/lzw", "hash/adler32", "index/suffixarray", "archive/tar", "net/textproto",
}

// maxFile leaves out tables.
const maxFile = 200_000

// pick returns the files to train on, in a fixed random order, and those held out. Left out are
// vendored code, whose licence is its own, generated files and test data.
func pick(root string) (train, heldOut []file, err error) {
	src := filepath.Join(root, "src")
	err = filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(src, path)
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if d.Name() == "testdata" || d.Name() == "vendor" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if len(text) > maxFile || generated(text) {
			return nil
		}
		if slices.Contains(heldOutPackages, filepath.ToSlash(filepath.Dir(name))) {
			heldOut = append(heldOut, file{name, text})
		} else {
			train = append(train, file{name, text})
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	spec, err := os.ReadFile(filepath.Join(root, "doc", "go_spec.html"))
	if err == nil { // the language in its own words
		train = append(train, file{"doc/go_spec.html", spec})
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(train), func(i, j int) { train[i], train[j] = train[j], train[i] })
	return train, heldOut, nil
}

func generated(text []byte) bool {
	head := text[:min(len(text), 2000)]
	return bytes.Contains(head, []byte("Code generated")) || bytes.Contains(head, []byte("DO NOT EDIT"))
}
