package gguf

import "crypto/sha256"

// sampleBytes is how much of each end of a tensor goes into the fingerprint.
const sampleBytes = 4096

// Fingerprint returns a number that tells f from other models: the SHA-256 of the headers of all parts, with metadata and
// the descriptions of tensors, and of the first and last 4 KiB of each tensor. It reads little of a large
// model, and so does not show that all of a file is as it was. Errors: ErrClosed.
func (f *File) Fingerprint() ([sha256.Size]byte, error) {
	h := sha256.New()
	for i, p := range f.parts {
		if p.data == nil {
			return [sha256.Size]byte{}, ErrClosed
		}
		header := int64(len(p.data))
		for _, t := range f.tensors {
			if t.Split == i {
				header = min(header, t.Offset)
			}
		}
		h.Write(p.data[:header])
	}
	for _, t := range f.tensors {
		data := f.Data(t)
		n := min(len(data), sampleBytes)
		h.Write(data[:n])
		h.Write(data[len(data)-n:])
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
