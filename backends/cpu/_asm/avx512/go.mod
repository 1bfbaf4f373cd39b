module github.com/tenon-go/tenon/backends/cpu/_asm/avx512

go 1.26.0
