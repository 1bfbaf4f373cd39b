package sim

import (
	"math"
	"strings"
	"time"

	"github.com/tenon-go/tenon/backends"
)

// statement is one statement of the text form.
type statement struct {
	repeats bool // it may stand several times for a device
	parse   func(p *parser, c *Config) error
}

// statements is filled by init, because their functions read it.
var statements map[string]statement

func init() {
	once := func(f func(p *parser, c *Config) error) statement { return statement{parse: f} }
	many := func(f func(p *parser, c *Config) error) statement { return statement{repeats: true, parse: f} }
	statements = map[string]statement{
		"device":           once(nil), // statement begins it
		"backend":          setName(func(c *Config) *string { return &c.Backend }),
		"kind":             once((*parser).parseKind),
		"description":      setText(func(c *Config) *string { return &c.Description }),
		"driver":           setText(func(c *Config) *string { return &c.Driver }),
		"card":             setName(func(c *Config) *string { return &c.PhysicalID }),
		"memory":           once((*parser).parseMemory),
		"max-buffer":       setAmount((*parser).size, func(c *Config) *int64 { return &c.MaxBuffer }),
		"alignment":        once((*parser).parseAlignment),
		"mapped":           setFlag(func(c *Config) *bool { return &c.Mapped }),
		"import":           setFlag(func(c *Config) *bool { return &c.Import }),
		"heap":             setFlag(func(c *Config) *bool { return &c.Heap }),
		"plan-only":        setFlag(func(c *Config) *bool { return &c.PlanOnly }),
		"submit":           once((*parser).parseSubmit),
		"threads":          once((*parser).parseThreads),
		"seed":             once((*parser).parseSeed),
		"copy-latency":     setDuration(func(c *Config) *time.Duration { return &c.CopyLatency }),
		"copy-bandwidth":   setAmount((*parser).rate, func(c *Config) *int64 { return &c.CopyBandwidth }),
		"submit-latency":   setDuration(func(c *Config) *time.Duration { return &c.SubmitLatency }),
		"memory-bandwidth": setAmount((*parser).rate, func(c *Config) *int64 { return &c.MemoryBandwidth }),
		"reads":            many((*parser).parseReads),
		"type":             many((*parser).parseType),
		"allow":            many((*parser).parseAllow),
		"refuse":           many((*parser).parseRefuse),
		"fault":            many((*parser).parseFaultStatement),
	}
}

// setText and its like make the statements that set one field.
func setText(field func(c *Config) *string) statement {
	return statement{parse: func(p *parser, c *Config) (err error) {
		*field(c), err = p.word("a text")
		return err
	}}
}

func setName(field func(c *Config) *string) statement {
	return statement{parse: func(p *parser, c *Config) (err error) {
		*field(c), err = p.word("a name")
		return err
	}}
}

func setFlag(field func(c *Config) *bool) statement {
	return statement{parse: func(_ *parser, c *Config) error {
		*field(c) = true
		return nil
	}}
}

func setAmount(read func(p *parser) (int64, error), field func(c *Config) *int64) statement {
	return statement{parse: func(p *parser, c *Config) (err error) {
		*field(c), err = read(p)
		return err
	}}
}

func setDuration(field func(c *Config) *time.Duration) statement {
	return statement{parse: func(p *parser, c *Config) (err error) {
		*field(c), err = p.time()
		return err
	}}
}

// kindNames are the words of the text form, by kind.
var kindNames = [...]string{backends.CPU: "cpu", backends.GPU: "gpu", backends.IntegratedGPU: "integrated"}

func (p *parser) parseKind(c *Config) error {
	i, err := p.choice(kindNames[:])
	c.Kind = backends.DeviceKind(i)
	return err
}

func (p *parser) parseSubmit(c *Config) error {
	i, err := p.choice([]string{Sync.String(), Async.String(), Deferred.String()})
	c.Submit = SubmitMode(i)
	return err
}

// choice takes one of some words and returns its number.
func (p *parser) choice(words []string) (int, error) {
	all := strings.Join(words, ", ")
	w, err := p.word("one of " + all)
	if err != nil {
		return 0, err
	}
	for i, x := range words {
		if x == w {
			return i, nil
		}
	}
	return 0, p.bad(w, "is none of %s", all)
}

func (p *parser) parseMemory(c *Config) (err error) {
	c.Memory, err = p.size()
	c.Shared = err == nil && p.next("shared")
	return err
}

func (p *parser) parseAlignment(c *Config) error {
	n, err := p.number(math.MaxInt32)
	c.Alignment = int(n)
	return err
}

func (p *parser) parseThreads(c *Config) error {
	n, err := p.number(maxThreads)
	c.Threads = int(n)
	return err
}

// maxThreads keeps a mistyped number from making a machine of goroutines.
const maxThreads = 4096

func (p *parser) parseSeed(c *Config) (err error) {
	c.Seed, err = p.number(math.MaxUint64)
	return err
}

func (p *parser) parseReads(c *Config) error {
	name, err := p.word("a name")
	c.Reads = append(c.Reads, name)
	return err
}

func (p *parser) parseType(c *Config) error {
	name, err := p.word("a name")
	if err != nil {
		return err
	}
	t := MemoryType{Name: name}
	for len(p.words) > 0 && err == nil {
		switch {
		case p.next("memory"):
			t.Memory, err = p.size()
		case p.next("max-buffer"):
			t.MaxBuffer, err = p.size()
		case p.next("alignment"):
			var n uint64
			n, err = p.number(math.MaxInt32)
			t.Alignment = int(n)
		case p.next("mapped"):
			t.Mapped = true
		default:
			err = p.bad(p.words[0].text, "is none of memory, max-buffer, alignment, mapped")
		}
	}
	c.Types = append(c.Types, t)
	return err
}

func (p *parser) parseAllow(c *Config) error {
	r := Rule{Allow: true}
	var err error
	if r.Ops, err = p.ops(); err != nil {
		return err
	}
	r.Types, err = p.types()
	c.Rules = append(c.Rules, r)
	return err
}

func (p *parser) parseRefuse(c *Config) error {
	var r Rule
	var err error
	if r.Ops, err = p.ops(); err != nil {
		return err
	}
	if r.Types, err = p.types(); err != nil {
		return err
	}
	if len(p.words) > 0 {
		r.Reason, err = p.word("a reason")
	}
	c.Rules = append(c.Rules, r)
	return err
}

func (p *parser) parseFaultStatement(c *Config) error {
	f, err := p.fault()
	c.Faults = append(c.Faults, f)
	return err
}

// fault takes a fault as Fault.String writes it.
func (p *parser) fault() (f Fault, err error) {
	w, err := p.word("a fault")
	if err != nil {
		return f, err
	}
	for k := noFault + 1; int(k) < len(faultNames); k++ {
		if faultNames[k] == w {
			f.kind = k
		}
	}
	switch {
	case f.kind == noFault:
		return f, p.bad(w, "is no fault")
	case f.counts():
		var n uint64
		n, err = p.number(math.MaxInt32)
		f.n = int64(n)
	case f.kind == endMemory:
		f.n, err = p.size()
	case f.kind == failCompile || f.kind == breakOp:
		err = p.faultOp(&f)
	}
	if err != nil {
		return f, err
	}
	if err := f.check(); err != nil {
		return f, p.bad(w, "%v", err)
	}
	return f, nil
}

// faultOp takes the op, and the bug, of a fault.
func (p *parser) faultOp(f *Fault) error {
	op, err := p.word("an op")
	if err != nil {
		return err
	}
	if op != "*" {
		if !knownOp(op) {
			return p.bad(op, "is no kind of op")
		}
		f.op = op
	}
	if f.kind != breakOp {
		return nil
	}
	bug, err := p.word("a bug")
	if err != nil {
		return err
	}
	var ok bool
	if f.bug, ok = parseBug(bug); !ok {
		return p.bad(bug, "is no bug")
	}
	return nil
}

// ParseFault returns the fault that s describes in the words of the text form, such as
// "lose-at-submit 3". Errors: *SyntaxError.
func ParseFault(s string) (Fault, error) {
	p := parser{line: 1}
	for _, w := range strings.Fields(s) {
		p.words = append(p.words, word{w, false})
	}
	f, err := p.fault()
	if err == nil && len(p.words) > 0 {
		err = p.bad(p.words[0].text, "is one word too many")
	}
	if err != nil {
		return Fault{}, err
	}
	return f, nil
}
