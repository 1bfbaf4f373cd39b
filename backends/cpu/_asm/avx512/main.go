// Command avx512 writes the assembly files of level AVX512 into the folder that -o names.
package main

import (
	"flag"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	out := flag.String("o", ".", "the folder of the files")
	flag.Parse()
	for name, write := range map[string]func(f *file){
		"avx512_blocks256_amd64.s": func(f *file) {
			for _, s := range supers {
				for n := 1; n <= 8; n++ {
					emit256(f, s, n)
				}
			}
			for _, s := range wides {
				for n := 1; n <= 8; n++ {
					emitWide(f, s, n)
				}
			}
		},
		"avx512_blocks32_amd64.s": func(f *file) {
			for _, b := range blocks {
				for n := 1; n <= 8; n++ {
					emit32(f, b, n)
				}
			}
		},
		"avx512_floats_amd64.s": func(f *file) {
			for _, typ := range floatTypes {
				for n := 1; n <= 4; n++ {
					emitFloats(f, typ, n)
				}
			}
			emitDot(f)
			emitAddScaled(f)
			emitDecodeFloats(f, floatTypes[1])
			emitDecodeFloats(f, floatTypes[2])
		},
		"avx512_records_amd64.s": func(f *file) {
			emitRound32(f)
			emitRound256(f)
			for _, p := range packedTypes {
				emitDecode(f, p)
			}
			for _, p := range packed256Types {
				emitDecode256(f, p)
			}
		},
	} {
		f := newFile()
		write(f)
		if err := os.WriteFile(filepath.Join(*out, name), []byte(f.String()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
