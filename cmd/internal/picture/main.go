// Picture runs a command and draws what a terminal shows of it:
//
//	picture -o FILE COMMAND ARG...
//
// The file is an SVG that needs nothing else: text in whatever monospaced font there is, held to a grid, and no
// script, link or font of its own. The same text gives the same bytes.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("picture: ")
	out := flag.String("o", "", "`FILE` to write")
	flag.Parse()
	if *out == "" || flag.NArg() == 0 {
		log.Fatal("usage: picture -o FILE COMMAND ARG...")
	}
	if err := run(*out, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// run draws one command into the file out.
func run(out string, args []string) error {
	var screen bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &screen, &screen // one pipe, so that the order is a terminal's
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", args[0], err, &screen)
	}
	line := []string{strings.TrimSuffix(filepath.Base(args[0]), ".exe")}
	for _, a := range args[1:] {
		line = append(line, quoted(a))
	}
	return os.WriteFile(out, draw(strings.Join(line, " "), screen.String()), 0o644)
}

// quoted returns an argument as one would type it into a shell.
func quoted(arg string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,", r)
	}
	if arg != "" && strings.TrimFunc(arg, plain) == "" {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
