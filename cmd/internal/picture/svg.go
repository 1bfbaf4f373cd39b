package main

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode"
)

// The grid, in columns and in pixels.
const (
	columns    = 120
	tabStop    = 8
	charWidth  = 8
	lineHeight = 18
	margin     = 16
	baseline   = 13 // of a line's text, from its top
)

// The colours of a dark terminal.
const (
	backColor   = "#16181d"
	textColor   = "#d5d9e0"
	promptColor = "#7fc96b"
	typedColor  = "#ffffff"
)

// mark is what the shell writes before a command.
const mark = "$ "

// draw returns the picture of a terminal in which command was typed and screen came of it.
func draw(command, screen string) []byte {
	typed := grid(mark + command)
	shown := grid(strings.Trim(screen, "\n"))
	width := 2*margin + columns*charWidth
	height := 2*margin + (len(typed)+len(shown))*lineHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", escaped(command))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="%s"/>`+"\n", width, height, backColor)
	fmt.Fprintf(&b, `<g font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13" fill="%s">`+"\n", textColor)
	y := margin + baseline
	for i, line := range typed {
		x := margin
		if i == 0 {
			writeText(&b, x, y, mark, promptColor)
			x, line = x+len(mark)*charWidth, line[len(mark):]
		}
		writeText(&b, x, y, line, typedColor)
		y += lineHeight
	}
	for _, line := range shown {
		writeText(&b, margin, y, line, "")
		y += lineHeight
	}
	b.WriteString("</g>\n</svg>\n")
	return []byte(b.String())
}

// writeText writes a piece of a line; textLength holds it to the grid in any font.
func writeText(b *strings.Builder, x, y int, text, color string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	if color != "" {
		color = fmt.Sprintf(` fill="%s"`, color)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" textLength="%d" lengthAdjust="spacingAndGlyphs" xml:space="preserve"%s>%s</text>`+"\n",
		x, y, len([]rune(text))*charWidth, color, escaped(text))
}

// grid returns text as the lines of a terminal: tabs are spaces, long lines are broken, and what has no picture is
// not there.
func grid(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		var row []rune
		for _, r := range line {
			switch {
			case r == '\t':
				for row = append(row, ' '); len(row)%tabStop != 0; {
					row = append(row, ' ')
				}
			case unicode.IsPrint(r):
				row = append(row, r)
			}
		}
		for len(row) > columns {
			lines = append(lines, string(row[:columns]))
			row = row[columns:]
		}
		lines = append(lines, string(row))
	}
	return lines
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
