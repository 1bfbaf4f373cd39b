package main

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tenon-go/tenon"
)

// packages of the held-out ones that build fast and depend on little.
var packages = []string{
	"container/heap", "container/list", "container/ring", "encoding/csv", "encoding/hex", "text/tabwriter", "path", "html",
	"expvar", "mime/quotedprintable", "compress/lzw", "hash/adler32", "index/suffixarray", "archive/tar", "net/textproto",
}

// body is a function body of a file: bytes from the opening brace to behind the closing one.
type body struct {
	file, pkg, name string
	text            []byte
	open, end       int
}

// compileBodies completes function bodies, each from the file before it, and builds the package with
// the completion in its place.
func compileBodies(m *tenon.Model, root string, n int) error {
	all, err := findBodies(root)
	if err != nil {
		return err
	}
	built, compiled := 0, 0
	for i := range min(n, len(all)) {
		b := all[i*len(all)/min(n, len(all))]
		text, err := completeBody(m, b)
		if err != nil {
			return err
		}
		built++
		if text != "" && compiles(root, b, text) {
			compiled++
		}
	}
	fmt.Printf("function bodies: %d of %d completions compile in their package\n", compiled, built)
	return nil
}

func findBodies(root string) ([]body, error) {
	var all []body
	for _, pkg := range packages {
		files, err := filepath.Glob(filepath.Join(root, "src", pkg, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, file, text, 0)
			if err != nil {
				return nil, err
			}
			for _, d := range tree.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && len(f.Body.List) > 0 {
					all = append(all, body{file, pkg, f.Name.Name, text, set.Position(f.Body.Lbrace).Offset, set.Position(f.Body.Rbrace).Offset + 1})
				}
			}
		}
	}
	return all, nil
}

// completeBody returns a body that the model has written, braces included, or "" if it does not end.
func completeBody(m *tenon.Model, b body) (string, error) {
	// A brace and the line end after it are one token: without the line end the prompt would say that there
	// is none.
	start := b.open + 1
	if b.text[start] == '\n' {
		start++
	}
	prompt := string(b.text[max(0, start-2500):start])
	out := string(b.text[b.open:start])
	depth := 1
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for tok, err := range m.Generate(ctx, prompt, tenon.GenerateOptions{MaxTokens: 300}) {
		if err != nil {
			return "", err
		}
		for _, c := range tok.Text {
			out += string(c)
			switch c {
			case '{':
				depth++
			case '}':
				if depth--; depth == 0 {
					return out, nil
				}
			}
		}
	}
	return "", nil
}

// compiles reports whether the package builds with text in place of the body.
func compiles(root string, b body, text string) bool {
	dir, err := os.MkdirTemp("", "bodies")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	changed := filepath.Join(dir, filepath.Base(b.file))
	source := string(b.text[:b.open]) + text + string(b.text[b.end:])
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{b.file: changed}})
	if err == nil {
		err = os.WriteFile(changed, []byte(source), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
	return exec.Command("go", "vet", "-overlay", filepath.Join(dir, "overlay.json"), b.pkg).Run() == nil
}
