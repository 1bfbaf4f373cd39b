package sched

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// String returns what WriteText writes.
func (p *Plan) String() string {
	var b strings.Builder
	_ = p.WriteText(&b) // a Builder takes everything
	return b.String()
}

// WriteText writes p for people: the memory of each device, then each split with what it waits for,
// what is copied before it, and its nodes with device, reason and place. A place such as
// "CPU:0+4096" is the buffer of the device's arena and the offset in it in bytes.
func (p *Plan) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	copies := 0
	for _, s := range p.Splits {
		copies += len(s.Copies)
	}
	fmt.Fprintf(b, "%s, %s, %s of %s each run\n", count(len(p.Nodes), "node"), count(len(p.Splits), "split"),
		plural(copies, "copy", "copies"), count(int(p.Copied), "byte"))
	for _, a := range p.Memory {
		name := a.Device
		if a.BufferType != a.Device {
			name += " (" + a.BufferType + ")"
		}
		fmt.Fprintf(b, "memory of %s: %s in %s, %.3f of the %d that are in use at a time\n", name, count(int(a.Bytes), "byte"),
			count(len(a.Buffers), "buffer"), a.Ratio(), a.LargestLive)
	}
	if len(p.Groups) > 0 {
		nodes := 0
		for _, g := range p.Groups {
			nodes += g.To - g.From
		}
		fmt.Fprintf(b, "%s run as %s\n", count(nodes, "node"), plural(len(p.Groups), "fused kernel", "fused kernels"))
	}
	for i := range p.layout.roots {
		p.writeInput(b, int32(i))
	}
	groups, unfused := p.Groups, p.Unfused
	for i, s := range p.Splits {
		fmt.Fprintf(b, "split %d on %s", i, s.Device)
		if len(s.Waits) > 0 {
			fmt.Fprintf(b, ", after %s", strings.Join(s.Waits, " and "))
		}
		b.WriteByte('\n')
		for _, c := range s.Copies {
			fmt.Fprintf(b, "  copy %s", c.Tensor)
			if c.Offset > 0 {
				fmt.Fprintf(b, " from byte %d", c.Offset)
			}
			fmt.Fprintf(b, ": %s from %s to %s", count(int(c.Bytes), "byte"), c.From, p.Slots[c.Slot].at())
			if c.After < len(s.Waits) {
				b.WriteString(", before " + s.Waits[c.After] + " is waited for")
			}
			b.WriteByte('\n')
		}
		for n := s.From; n < s.To; n++ {
			for len(groups) > 0 && groups[0].From == n {
				fmt.Fprintf(b, "  fused %d to %d: %s\n", n, groups[0].To-1, groups[0].Fusion)
				groups = groups[1:]
			}
			p.writeNode(b, n)
			for len(unfused) > 0 && unfused[0].From == n {
				fmt.Fprintf(b, "    %s not fused: %s\n", unfused[0].Fusion, unfused[0].Reason)
				unfused = unfused[1:]
			}
		}
	}
	return b.Flush()
}

// writeInput writes where root id goes if it is an input that goes to more than one place.
func (p *Plan) writeInput(b *bufio.Writer, id int32) {
	more := p.layout.more[id]
	if more == nil {
		return
	}
	r := &p.layout.roots[id]
	fmt.Fprintf(b, "input %s: %s to %s", r.t.Name, count(int(p.Slots[r.first].Bytes), "byte"), p.Slots[r.first].at())
	for _, at := range more {
		fmt.Fprintf(b, " and %d to %s", p.Slots[at].Bytes, p.Slots[at].at())
	}
	b.WriteByte('\n')
}

func (p *Plan) writeNode(b *bufio.Writer, i int) {
	n := &p.Nodes[i]
	fmt.Fprintf(b, "  %d %s %s: %v", i, n.Op, n.Node, n.Reason)
	if n.Slot >= 0 {
		s := &p.Slots[n.Slot]
		fmt.Fprintf(b, "; %s at %s", count(int(s.Bytes), "byte"), s.at())
	}
	if n.InPlace {
		b.WriteString(", in place")
	}
	b.WriteByte('\n')
	for i, r := range n.Refused {
		if i == 0 && n.Reason.Rule == RuleFallback {
			continue // the reason has said it
		}
		fmt.Fprintf(b, "    %s refused: %s\n", r.Device, r.Reason)
	}
}

// at returns where s lies.
func (s *Slot) at() string { return fmt.Sprintf("%s:%d+%d", s.Device, s.Buffer, s.Offset) }

func count(n int, what string) string { return plural(n, what, what+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
