// Package card is what the backends for graphics cards have in common. Their kernels are the same algorithms in two languages, so that what they take,
// what they refuse, and about what they cost is decided once, here. It knows no card: what depends on one is the backend's to add.
package card
