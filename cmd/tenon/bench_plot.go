package main

import (
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/tenon-go/tenon/bench"
)

// plotter returns what draws records to the file of --plot, and does nothing without that.
func (b *benchFlags) plotter() (func([]bench.Record) error, error) {
	switch ext := strings.ToLower(filepath.Ext(b.plot)); {
	case b.plot == "":
		return func([]bench.Record) error { return nil }, nil
	case ext != ".svg" && ext != ".png":
		return nil, usagef("--plot is %q, want a name that ends in .svg or .png", b.plot)
	}
	return func(records []bench.Record) error { return plotFile(b.plot, records) }, nil
}

// How large a panel is.
const (
	panelWidth  = 5.5 * vg.Inch
	panelHeight = 3.6 * vg.Inch
	plotDPI     = 144
)

// plotFile draws tokens a second over each setting that varies, in a row of panels for prompts and one for
// generation. Equal records give equal files.
func plotFile(path string, records []bench.Record) (err error) {
	rows, err := plotPanels(records)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("nothing to plot was measured")
	}
	width, height := vg.Length(len(rows[0]))*panelWidth, vg.Length(len(rows))*panelHeight
	tiles := draw.Tiles{
		Rows: len(rows), Cols: len(rows[0]), PadX: vg.Millimeter * 4, PadY: vg.Millimeter * 4,
		PadTop: vg.Millimeter * 2, PadBottom: vg.Millimeter * 2, PadLeft: vg.Millimeter * 2, PadRight: vg.Millimeter * 4,
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	drawTo := func(c vg.CanvasSizer) {
		canvas := draw.New(c)
		canvas.SetColor(color.White)
		canvas.Fill(canvas.Rectangle.Path())
		for i, row := range plot.Align(rows, tiles, canvas) {
			for j, where := range row {
				if rows[i][j] != nil {
					rows[i][j].Draw(where)
				}
			}
		}
	}
	if strings.EqualFold(filepath.Ext(path), ".svg") {
		c := vgsvg.New(width, height)
		drawTo(c)
		_, err = c.WriteTo(out)
		return err
	}
	c := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(plotDPI))
	drawTo(c)
	_, err = vgimg.PngCanvas{Canvas: c}.WriteTo(out)
	return err
}

// plotAxis is a setting that throughput is drawn over.
type plotAxis struct {
	name  string
	of    func(r *bench.Record) int
	alone func(r *bench.Record) bool // whether a record belongs on it
}

var plotAxes = []plotAxis{
	{"context depth (tokens)", func(r *bench.Record) int { return r.Depth }, nil},
	{"batch (tokens)", func(r *bench.Record) int { return r.Batch }, nil},
	{"run (tokens)", func(r *bench.Record) int { return r.UBatch }, nil},
	{"prompt (tokens)", func(r *bench.Record) int { return r.Prompt }, func(r *bench.Record) bool { return r.Prompt > 0 && r.Gen == 0 }},
	{"threads", func(r *bench.Record) int { return r.Threads }, nil},
}

// plotPanels returns the panels: a row for each class of tests, a column for each axis with more than one
// value, or the depth if there is none. A panel without records is nil.
func plotPanels(records []bench.Record) ([][]*plot.Plot, error) {
	var axes []plotAxis
	for _, a := range plotAxes {
		values := map[int]bool{}
		for i := range records {
			if r := &records[i]; a.alone == nil || a.alone(r) {
				values[a.of(r)] = true
			}
		}
		if len(values) > 1 {
			axes = append(axes, a)
		}
	}
	if axes == nil {
		axes = plotAxes[:1]
	}
	var rows [][]*plot.Plot
	for _, class := range []struct {
		title string
		in    func(r *bench.Record) bool
	}{
		{"prompt processing", func(r *bench.Record) bool { return r.Gen == 0 }},
		{"generation", func(r *bench.Record) bool { return r.Prompt == 0 }},
		{"prompt and generation", func(r *bench.Record) bool { return r.Prompt > 0 && r.Gen > 0 }},
	} {
		var some []bench.Record
		for _, r := range records {
			if class.in(&r) {
				some = append(some, r)
			}
		}
		if some == nil {
			continue
		}
		var row []*plot.Plot
		for _, a := range axes {
			p, err := panel(class.title, a, some, records)
			if err != nil {
				return nil, err
			}
			row = append(row, p)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// plotSeries is one line.
type plotSeries struct {
	name   string
	points []plotPoint
	peer   bool
	colour int // that of the peer is ours
}

type plotPoint struct {
	x float64
	y bench.Spread
}

// panel draws some records over an axis. all says what varies and has to be told in the legend.
func panel(title string, axis plotAxis, some, all []bench.Record) (*plot.Plot, error) {
	series := seriesOf(axis, some, all)
	if series == nil {
		return nil, nil
	}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, axis.name, "tokens a second"
	p.Y.Min = 0
	p.Legend.Top = true
	p.Legend.TextStyle.Font.Size = vg.Points(8)
	p.Add(plotter.NewGrid())
	top := 0.0
	for _, s := range series {
		if err := addSeries(p, s); err != nil {
			return nil, err
		}
		for _, pt := range s.points {
			top = max(top, pt.y.Max)
		}
	}
	p.Y.Max = max(top*1.25, 1e-9) // room for the legend
	margin := max((p.X.Max-p.X.Min)/20, 0.5)
	p.X.Min, p.X.Max = p.X.Min-margin, p.X.Max+margin
	return p, nil
}

// plotColours are told apart by most people. Source: Okabe and Ito, 2008.
var plotColours = []color.RGBA{
	{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {230, 159, 0, 255}, {86, 180, 233, 255}, {0, 0, 0, 255},
}

// errorPoints are points with the ends of their spread.
type errorPoints struct {
	plotter.XYs
	plotter.YErrors
}

func addSeries(p *plot.Plot, s plotSeries) error {
	var pts errorPoints
	for _, pt := range s.points {
		pts.XYs = append(pts.XYs, plotter.XY{X: pt.x, Y: pt.y.Median})
		pts.YErrors = append(pts.YErrors, struct{ Low, High float64 }{pt.y.Median - pt.y.Min, pt.y.Max - pt.y.Median})
	}
	line, dots, err := plotter.NewLinePoints(pts.XYs)
	if err != nil {
		return err
	}
	bars, err := plotter.NewYErrorBars(pts)
	if err != nil {
		return err
	}
	colour := plotColours[s.colour%len(plotColours)]
	line.Color, dots.Color, bars.Color = colour, colour, colour
	dots.Shape = draw.CircleGlyph{}
	if s.peer {
		line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		dots.Shape = draw.CrossGlyph{}
	}
	p.Add(line, dots, bars)
	p.Legend.Add(s.name, line, dots)
	return nil
}

// seriesOf groups records that differ in the axis alone, in the order in which they come; those of the peer
// follow ours.
func seriesOf(axis plotAxis, some, all []bench.Record) []plotSeries {
	var series []plotSeries
	type key struct {
		name string
		peer bool
	}
	at, colours := map[key]int{}, map[string]int{}
	add := func(name string, peer bool, x int, samples []float64) {
		if len(samples) == 0 {
			return
		}
		i, ok := at[key{name, peer}]
		if !ok {
			i = len(series)
			at[key{name, peer}] = i
			if _, ok := colours[name]; !ok {
				colours[name] = len(colours)
			}
			s := plotSeries{name: name, peer: peer, colour: colours[name]}
			if peer {
				s.name = "peer " + name
			}
			series = append(series, s)
		}
		series[i].points = append(series[i].points, plotPoint{float64(x), bench.SpreadOf(samples)})
	}
	for i := range some {
		r := &some[i]
		if axis.alone != nil && !axis.alone(r) {
			continue
		}
		name := seriesName(axis, r, all)
		add(name, false, axis.of(r), r.SamplesTS)
		add(name, true, axis.of(r), r.VsSamplesTS)
	}
	for _, s := range series {
		slices.SortStableFunc(s.points, func(a, b plotPoint) int { return int(a.x - b.x) })
	}
	return series
}

// seriesName tells what a record has in which others differ, but for the axis.
func seriesName(axis plotAxis, r *bench.Record, all []bench.Record) string {
	var parts []string
	for _, f := range []struct {
		axis, format string
		of           func(r *bench.Record) string
	}{
		{"", "%s", func(r *bench.Record) string { return strings.TrimSuffix(filepath.Base(r.ModelFile), ".gguf") }},
		{"threads", "t %s", func(r *bench.Record) string { return fmt.Sprint(r.Threads) }},
		{"batch (tokens)", "b %s", func(r *bench.Record) string { return fmt.Sprint(r.Batch) }},
		{"run (tokens)", "ub %s", func(r *bench.Record) string { return fmt.Sprint(r.UBatch) }},
		{"", "%s", func(r *bench.Record) string { return r.TypeK + "/" + r.TypeV }},
		{"", "%s", func(r *bench.Record) string { return r.Devices }},
		{"", "ngl %s", func(r *bench.Record) string { return fmt.Sprint(r.GPULayers) }},
		{"", "%s", func(r *bench.Record) string { return r.Overrides }},
		{"context depth (tokens)", "d %s", func(r *bench.Record) string { return fmt.Sprint(r.Depth) }},
	} {
		if f.axis == axis.name {
			continue
		}
		if slices.ContainsFunc(all, func(x bench.Record) bool { return f.of(&x) != f.of(r) }) {
			parts = append(parts, fmt.Sprintf(f.format, f.of(r)))
		}
	}
	test := *r
	test.Depth = 0
	name := test.Test()
	if axis.name == "prompt (tokens)" {
		name = "pp"
	}
	return strings.Join(append([]string{name}, parts...), ", ")
}
