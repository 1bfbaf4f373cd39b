module github.com/tenon-go/tenon/backends/cpu/_asm/attn

go 1.26.0
