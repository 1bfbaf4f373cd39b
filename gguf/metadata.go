package gguf

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
)

// Metadata is an ordered list of keys with their values. The zero Metadata is empty and can be used.
type Metadata struct {
	file    string // of which file, for error texts
	entries []entry
	index   map[string]int // key to its place in entries
}

type entry struct {
	key   string
	value Value
	off   int64 // of the key in its file
}

// Len returns the number of keys.
func (m *Metadata) Len() int { return len(m.entries) }

// Keys goes through the keys in the order in which they are stored.
func (m *Metadata) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range m.entries {
			if !yield(m.entries[i].key) {
				return
			}
		}
	}
}

// All goes through keys and values in the order in which they are stored.
func (m *Metadata) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i := range m.entries {
			if !yield(m.entries[i].key, m.entries[i].value) {
				return
			}
		}
	}
}

// Has reports whether key is there.
func (m *Metadata) Has(key string) bool {
	_, ok := m.index[key]
	return ok
}

// Value returns the value of key, and whether key is there.
func (m *Metadata) Value(key string) (Value, bool) {
	i, ok := m.index[key]
	if !ok {
		return Value{}, false
	}
	return m.entries[i].value, true
}

// Set gives key a value: in its place if it is there already, at the end otherwise.
func (m *Metadata) Set(key string, v Value) {
	if i, ok := m.index[key]; ok {
		m.entries[i].value = v
		return
	}
	m.add(entry{key: key, value: v})
}

func (m *Metadata) add(e entry) {
	if m.index == nil {
		m.index = make(map[string]int)
	}
	m.index[e.key] = len(m.entries)
	m.entries = append(m.entries, e)
}

// Delete removes keys; those that are not there are passed over.
func (m *Metadata) Delete(keys ...string) {
	m.entries = slices.DeleteFunc(m.entries, func(e entry) bool { return slices.Contains(keys, e.key) })
	clear(m.index)
	for i := range m.entries {
		m.index[m.entries[i].key] = i
	}
}

// Clone returns a copy that shares no memory with m or its file, to change or to write.
func (m *Metadata) Clone() *Metadata {
	c := &Metadata{file: m.file}
	for _, e := range m.entries {
		e.value.raw = bytes.Clone(e.value.raw)
		c.add(e)
	}
	return c
}

// release lets go of the arrays, whose memory is about to be unmapped.
func (m *Metadata) release() {
	for i := range m.entries {
		m.entries[i].value.raw = nil
	}
}

// get returns the value of key as a T. Every typed getter is this one with a conversion and the name of
// what that conversion takes.
func get[T any](m *Metadata, key, want string, convert func(Value) (T, bool)) (T, error) {
	var zero T
	v, ok := m.Value(key)
	if !ok {
		return zero, &MissingKeyError{File: m.file, Key: key}
	}
	if v.closed() {
		return zero, fmt.Errorf("gguf: %skey %q: %w", filePrefix(m.file), key, ErrClosed)
	}
	out, ok := convert(v)
	if !ok {
		return zero, &TypeError{File: m.file, Key: key, Have: v.describe(), Want: want}
	}
	return out, nil
}

// getOr is get with a default for a key that is not there. A key of the wrong type is an error still.
func getOr[T any](m *Metadata, key string, def T, want string, convert func(Value) (T, bool)) (T, error) {
	if !m.Has(key) {
		return def, nil
	}
	return get(m, key, want, convert)
}
