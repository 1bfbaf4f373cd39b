// Package kv is the KV cache: the keys and values of past tokens, and the book of which token lies where.
//
// A Cache holds, for each layer, one K and one V tensor of as many rows as there are cells. A token
// takes one cell, the same one in every layer of its group. Layers that see everything form one group;
// layers with a sliding window form one group for each size of window, with fewer cells. Each group has
// its own cells, indices and mask. All sequences share a group's cells: there is one stream, and the
// third size of K and V is 1.
//
// A run goes: Find names cells for a batch and changes nothing; Apply takes them; ReadCells and FillMask
// give the sizes and masks of the graph, Slots.Indices the rows for tensor.SetRows; after a run that
// failed, Undo gives the cells back. Copying or removing a sequence moves no memory.
//
// # Which cell
//
// The lowest free cell is taken first, so that attention has to read few cells. A cell of a windowed
// group whose token has fallen out of the window of all its sequences is expired: it counts as free
// when there is nothing else, or when at least Pad/4 cells can be won before more cells must be read.
// Until then its token stays, and a sequence can be rolled back that far; see Cache.CanRollback.
//
// # Order
//
// The positions of a sequence rise from token to token; gaps are allowed. A token of several sequences
// needs them to be at the same position, as they are after CopySeq: it sees what the first of them
// sees, and is a token of each. What would break this is refused with a typed error, and the cache is
// then as before. So is what would need tokens that a window has lost.
//
// # Recurrent layers
//
// For a recurrent layer the Cache holds states, rows that each are a sequence's state after one of its
// tokens. A run reads one row for each of its sequences (Slots.StateReads) and writes others
// (Slots.StateWrites): the state after the last token, and after the tokens before it as far as
// Config.Snapshots asks. No row is written that somebody holds, so that Undo and CopySeq move no memory
// here either. A run takes the tokens of a sequence together, and as many of each: RunLength cuts a
// batch. A sequence can be rolled back to where there is a state, and to nothing; tokens cannot be taken
// out of its middle, and it is copied whole, to an empty one.
//
// # Sharing
//
// A draft may read a cache that it does not own: through Share where the memory lies, or through
// NewMirror by a copy of the layers that it reads, to which Sync sends the rows that are new. Everything
// that could differ is compared when it is lent, before anything is allocated, and the first difference
// is a *ShareError. A borrower sees what is written, removed and moved, can change nothing, and must be
// closed before the cache can be.
//
// # Ownership
//
// A Cache owns its tensors' memory, which comes from the buffer types in its Config, until Close.
// A Cache and its Slots belong to one goroutine at a time. The tensors may be read by several.
package kv
