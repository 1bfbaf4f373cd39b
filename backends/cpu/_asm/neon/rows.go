package main

import "fmt"

// What all row units share: registers, the loop over rows, and results.
const (
	rP      = "R0"  // the product
	rW      = "R1"  // weights, as far as they are done
	rScales = "R2"  // scales of blocks32, as far as they are done
	rRows   = "R3"  // rows left
	rDst    = "R4"  // the first token's result
	rCount  = "R5"  // blocks left
	rTmp    = "R6"  // also: the table of constants
	rTmp2   = "R7"  // ...
	rStep   = "R16" // bytes of a block, to go from scale to scale
	rTable  = "R17" // scales of MXFP4
	rRow    = "R25" // the row's weights
	vSum    = 28    // the first token's sum; those of the others follow
)

// Of token t: its codes (or floats), scales and sums of codes, as far as they are done.
func rCodes(t int) string { return fmt.Sprintf("R%d", 8+t) }
func rD(t int) string     { return fmt.Sprintf("R%d", 12+t) }
func rSums(t int) string  { return fmt.Sprintf("R%d", 19+t) }

// rowUnit emits a row unit of n tokens. begin loads what stays, row does one row and leaves each token's
// sum as one float in F28 and so on. d and sums are by how many bits k is shifted to be the bytes of
// codes (none if records are floats) and scales.
func (g *gen) rowUnit(typ string, n int, begin, row func(), hasBlocks bool, dShift int, hasSums bool) {
	name := unitName(typ, n)
	g.text(name+"(p *product)", name, 8)
	g.f("MOVD p+0(FP), %s", rP)
	g.f("MOVD product_rows(%s), %s", rP, rRows)
	g.f("MOVD product_dst(%s), %s", rP, rDst)
	g.f("MOVD product_w(%s), %s", rP, rRow)
	begin()
	g.label("row")
	g.f("MOVD %s, %s", rRow, rW)
	g.f("MOVD product_x(%s), %s", rP, rCodes(0))
	if n > 1 {
		g.f("MOVD product_xStride(%s), %s", rP, rTmp)
	}
	for t := 1; t < n; t++ {
		g.f("ADD %s, %s, %s", rTmp, rCodes(t-1), rCodes(t))
	}
	g.f("MOVD product_k(%s), %s", rP, rCount)
	if hasBlocks {
		for t := range n {
			g.f("ADD %s, %s, %s", rCount, rCodes(t), rD(t))
		}
		if hasSums {
			g.f("LSR $%d, %s, %s", dShift, rCount, rTmp)
		}
		for t := range n {
			if hasSums {
				g.f("ADD %s, %s, %s", rTmp, rD(t), rSums(t))
			}
		}
	}
	row()
	g.f("MOVD %s, %s", rDst, rTmp)
	for t := range n {
		if t > 0 {
			g.f("ADD %s, %s", rTmp2, rTmp)
		} else if n > 1 {
			g.f("MOVD product_dstStride(%s), %s", rP, rTmp2)
		}
		g.f("FMOVS F%d, (%s)", vSum+t, rTmp)
	}
	g.f("ADD $4, %s", rDst)
	g.f("MOVD product_wStride(%s), %s", rP, rTmp)
	g.f("ADD %s, %s", rTmp, rRow)
	g.f("SUBS $1, %s, %s", rRows, rRows)
	g.f("BNE row")
	g.f("RET")
}

// reduce adds the four lanes of each of n tokens' sums.
func (g *gen) reduce(n int) {
	for range 2 {
		for t := range n {
			g.m("FADDP4S", vSum+t, vSum+t, vSum+t)
		}
	}
}
