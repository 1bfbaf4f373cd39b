package main

import "fmt"

// General registers of a row unit. Rows of weights are taken several at a time; each has its part of a
// vector register, so that what is done once per vector (scales, sums, conversions) serves all of them.
const (
	regW       = "SI" // the block of the first row
	regStride  = "R8" // from row to row; 0 where a single row stands for all
	regStride3 = "R15"
	regX       = "DI" // codes of the first token's block
	regXS      = "R9"
	regXS3     = "R10"
	regScale   = "DX"  // the first token's scale of the block
	regSum     = "R11" // the first token's sums of the block
	regBlocks  = "CX"  // blocks left
	regRows    = "BX"  // rows left
	regRow     = "R11" // floats only: the first row
	regAhead   = "R12" // what is fetched ahead: the next rows, as if one after the other
	regDst     = "R13" // its first result
	regA       = "AX"  // at hand
	regB       = "R14"
)

// unit is a row unit that is being written.
type unit struct {
	*file
	vecs
	tokens int
	rows   int // taken at a time
	block  int // elements
	size   int // bytes of a block of weights
	sums   int // bytes of a block's sums in a record
	frame  int // bytes of the frame that a block needs
	acc    []vec
}

// weights and token return addresses in row r of the weights, and in token t's part of the record that
// the register points to.
func (u *unit) weights(r int) place           { return strided(regW, regStride, regStride3, r) }
func (u *unit) token(reg string, t int) place { return strided(reg, regXS, regXS3, t) }
func (u *unit) fill(dst vec, constant string) { u.op("VPBROADCASTD", constant, dst) }
func (u *unit) mask(k int, bits uint32) {
	u.op("MOVL", fmt.Sprintf("$%d", bits), regA)
	u.op("KMOVW", regA, kreg(k))
}
func (u *unit) zero(v vec) { u.op("VPXORD", v, v, v) }
func (u *unit) shiftAnd(src, mask, dst vec, n int) { // dst = src >> n & mask, in bytes that n does not cross
	u.op("VPSRLD", fmt.Sprintf("$%d", n), src, dst)
	u.op("VPANDD", mask, dst, dst)
}

func kreg(k int) string { return fmt.Sprintf("K%d", k) }

// The first row of those at hand lies in the frame, behind what the block needs.
func (u *unit) row() string { return fmt.Sprintf("%d(SP)", u.frame) }

// emit writes the function: setup fills registers that stay, block multiplies a block of the rows with
// the tokens and adds to acc, reduce leaves the sums of the rows at the beginning of each acc.
func (u *unit) emit(name string, setup, block func()) {
	u.function(fmt.Sprintf("func %s(p *product)", name), name, u.frame+8, 8)
	again, full, next, single, done := u.label("rows"), u.label("full"), u.label("block"), u.label("single"), u.label("done")
	u.op("MOVQ", "p+0(FP)", regA)
	u.op("MOVQ", "product_rows("+regA+")", regRows)
	u.op("MOVQ", "product_w("+regA+")", regB)
	u.op("MOVQ", regB, u.row())
	u.op("MOVQ", "product_dst("+regA+")", regDst)
	u.op("MOVQ", "product_wStride("+regA+")", regStride)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regStride, regStride), regStride3)
	u.op("MOVQ", "product_xStride("+regA+")", regXS)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regXS, regXS), regXS3)
	setup()
	u.acc = u.several(u.tokens)

	u.place(again)
	u.op("CMPQ", regRows, fmt.Sprintf("$%d", u.rows))
	u.op("JGE", full)
	u.op("XORL", regStride, regStride)
	u.op("XORL", regStride3, regStride3)
	u.place(full)
	u.op("MOVQ", "p+0(FP)", regA)
	u.op("MOVQ", u.row(), regW)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*%d)", regW, regStride, u.rows), regAhead)
	u.op("CMPQ", regRows, imm(u.rows))
	u.op("CMOVQLE", regW, regAhead) // these are the last ones
	u.op("MOVQ", "product_k("+regA+")", regBlocks)
	u.op("MOVQ", "product_x("+regA+")", regX)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*1)", regX, regBlocks), regScale)
	u.op("SHRQ", fmt.Sprintf("$%d", log2(u.block)), regBlocks)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*4)", regScale, regBlocks), regSum)
	for _, a := range u.acc {
		u.zero(a)
	}
	u.op("PCALIGN", "$32")
	u.place(next)
	for i := 0; i < u.rows*u.size; i += 64 {
		u.op("PREFETCHT0", place{base: regAhead}.at(i))
	}
	u.op("ADDQ", imm(u.rows*u.size), regAhead)
	block()
	u.op("ADDQ", fmt.Sprintf("$%d", u.size), regW)
	u.op("ADDQ", fmt.Sprintf("$%d", u.block), regX)
	u.op("ADDQ", "$4", regScale)
	u.op("ADDQ", fmt.Sprintf("$%d", u.sums), regSum)
	u.op("DECQ", regBlocks)
	u.op("JNZ", next)

	u.reduce()
	u.op("MOVQ", "p+0(FP)", regA)
	u.op("MOVQ", "product_dstStride("+regA+")", regA)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regA, regA), regB)
	u.op("CMPQ", regRows, fmt.Sprintf("$%d", u.rows))
	u.op("JLT", single)
	for t, a := range u.acc {
		to := strided(regDst, regA, regB, t).at(0)
		if u.rows == 4 {
			u.op("VMOVUPS", a.x(), to)
		} else {
			u.op("VMOVQ", a.x(), to)
		}
	}
	u.op("ADDQ", fmt.Sprintf("$%d", 4*u.rows), regDst)
	u.op("LEAQ", fmt.Sprintf("(%s*%d)", regStride, u.rows), regA)
	u.op("ADDQ", regA, u.row())
	u.op("SUBQ", fmt.Sprintf("$%d", u.rows), regRows)
	u.op("JNZ", again)
	u.op("JMP", done)

	// What is left is taken a row at a time, which stands in every part of the vectors.
	u.place(single)
	for t, a := range u.acc {
		u.op("VMOVSS", a.x(), strided(regDst, regA, regB, t).at(0))
	}
	u.op("ADDQ", "$4", regDst)
	u.op("MOVQ", "p+0(FP)", regA)
	u.op("MOVQ", "product_wStride("+regA+")", regA)
	u.op("ADDQ", regA, u.row())
	u.op("DECQ", regRows)
	u.op("JNZ", again)
	u.place(done)
	u.op("VZEROUPPER")
	u.op("RET")
}

// reduce adds up the parts of each row, in the same order for any number of tokens.
func (u *unit) reduce() {
	// The rows' sums will stand at the beginning of each quarter or half.
	u.mask(7, map[int]uint32{2: 0x0101, 4: 0x1111}[u.rows])
	t := vec(0)
	for _, a := range u.acc {
		if a == t {
			panic("the accumulator is in the way")
		}
		if u.rows == 2 {
			u.op("VSHUFF32X4", "$0xB1", a, a, t)
			u.op("VADDPS", t, a, a)
		}
		u.op("VPERMILPS", "$0x4E", a, t)
		u.op("VADDPS", t, a, a)
		u.op("VPERMILPS", "$0xB1", a, t)
		u.op("VADDPS", t, a, a)
		u.op("VCOMPRESSPS", a, "K7", a)
	}
}

func log2(n int) (l int) {
	for ; n > 1; n /= 2 {
		l++
	}
	return l
}

// eachWidth calls f for one to four tokens.
func eachWidth(f func(tokens int)) {
	for n := 1; n <= 4; n++ {
		f(n)
	}
}
