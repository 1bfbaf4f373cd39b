package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/models/gopher"
)

// readme is the picture at the top of README.md.
const readme = "../../../docs/gopher.svg"

// parsed reads a picture back: its lines, the typed one first. What a picture must not have fails t.
func parsed(t *testing.T, svg []byte) (lines []string) {
	t.Helper()
	var open []string
	lastY := ""
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			open = append(open, x.Name.Local)
			if !slices.Contains([]string{"svg", "title", "rect", "g", "text"}, x.Name.Local) {
				t.Errorf("an element %s", x.Name.Local)
			}
			for _, a := range x.Attr {
				if a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "url(") {
					t.Errorf("%s has the attribute %s=%q", x.Name.Local, a.Name.Local, a.Value)
				}
			}
			if x.Name.Local == "text" {
				y := attr(t, x, "y")
				if y != lastY {
					for n := atoi(t, y); len(lines) <= (n-margin-baseline)/lineHeight; {
						lines = append(lines, "")
					}
				}
				lastY = y
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && open[len(open)-1] == "text" {
				lines[len(lines)-1] += string(x)
			}
		}
	}
}

func attr(t *testing.T, x xml.StartElement, name string) string {
	for _, a := range x.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	t.Fatalf("%s without %s", x.Name.Local, name)
	return ""
}

func atoi(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDraw: what is drawn can be read back, whatever was on the screen.
func TestDraw(t *testing.T) {
	long := strings.Repeat("0123456789", 25)
	svg := draw(`tenon run 'a <b> & "c"'`, "one\n\n\ta\tb\x1b]]>é\n"+long+"\n\n")
	want := []string{`$ tenon run 'a <b> & "c"'`, "one", "", "        a       b]]>é", long[:120], long[120:240], long[240:]}
	if got := parsed(t, svg); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for arg, want := range map[string]string{"": "''", "--temp": "--temp", "f(": "'f('", "it's": `'it'\''s'`, "a b": "'a b'"} {
		if got := quoted(arg); got != want {
			t.Errorf("%q is quoted as %s, want %s", arg, got, want)
		}
	}
}

// TestReadmePicture: the picture is one that the code here draws, of the command that README shows, and of what gopher
// says. The timings in it are those of the machine that it was made on.
func TestReadmePicture(t *testing.T) {
	svg, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	lines := parsed(t, svg)
	const again = "make picture draws it again"
	if len(lines) == 0 {
		t.Fatal("no lines: " + again)
	}
	if !bytes.Equal(svg, draw(strings.TrimPrefix(lines[0], mark), strings.Join(lines[1:], "\n"))) {
		t.Error("it is drawn in another way now: " + again)
	}
	prompt, rest, ok := strings.Cut(strings.TrimPrefix(lines[0], mark+"tenon run --temp 0 -n 33 '"), "'")
	if !ok || rest != "" {
		t.Fatalf("it shows the command %q: %s", lines[0], again)
	}
	m, err := tenon.OpenData("gopher", gopher.Target)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	text := ""
	for tok, err := range m.Generate(t.Context(), prompt, tenon.GenerateOptions{MaxTokens: 33}) {
		if err != nil {
			t.Fatal(err)
		}
		text += tok.Text
	}
	if want := grid(text); len(lines) < 1+len(want) || !slices.Equal(lines[1:1+len(want)], want) {
		t.Errorf("it shows %q, and gopher says %q: %s", lines[1:], want, again)
	}
	for _, word := range []string{"generated", "guesses accepted"} {
		if !strings.Contains(strings.Join(lines, "\n"), word) {
			t.Errorf("nothing is said of %q: %s", word, again)
		}
	}
	page, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if top, _, _ := strings.Cut(string(page), "\n## "); !strings.Contains(top, "](docs/gopher.svg)") {
		t.Error("README.md does not open with it")
	}
}
