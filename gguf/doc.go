// Package gguf reads and writes GGUF model files, versions 2 and 3, little-endian.
//
// A file is a list of typed key-value pairs (Metadata), a list of tensor descriptions (TensorInfo), and
// the tensors' bytes. Open maps a file, or all parts of a split one, and checks every length, offset,
// count and type before it returns: what a File says about itself can be relied on. What is in the
// tensors' bytes is not looked at. Arrays in the metadata, such as a vocabulary, are decoded only when
// they are asked for.
//
// # Memory
//
// Open allocates in proportion to the size of the header, whatever the header claims. Tensor bytes and
// arrays stay in the mapping, which the File owns: what Data and Mapping return, and array Values, must
// not be used after Close. Strings, numbers and slices that the typed getters return are copies. A file
// that another process cuts short while it is mapped makes reading it fault.
//
// # Concurrency
//
// Everything on a File may be called from many goroutines at once, except Close and the methods of
// Metadata that change it (Set, Delete), which need it alone.
//
// # Errors
//
// A file that breaks a rule gives a *FormatError with file, offset and reason, which matches ErrFormat.
// The getters give a *MissingKeyError (ErrMissingKey) or a *TypeError (ErrType).
//
// Source: the GGUF specification, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
package gguf
