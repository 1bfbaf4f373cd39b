// Package bench measures models: tokens a second of prompts and of generation, as llama-bench does and
// under the same names, and beside it what tells why: time to first token, memory planned and used, bytes
// copied between devices, the share of what the memory gives and the processor computes, energy, and what
// speculation gains at equal output. It can run a peer in turns, so that ratios are of one run.
//
//	records, err := bench.Run(ctx, bench.Options{Tests: bench.Matrix{
//		Models:  []bench.Source{{Path: "model.gguf"}},
//		Prompts: []int{512}, Gens: []int{128}, Depths: []int{0, 4096},
//	}.Params()})
//
// Every record carries a manifest of machine and build. NewWriter writes records in six formats, of which
// four can be read back.
//
// A call owns the models that it opens. Calls should not run at the same time, as they would measure each
// other. It never ends the process; what was measured before an error is returned with it.
package bench
