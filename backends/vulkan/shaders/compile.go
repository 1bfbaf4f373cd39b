//go:build ignore

// Compile makes SPIR-V of every .comp file in this folder, and a file with the sum of the sources by which a test
// notices binaries that are older than they. It is run by go generate in the folder above.
//
// The compiler is glslc; the environment variable GLSLC names another command for it, with arguments if need be. Where
// nothing has changed it is not needed.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("compile: ")
	dir := "shaders"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := run(dir); err != nil {
		log.Fatal(err)
	}
}

func run(dir string) error {
	command := strings.Fields(os.Getenv("GLSLC"))
	if len(command) == 0 {
		command = []string{"glslc"}
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*.comp"))
	if err != nil {
		return err
	}
	includes, err := filepath.Glob(filepath.Join(dir, "*.glsl"))
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "spv")
	old, err := filepath.Glob(filepath.Join(out, "*.spv"))
	if err != nil {
		return err
	}
	made, err := os.ReadFile(filepath.Join(out, "SOURCES")) // none at first
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	var sums bytes.Buffer
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".comp")
		binary := filepath.Join(out, name+".spv")
		old = slices.DeleteFunc(old, func(f string) bool { return f == binary })
		sum, err := sumOf(append([]string{source}, includes...))
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%x  %s\n", sum, name)
		sums.WriteString(line)
		if _, err := os.Stat(binary); err == nil && bytes.Contains(made, []byte(line)) {
			continue
		}
		args := append(command[1:], "--target-env=vulkan1.2", "-O", "-o", binary, source)
		if said, err := exec.Command(command[0], args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", source, err, said)
		}
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(out, "SOURCES"), sums.Bytes(), 0o644)
}

// sumOf adds up a shader and all files that it may include.
func sumOf(files []string) ([]byte, error) {
	h := sha256.New()
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(h, "%s %d\n", filepath.Base(f), len(data))
		h.Write(data)
	}
	return h.Sum(nil), nil
}
