//go:build !purego

package cpu

import "github.com/tenon-go/tenon/tensor"

//go:generate sh -c "cd _asm/attn && GOWORK=off go run . ../.."

func init() {
	addUnits(AVX2, func(u *units) {
		a := &u.attn
		*a = attnUnits{lanes: 8, soft: softAVX2}
		a.cells[tensor.F16], a.cells[tensor.Q8_0] = cellsF16AVX2, cellsQ8AVX2
		a.tile[0] = [attnTileRows + 1]func(*attnTile){1: tile1x1AVX2, 2: tile2x1AVX2, 3: tile3x1AVX2, 4: tile4x1AVX2, 5: tile5x1AVX2, 6: tile6x1AVX2, 12: tile12x1AVX2}
		a.tile[1] = [attnTileRows + 1]func(*attnTile){1: tile1x2AVX2, 2: tile2x2AVX2, 3: tile3x2AVX2, 4: tile4x2AVX2, 5: tile5x2AVX2, 6: tile6x2AVX2}
	})
	addUnits(AVX512, func(u *units) {
		a := &u.attn
		*a = attnUnits{lanes: 16, soft: softAVX512}
		a.cells[tensor.F16], a.cells[tensor.Q8_0] = cellsF16AVX512, cellsQ8AVX512
		a.tile[0] = [attnTileRows + 1]func(*attnTile){1: tile1x1AVX512, 2: tile2x1AVX512, 3: tile3x1AVX512, 4: tile4x1AVX512, 5: tile5x1AVX512, 6: tile6x1AVX512, 12: tile12x1AVX512}
		a.tile[1] = [attnTileRows + 1]func(*attnTile){1: tile1x2AVX512, 2: tile2x2AVX512, 3: tile3x2AVX512, 4: tile4x2AVX512, 5: tile5x2AVX512, 6: tile6x2AVX512, 12: tile12x2AVX512}
		a.tile[2] = [attnTileRows + 1]func(*attnTile){1: tile1x3AVX512, 2: tile2x3AVX512, 3: tile3x3AVX512, 4: tile4x3AVX512, 5: tile5x3AVX512, 6: tile6x3AVX512}
		a.tile[3] = [attnTileRows + 1]func(*attnTile){1: tile1x4AVX512, 2: tile2x4AVX512, 3: tile3x4AVX512, 4: tile4x4AVX512, 5: tile5x4AVX512, 6: tile6x4AVX512}
	})
}

//go:noescape
func tile1x1AVX2(p *attnTile)

//go:noescape
func tile2x1AVX2(p *attnTile)

//go:noescape
func tile3x1AVX2(p *attnTile)

//go:noescape
func tile4x1AVX2(p *attnTile)

//go:noescape
func tile5x1AVX2(p *attnTile)

//go:noescape
func tile6x1AVX2(p *attnTile)

//go:noescape
func tile12x1AVX2(p *attnTile)

//go:noescape
func tile1x2AVX2(p *attnTile)

//go:noescape
func tile2x2AVX2(p *attnTile)

//go:noescape
func tile3x2AVX2(p *attnTile)

//go:noescape
func tile4x2AVX2(p *attnTile)

//go:noescape
func tile5x2AVX2(p *attnTile)

//go:noescape
func tile6x2AVX2(p *attnTile)

//go:noescape
func softAVX2(p *softBlock)

//go:noescape
func cellsF16AVX2(p *cellRows)

//go:noescape
func cellsQ8AVX2(p *cellRows)

//go:noescape
func tile1x1AVX512(p *attnTile)

//go:noescape
func tile2x1AVX512(p *attnTile)

//go:noescape
func tile3x1AVX512(p *attnTile)

//go:noescape
func tile4x1AVX512(p *attnTile)

//go:noescape
func tile5x1AVX512(p *attnTile)

//go:noescape
func tile6x1AVX512(p *attnTile)

//go:noescape
func tile12x1AVX512(p *attnTile)

//go:noescape
func tile1x2AVX512(p *attnTile)

//go:noescape
func tile2x2AVX512(p *attnTile)

//go:noescape
func tile3x2AVX512(p *attnTile)

//go:noescape
func tile4x2AVX512(p *attnTile)

//go:noescape
func tile5x2AVX512(p *attnTile)

//go:noescape
func tile6x2AVX512(p *attnTile)

//go:noescape
func tile12x2AVX512(p *attnTile)

//go:noescape
func tile1x3AVX512(p *attnTile)

//go:noescape
func tile2x3AVX512(p *attnTile)

//go:noescape
func tile3x3AVX512(p *attnTile)

//go:noescape
func tile4x3AVX512(p *attnTile)

//go:noescape
func tile5x3AVX512(p *attnTile)

//go:noescape
func tile6x3AVX512(p *attnTile)

//go:noescape
func tile1x4AVX512(p *attnTile)

//go:noescape
func tile2x4AVX512(p *attnTile)

//go:noescape
func tile3x4AVX512(p *attnTile)

//go:noescape
func tile4x4AVX512(p *attnTile)

//go:noescape
func tile5x4AVX512(p *attnTile)

//go:noescape
func tile6x4AVX512(p *attnTile)

//go:noescape
func softAVX512(p *softBlock)

//go:noescape
func cellsF16AVX512(p *cellRows)

//go:noescape
func cellsQ8AVX512(p *cellRows)
