module github.com/tenon-go/tenon/backends/cpu/_asm/avx2

go 1.26
