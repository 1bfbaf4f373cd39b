package gguf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The keys of a part of a split model.
const (
	keySplitNo      = "split.no"            // which part, from 0
	keySplitCount   = "split.count"         // number of parts
	keySplitTensors = "split.tensors.count" // number of tensors of all parts together
)

// maxSplits is the most parts that split.count, a uint16, can announce.
const maxSplits = 1<<16 - 1

// splitName is the name of a part of a split model, taken apart: NAME-00002-of-00003.gguf.
type splitName struct {
	stem      string // with the folder: .../NAME
	no, count int    // no from 1
}

// parseSplitName takes path apart, and reports whether it has the form of a part's name.
func parseSplitName(path string) (splitName, bool) {
	rest, ok := strings.CutSuffix(path, ".gguf")
	if !ok {
		return splitName{}, false
	}
	rest, count, ok1 := cutNumber(rest, "-of-")
	stem, no, ok2 := cutNumber(rest, "-")
	ok = ok1 && ok2 && no >= 1 && no <= count && count <= maxSplits
	return splitName{stem: stem, no: no, count: count}, ok
}

// cutNumber cuts sep and a number of exactly five digits off the end of s.
func cutNumber(s, sep string) (rest string, n int, ok bool) {
	const digits = 5
	if len(s) < len(sep)+digits {
		return "", 0, false
	}
	rest, num := s[:len(s)-digits], s[len(s)-digits:]
	n64, err := strconv.ParseUint(num, 10, 31)
	rest, ok = strings.CutSuffix(rest, sep)
	return rest, int(n64), ok && err == nil
}

// path returns the name of part i, from 0, of the same model.
func (s splitName) path(i int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", s.stem, i+1, s.count)
}

// open opens the file at path, and the other parts of its model if it has any.
func (f *File) open(path string) error {
	p, err := f.openPart(path)
	if err != nil {
		return err
	}
	no, count, err := p.split()
	if err != nil {
		return err
	}
	if count <= 1 {
		return f.join([]*part{p})
	}
	name, ok := parseSplitName(path)
	if !ok || name.count != count || name.no != no+1 {
		want := splitName{stem: "NAME", count: count}
		return p.splitError(keySplitCount, "this is part %d of %d, and the other parts are found only under the name %s",
			no+1, count, want.path(no))
	}
	parts := make([]*part, 0, 4)
	for i := range count {
		q := p
		if i != no {
			if q, err = f.openSplit(name, i); err != nil {
				return err
			}
		}
		parts = append(parts, q)
	}
	if err := checkTotal(parts); err != nil {
		return err
	}
	return f.join(parts)
}

// openSplit opens part i, from 0, and checks that it says so itself.
func (f *File) openSplit(name splitName, i int) (*part, error) {
	p, err := f.openPart(name.path(i))
	if err != nil {
		return nil, fmt.Errorf("part %d of %d: %w", i+1, name.count, err)
	}
	no, count, err := p.split()
	if err != nil {
		return nil, err
	}
	if no != i || count != name.count {
		return nil, p.splitError(keySplitNo, "part %d of %d, want part %d of %d as the name says", no+1, count, i+1, name.count)
	}
	return p, nil
}

// split returns which part of how many p is; 0 of 1 if it is not split.
func (p *part) split() (no, count int, err error) {
	if count, err = p.splitNumber(keySplitCount, 1, maxSplits); err != nil {
		return 0, 0, err
	}
	count = max(count, 1)
	no, err = p.splitNumber(keySplitNo, 0, count-1)
	return no, count, err
}

// splitNumber returns the number of a key, from 0 to most, or def if the key is not there.
func (p *part) splitNumber(key string, def, most int) (int, error) {
	v, ok := p.meta.Value(key)
	if !ok {
		return def, nil
	}
	n, ok := toUint(v)
	if !ok || n > uint64(most) {
		return 0, p.splitError(key, "%s, want an integer from 0 to %d", v.describe(), most)
	}
	return int(n), nil
}

func (p *part) splitError(key, format string, args ...any) error {
	e := &FormatError{File: p.file, Field: "key " + strconv.Quote(key), Reason: fmt.Sprintf(format, args...)}
	if i, ok := p.meta.index[key]; ok {
		e.Offset = p.meta.entries[i].off
	}
	return e
}

// checkTotal compares the number of tensors of all parts with what the first one announces.
func checkTotal(parts []*part) error {
	total := 0
	for _, p := range parts {
		total += len(p.tensors)
	}
	first := parts[0]
	want, err := first.splitNumber(keySplitTensors, total, math.MaxInt32)
	if err == nil && want != total {
		err = first.splitError(keySplitTensors, "%d tensors are announced, the %d parts have %d", want, len(parts), total)
	}
	return err
}
