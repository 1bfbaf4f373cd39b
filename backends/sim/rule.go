package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// defaultReason is what a device says when a rule refuses without a reason.
const defaultReason = "a rule of the simulation refuses it"

// check reports a name that is no op's, or a type without a layout.
func (r *Rule) check() error {
	for _, name := range r.Ops {
		if !knownOp(name) && !knownFusion(name) {
			return fmt.Errorf("a rule is about op %q, which there is not", name)
		}
	}
	for _, t := range r.Types {
		if !t.Valid() {
			return fmt.Errorf("a rule is about %s, which has no known layout", t)
		}
	}
	return nil
}

func knownOp(name string) bool {
	for k := range tensor.NumKinds() {
		if tensor.Kind(k).String() == name {
			return true
		}
	}
	return false
}

func knownFusion(name string) bool {
	_, ok := backends.ParseFusion(name)
	return ok
}

// matches reports whether r is about n.
func (r *Rule) matches(n *tensor.Tensor) bool {
	return (len(r.Ops) == 0 || slices.Contains(r.Ops, n.Op.Kind().String())) && r.typed(n)
}

// matchesGroup reports whether r is about the fusion of nodes: about its name, and the types of a node.
func (r *Rule) matchesGroup(f backends.Fusion, nodes []*tensor.Tensor) bool {
	return slices.Contains(r.Ops, f.String()) && slices.ContainsFunc(nodes, r.typed)
}

// typed reports whether the types of n are those that r is about.
func (r *Rule) typed(n *tensor.Tensor) bool {
	if len(r.Types) == 0 {
		return true
	}
	listed, all := slices.Contains(r.Types, n.Type), slices.Contains(r.Types, n.Type)
	for _, s := range n.Src {
		if s == nil {
			continue
		}
		in := slices.Contains(r.Types, s.Type)
		listed, all = listed || in, all && in
	}
	if r.Allow {
		return all
	}
	return listed
}

// Supports returns the reason of the rule that refuses n, or of Config.Support, or of the CPU backend.
func (d *Device) Supports(n *tensor.Tensor) error {
	if why := d.refuses(n); why != "" {
		return &backends.UnsupportedError{Device: d.cfg.Name, Node: n.Name, Op: n.Op.Kind(), Reason: why}
	}
	return nil
}

// Reproduces reports what the CPU backend does.
func (d *Device) Reproduces() bool { return d.inner.Reproduces() }

// Fuses returns the reason of the rule that refuses the fusion, or of the CPU backend.
func (d *Device) Fuses(f backends.Fusion, nodes []*tensor.Tensor) error {
	why, allowed := d.ruled(func(r *Rule) bool { return r.matchesGroup(f, nodes) })
	if why == "" && !allowed {
		why = reasonOf(d.inner.Fuses(f, nodes))
	}
	if why == "" {
		return nil
	}
	last := nodes[len(nodes)-1]
	return &backends.UnsupportedError{Device: d.cfg.Name, Node: last.Name, Op: last.Op.Kind(), Fusion: f.String(), Reason: why}
}

// ruled returns the reason of the first rule that matches, if it refuses, or whether it allows.
func (d *Device) ruled(matches func(r *Rule) bool) (reason string, allowed bool) {
	for i := range d.cfg.Rules {
		r := &d.cfg.Rules[i]
		switch {
		case !matches(r):
			continue
		case r.Allow:
			return "", true
		case r.Reason != "":
			return r.Reason, false
		}
		return defaultReason, false
	}
	return "", false
}

func (d *Device) refuses(n *tensor.Tensor) string {
	if why, _ := d.ruled(func(r *Rule) bool { return r.matches(n) }); why != "" {
		return why
	}
	if d.cfg.Support != nil {
		if why := d.cfg.Support(n); why != "" {
			return why
		}
	}
	return reasonOf(d.inner.Supports(n))
}

// reasonOf returns the reason in an error of Supports, "" for none.
func reasonOf(err error) string {
	var u *backends.UnsupportedError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &u):
		return u.Reason
	}
	return err.Error()
}
