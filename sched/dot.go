package sched

import (
	"bufio"
	"fmt"
	"io"
	"strconv"

	"github.com/tenon-go/tenon/tensor"
)

// colors are those of the devices, in their order; Graphviz knows the names.
var colors = []string{"lightblue", "palegreen", "lightsalmon", "khaki", "plum", "lightgray"}

// WriteDot writes p in the language of Graphviz: a box for each split, in it its nodes with the reason
// why they are there, and the copies between them as dashed edges.
func (p *Plan) WriteDot(w io.Writer) error {
	d := dot{Writer: bufio.NewWriter(w), p: p, maker: map[*tensor.Tensor]int{}}
	d.WriteString("digraph plan {\n  node [shape=box style=filled]\n")
	for i := range p.Splits {
		d.split(i)
	}
	for i := range p.Splits {
		d.edges(i)
	}
	d.WriteString("}\n")
	return d.Flush()
}

// dot writes a plan. Its nodes are called n and their number, leaves l and theirs.
type dot struct {
	*bufio.Writer
	p     *Plan
	maker map[*tensor.Tensor]int // node that wrote each root last, so far
}

func (d *dot) split(i int) {
	s, groups := &d.p.Splits[i], d.p.Groups
	color := colors[int(d.p.layout.splits[i].dev)%len(colors)]
	fmt.Fprintf(d, "  subgraph cluster_%d {\n    label=%s\n", i, quoted(fmt.Sprintf("split %d on %s", i, s.Device)))
	for n := s.From; n < s.To; n++ {
		x := &d.p.Nodes[n]
		label := fmt.Sprintf("%s %s\n%v", x.Op, x.Node, x.Reason)
		for len(groups) > 0 && groups[0].To <= n {
			groups = groups[1:]
		}
		if len(groups) > 0 && groups[0].From <= n {
			label += "\nfused " + groups[0].Fusion
		}
		fmt.Fprintf(d, "    n%d [label=%s fillcolor=%s]\n", n, quoted(label), color)
	}
	d.WriteString("  }\n")
}

// edges writes what the nodes of split i read of results. What a copy brings is dashed.
func (d *dot) edges(i int) {
	s := &d.p.Splits[i]
	copied := map[*tensor.Tensor]int64{}
	for k, c := range s.Copies {
		copied[d.p.layout.roots[d.p.layout.splits[i].copies[k].root].t] += c.Bytes
	}
	for n := s.From; n < s.To; n++ {
		node := d.p.graph.Nodes[n]
		for _, src := range node.Src {
			if src == nil {
				continue
			}
			root := src.Root()
			from, made := d.maker[root]
			bytes, isCopy := copied[root]
			switch {
			case made && isCopy:
				fmt.Fprintf(d, "  n%d -> n%d [style=dashed label=%s]\n", from, n, quoted(count(int(bytes), "byte")))
				delete(copied, root)
			case made:
				fmt.Fprintf(d, "  n%d -> n%d\n", from, n)
			case isCopy: // a leaf that comes from another device
				leaf := d.p.layout.ids[root]
				fmt.Fprintf(d, "  l%d [label=%s shape=ellipse style=solid]\n", leaf, quoted(root.Role.String()+" "+root.Name))
				fmt.Fprintf(d, "  l%d -> n%d [style=dashed label=%s]\n", leaf, n, quoted(count(int(bytes), "byte")))
				delete(copied, root)
			}
		}
		d.maker[node.Root()] = n
	}
}

// quoted returns s as a string of the language, whose only escapes are those of quotes, backslashes and
// line ends.
func quoted(s string) string {
	out := []byte{'"'}
	for _, r := range s {
		switch {
		case r == '\n':
			out = append(out, `\n`...)
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case !strconv.IsPrint(r):
			out = append(out, '?')
		default:
			out = append(out, string(r)...)
		}
	}
	return string(append(out, '"'))
}
