package sched

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

var rewrite = flag.Bool("rewrite", false, "write what the tests find into testdata")

// TestText plans the graphs in testdata and compares the text of the plan, or of the error. A case is
// some lines, "----", and the text, up to an empty line. The lines are:
//
//	device NAME [uses=NAME,...] [refuses=OP,...] [fuses=FUSION,...] [max=BYTES] [align=BYTES]
//	weight|cache NAME SIZE... on DEVICE
//	input NAME SIZE... | indices NAME SIZE
//	layer N
//	NAME = OP ARG...
//	output NAME...
//	layers DEVICE... | pin PATTERN DEVICE | weightpin PATTERN DEVICE | keep | nofusion FUSION...
func TestText(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases in testdata", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for i, c := range strings.Split(strings.TrimRight(string(data), "\n"), "\n\n") {
			input, want, ok := strings.Cut(c+"\n", "----\n")
			if !ok {
				t.Fatalf("%s: case %d has no ----", file, i)
			}
			got := planText(t, input)
			if got != want && !*rewrite {
				t.Errorf("%s: case %d\n%s---- got\n%s---- want\n%s", file, i, input, got, want)
			}
			if i > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(input + "----\n" + got)
		}
		if *rewrite {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// planText plans what input describes.
func planText(t *testing.T, input string) string {
	c := parser{t: t, b: tensor.NewBuilder(), names: map[string]*tensor.Tensor{}, fakes: map[string]*fakeDevice{}}
	for line := range strings.Lines(input) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 0 {
			c.line(f)
		}
	}
	g, err := c.b.Build(c.outputs...)
	if err == nil {
		err = g.Verify()
	}
	if err != nil {
		t.Fatalf("%v in\n%s", err, input)
	}
	p, err := NewPlan(g, c.devices, c.opt)
	if err != nil {
		return err.Error() + "\n"
	}
	return p.String()
}

type parser struct {
	t       *testing.T
	b       *tensor.Builder
	names   map[string]*tensor.Tensor
	fakes   map[string]*fakeDevice
	devices []backends.Device
	opt     Options
	outputs []*tensor.Tensor
}

func (c *parser) line(f []string) {
	switch f[0] {
	case "device":
		c.device(f[1], f[2:])
	case "weight", "cache":
		role := map[string]tensor.Role{"weight": tensor.Weight, "cache": tensor.Cache}[f[0]]
		l, err := tensor.NewLeaf(role, f[1], tensor.F32, tensor.MakeShape(c.ints(f[2:len(f)-2])...))
		if err != nil {
			c.t.Fatal(err)
		}
		c.names[f[1]] = bindHollow(c.t, l, c.fake(f[len(f)-1]))
	case "input":
		c.names[f[1]] = c.b.Input(f[1], tensor.F32, tensor.MakeShape(c.ints(f[2:])...))
	case "indices":
		c.names[f[1]] = c.b.Input(f[1], tensor.I32, tensor.MakeShape(c.ints(f[2:])...))
	case "layer":
		c.b.Layer(c.ints(f[1:])[0])
	case "output":
		for _, name := range f[1:] {
			c.outputs = append(c.outputs, c.names[name])
		}
	case "layers":
		c.opt.Layers = f[1:]
	case "pin":
		c.opt.Pins = append(c.opt.Pins, Pin{regexp.MustCompile(f[1]), f[2]})
	case "weightpin":
		c.opt.WeightPins = append(c.opt.WeightPins, Pin{regexp.MustCompile(f[1]), f[2]})
	case "nofusion":
		for _, name := range f[1:] {
			c.opt.NoFusion = append(c.opt.NoFusion, c.fusion(name))
		}
	case "keep":
		c.opt.KeepInputs = true
	default:
		x := c.op(f[2], f[3:])
		if !x.IsView() {
			x = c.b.Name(f[0], x)
		}
		c.names[f[0]] = x
	}
}

func (c *parser) device(name string, options []string) {
	d := c.fake(name)
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		for _, v := range strings.Split(value, ",") {
			switch key {
			case "uses":
				d.others = append(d.others, c.fake(v))
			case "refuses":
				d.refuses[v] = v + " is not for me"
			case "fuses":
				if d.fuses == nil {
					d.fuses = map[string]string{}
				}
				d.fuses[c.fusion(v).String()] = ""
			case "max":
				d.typ.max = int64(c.ints([]string{v})[0])
			case "align":
				d.typ.align = c.ints([]string{v})[0]
			default:
				c.t.Fatalf("device option %s", key)
			}
		}
	}
	if d.fuses != nil {
		c.devices = append(c.devices, fusing{d})
		return
	}
	c.devices = append(c.devices, d)
}

func (c *parser) fusion(name string) backends.Fusion {
	f, ok := backends.ParseFusion(name)
	if !ok {
		c.t.Fatalf("no fusion %s", name)
	}
	return f
}

// fake returns the device called name, which need not be listed, or not yet.
func (c *parser) fake(name string) *fakeDevice {
	if c.fakes[name] == nil {
		c.fakes[name] = newFake(name)
	}
	return c.fakes[name]
}

func (c *parser) ints(f []string) []int {
	var out []int
	for _, s := range f {
		n, err := strconv.Atoi(s)
		if err != nil {
			c.t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

func (c *parser) op(op string, f []string) *tensor.Tensor {
	arg := func(i int) *tensor.Tensor {
		x, ok := c.names[f[i]]
		if !ok {
			c.t.Fatalf("no tensor %s", f[i])
		}
		return x
	}
	switch op {
	case "add":
		return c.b.Add(arg(0), arg(1))
	case "mul":
		return c.b.Mul(arg(0), arg(1))
	case "rmsnorm":
		return c.b.RMSNorm(arg(0), 1e-6)
	case "glu":
		return c.b.GLU(tensor.SiLU, arg(0), arg(1))
	case "rope":
		return c.b.Apply(tensor.RoPE{Dims: 4, Base: 10000}, arg(0), arg(1))
	case "reshape":
		return c.b.Reshape(arg(0), c.ints(f[1:])...)
	case "scale":
		return c.b.Scale(arg(0), 2)
	case "tanh":
		return c.b.Unary(tensor.Tanh, arg(0))
	case "matmul":
		return c.b.MatMul(arg(0), arg(1))
	case "getrows":
		return c.b.GetRows(arg(0), arg(1))
	case "setrows":
		return c.b.SetRows(arg(0), arg(1), arg(2))
	case "slice":
		n := c.ints(f[1:])
		return c.b.Slice(arg(0), n[0], n[1], n[2])
	case "transpose":
		return c.b.Contiguous(c.b.Permute(arg(0), 1, 0, 2, 3))
	}
	c.t.Fatalf("no op %s", op)
	return nil
}

func TestPlanJSON(t *testing.T) {
	fakes, devices := fourDevices()
	g, opt := fakeModel(t, fakes, 4, 2, 64)
	p, err := NewPlan(g, devices, opt)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Nodes []struct {
			Node, Op, Device string
			Reason           struct{ Rule, Text string }
		}
		Splits []struct {
			From, To int
			Copies   []struct{ Bytes int64 }
		}
		Memory []struct{ Bytes, LargestLive int64 }
		Copied int64
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Nodes) != len(p.Nodes) || len(got.Splits) != 4 || len(got.Memory) != 4 || got.Copied != p.Copied || p.Copied == 0 {
		t.Errorf("JSON has %d nodes, %d splits, %d arenas, %d bytes copied", len(got.Nodes), len(got.Splits), len(got.Memory), got.Copied)
	}
	if n := got.Nodes[2]; n.Op != "Mul" || n.Reason.Rule != "weight" || n.Reason.Text != "weight blk.0.attn_norm lies on A0" {
		t.Errorf("node 2 is %+v", n)
	}
}

// TestOptionErrors plans with options and devices that cannot be.
func TestOptionErrors(t *testing.T) {
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(4))
	g, err := b.Build(b.Name("y", b.Scale(x, 2)))
	if err != nil {
		t.Fatal(err)
	}
	one := []backends.Device{newFake("CPU")}
	for _, c := range []struct {
		devices []backends.Device
		opt     Options
		is      error
		text    string
	}{
		{nil, Options{}, backends.ErrNoDevice, "sched: no such device: the list of devices is empty"},
		{[]backends.Device{newFake("A"), newFake("A")}, Options{}, nil, `sched: devices 0 and 1 are both called "A"`},
		{one, Options{Layers: []string{"CPU", "ROCm0"}}, backends.ErrNoDevice, `sched: layer 1: no such device: "ROCm0"; there are CPU`},
		{one, Options{Pins: []Pin{{regexp.MustCompile("x"), "ROCm0"}}}, ErrPlacement, "sched: nodes cannot be placed as /x/ pins them: ROCm0: is not among CPU"},
		{one, Options{Pins: []Pin{{nil, "CPU"}}}, nil, `sched: pin 0, on "CPU", has no pattern`},
	} {
		_, err := NewPlan(g, c.devices, c.opt)
		if err == nil || err.Error() != c.text || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("got %v, want %s", err, c.text)
		}
	}
}

// TestGraphErrors plans graphs that no Builder makes.
func TestGraphErrors(t *testing.T) {
	one := []backends.Device{newFake("CPU")}
	leaf := func(role tensor.Role) *tensor.Tensor {
		l, err := tensor.NewLeaf(role, "l", tensor.F32, tensor.MakeShape(4))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	node := func(src *tensor.Tensor) *tensor.Tensor {
		return &tensor.Tensor{Name: "n", Op: tensor.Scale{}, Src: []*tensor.Tensor{src}, Shape: src.Shape, Stride: src.Stride}
	}
	in := leaf(tensor.Input)
	late, first := node(in), (*tensor.Tensor)(nil)
	first = node(late)
	wide := node(in)
	wide.Src = []*tensor.Tensor{{Name: "v", Op: tensor.View{}, Src: []*tensor.Tensor{in}, Base: in, Offset: 12, Shape: in.Shape, Stride: in.Stride}}
	for _, c := range []struct {
		g  tensor.Graph
		is error
	}{
		{tensor.Graph{Nodes: []*tensor.Tensor{nil}}, tensor.ErrGraph},
		{tensor.Graph{Nodes: []*tensor.Tensor{in}}, tensor.ErrGraph},
		{tensor.Graph{Nodes: []*tensor.Tensor{first, late}}, tensor.ErrGraph},
		{tensor.Graph{Nodes: []*tensor.Tensor{late, late}}, tensor.ErrGraph},
		{tensor.Graph{Nodes: []*tensor.Tensor{wide}}, tensor.ErrGraph},
		{tensor.Graph{Nodes: []*tensor.Tensor{node(leaf(tensor.Node))}}, tensor.ErrGraph},
		{tensor.Graph{Nodes: []*tensor.Tensor{node(leaf(tensor.Weight))}}, tensor.ErrBind},
		{tensor.Graph{Nodes: []*tensor.Tensor{node(leaf(tensor.Cache))}}, tensor.ErrBind},
		{tensor.Graph{Inputs: []*tensor.Tensor{nil}}, tensor.ErrGraph},
		{tensor.Graph{Outputs: []*tensor.Tensor{nil}}, tensor.ErrGraph},
		{tensor.Graph{Outputs: []*tensor.Tensor{late}}, tensor.ErrGraph},
	} {
		if _, err := NewPlan(&c.g, one, Options{}); !errors.Is(err, c.is) {
			t.Errorf("got %v, want %v, of\n%v", err, c.is, fmt.Sprint(c.g.Nodes))
		}
	}
}
