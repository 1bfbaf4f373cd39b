package cpu

import (
	"unsafe"

	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// Where there are many tokens, a product is computed tile by tile: a few rows of weights times groups of 16
// tokens, whose sums stay in registers for all of k. Tokens are turned once so that the same elements of 16
// of them lie side by side; rows of weights are decoded once per chunk into a worker's scratch, which stays
// in its cache while all tokens pass by.
//
// The layout of a group of 16 tokens in blocks of 32 elements, one block after the other:
//
//	  0  8 times: four codes of each token, as the level wants them (see panelUnits.flip)
//	512  a float32 scale of each token
//	576  a float32 for each token: the sum of its codes times its scale
//
// Of float32 tokens it is one element of each of 16 tokens after the other. The layout of a row of weights:
// k signed codes, and in an array of its own an entry for each group of elements with one scale: an int32
// where sums start, a float32 scale, and, for types that have it, a float32 summand, padded to 16 bytes.
//
// Where there are tiles of bfloat16, rows and tokens are such: of tokens two elements of each of 16 after the
// other. What rounding leaves of them may follow, rounded as well. Behind k there are zeros up to a multiple
// of 32.
const (
	groupTokens = 16
	tokenBlock  = 640
	atScales    = 512
	atSums      = 576
)

// A panel is what a panel kernel computes: out[row][token] for a few rows and one or two groups of tokens.
// Strides are in bytes. The kernels that turn tokens and spread results use some fields otherwise; their
// comments say how.
type panel struct {
	out         *float32
	outStride   int // from row to row
	q           *byte
	qStride     int // from row to row
	scales      *byte
	scaleStride int // from row to row
	x           *byte
	group       int // from the first group of tokens to the second
	n           int // blocks of 32 elements, or elements if they are float32
	low, xLow   int // from what is rounded of rows, and tokens, to what is left
	lanes       *[16]int32
	flip        uint32
	config      *byte // 64 bytes for the shape of tiles
}

// An unpacking is what takes rows of weights apart.
type unpacking struct {
	w      *byte // n blocks of GGUF
	q      *byte // their codes
	scales *byte
	entry  int // bytes of an entry of scales
	n      int
}

// panelShape is how the kernel for a type of weights works.
type panelShape uint8

const (
	noPanel      panelShape = iota
	panel32                 // a scale for 32 elements
	panel32Least            // and a summand
	panel16                 // a scale for 16 elements
	panelFloats             // no codes: float32
	panelBF16               // bfloat16, of rows as of tokens
	panelBF16x3             // and what is left of them: three products
	panelShapes
)

// codes reports whether rows of the shape are codes.
func (s panelShape) codes() bool { return s == panel32 || s == panel32Least || s == panel16 }

// bfloats reports whether they are bfloat16.
func (s panelShape) bfloats() bool { return s == panelBF16 || s == panelBF16x3 }

// entry returns how many bytes of scales a group of elements has.
func (s panelShape) entry() int {
	if s == panel32Least {
		return 16
	}
	return 8
}

// elems returns how many elements have one scale.
func (s panelShape) elems() int {
	if s == panel16 {
		return 16
	}
	return 32
}

// panelUnits are a level's kernels for many tokens.
type panelUnits struct {
	// shape says how weights of a type are multiplied, apart from exactly; noPanel are decoded to floats.
	shape func(t tensor.DType) panelShape
	// rows is how many rows a tile has, by shape.
	rows [panelShapes]int
	// most is the greatest magnitude of a code of weights that tiles of a shape take; 0 is any.
	most [panelShapes]int8
	// flip is what turns a token's code into what kernels take: 0x80 in each byte where tokens are unsigned,
	// and sums of weights make up for it.
	flip uint32
	// tile[shape][groups-1] computes a tile; nil where there is none for two groups, or for a shape.
	tile   [panelShapes][2]func(p *panel)
	pack   func(p *panel) // turns tokens: see packGo
	spread func(p *panel) // spreads results: see spreadGo
	// codes takes rows of weights apart, by type; the entries of superblocks are made by Go.
	codes [256]func(p *unpacking)
	// sums writes the start of sums, for groups of 32 and 16 elements.
	sums32, sums16 func(p *unpacking)
	// split rounds to bfloat16: see splitBF16Go. scale makes bfloat16 of codes: see scaleBF16Go.
	split  func(p *panel)
	scale  [panelShapes]func(p *panel)
	config *[64]byte // of tiles
}

// codeShape is how weights of a type are multiplied as codes, or as float32.
func codeShape(t tensor.DType) panelShape {
	switch t {
	case tensor.Q8_0, tensor.Q4_0, tensor.Q5_0, tensor.IQ4_NL, tensor.MXFP4, tensor.IQ4_XS:
		return panel32
	case tensor.Q4_1, tensor.Q5_1, tensor.Q4_K, tensor.Q5_K:
		return panel32Least
	case tensor.Q6_K, tensor.Q3_K:
		return panel16
	case tensor.F32, tensor.F16, tensor.BF16:
		return panelFloats
	}
	return noPanel
}

// panelGo is a tile in plain Go, for rows and groups of tokens.
func panelGo(p *panel, shape panelShape, rows, groups int, flip uint32) {
	for r := range rows {
		for t := range groups * groupTokens {
			x := unsafe.Add(unsafe.Pointer(p.x), t/groupTokens*p.group)
			q := unsafe.Add(unsafe.Pointer(p.q), r*p.qStride)
			out := (*float32)(unsafe.Add(unsafe.Pointer(p.out), r*p.outStride+4*t))
			lane := t % groupTokens
			*out = 0
			if shape == panelFloats {
				for i := range p.n {
					*out += *(*float32)(unsafe.Add(q, 4*i)) * *(*float32)(unsafe.Add(x, 64*i+4*lane))
				}
				continue
			}
			for b := range p.n {
				block := unsafe.Add(x, b*tokenBlock)
				per := 32 / shape.elems()
				for h := range per {
					entry := unsafe.Add(unsafe.Pointer(p.scales), r*p.scaleStride+(b*per+h)*shape.entry())
					var sum int32
					for i := h * shape.elems(); i < (h+1)*shape.elems(); i++ {
						w := *(*int8)(unsafe.Add(q, 32*b+i))
						v := *(*uint8)(unsafe.Add(block, i/4*64+4*lane+i%4))
						sum += int32(w) * int32(int8(v^uint8(flip)))
					}
					*out += float32(sum) * (*(*float32)(unsafe.Add(block, atScales+4*lane)) * *(*float32)(unsafe.Add(entry, 4)))
					if shape == panel32Least {
						*out += *(*float32)(unsafe.Add(block, atSums+4*lane)) * *(*float32)(unsafe.Add(entry, 8))
					}
				}
			}
		}
	}
}

// bf16At returns a bfloat16 as a float32.
func bf16At(p unsafe.Pointer) float32 { return quant.BF16ToF32(*(*uint16)(p)) }

// bfloatsGo is a tile of bfloat16 in plain Go.
func bfloatsGo(p *panel, shape panelShape, rows, groups int) {
	parts := [][2]int{{0, 0}, {0, p.xLow}, {p.low, 0}}
	if shape == panelBF16 {
		parts = parts[:1]
	}
	for r := range rows {
		for t := range groups * groupTokens {
			out := (*float32)(unsafe.Add(unsafe.Pointer(p.out), r*p.outStride+4*t))
			*out = 0
			for _, part := range parts {
				q := unsafe.Add(unsafe.Pointer(p.q), r*p.qStride+part[0])
				x := unsafe.Add(unsafe.Pointer(p.x), t/groupTokens*p.group+t%groupTokens*4+part[1])
				for i := range 32 * p.n {
					*out += bf16At(unsafe.Add(q, 2*i)) * bf16At(unsafe.Add(x, i/2*64+i%2*2))
				}
			}
		}
	}
}

// splitBF16Go rounds n times 16 float32 at x to bfloat16 at q, and what is left of each to another, low bytes
// further, unless low is 0.
func splitBF16Go(p *panel) {
	for i := range 16 * p.n {
		v := *(*float32)(unsafe.Add(unsafe.Pointer(p.x), 4*i))
		q := unsafe.Add(unsafe.Pointer(p.q), 2*i)
		*(*uint16)(q) = quant.F32ToBF16(v)
		if p.low != 0 {
			*(*uint16)(unsafe.Add(q, p.low)) = quant.F32ToBF16(v - bf16At(q))
		}
	}
}

// scaleBF16Go makes bfloat16 at out of n blocks of codes at q, with entries of scales for a shape.
func scaleBF16Go(p *panel, shape panelShape) {
	for i := range 32 * p.n {
		e := unsafe.Add(unsafe.Pointer(p.scales), i/shape.elems()*shape.entry())
		v := float32(*(*int8)(unsafe.Add(unsafe.Pointer(p.q), i))) * *(*float32)(unsafe.Add(e, 4))
		if shape == panel32Least {
			v += *(*float32)(unsafe.Add(e, 8))
		}
		*(*uint16)(unsafe.Add(unsafe.Pointer(p.out), 2*i)) = quant.F32ToBF16(v)
	}
}

// packGo turns tokens: n times the next four bytes of each of 16 tokens at q, which lie lanes[i] bytes from
// there, with flip's bits turned, to out, from where the next ones are outStride bytes away.
func packGo(p *panel) {
	for i := range p.n {
		for lane, at := range p.lanes {
			v := *(*uint32)(unsafe.Add(unsafe.Pointer(p.q), 4*i+int(at)))
			*(*uint32)(unsafe.Add(unsafe.Pointer(p.out), i*p.outStride+4*lane)) = v ^ p.flip
		}
	}
}

// spreadGo writes results where they belong: for each of n tokens, those of the up to 16 rows whose bit is
// set in flip. The result of row i for the first token lies lanes[i] bytes from x; of the next one, four
// bytes further. The first row's goes to out, and the next token's results start outStride bytes further.
func spreadGo(p *panel) {
	for t := range p.n {
		for row, at := range p.lanes {
			if p.flip>>row&1 != 0 {
				*(*float32)(unsafe.Add(unsafe.Pointer(p.out), t*p.outStride+4*row)) = *(*float32)(unsafe.Add(unsafe.Pointer(p.x), int(at)+4*t))
			}
		}
	}
}

// superScales writes the entries of superblocks of type t: n of them at w.
func superScales(t tensor.DType, w []byte, scales []byte, shape panelShape) {
	unpack := unpackScales[t]
	_, size := t.Block()
	var c superScale
	for b := 0; len(w) > 0; b++ {
		unpack(&c, w[:size])
		w = w[size:]
		out := scales[b*256/shape.elems()*shape.entry():]
		switch shape {
		case panel16:
			e := cast.Slice[float32](out[:16*8])
			for g, s := range &c.scale {
				e[2*g+1] = c.d * float32(s)
			}
		case panel32:
			e := cast.Slice[float32](out[:8*8])
			for g := range 8 {
				e[2*g+1] = c.d * float32(c.scale[2*g])
			}
		default:
			e := cast.Slice[float32](out[:8*16])
			for g := range 8 {
				e[4*g+1], e[4*g+2] = c.d*float32(c.scale[2*g]), -c.dmin*float32(c.least[2*g])
			}
		}
	}
}
