// Package hipemu gives tests a HIP runtime without a card: the emulator in backends/rocm/testdata/emulator, built when it is first
// used and kept in the user's cache folder.
package hipemu
