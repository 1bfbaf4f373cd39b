package main

import (
	"bytes"
	"fmt"
	"strings"
)

// gen collects the text of assembly.
type gen struct{ bytes.Buffer }

// f emits one line: an instruction that Go's assembler knows.
func (g *gen) f(format string, args ...any) { fmt.Fprintf(g, "\t"+format+"\n", args...) }

// note emits a comment.
func (g *gen) note(format string, args ...any) { fmt.Fprintf(g, "\t// "+format+"\n", args...) }

// label places a label.
func (g *gen) label(name string) { fmt.Fprintf(g, "\n%s:\n", name) }

// text begins a function without frame. args is the size of its arguments.
func (g *gen) text(decl, name string, args int) {
	fmt.Fprintf(g, "\n// func %s\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", decl, name, args)
}

// A macro is an instruction that Go's assembler lacks. Its word is base with the operands shifted into
// their places; by-element forms have the lane's two bits apart.
type macro struct {
	name, gnu string // gnu is the mnemonic in the syntax of binutils, with %d for the operands in order
	base      uint32
	params    string // d n m i
}

var macros = []macro{
	{"SDOT", "sdot v%d.4s, v%d.16b, v%d.16b", 0x4e809400, "dnm"},
	{"MUL16B", "mul v%d.16b, v%d.16b, v%d.16b", 0x4e209c00, "dnm"},
	{"MLAI", "mla v%d.4s, v%d.4s, v%d.s[%d]", 0x6f800000, "dnmi"},
	{"SMULL", "smull v%d.4s, v%d.4h, v%d.4h", 0x0e60c000, "dnm"},
	{"SMLAL", "smlal v%d.4s, v%d.4h, v%d.4h", 0x0e608000, "dnm"},
	{"SMLAL2", "smlal2 v%d.4s, v%d.8h, v%d.8h", 0x4e608000, "dnm"},
	{"SADDLV", "saddlv h%d, v%d.16b", 0x4e303800, "dn"},
	{"SXTL8H", "sxtl v%d.8h, v%d.8b", 0x0f08a400, "dn"},
	{"SXTL8H2", "sxtl2 v%d.8h, v%d.16b", 0x4f08a400, "dn"},
	{"SXTL4S", "sxtl v%d.4s, v%d.4h", 0x0f10a400, "dn"},
	{"SXTL4S2", "sxtl2 v%d.4s, v%d.8h", 0x4f10a400, "dn"},
	{"USHL16B", "ushl v%d.16b, v%d.16b, v%d.16b", 0x6e204400, "dnm"},
	{"BIC16B", "bic v%d.16b, v%d.16b, v%d.16b", 0x4e601c00, "dnm"},
	{"SCVTF4S", "scvtf v%d.4s, v%d.4s", 0x4e21d800, "dn"},
	{"FCVTZS4S", "fcvtzs v%d.4s, v%d.4s", 0x4ea1b800, "dn"},
	{"FCVTL", "fcvtl v%d.4s, v%d.4h", 0x0e217800, "dn"},
	{"FCVTL2", "fcvtl2 v%d.4s, v%d.8h", 0x4e217800, "dn"},
	{"FADD4S", "fadd v%d.4s, v%d.4s, v%d.4s", 0x4e20d400, "dnm"},
	{"FADDP4S", "faddp v%d.4s, v%d.4s, v%d.4s", 0x6e20d400, "dnm"},
	{"FMUL4S", "fmul v%d.4s, v%d.4s, v%d.4s", 0x6e20dc00, "dnm"},
	{"FMULI", "fmul v%d.4s, v%d.4s, v%d.s[%d]", 0x4f809000, "dnmi"},
	{"FMLAI", "fmla v%d.4s, v%d.4s, v%d.s[%d]", 0x4f801000, "dnmi"},
	{"FMLSI", "fmls v%d.4s, v%d.4s, v%d.s[%d]", 0x4f805000, "dnmi"},
	{"FABS4S", "fabs v%d.4s, v%d.4s", 0x4ea0f800, "dn"},
	{"FMAX4S", "fmax v%d.4s, v%d.4s, v%d.4s", 0x4e20f400, "dnm"},
	{"FMAXV4S", "fmaxv s%d, v%d.4s", 0x6e30f800, "dn"},
	{"FCMGT4S", "fcmgt v%d.4s, v%d.4s, v%d.4s", 0x6ea0e400, "dnm"},
}

// places says where an operand of a macro goes.
var places = map[rune]string{'d': "(d)", 'n': "(n)<<5", 'm': "(m)<<16", 'i': "((i)&1)<<21 | ((i)>>1)<<11"}

// header is the file of macros.
func header() []byte {
	var b bytes.Buffer
	b.WriteString(generated)
	b.WriteString(`// Instructions of Advanced SIMD that Go's assembler lacks. Operands are numbers of vector registers in the
// order of the Arm architecture's manual, destination first, and i is a lane. Where a macro is used, a
// comment has the instruction for binutils, and TestNEONWords compares.
`)
	for _, m := range macros {
		names, word := []string{}, []string{fmt.Sprintf("0x%08x", m.base)}
		for _, p := range m.params {
			names, word = append(names, string(p)), append(word, places[p])
		}
		fmt.Fprintf(&b, "#define %s(%s) WORD $(%s)\n", m.name, strings.Join(names, ", "), strings.Join(word, " | "))
	}
	return b.Bytes()
}

// m emits a macro.
func (g *gen) m(name string, operands ...any) {
	for _, m := range macros {
		if m.name == name {
			if len(operands) != len(m.params) {
				panic(name + ": operands")
			}
			s := fmt.Sprint(operands[0])
			for _, o := range operands[1:] {
				s += fmt.Sprintf(", %v", o)
			}
			fmt.Fprintf(g, "\t%s(%s) // %s\n", name, s, fmt.Sprintf(m.gnu, operands...))
			return
		}
	}
	panic(name + ": no such macro")
}

// The instructions of Go's assembler that kernels use a lot, with the destination first.

func (g *gen) zero(d int)         { g.f("VEOR V%d.B16, V%[1]d.B16, V%[1]d.B16", d) }
func (g *gen) and(d, n, m int)    { g.f("VAND V%d.B16, V%d.B16, V%d.B16", m, n, d) }
func (g *gen) orr(d, n, m int)    { g.f("VORR V%d.B16, V%d.B16, V%d.B16", m, n, d) }
func (g *gen) sub8(d, n, m int)   { g.f("VSUB V%d.B16, V%d.B16, V%d.B16", m, n, d) }
func (g *gen) tst(d, n, m int)    { g.f("VCMTST V%d.B16, V%d.B16, V%d.B16", m, n, d) }
func (g *gen) table(d, t, i int)  { g.f("VTBL V%d.B16, [V%d.B16], V%d.B16", i, t, d) }
func (g *gen) shr(d, n, bits int) { g.f("VUSHR $%d, V%d.B16, V%d.B16", bits, n, d) }
func (g *gen) shl(d, n, bits int) { g.f("VSHL $%d, V%d.B16, V%d.B16", bits, n, d) }
func (g *gen) sli(d, n, bits int) { g.f("VSLI $%d, V%d.B16, V%d.B16", bits, n, d) }

// pairs adds neighbours of n and then of m, as int32.
func (g *gen) pairs(d, n, m int) { g.f("VADDP V%d.S4, V%d.S4, V%d.S4", m, n, d) }

// load16 and load32 load one register or two that follow each other.
func (g *gen) load16(d int, base string, off int) { g.f("FMOVQ %d(%s), F%d", off, base, d) }

func (g *gen) load32(d int, base string, off int) {
	g.f("FLDPQ %d(%s), (F%d, F%d)", off, base, d, d+1)
}

// A constants table is read by 16 bytes, from where base points.
type constants struct {
	base  string
	table [][16]byte
}

// load loads v, which the table gets if it has it not yet.
func (c *constants) load(g *gen, d int, v [16]byte) {
	at := -1
	for i, have := range c.table {
		if have == v {
			at = i
		}
	}
	if at < 0 {
		at = len(c.table)
		c.table = append(c.table, v)
	}
	g.load16(d, c.base, 16*at)
}

// data emits the table.
func (c *constants) data(g *gen, name string) {
	g.WriteString("\n")
	for i, v := range c.table {
		for h := range 2 {
			var x uint64
			for j := range 8 {
				x |= uint64(v[8*h+j]) << (8 * j)
			}
			fmt.Fprintf(g, "DATA %s<>+%d(SB)/8, $0x%016x\n", name, 16*i+8*h, x)
		}
	}
	fmt.Fprintf(g, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", name, 16*len(c.table))
}

// all is 16 times the same byte.
func all(b byte) (v [16]byte) {
	for i := range v {
		v[i] = b
	}
	return v
}

// unitName is the name of a row unit for n tokens.
func unitName(typ string, n int) string {
	return fmt.Sprintf("dot%sNEONx%d", strings.ReplaceAll(typ, "_", ""), n)
}
