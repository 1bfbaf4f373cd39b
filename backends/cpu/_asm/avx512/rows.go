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
	regW4      = "BX"  // the block of the fifth row
	regRow     = "R11" // floats only: the first row
	regRows    = "BX"  // floats only: rows left
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
	// shifted says that regX, regScale and regSum point to the fifth token.
	shifted bool
}

// weights and token return addresses in row r of the weights, and in token t's part of the record that
// the register points to; token only in eachToken.
func (u *unit) weights(r int) place {
	if r >= 4 {
		return strided(regW4, regStride, regStride3, r-4)
	}
	return strided(regW, regStride, regStride3, r)
}
func (u *unit) token(reg string, t int) place { return strided(reg, regXS, regXS3, t%4) }
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

// quarters loads 16 bytes of four rows, from row r on, into the quarters of dst.
func (u *unit) quarters(offset, r int, dst vec) {
	u.op("VMOVDQU", u.weights(r).at(offset), dst.x())
	for i := 1; i < 4; i++ {
		u.op("VINSERTI32X4", imm(i), u.weights(r+i).at(offset), dst, dst)
	}
}

// pairUp loads the same of rows four to seven and has rows r and r+4 share quarter r: the first 8 bytes of either
// in dst[0], where those of rows zero to three lie, and the others in dst[1].
func (u *unit) pairUp(offset int, dst []vec, tmp vec) {
	u.quarters(offset, 4, tmp)
	u.op("VPUNPCKHQDQ", tmp, dst[0], dst[1])
	u.op("VPUNPCKLQDQ", tmp, dst[0], dst[0])
}

// eachToken does f for each token. With more than four of them registers move to the fifth, and stay there until the
// first is wanted: a call begins where the one before has ended.
func (u *unit) eachToken(f func(t int)) {
	first, second := [2]int{0, min(4, u.tokens)}, [2]int{4, u.tokens}
	if u.shifted {
		first, second = second, first
	}
	for t := first[0]; t < first[1]; t++ {
		f(t)
	}
	if u.tokens > 4 {
		u.shift()
	}
	for t := second[0]; t < second[1]; t++ {
		f(t)
	}
}

// shift moves registers to the fifth token, or back to the first.
func (u *unit) shift() {
	op := "ADDQ"
	if u.shifted {
		op = "SUBQ"
	}
	for _, r := range []string{regX, regScale, regSum} {
		u.op(op, u.four(), r)
	}
	u.shifted = !u.shifted
}

func kreg(k int) string { return fmt.Sprintf("K%d", k) }

// In the frame lie, behind what the block needs, the first row of those at hand, the end of all rows, how many are
// left, and how far it is from the first to the fifth token.
func (u *unit) row() string  { return fmt.Sprintf("%d(SP)", u.frame) }
func (u *unit) end() string  { return fmt.Sprintf("%d(SP)", u.frame+8) }
func (u *unit) left() string { return fmt.Sprintf("%d(SP)", u.frame+16) }
func (u *unit) four() string { return fmt.Sprintf("%d(SP)", u.frame+24) }

// far is how many bytes before what is fetched to the first cache memory is fetched to the second one.
// Measured: nearer or farther is slower, and so is either of the two alone.
const far = 8192

// fetch prepares for fetching what the next rows hold at the place of the block at hand: fetchLines fetches
// it in n parts, between which there is other work. It occupies regA until then.
func (u *unit) fetch() {
	u.op("ADDQ", imm(u.rows*u.size), regAhead)
	u.op("LEAQ", fmt.Sprintf("%d(%s)", far, regAhead), regA)
	u.op("CMPQ", regA, u.end())
	u.op("CMOVQGT", regAhead, regA) // nothing behind the rows
}

func (u *unit) fetchLines(part, n int) {
	bytes := u.rows * u.size
	lines := (bytes + 63) / 64
	for i := part * lines / n; i < (part+1)*lines/n; i++ {
		u.op("PREFETCHT0", place{base: regAhead}.at(64*i-bytes))
		u.op("PREFETCHT2", place{base: regA}.at(64*i-bytes))
	}
}

// emit writes the function: setup fills registers that stay, block multiplies a block of the rows with
// the tokens and adds to acc, reduce leaves the sums of the rows at the beginning of each acc.
func (u *unit) emit(name string, setup, block func()) {
	u.function(fmt.Sprintf("func %s(p *product)", name), name, u.frame+32, 8)
	again, full, next, single, done := u.label("rows"), u.label("full"), u.label("block"), u.label("single"), u.label("done")
	u.op("MOVQ", "p+0(FP)", regA)
	u.op("MOVQ", "product_rows("+regA+")", regX)
	u.op("MOVQ", regX, u.left())
	u.op("MOVQ", "product_w("+regA+")", regB)
	u.op("MOVQ", regB, u.row())
	u.op("IMULQ", "product_wStride("+regA+")", regX)
	u.op("ADDQ", regX, regB)
	u.op("MOVQ", regB, u.end())
	u.op("MOVQ", "product_dst("+regA+")", regDst)
	u.op("MOVQ", "product_wStride("+regA+")", regStride)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regStride, regStride), regStride3)
	u.op("MOVQ", "product_xStride("+regA+")", regXS)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regXS, regXS), regXS3)
	if u.tokens > 4 {
		u.op("LEAQ", fmt.Sprintf("(%s*4)", regXS), regA)
		u.op("MOVQ", regA, u.four())
	}
	setup()
	u.acc = u.several(u.tokens)

	u.place(again)
	u.op("CMPQ", u.left(), imm(u.rows))
	u.op("JGE", full)
	u.op("XORL", regStride, regStride)
	u.op("XORL", regStride3, regStride3)
	u.place(full)
	u.op("MOVQ", "p+0(FP)", regA)
	u.op("MOVQ", u.row(), regW)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*%d)", regW, regStride, u.rows), regAhead)
	u.op("CMPQ", u.left(), imm(u.rows))
	u.op("CMOVQLE", regW, regAhead) // these are the last ones
	if u.rows > 4 {
		u.op("LEAQ", fmt.Sprintf("(%s)(%s*4)", regW, regStride), regW4)
	}
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
	block()
	if u.shifted {
		u.shift()
	}
	u.op("ADDQ", imm(u.size), regW)
	if u.rows > 4 {
		u.op("ADDQ", imm(u.size), regW4)
	}
	u.op("ADDQ", fmt.Sprintf("$%d", u.block), regX)
	u.op("ADDQ", "$4", regScale)
	u.op("ADDQ", fmt.Sprintf("$%d", u.sums), regSum)
	u.op("DECQ", regBlocks)
	u.op("JNZ", next)

	u.reduce()
	u.op("MOVQ", "p+0(FP)", regA)
	u.op("MOVQ", "product_dstStride("+regA+")", regA)
	u.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regA, regA), regB)
	if u.tokens > 4 {
		u.op("LEAQ", fmt.Sprintf("(%s)(%s*4)", regDst, regA), regX)
	}
	u.op("CMPQ", u.left(), imm(u.rows))
	u.op("JLT", single)
	for t, a := range u.acc {
		to := u.result(t).at(0)
		switch u.rows {
		case 8:
			u.op("VMOVUPS", a.y(), to)
		case 4:
			u.op("VMOVUPS", a.x(), to)
		case 2:
			u.op("VMOVQ", a.x(), to)
		}
	}
	u.op("ADDQ", fmt.Sprintf("$%d", 4*u.rows), regDst)
	u.op("LEAQ", fmt.Sprintf("(%s*%d)", regStride, u.rows), regA)
	u.op("ADDQ", regA, u.row())
	u.op("SUBQ", imm(u.rows), u.left())
	u.op("JNZ", again)
	u.op("JMP", done)

	// What is left is taken a row at a time, which stands in every part of the vectors.
	u.place(single)
	for t, a := range u.acc {
		u.op("VMOVSS", a.x(), u.result(t).at(0))
	}
	u.op("ADDQ", "$4", regDst)
	u.op("MOVQ", "p+0(FP)", regA)
	u.op("MOVQ", "product_wStride("+regA+")", regA)
	u.op("ADDQ", regA, u.row())
	u.op("DECQ", u.left())
	u.op("JNZ", again)
	u.place(done)
	u.op("VZEROUPPER")
	u.op("RET")
}

// result returns where token t's results go, whose distance is in regA, and three times that in regB. regX is the fifth
// token's.
func (u *unit) result(t int) place {
	if t >= 4 {
		return strided(regX, regA, regB, t-4)
	}
	return strided(regDst, regA, regB, t)
}

// reduce adds up the parts of each row, in the same order for any number of tokens. The rows' sums are left
// at the beginning.
func (u *unit) reduce() {
	t := vec(0)
	order := vec(1)
	u.op("VMOVDQU64", u.vector(fmt.Sprintf("order%d", u.rows), func(i int) byte {
		if i%4 > 0 || i/4 >= u.rows {
			return 0
		}
		switch r := i / 4; u.rows {
		case 8: // row r+4 shares a quarter with row r
			return byte(r%4*4 + r/4*2)
		default:
			return byte(r * 16 / u.rows)
		}
	}), order)
	for _, a := range u.acc {
		if a <= order {
			panic("the accumulator is in the way")
		}
		if u.rows == 2 {
			u.op("VSHUFF32X4", "$0xB1", a, a, t)
			u.op("VADDPS", t, a, a)
		}
		if u.rows <= 4 {
			u.op("VPERMILPS", "$0x4E", a, t)
			u.op("VADDPS", t, a, a)
		}
		u.op("VPERMILPS", "$0xB1", a, t)
		u.op("VADDPS", t, a, a)
		u.op("VPERMPS", a, order, a)
	}
}

func log2(n int) (l int) {
	for ; n > 1; n /= 2 {
		l++
	}
	return l
}
