package bench

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrOption is what is wrong with settings: a list that cannot be read, a count below 0. *OptionError
// matches it.
var ErrOption = errors.New("impossible option")

// OptionError says which setting cannot be. It matches ErrOption.
type OptionError struct {
	Name        string
	Have, Wants any
}

// Error returns one line.
func (e *OptionError) Error() string {
	return fmt.Sprintf("bench: %s is %v, want %v", e.Name, e.Have, e.Wants)
}

// Unwrap returns ErrOption.
func (e *OptionError) Unwrap() error { return ErrOption }

// maxValues bounds a list, so that a slip of the pen such as 1-1000000 does not run for a year.
const maxValues = 1000

const valuesWants = "numbers such as 512 or 128,512, or ranges such as 1-8, 128-512+128 and 1-64*2"

// ParseInts reads a list of numbers and ranges as llama-bench takes them: "512", "128,512", "1-4" (each),
// "128-512+128" (in steps) and "1-64*2" (by a factor). Both ends belong to a range, if the steps meet them.
//
// Errors: *OptionError, with name as its Name.
func ParseInts(name, list string) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(list, ",") {
		values, ok := parseRange(strings.TrimSpace(part))
		if !ok || len(all)+len(values) > maxValues {
			return nil, &OptionError{name, strconv.Quote(list), fmt.Sprintf("at most %d %s", maxValues, valuesWants)}
		}
		all = append(all, values...)
	}
	return all, nil
}

// parseRange reads one number or range. A - at the beginning is a sign.
func parseRange(s string) ([]int, bool) {
	if n, err := strconv.Atoi(s); err == nil {
		return []int{n}, true
	}
	if s == "" {
		return nil, false
	}
	first, rest, ok := strings.Cut(s[1:], "-")
	if !ok {
		return nil, false
	}
	first = s[:1] + first
	last, step, factor := rest, 1, 1
	if i := strings.IndexAny(rest, "+*"); i >= 0 {
		n, err := strconv.Atoi(rest[i+1:])
		if err != nil || n < 1 || rest[i] == '*' && n < 2 {
			return nil, false
		}
		last = rest[:i]
		if step = n; rest[i] == '*' {
			step, factor = 0, n
		}
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || from > to || factor > 1 && from < 1 {
		return nil, false
	}
	var all []int
	for n := from; n <= to && len(all) <= maxValues; n = n*factor + step {
		all = append(all, n)
		if n > (math.MaxInt-step)/factor {
			break
		}
	}
	return all, true
}

// ParsePair reads the two numbers of -pg: tokens of a prompt and tokens after it.
//
// Errors: *OptionError, with name as its Name.
func ParsePair(name, s string) ([2]int, error) {
	prompt, gen, _ := strings.Cut(s, ",")
	p, err1 := strconv.Atoi(strings.TrimSpace(prompt))
	g, err2 := strconv.Atoi(strings.TrimSpace(gen))
	if err1 != nil || err2 != nil || p < 0 || g < 0 {
		return [2]int{}, &OptionError{name, strconv.Quote(s), "two numbers such as 512,128"}
	}
	return [2]int{p, g}, nil
}
