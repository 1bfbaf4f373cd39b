package main

import (
	"encoding/binary"
	"fmt"
)

// Units of integer types take four rows at once. A ymm register of weights holds eight bytes of each:
//
//	row 0 | row 1 | row 2 | row 3
//
// and meets eight bytes of a token that are broadcast, which costs no more than loading them. Sums of
// products then lie as two int32 or float32 of each row, without a shuffle in the loop. What is done for
// weights is done once for all tokens.
//
// Registers in all of these units:
//
//	R8 to R11  the block of each of the four rows
//	SI         the first token's codes
//	R12, R13   its scales and sums
//	DX, BX     the stride of tokens, and three of it
//	AX         blocks to go
//	DI         scratch memory, 32-byte aligned, where a unit has some
//	R14        what is fetched ahead
//	Y0 to Y3   sums of each token
//
// Where fewer than four rows are left, the last one stands for those that are missing.

// A quad is a unit of four rows.
type quad struct {
	*file
	level   string
	tokens  int
	scratch int  // bytes at DI
	block   int  // bytes of a block of weights
	elems   int  // elements of a block
	dots    bool // whether products of small codes are added by VPDPBUSD
	// ratio is how many bytes of codes there are for a byte of scales: a power of two, by its exponent.
	ratio int
}

// token returns the operand of token t's memory at disp from a register that points into the first
// token's record.
func token(base string, t, disp int) string {
	return fmt.Sprintf("%d(%s)%s", disp, base, [...]string{"", "(DX*1)", "(DX*2)", "(BX*1)"}[t])
}

// rows are the pointers of the four rows.
var rows = [4]string{"R8", "R9", "R10", "R11"}

// unit writes a whole unit: begin before the blocks of four rows, body for each block, and end, after
// which Y0 and so on hold each token's sums.
func (q *quad) unit(name string, begin, body, end func()) {
	frame := 32
	if q.scratch > 0 {
		frame += q.scratch + 32
	}
	q.fn(name, "(p *product)", frame, 8, "")
	q.i("MOVQ p+0(FP), AX; MOVQ product_rows(AX), CX; MOVQ CX, left-8(SP)")
	q.i("MOVQ product_w(AX), CX; MOVQ CX, w-16(SP); MOVQ product_dst(AX), CX; MOVQ CX, dst-24(SP)")
	q.i("MOVQ product_xStride(AX), DX; LEAQ (DX)(DX*2), BX")
	four := q.label("rows")
	q.at(four)
	q.pointers()
	if q.scratch > 0 {
		q.i("LEAQ scratch-%d(SP), DI; ADDQ $31, DI; ANDQ $-32, DI", frame)
	}
	begin()
	loop := q.label("block")
	q.at(loop)
	body()
	if q.elems == 32 {
		q.ahead(4 * q.block)
	}
	for _, r := range rows {
		q.i("ADDQ $%d, %s", q.block, r)
	}
	q.i("DECQ AX; JNZ %s", loop)
	if end != nil {
		end()
	}
	q.store()
	q.i("SUBQ $4, CX; MOVQ CX, left-8(SP); JGT %s", four)
	q.i("VZEROUPPER; RET")
}

// pointers sets the pointers of the next four rows and of the tokens.
func (q *quad) pointers() {
	q.i("MOVQ p+0(FP), AX; MOVQ left-8(SP), CX; MOVQ w-16(SP), R8; MOVQ product_wStride(AX), DI")
	q.i("LEAQ (R8)(DI*4), R14; MOVQ R14, w-16(SP)")
	for r := 1; r < 4; r++ {
		q.i("LEAQ (%s)(DI*1), %s; CMPQ CX, $%d; CMOVQLE %s, %s", rows[r-1], rows[r], r, rows[r-1], rows[r])
	}
	q.i("MOVQ product_x(AX), SI; MOVQ product_k(AX), CX; LEAQ (SI)(CX*1), R12")
	q.i("MOVQ CX, AX; SHRQ $%d, CX; LEAQ (R12)(CX*1), R13; SHRQ $%d, AX", q.ratio, log2(q.elems))
}

// ahead fetches the next n bytes of the next four rows, which lie behind these, and so are there when
// their turn comes. Hardware finds the beginning of a row too late. The first cache has no room for as many
// long rows, so it is the second that they wait in.
func (q *quad) ahead(n int) { q.fetch("R14", n) }

// fetch fetches n bytes from register r on, and moves it behind them. A line in nine may be left out.
func (f *file) fetch(r string, n int) {
	for at := 0; at < n-8; at += 64 {
		f.i("PREFETCHT1 %d(%s)", at, r)
	}
	f.i("ADDQ $%d, %s", n, r)
}

func log2(n int) (l int) {
	for ; n > 1; n /= 2 {
		l++
	}
	return l
}

// store adds both sums of each row and writes as many rows as are left, which stay in CX.
func (q *quad) store() {
	var masks []byte
	for n := range 5 {
		for i := range 4 {
			v := uint32(0)
			if i < n {
				v = 1 << 31
			}
			masks = binary.LittleEndian.AppendUint32(masks, v)
		}
	}
	q.i("MOVQ left-8(SP), CX; MOVQ $4, AX; CMPQ CX, AX; CMOVQLT CX, AX; SHLQ $4, AX")
	q.i("LEAQ %s, DI; VMOVDQU (DI)(AX*1), X15", q.constant("rowMasks", masks))
	q.i("MOVQ p+0(FP), AX; MOVQ product_dstStride(AX), AX; MOVQ dst-24(SP), DI")
	for t := range q.tokens {
		q.i("VEXTRACTF128 $1, Y%d, X14; VHADDPS X14, X%d, X14; VMASKMOVPS X14, X15, (DI)", t, t)
		if t < q.tokens-1 {
			q.i("ADDQ AX, DI")
		}
	}
	q.i("MOVQ dst-24(SP), DI; ADDQ $16, DI; MOVQ DI, dst-24(SP)")
}

// columns loads 16 bytes of each row from off on: eight into register a, eight into b. Y13 and Y14 are
// used.
func (q *quad) columns(off, a, b int) { q.columnsAt(off, "", a, b) }

// columnsAt is columns with an index, as the assembler has it.
func (q *quad) columnsAt(off int, index string, a, b int) {
	q.i("VMOVDQU %d(R8)%s, X13; VINSERTI128 $1, %d(R10)%s, Y13, Y13", off, index, off, index)
	q.i("VMOVDQU %d(R9)%s, X14; VINSERTI128 $1, %d(R11)%s, Y14, Y14", off, index, off, index)
	q.i("VPUNPCKLQDQ Y14, Y13, Y%d; VPUNPCKHQDQ Y14, Y13, Y%d", a, b)
}

// nibbles splits the bytes of register high: low ones into register low, high ones stay.
func (q *quad) nibbles(low, high int) {
	m := q.bytesOf("nibbles", 15)
	q.i("VPAND %s, Y%d, Y%d; VPSRLW $4, Y%d, Y%d; VPAND %s, Y%d, Y%d", m, high, low, high, high, m, high, high)
}

// lookup replaces the codes in register r by their values in a table of 16 bytes, into register dst.
func (q *quad) lookup(table string, r, dst int) {
	q.i("VMOVDQU %s, Y14; VPSHUFB Y%d, Y14, Y%d", table, r, dst)
}

// table returns the operand of a table of 16 bytes, in both halves.
func (q *quad) table(name string, v [16]int8) string {
	var b []byte
	for i := range 32 {
		b = append(b, byte(v[i%16]))
	}
	return q.constant(name, b)
}

// halves loads the binary16 at off of each row as floats, two of each row, into register d. It reads 16
// bytes of a row from off on. Y13 is used.
func (q *quad) halves(off, d int) {
	q.i("VMOVD %d(R8), X%d; VPUNPCKLWD %d(R9), X%d, X%d", off, d, off, d, d)
	q.i("VMOVD %d(R10), X13; VPUNPCKLWD %d(R11), X13, X13; VPUNPCKLDQ X13, X%d, X%d", off, off, d, d)
	q.i("VPUNPCKLWD X%d, X%d, X%d; VCVTPH2PS X%d, Y%d", d, d, d, d, d)
}

// halvesAtEnd is halves where a row may end behind the number.
func (q *quad) halvesAtEnd(off, d int) {
	q.i("MOVWLZX %d(R8), CX; VMOVD CX, X%d", off, d)
	for r := 1; r < 4; r++ {
		q.i("VPINSRW $%d, %d(%s), X%d, X%d", r, off, rows[r], d, d)
	}
	q.i("VPUNPCKLWD X%d, X%d, X%d; VCVTPH2PS X%d, Y%d", d, d, d, d, d)
}

// dwords gathers the dword at off of each row in register d.
func (q *quad) dwords(off, d int) {
	q.i("VMOVD %d(R8), X%d", off, d)
	for r := 1; r < 4; r++ {
		q.i("VPINSRD $%d, %d(%s), X%d, X%d", r, off, rows[r], d, d)
	}
}

// twoHalves makes floats of the dwords in register m, which are two binary16 of each row: twice the
// first goes to register d, twice the second to m.
func (q *quad) twoHalves(d, m int) {
	q.i("VCVTPH2PS X%d, Y%d; VMOVSLDUP Y%d, Y%d; VMOVSHDUP Y%d, Y%d", m, m, m, d, m, m)
}
