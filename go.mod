module github.com/tenon-go/tenon

go 1.26.0

require (
	github.com/ebitengine/purego v0.11.3
	github.com/vulkan-go/vulkan v0.0.0-20221209234627-c0a353ae26c8
	golang.org/x/sys v0.49.0
)
