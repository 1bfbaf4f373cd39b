// Package conformance is the suite by which a compute backend proves itself: any backends.Device, in this
// repository or outside it. It asks whether every op gives the right numbers for every type, shape and
// layout, and whether memory, programs, errors, cancellation and concurrency keep the contracts of
// packages backends and buffer.
//
// # In a test, and in a program
//
// A backend has one test:
//
//	func TestConformance(t *testing.T) {
//		conformance.Test(t, func() (backends.Device, error) { return mine.Open(0) })
//	}
//
// Each case is a subtest of its id, so that one runs again by
//
//	go test -run 'TestConformance/MatMul/a=Q4_K,b=F32,m=16,n=1,k=256$'
//
// and in a program by Options.Filter. Run returns a Report with the worst error of each case, which can
// be written as JSON and as Markdown. Perf measures speed. Survey and WriteSupport make a table of what
// devices support; Support.Lost finds what one no longer does.
//
// A case that a device refuses by Supports is "unsupported", no failure: what fails is to say yes and
// not to run, or to run and be wrong. So a backend that adds two tensors passes, and grows from there.
//
// # In which order to write a backend
//
//  1. Memory. buffer.Type and buffer.Buffer; a Device that refuses every op. Chapter buffers passes, and
//     all others are unsupported. Copier, Filler and Importer can wait.
//  2. Add, Scale and Copy of F32. Resolve operands by Subgraph.Place and the tensor's own Shape and
//     Stride, never by Shape alone: the suite permutes, slices and broadcasts every source. Chapters
//     programs, cancel, concurrency and faults come to life.
//  3. MatMul of F32 and RMSNorm, GetRows and SetRows: with them most of these chapters run. An index
//     outside its tensor is an error that matches backends.ErrIndex, also if a device finds it only
//     later, in Wait.
//  4. RoPE, SoftMax or FlashAttn, GLU: chapters graphs, sched and kv run whole layers.
//  5. The types of weights, one by one. Package tensor/quant says what each byte means.
//
// Fusion comes last. A device is free to fuse inside a program as long as every result is written; chapter graphs
// runs each graph as one program and node by node, against one oracle. Where results between nodes are not to
// be written it is a backends.Fuser, and chapter fusion runs each group that it Fuses both ways, with guards where
// inner results would lie.
//
// # What is compared with what
//
// The oracle is package ref: plain loops in float64. NaN, infinities and their signs are compared first,
// then the normalized mean squared error and the greatest error in last places, against the Tolerance
// that toleranceOf has for the op and its types, with the reason for each. Integers and moved bytes are
// equal. Rows of a block format may differ from the reference encoder's if they are as near to the
// numbers.
//
// Around every tensor lies a guard of at least 128 bytes, and what belongs to a leaf but not to the view
// that an op sees is filled like it: with a pattern that is NaN in every float type, no index, and
// nowhere the same. Results hold it before each run. After the run every byte that no node may write is
// compared: a read outside shows as NaN, a write as a changed byte, with the tensor that it lies behind.
//
// A device may take numbers below 2^-126 for 0, wherever it meets them in arithmetic; nothing is asked
// that would tell. It may not change what it only moves. The same program over the same inputs gives the
// same bytes each time.
//
// Chapter corpus, with the folder of a reference corpus in Options.Corpus, compares with files of what
// another implementation has computed, too.
//
// Random numbers come from a case's id alone; Options.Seed gives others, for a soak.
//
// # Memory and concurrency
//
// A Run keeps one buffer of the device, grown as needed, and a copy of it in Go memory; it closes
// everything that it opens but the device. Test closes the device, too. Cases run one after the other,
// and chapter concurrency uses goroutines itself. Two Runs on one device may run at the same time. A case
// that does not come back within Options.Timeout ends the Run with ErrHang and leaves its goroutine behind:
// nothing can stop a driver that does not listen.
package conformance
