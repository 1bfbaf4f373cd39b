package sim

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/tensor"
)

// ErrSyntax is matched by the error of a text that describes no set of devices.
var ErrSyntax = errors.New("bad description of simulated devices")

// SyntaxError says where a text is wrong. It matches ErrSyntax.
type SyntaxError struct {
	Line   int    // from 1 on
	Text   string // the statement, or the word that is meant
	Reason string
}

// Error returns one line.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("sim: line %d: %q: %s", e.Line, e.Text, e.Reason)
}

// Unwrap returns ErrSyntax.
func (e *SyntaxError) Unwrap() error { return ErrSyntax }

// maxText is the greatest length of a text in bytes.
const maxText = 1 << 20

// ParseFrom is Parse of what r holds. Errors: those of r as well.
func ParseFrom(r io.Reader) ([]Config, error) {
	p, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	return Parse(string(p))
}

// Parse returns the devices that text describes:
//
//	# two programming interfaces of one card, and the processor
//	device Vulkan0
//	  memory 16GiB
//	  card 0000:03:00.0
//	  refuse MatMul,MatMulID IQ1_S "no kernel for it"
//	device ROCm1; memory 16GiB; card 0000:03:00.0; submit deferred
//	device CPU; kind cpu; mapped; reads Vulkan0
//
// A statement ends with its line or with a semicolon, and a comment begins with # where a word could. A
// word with a blank, a quote or a semicolon in it, or a # before it, stands in quotes, as a Go string. A SIZE is
// in bytes, or has one of the units kB, MB, GB, TB, KiB, MiB, GiB, TiB; a RATE is a SIZE a second, such
// as 25GB/s; a TIME is written as time.ParseDuration reads it. OPS are names of op kinds and TYPES
// those of tensor types, with commas between, or * for all. Each statement but the last five stands at
// most once for a device.
//
//	device NAME              begins a device
//	backend NAME             Backend; the name without its number if not given
//	kind cpu|gpu|integrated  Kind; gpu if not given, but cpu for a backend of that name
//	description WORD         Description
//	driver WORD              Driver
//	card WORD                PhysicalID
//	memory SIZE [shared]     Memory and Shared
//	max-buffer SIZE          MaxBuffer
//	alignment N              Alignment
//	mapped                   Mapped
//	import                   Import
//	heap                     Heap
//	plan-only                PlanOnly
//	submit sync|async|deferred
//	threads N                Threads
//	seed N                   Seed
//	copy-latency TIME        CopyLatency
//	copy-bandwidth RATE      CopyBandwidth
//	submit-latency TIME      SubmitLatency
//	memory-bandwidth RATE    MemoryBandwidth
//	reads NAME               a device more in Reads
//	type NAME [memory SIZE] [max-buffer SIZE] [alignment N] [mapped]
//	allow OPS [TYPES]        a Rule
//	refuse OPS [TYPES] ["REASON"]
//	                         a Rule with its reason, always in quotes
//	fault FAULT              such as: lose-at-submit 3; see Fault
//
// A FAULT is one of fail-alloc, fail-submit, lose-at-submit, hang-at-submit, fail-copy, lose-at-copy and
// corrupt-copy with the number of the call, end-memory SIZE, fail-compile OP, break-op OP BUG, and
// break-reads; a BUG is wrong-scale, wrong-stride, missed-tail, racing-write, overrun or dirty-source.
//
// Errors: *SyntaxError, ErrConfig with it for devices that cannot be.
func Parse(text string) ([]Config, error) {
	if len(text) > maxText {
		return nil, &SyntaxError{Line: 1, Reason: fmt.Sprintf("longer than %d bytes", maxText)}
	}
	p := parser{names: map[string]int{}}
	for i, line := range strings.Split(text, "\n") {
		p.line = i + 1
		if err := p.parseLine(line); err != nil {
			return nil, err
		}
	}
	return p.configs, p.end()
}

// parser holds the devices so far.
type parser struct {
	line    int
	begun   int // line of the last device
	configs []Config
	seen    map[string]bool
	names   map[string]int // line of each device
	words   []word         // of the statement at hand, without its first
}

// word is a word, without its quotes.
type word struct {
	text   string
	quoted bool
}

func (p *parser) bad(text, format string, a ...any) error {
	return &SyntaxError{Line: p.line, Text: text, Reason: fmt.Sprintf(format, a...)}
}

// parseLine parses the statements of a line.
func (p *parser) parseLine(line string) error {
	var words []word
	rest := strings.TrimRight(line, "\r")
	for {
		rest = strings.TrimLeft(rest, " \t\r")
		switch {
		case rest == "" || rest[0] == '#':
			return p.statement(words)
		case rest[0] == ';':
			if err := p.statement(words); err != nil {
				return err
			}
			words, rest = nil, rest[1:]
		case rest[0] == '"':
			q, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return p.bad(rest, "a quote does not end, or holds what a Go string cannot")
			}
			s, err := strconv.Unquote(q)
			if err != nil {
				return p.bad(q, "%v", err)
			}
			words, rest = append(words, word{s, true}), rest[len(q):]
		default:
			n := strings.IndexAny(rest, " \t\r;\"")
			if n < 0 {
				n = len(rest)
			}
			words, rest = append(words, word{rest[:n], false}), rest[n:]
		}
	}
}

// statement runs one statement.
func (p *parser) statement(words []word) error {
	if len(words) == 0 {
		return nil
	}
	name := words[0].text
	s, ok := statements[name]
	if !ok || words[0].quoted {
		return p.bad(name, "there is no such statement")
	}
	p.words = words[1:]
	if name == "device" {
		return p.device()
	}
	if len(p.configs) == 0 {
		return p.bad(name, "stands before the first device")
	}
	if !s.repeats && p.seen[name] {
		return p.bad(name, "stands twice for %s", p.config().Name)
	}
	p.seen[name] = true
	if err := s.parse(p, p.config()); err != nil {
		return err
	}
	if len(p.words) > 0 {
		return p.bad(p.words[0].text, "is one word too many for %s", name)
	}
	return nil
}

func (p *parser) config() *Config { return &p.configs[len(p.configs)-1] }

// device begins a device.
func (p *parser) device() error {
	if err := p.end(); err != nil {
		return err
	}
	name, err := p.word("a name")
	if err != nil {
		return err
	}
	if len(p.words) > 0 {
		return p.bad(p.words[0].text, "is one word too many for device")
	}
	if at, ok := p.names[strings.ToLower(name)]; ok {
		return p.bad(name, "is the name of the device of line %d as well", at)
	}
	p.names[strings.ToLower(name)] = p.line
	p.configs = append(p.configs, Config{Name: name})
	p.seen, p.begun = map[string]bool{}, p.line
	return nil
}

// end completes the last device and checks it.
func (p *parser) end() error {
	if len(p.configs) == 0 {
		return nil
	}
	c := p.config()
	if !p.seen["kind"] {
		c.Kind = c.usualKind()
	}
	check := *c
	err := check.check()
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", &SyntaxError{Line: p.begun, Text: "device " + c.Name, Reason: "cannot be"}, err)
}

// usualKind is the kind of a device whose text says none.
func (c *Config) usualKind() backends.DeviceKind {
	b := c.Backend
	if b == "" {
		b = backendOf(c.Name)
	}
	if strings.EqualFold(b, cpu.Backend) {
		return backends.CPU
	}
	return backends.GPU
}

// word takes the next word of the statement.
func (p *parser) word(what string) (string, error) {
	if len(p.words) == 0 {
		return "", p.bad("", "the statement ends where %s is due", what)
	}
	w := p.words[0]
	p.words = p.words[1:]
	if w.text == "" && what == "a name" {
		return "", p.bad(w.text, "a name is not empty")
	}
	return w.text, nil
}

// next takes the next word if it is text, without quotes.
func (p *parser) next(text string) bool {
	if len(p.words) > 0 && p.words[0] == (word{text, false}) {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *parser) size() (int64, error) {
	w, err := p.word("a size")
	if err != nil {
		return 0, err
	}
	n, ok := parseSize(w)
	if !ok {
		return 0, p.bad(w, "is no size such as 512MiB")
	}
	return n, nil
}

func (p *parser) rate() (int64, error) {
	w, err := p.word("a rate")
	if err != nil {
		return 0, err
	}
	n, ok := parseSize(strings.TrimSuffix(w, "/s"))
	if !ok || !strings.HasSuffix(w, "/s") {
		return 0, p.bad(w, "is no rate such as 25GB/s")
	}
	return n, nil
}

func (p *parser) number(most uint64) (uint64, error) {
	w, err := p.word("a number")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(w, 10, 64)
	if err != nil || n > most {
		return 0, p.bad(w, "is no whole number from 0 to %d", most)
	}
	return n, nil
}

func (p *parser) time() (time.Duration, error) {
	w, err := p.word("a time")
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(w)
	if err != nil || d < 0 {
		return 0, p.bad(w, "is no time such as 10us")
	}
	return d, nil
}

// ops takes names of op kinds; none stands for all.
func (p *parser) ops() ([]string, error) {
	w, err := p.word("an op")
	if err != nil || w == "*" {
		return nil, err
	}
	ops := strings.Split(w, ",")
	for _, op := range ops {
		if !knownOp(op) && !knownFusion(op) {
			return nil, p.bad(op, "is no kind of op, and no fusion")
		}
	}
	return ops, nil
}

// types takes names of types if the next word is such, without quotes.
func (p *parser) types() ([]tensor.DType, error) {
	if len(p.words) == 0 || p.words[0].quoted {
		return nil, nil
	}
	w, err := p.word("a type")
	if err != nil || w == "*" {
		return nil, err
	}
	var types []tensor.DType
	for name := range strings.SplitSeq(w, ",") {
		t, ok := tensor.ParseDType(name)
		if !ok {
			return nil, p.bad(name, "is no type of tensor; a reason stands in quotes")
		}
		types = append(types, t)
	}
	return types, nil
}
