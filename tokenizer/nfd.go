package tokenizer

import "sync"

//go:generate sh -c "go run ./_nfd UnicodeData.txt >nfd_table.go"

// loadBases returns the map from characters with a canonical decomposition to its first character. Only
// BERT needs it.
var loadBases = sync.OnceValue(func() map[rune]rune {
	bases := make(map[rune]rune, len(nfdBases)/5)
	from, pair := rune(0), false
	for _, r := range nfdBases {
		if pair {
			bases[from] = r
		}
		from, pair = r, !pair
	}
	return bases
})
