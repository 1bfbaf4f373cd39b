package sched

import (
	"encoding/json"
	"fmt"

	"github.com/tenon-go/tenon/tensor"
)

// Rule is the rule that decided where a node runs.
type Rule uint8

// The rules, the stronger first.
const (
	RuleWrites   Rule = iota // it writes into a bound tensor
	RulePin                  // a pin names the device
	RuleCache                // it reads a cache that lies there
	RuleWeight               // it reads a weight that lies there
	RuleUpdate               // it writes into a result that lies there
	RuleLayer                // its layer is assigned there
	RuleSources              // most of its sources lie there
	RuleReaders              // what reads it runs there
	RuleBetween              // its neighbours run there, and its layer elsewhere
	RuleFirst                // nothing decides: the first device
	RuleFallback             // the device that another rule chose refused
	numRules
)

// String returns the rule's name.
func (r Rule) String() string {
	if r < numRules {
		return [...]string{
			"writes", "pin", "cache", "weight", "update", "layer", "sources", "readers", "between", "first", "fallback",
		}[r]
	}
	return fmt.Sprintf("Rule(%d)", uint8(r))
}

// Reason says why a node runs where it does. Which fields are set depends on the rule.
type Reason struct {
	Rule   Rule
	Role   tensor.Role // of Tensor
	Layer  int32
	Device string // that the rule speaks of: the owner of Tensor's memory, where neighbours run, who refused
	Tensor string // the tensor that decided
	Text   string // the pattern of a pin, or what a device said
	Bytes  int64  // that need no copy because of the choice, each run
}

// String returns the reason as half a sentence, such as "weight blk.3.wq lies on CPU".
func (r Reason) String() string {
	switch r.Rule {
	case RuleWrites:
		return fmt.Sprintf("writes %s %s owned by %s", r.Role, r.Tensor, r.Device)
	case RulePin:
		return fmt.Sprintf("pinned by /%s/", r.Text)
	case RuleCache, RuleWeight:
		return fmt.Sprintf("%s %s lies on %s", r.Role, r.Tensor, r.Device)
	case RuleUpdate:
		return fmt.Sprintf("writes %s %s on %s", r.Role, r.Tensor, r.Device)
	case RuleLayer:
		return fmt.Sprintf("layer %d is on %s", r.Layer, r.Device)
	case RuleSources:
		return "follows its sources on " + r.Device + r.less()
	case RuleReaders:
		return "follows its readers on " + r.Device + r.less()
	case RuleBetween:
		return "lies between nodes on " + r.Device + r.less()
	case RuleFallback:
		return fmt.Sprintf("first choice %s refused: %s", r.Device, r.Text)
	default:
		return "nothing decides: first device"
	}
}

func (r Reason) less() string {
	if r.Bytes == 0 {
		return ""
	}
	return fmt.Sprintf(": %d bytes less to copy", r.Bytes)
}

// MarshalJSON writes the rule's name and the text, and the tensor and bytes if there are any.
func (r Reason) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Rule   string `json:"rule"`
		Text   string `json:"text"`
		Tensor string `json:"tensor,omitempty"`
		Bytes  int64  `json:"bytes,omitempty"`
	}{r.Rule.String(), r.String(), r.Tensor, r.Bytes})
}
