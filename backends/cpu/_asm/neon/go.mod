module github.com/tenon-go/tenon/backends/cpu/_asm/neon

go 1.26.0
