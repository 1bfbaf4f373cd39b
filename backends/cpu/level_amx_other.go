//go:build amd64 && !linux && !purego

package cpu

// amxPermission says that this system is not asked for tiles.
func amxPermission() string { return "tiles are used on Linux alone" }
